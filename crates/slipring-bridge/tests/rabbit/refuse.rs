//! What a server does not want, and what is said of it.

use std::{fs, io::Write, net::TcpListener, time::Duration};

use lapin::{ExchangeKind, options::ExchangeDeclareOptions, types::FieldTable};
use slipring_bridge::{
    Connect, Incoming, LinkError, Listen, Rabbit, RabbitError, RabbitOutlet, RabbitQueue,
};

use crate::{common::rabbit_server::RabbitServer, tools::*};

const SECRET: &str = "s3cr3t-p4ss";

/// What is said of both ends if they cannot connect, the same for both.
async fn refusal(rabbit: Rabbit) -> String {
    let queue = RabbitQueue::new(rabbit.clone(), &name("never")).unwrap();
    let outlet = RabbitOutlet::to_exchange(rabbit, &name("never")).unwrap();
    let errors = [outlet.connect().await.err().unwrap(), queue.listen(1).await.err().unwrap()];
    for text in [format!("{queue:?}"), format!("{outlet:?}"), format!("{errors:?}")] {
        assert!(!text.contains(SECRET), "{text}");
    }
    for error in &errors {
        assert!(matches!(error, LinkError::Refused { .. }), "{error}");
        assert!(!error.to_string().contains(SECRET), "{error}");
    }
    errors[0].to_string()
}

#[test]
fn who_may_not_is_refused_and_nobody_sees_the_password() {
    run(async {
        let told = refusal(rabbit().credentials("guest", SECRET)).await;
        assert!(told.contains("ACCESS_REFUSED"), "{told}");
        let port = RabbitServer::shared().port();
        let url = format!("amqp://nobody:{SECRET}@127.0.0.1:{port}/%2f");
        assert!(refusal(Rabbit::new(&url).unwrap()).await.contains("ACCESS_REFUSED"));
        let told = refusal(rabbit().vhost("nowhere")).await;
        assert!(told.contains("nowhere"), "{told}");
        let told = refusal(rabbit().password_file("/nowhere/password")).await;
        assert!(told.contains("/nowhere/password"), "{told}");
        let told = refusal(rabbit().credentials("a\0b", SECRET)).await;
        assert!(told.contains("NUL"), "{told}");
    });
}

#[test]
fn a_password_in_a_file_is_read_each_time() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("password");
        fs::write(&file, "wrong\n").unwrap();
        let queue = RabbitQueue::new(rabbit().password_file(&file), &name("file")).unwrap();
        let error = queue.listen(1).await.unwrap_err();
        assert!(matches!(error, LinkError::Refused { .. }), "{error}");
        fs::write(&file, "guest\r\n").unwrap();
        queue.listen(1).await.unwrap().close().await;
    });
}

#[test]
fn other_arguments_are_refused_with_what_to_do() {
    run(async {
        let name = name("other");
        hear(&queue(&name), 1).await.close().await;
        for other in [queue(&name).competing(), queue(&name).argument("x-max-length", 5).unwrap()] {
            let error = other.listen(1).await.unwrap_err();
            let LinkError::Refused { problem, .. } = error else { panic!("{error}") };
            assert!(problem.contains(&name) && problem.contains("`existing`"), "{problem}");
            let error = RabbitOutlet::to_queue(other.clone()).connect().await.unwrap_err();
            assert!(matches!(error, LinkError::Refused { .. }), "{error}");
            // As it is, it will do.
            other.existing().listen(1).await.unwrap().close().await;
        }
    });
}

#[test]
fn what_is_to_be_there_and_is_not_is_refused() {
    run(async {
        let name = name("absent");
        let error = queue(&name).existing().listen(1).await.unwrap_err();
        let LinkError::Refused { problem, .. } = error else { panic!("{error}") };
        assert!(problem.contains(&name) && problem.contains("make it first"), "{problem}");
        let outlet = RabbitOutlet::to_existing_exchange(rabbit(), &name).unwrap();
        let error = outlet.connect().await.unwrap_err();
        let LinkError::Refused { problem, .. } = error else { panic!("{error}") };
        assert!(problem.contains(&name) && problem.contains("make it first"), "{problem}");
        // One of the server's own, of another kind.
        let outlet = RabbitOutlet::to_existing_exchange(rabbit(), "amq.fanout").unwrap();
        let queue = queue(&name).bind("amq.fanout", "").unwrap();
        let mut to = hear(&queue, 1).await;
        let mut from = outlet.connect().await.unwrap();
        send(&mut from, &parcels(0..1)).await;
        assert_eq!(sequences(&receive(&mut to, 1).await), [0]);
    });
}

#[test]
fn an_exchange_of_another_kind_is_refused_with_what_to_do() {
    run(async {
        let name = name("direct");
        let (kind, options) = (ExchangeKind::Direct, ExchangeDeclareOptions::default());
        bare()
            .await
            .exchange_declare(name.as_str().into(), kind, options, FieldTable::default())
            .await
            .unwrap();
        let outlet = RabbitOutlet::to_exchange(rabbit(), &name).unwrap();
        let error = outlet.connect().await.unwrap_err();
        let LinkError::Refused { problem, .. } = error else { panic!("{error}") };
        assert!(problem.contains("to_existing_exchange"), "{problem}");
    });
}

#[test]
fn what_speaks_another_protocol_is_refused() {
    run(async {
        for greeting in ["HTTP/1.1 400 Bad Request\r\n\r\n", "AMQP\x00\x01\x00\x00"] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            std::thread::spawn(move || {
                for client in listener.incoming() {
                    let mut client = client.unwrap();
                    client.write_all(greeting.as_bytes()).unwrap();
                    // Until the other side has gone.
                    drop(std::io::copy(&mut client, &mut std::io::sink()));
                }
            });
            refusal(at(port)).await;
        }
        // A server that is not spoken to in TLS at that port.
        let url = format!("amqps://localhost:{}", RabbitServer::shared().port());
        refusal(Rabbit::new(&url).unwrap()).await;
    });
}

#[test]
fn nobody_there_is_lost_and_not_refused() {
    run(async {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let outlet = RabbitOutlet::to_exchange(at(port), "events").unwrap();
        let error = outlet.connect().await.unwrap_err();
        assert!(matches!(error, LinkError::Lost { .. }), "{error}");
        let rabbit = Rabbit::new("amqp://no.such.host.invalid").unwrap();
        let outlet = RabbitOutlet::to_exchange(rabbit, "events").unwrap();
        let error = outlet.connect().await.unwrap_err();
        assert!(matches!(error, LinkError::Lost { .. }), "{error}");
    });
}

#[test]
fn tls_wants_a_certificate_that_somebody_trusts() {
    run(async {
        let server = RabbitServer::shared();
        let url = format!("amqps://guest:guest@localhost:{}/%2f", server.tls_port());
        let rabbit = Rabbit::new(&url).unwrap().patience(Duration::from_mins(1));
        let told = refusal(rabbit.clone()).await;
        assert!(told.contains("certificate"), "{told}");
        let told = refusal(rabbit.clone().certificate_authority(server.file("server.key"))).await;
        assert!(told.contains("no certificate"), "{told}");
        let trusted = rabbit.certificate_authority(server.file("ca.pem"));
        let queue = RabbitQueue::new(trusted.clone(), &name("tls")).unwrap();
        send(&mut out(&queue).await, &parcels(0..300)).await;
        let mut link = queue.listen(300).await.unwrap();
        assert_eq!(sequences(&receive(&mut link, 300).await), (0..300).collect::<Vec<_>>());
        link.close().await;
        // It shows a certificate, too, where the server asks for none.
        let shown =
            trusted.client_certificate(server.file("server.pem"), server.file("server.key"));
        RabbitQueue::new(shown, &name("tls")).unwrap().listen(1).await.unwrap().close().await;
    });
}

#[test]
fn certificates_without_tls_are_refused() {
    run(async {
        let file = RabbitServer::shared().file("ca.pem");
        let told = refusal(rabbit().certificate_authority(&file)).await;
        assert!(told.contains("amqps://"), "{told}");
        assert!(refusal(rabbit().client_certificate(&file, &file)).await.contains("amqps://"));
    });
}

#[test]
fn addresses_that_are_none_say_so_without_the_password() {
    for url in [
        "",
        "localhost",
        "http://user:s3cr3t-p4ss@localhost",
        "amqp://user:s3cr3t-p4ss@localhost:port",
        "amqp://user:s3cr3t-p4ss@localhost:99999",
        "amqp://user:s3cr3t-p4ss@localhost?s3cr3t-p4ss=1",
        "amqp://user:s3cr3t-p4ss@localhost?heartbeat=s3cr3t-p4ss",
        "amqp://user:s3cr3t-p4ss%FF@localhost",
        "s3cr3t-p4ss",
    ] {
        let error = Rabbit::new(url).unwrap_err();
        assert!(matches!(error, RabbitError::Url { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains(SECRET), "{error}");
    }
    let good = Rabbit::new(
        "amqp://us%2Fer:s3cr3t-p4ss@[::1]:77/a%2Fb?heartbeat=3&connection_timeout=1500",
    )
    .unwrap();
    let text = format!("{good:?}");
    for part in
        ["\"us/er\"", "\"::1\"", "port: 77", "\"a/b\"", "heartbeat: Some(3)", "patience: 1.5s"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains(SECRET), "{text}");
}

#[test]
fn the_environment_says_where_it_is() {
    let from = |variables: &'static [(&'static str, &'static str)]| {
        Rabbit::from_variables("MQ", |name| {
            let found = variables.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    };
    let all = from(&[
        ("MQ_HOST", "broker"),
        ("MQ_PORT", "77"),
        ("MQ_USER", "shop"),
        ("MQ_PASSWORD", SECRET),
        ("MQ_VHOST", "orders"),
        ("MQ_CA_FILE", "/ca.pem"),
    ]);
    let text = format!("{:?}", all.unwrap());
    for part in ["\"broker\"", "port: 77", "\"shop\"", "\"orders\"", "AMQPS", "\"/ca.pem\""] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains(SECRET), "{text}");
    let text = format!("{:?}", from(&[("MQ_URL", "amqps://broker")]).unwrap());
    assert!(text.contains("port: 5671"), "{text}");
    for (variables, name) in [
        (&[][..], "MQ_URL"),
        (&[("MQ_HOST", "a"), ("MQ_PORT", "x")], "MQ_PORT"),
        (&[("MQ_HOST", "a"), ("MQ_PASSWORD", SECRET), ("MQ_PASSWORD_FILE", "/p")], "MQ_PASSWORD"),
    ] {
        let error = from(variables).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        assert!(!error.to_string().contains(SECRET), "{error}");
    }
}

#[test]
fn names_that_are_none_are_refused_at_once() {
    let rabbit = Rabbit::new("amqp://localhost").unwrap();
    let long = "x".repeat(256);
    for name in ["", "amq.own", &long] {
        assert!(matches!(RabbitQueue::new(rabbit.clone(), name), Err(RabbitError::Name { .. })));
        assert!(matches!(
            RabbitOutlet::to_exchange(rabbit.clone(), name),
            Err(RabbitError::Name { .. })
        ));
    }
    assert!(RabbitQueue::new(rabbit.clone(), &"x".repeat(251)).is_err(), "`.dead` has no room");
    let queue = RabbitQueue::new(rabbit.clone(), &"x".repeat(250)).unwrap();
    assert!(queue.clone().bind("", "#").is_err());
    assert!(queue.clone().bind("events", &long).is_err());
    assert!(queue.clone().bind("events", "order*").is_err());
    assert!(queue.clone().argument(&long, 1).is_err());
    assert!(queue.dead_letters_to("").is_err());
    assert!(RabbitOutlet::to_existing_exchange(rabbit, "").is_err());
}

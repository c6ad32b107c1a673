//! Passwords and tokens stay where they are.

use slipring_bridge::{
    Connect, JetStream, JetStreamIn, JetStreamOut, LinkError, Listen, NatsServer as At,
};

use crate::{
    common::nats_server::NatsServer,
    links::{lane, run},
    send,
};

const SECRET: &str = "s3cr3t-w0rd";
const WRONG: &str = "wr0ng-w0rd";

fn stream(at: At) -> JetStream {
    JetStream::new(at, "ORDERS", "shop.orders")
}

async fn works(at: At) {
    let (out, input) = (JetStreamOut::new(stream(at.clone())), JetStreamIn::new(stream(at), "g"));
    send(&out, &lane("a", 0..3)).await.unwrap();
    let link = input.listen(3).await.unwrap();
    let going = out.connect().await.unwrap();
    for shown in
        [format!("{out:?}"), format!("{input:?}"), format!("{link:?}"), format!("{going:?}")]
    {
        assert!(!shown.contains(SECRET), "{shown}");
        assert!(shown.contains("127.0.0.1"), "{shown}");
    }
}

async fn is_refused(at: At) {
    let refused = [
        JetStreamOut::new(stream(at.clone())).connect().await.unwrap_err(),
        JetStreamIn::new(stream(at), "g").listen(3).await.unwrap_err(),
    ];
    for error in refused {
        assert!(matches!(error, LinkError::Refused { .. }), "{error}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(WRONG) && !shown.contains(SECRET), "{shown}");
    }
}

#[test]
fn passwords_are_not_shown() {
    let server =
        NatsServer::with(&format!("authorization {{ user: bridge, password: \"{SECRET}\" }}"));
    let host = format!("127.0.0.1:{}", server.port());
    run(async {
        works(At::at(format!("nats://bridge:{SECRET}@{host}"))).await;
        works(At::at(server.url()).user("bridge", SECRET)).await;
        is_refused(At::at(format!("nats://bridge:{WRONG}@{host}"))).await;
        is_refused(At::at(server.url()).user("bridge", WRONG)).await;
        is_refused(At::at(server.url())).await;
    });
}

#[test]
fn tokens_are_not_shown() {
    let server = NatsServer::with(&format!("authorization {{ token: \"{SECRET}\" }}"));
    let host = format!("127.0.0.1:{}", server.port());
    run(async {
        works(At::at(server.url()).token(SECRET)).await;
        works(At::at(format!("nats://{SECRET}@{host}"))).await;
        is_refused(At::at(server.url()).token(WRONG)).await;
    });
}

#[test]
fn passwords_of_all_sorts_in_an_address() {
    let server = NatsServer::with("authorization { user: \"a b\", password: \"p@s:s/%x\" }");
    run(async {
        works(At::at(format!("nats://a%20b:p%40s%3As%2F%25x@127.0.0.1:{}", server.port()))).await;
    });
}

#[test]
fn secrets_from_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    let by_password =
        NatsServer::with(&format!("authorization {{ user: bridge, password: \"{SECRET}\" }}"));
    let by_token = NatsServer::with(&format!("authorization {{ token: \"{SECRET}\" }}"));
    run(async {
        let one = At::at(by_password.url()).user("bridge", "").secret_file(&file);
        let other = At::at(by_token.url()).secret_file(&file);
        is_refused(one.clone()).await;
        std::fs::write(&file, format!("{SECRET}\n")).unwrap();
        works(one).await;
        works(other.clone()).await;
        std::fs::write(&file, WRONG).unwrap();
        is_refused(other).await;
    });
}

#[test]
fn who_may_not_publish_is_told_so() {
    let users = format!(
        "authorization {{ users: [ {{ user: r, password: \"{SECRET}\", permissions: {{ publish: [\"$JS.API.>\"] }} }} ] }}"
    );
    let server = NatsServer::with(&users);
    run(async {
        let out = JetStreamOut::new(stream(At::at(server.url()).user("r", SECRET)));
        let error = send(&out, &lane("a", 0..3)).await.unwrap_err();
        let LinkError::Refused { problem, .. } = &error else { panic!("{error}") };
        assert!(problem.to_lowercase().contains("permissions violation"), "{problem}");
    });
}

#[test]
fn addresses_and_files_that_are_none() {
    run(async {
        for url in ["", "nats://u:s3cr3t@", "nats://u:s3cr3t@h:port", "http://u:s3cr3t@h:1"] {
            let out = JetStreamOut::new(stream(At::at(url)));
            let error = out.connect().await.unwrap_err();
            assert!(matches!(error, LinkError::Refused { .. }), "{url}: {error}");
            let shown = format!("{error} {error:?} {out:?}");
            assert!(!shown.contains("s3cr3t"), "{shown}");
        }
        let out =
            JetStreamOut::new(stream(At::at("nats://127.0.0.1:1").credentials_file("none.creds")));
        let error = out.connect().await.unwrap_err();
        assert!(
            matches!(&error, LinkError::Refused { problem, .. } if problem.contains("none.creds"))
        );
        let out = JetStreamOut::new(stream(At::at("nats://127.0.0.1:1")));
        let error = out.connect().await.unwrap_err();
        assert!(matches!(error, LinkError::Lost { .. }), "{error}");
    });
}

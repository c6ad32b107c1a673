//! Streams and consumers that are there already.

use std::time::Duration;

use async_nats::jetstream::{consumer, stream::Config};
use slipring_bridge::{Connect, JetStream, JetStreamIn, JetStreamOut, LinkError, Listen};

use crate::{
    bare,
    common::nats_server::NatsServer,
    info,
    links::{lane, run},
    out, send, stream,
};

#[test]
fn a_stream_is_made_as_it_is_wanted() {
    let server = NatsServer::start();
    run(async {
        let wanted =
            stream(&server).keep_for(Duration::from_hours(1)).keep_bytes(1 << 20).keep_events(7);
        send(&JetStreamOut::new(wanted.clone()), &lane("a", 0..20)).await.unwrap();
        let info = info(&server, "ORDERS").await;
        assert_eq!(info.state.messages, 7);
        let config = info.config;
        assert_eq!((config.max_bytes, config.max_messages), (1 << 20, 7));
        assert_eq!(config.max_age, Duration::from_hours(1));
        assert_eq!(config.subjects, ["shop.orders.>"]);
        // Whoever says nothing of limits takes those that are there.
        out(&server).connect().await.unwrap();
        let others = [
            (stream(&server).keep_for(Duration::from_hours(2)), "greatest age"),
            (stream(&server).keep_bytes(7), "greatest size"),
            (stream(&server).keep_events(8), "greatest number"),
            (stream(&server).queue(), "retention"),
            (stream(&server).in_memory(), "storage"),
            (stream(&server).know_again_for(Duration::from_secs(7)), "duplicates"),
            (stream(&server).replicas(3), "replicas"),
            (JetStream::new(server.url(), "ORDERS", "shop.mails"), "subjects"),
        ];
        for (other, said) in others {
            let error = JetStreamOut::new(other).connect().await.unwrap_err();
            let LinkError::Refused { problem, .. } = &error else { panic!("{error}") };
            assert!(problem.contains(said) && problem.contains("ORDERS"), "{problem}");
        }
        // What others have under the same subjects.
        let other = JetStream::new(server.url(), "OTHER", "shop.orders.x");
        let error = JetStreamOut::new(other).connect().await.unwrap_err();
        assert!(
            matches!(&error, LinkError::Refused { problem, .. } if problem.contains("overlap")),
            "{error}"
        );
    });
}

#[test]
fn streams_that_others_made() {
    let server = NatsServer::start();
    run(async {
        let context = bare(&server).await;
        let config = |name: &str, subject: &str| Config {
            name: name.into(),
            subjects: vec![subject.into()],
            ..Config::default()
        };
        context.create_stream(config("WIDE", "wide.*.>")).await.unwrap();
        let wide = JetStream::new(server.url(), "WIDE", "wide.a");
        send(&JetStreamOut::new(wide), &lane("a", 0..3)).await.unwrap();
        let mute = Config { no_ack: true, ..config("MUTE", "mute.>") };
        context.create_stream(mute).await.unwrap();
        let error = JetStreamOut::new(JetStream::new(server.url(), "MUTE", "mute"));
        let error = error.connect().await.unwrap_err();
        assert!(matches!(error, LinkError::Refused { .. }), "{error}");
    });
}

#[test]
fn consumers_that_cannot_be_had() {
    let server = NatsServer::start();
    run(async {
        out(&server).connect().await.unwrap();
        let orders = bare(&server).await.get_stream("ORDERS").await.unwrap();
        let push = consumer::push::Config {
            durable_name: Some("pushed".into()),
            deliver_subject: "there".into(),
            ..consumer::push::Config::default()
        };
        orders.create_consumer(push).await.unwrap();
        for name in ["pushed", "a.b", ""] {
            let error = JetStreamIn::new(stream(&server), name).listen(3).await.unwrap_err();
            assert!(matches!(error, LinkError::Refused { .. }), "{name}: {error}");
        }
        // Another window is no other consumer.
        let input = JetStreamIn::new(stream(&server), "billing");
        input.listen(3).await.unwrap();
        input.wait_for_settlement(Duration::from_secs(3)).listen(5).await.unwrap();
        let consumer: consumer::PullConsumer = orders.get_consumer("billing").await.unwrap();
        assert_eq!(consumer.cached_info().config.max_ack_pending, 5);
        assert_eq!(consumer.cached_info().config.ack_wait, Duration::from_secs(3));
    });
}

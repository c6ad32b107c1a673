//! What goes out comes in, all of it, as it was.

use std::borrow::Cow;

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use slipring_bridge::{
    Connect, Incoming, LinkError, Outgoing, Parcel, RabbitOutlet, Stamp, header,
};
use slipring_events::{EventId, Time};

use crate::tools::*;

/// One that has everything.
fn full(sequence: u64) -> Parcel {
    let mut parcel = parcel(sequence);
    parcel.id = Some(EventId::random());
    parcel.time = Time::from_nanos(1_700_000_000_123_456_789);
    parcel.source = "shop \u{1F40E} \"quoted\"".into();
    parcel.correlation = Some(EventId::random());
    parcel.causation = Some(EventId::random());
    parcel.schema = 7;
    parcel.content_type = Cow::Borrowed("application/json");
    parcel.metadata.insert("tenant", "blau & wei\u{DF}\n");
    parcel.metadata.insert("", "");
    parcel.payload = "{\"name\":\"\u{17C}\u{F3}\u{142}w\"}".into();
    parcel
}

#[test]
fn every_field_comes_as_it_was() {
    run(async {
        let name = name("trip");
        let queue = queue(&name);
        let mut empty = parcel(2);
        empty.payload = Vec::new();
        let mut big = parcel(3);
        big.payload =
            (0..1 << 20).map(|at: u32| at.to_le_bytes()[0] ^ at.to_le_bytes()[1]).collect();
        let mut first = parcel(4);
        first.stamp = Some(Stamp { lane: "an\u{E4}logue".into(), sequence: 0, previous: None });
        let mut stranger = Parcel::new("order.created", *b"\x00\xFF\xFE no text");
        stranger.topic = "t\u{F6}pic.\u{1F40E}".to_owned();
        let all = [full(1), empty, big, first, stranger];
        send(&mut out(&queue).await, &all).await;

        let mut link = hear(&queue, 10).await;
        let deliveries = receive(&mut link, all.len()).await;
        for (delivery, parcel) in deliveries.iter().zip(&all) {
            assert_eq!(content(delivery), parcel);
            assert!(!delivery.is_again);
        }
        link.settle(&done(&deliveries)).await.unwrap();
        link.close().await;
        assert!(get(&bare().await, &name).await.is_none());
    });
}

#[test]
fn other_programs_see_what_they_expect() {
    run(async {
        let name = name("seen");
        let parcel = full(5);
        send(&mut out(&queue(&name)).await, std::slice::from_ref(&parcel)).await;
        let message = get(&bare().await, &name).await.unwrap();
        let properties = &message.properties;
        assert_eq!(properties.delivery_mode(), &Some(2), "it is persistent");
        assert_eq!(properties.content_type().as_ref().unwrap().as_str(), "application/json");
        assert_eq!(
            properties.message_id().as_ref().unwrap().as_str(),
            parcel.id.unwrap().to_string()
        );
        assert_eq!(properties.kind().as_ref().unwrap().as_str(), "order.created");
        assert_eq!(properties.app_id().as_ref().unwrap().as_str(), parcel.source);
        assert_eq!(properties.timestamp(), &Some(1_700_000_000));
        let headers = properties.headers().as_ref().unwrap().inner();
        let text = AMQPValue::LongString("5 4".into());
        assert_eq!(headers.get(header::SEQUENCE), Some(&text));
        assert_eq!(message.data, parcel.payload);
    });
}

#[test]
fn what_other_programs_send_is_read_and_noted() {
    run(async {
        let name = name("strange");
        let queue = queue(&name).delivery_notes();
        let mut link = hear(&queue, 10).await;
        let channel = bare().await;
        let id = EventId::random();
        let mut headers = FieldTable::default();
        headers.insert("tries".into(), AMQPValue::LongInt(-3));
        headers.insert("tenant".into(), AMQPValue::LongString("blue".into()));
        let properties = BasicProperties::default()
            .with_type("order.shipped".into())
            .with_app_id("depot".into())
            .with_message_id(id.to_string().into())
            .with_correlation_id("c-17".into())
            .with_timestamp(1_600_000_000)
            .with_content_type("text/plain".into())
            .with_headers(headers);
        publish(&channel, &name, properties, b"hello").await;
        publish(&channel, &name, BasicProperties::default(), b"").await;
        let deliveries = receive(&mut link, 2).await;
        let parcel = content(&deliveries[0]);
        assert_eq!((parcel.stamp.as_ref(), parcel.id), (None, Some(id)));
        assert_eq!((&*parcel.topic, &*parcel.source), ("order.shipped", "depot"));
        assert_eq!(parcel.time, Time::from_nanos(1_600_000_000_000_000_000));
        assert_eq!((&*parcel.content_type, &*parcel.payload), ("text/plain", &b"hello"[..]));
        let notes: Vec<_> = parcel.metadata.iter().collect();
        let expected = [
            ("rabbitmq-correlation-id", "c-17"),
            ("rabbitmq-exchange", ""),
            ("rabbitmq-message-id", &id.to_string()),
            ("rabbitmq-redelivered", "false"),
            ("rabbitmq-routing-key", &name),
            ("tenant", "blue"),
            ("tries", "-3"),
        ];
        assert_eq!(notes, expected);
        // One that says nothing of itself is called as it was published.
        let parcel = content(&deliveries[1]);
        assert_eq!((parcel.id, &*parcel.topic, &*parcel.payload), (None, &*name, &b""[..]));
    });
}

#[test]
fn what_pretends_to_be_ours_and_is_not_comes_as_unreadable() {
    run(async {
        let name = name("pretend");
        let mut link = hear(&queue(&name), 10).await;
        let channel = bare().await;
        let text = |text: &[u8]| AMQPValue::LongString(text.into());
        for (header, value, problem) in [
            (header::ID, text(b"no uuid"), "slipring-id"),
            (header::TIME, text(b"yesterday"), "slipring-time"),
            (header::SEQUENCE, text(b"3"), "without a lane"),
            (header::SOURCE, text(b"\xFF\xFE"), "no text in UTF-8"),
            (header::METADATA, AMQPValue::Void, "no text in UTF-8"),
        ] {
            let mut headers = FieldTable::default();
            headers.insert(header.into(), value);
            let properties = BasicProperties::default().with_headers(headers);
            publish(&channel, &name, properties, b"what it says").await;
            let deliveries = receive(&mut link, 1).await;
            let error = deliveries[0].content.as_ref().unwrap_err();
            assert!(error.problem.contains(problem), "{error}");
            assert_eq!((&*error.topic, &*error.payload), (&*name, &b"what it says"[..]));
            link.settle(&done(&deliveries)).await.unwrap();
        }
    });
}

#[test]
fn thousands_come_in_order() {
    run(async {
        let queue = queue(&name("order"));
        let (mut from, mut to) = (out(&queue).await, hear(&queue, 50).await);
        let all = parcels(0..3_000);
        let sender = async {
            let mut rest = &all[..];
            let (mut sent, mut confirmed) = (0, 0);
            while confirmed < all.len() {
                let (now, behind) = rest.split_at(rest.len().min(fastrand::usize(1..200)));
                if sent - confirmed < 400 && !now.is_empty() {
                    from.submit(now).await.unwrap();
                    sent += now.len();
                    rest = behind;
                } else {
                    confirmed += from.confirmed().await.unwrap();
                }
            }
            assert_eq!(confirmed, all.len());
        };
        let receiver = async {
            let mut next = 0;
            while next < all.len() {
                let mut deliveries = Vec::new();
                to.receive(fastrand::usize(1..60), &mut deliveries).await.unwrap();
                for delivery in &deliveries {
                    assert_eq!(content(delivery), &all[next]);
                    next += 1;
                }
                to.settle(&done(&deliveries)).await.unwrap();
            }
        };
        futures_util::future::join(sender, receiver).await;
        to.close().await;
        from.close().await;
    });
}

#[test]
fn patterns_pick_what_a_queue_gets() {
    run(async {
        let exchange = name("events");
        let outlet = RabbitOutlet::to_exchange(rabbit(), &exchange)
            .unwrap()
            .routing_key(|parcel| format!("shop.{}", parcel.topic));
        let mut from = outlet.connect().await.unwrap();
        let one = queue(&name("one")).bind(&exchange, "shop.order.*").unwrap();
        let any = queue(&name("any")).bind(&exchange, "shop.order.#").unwrap();
        let all = queue(&name("all")).bind(&exchange, "#").unwrap();
        let both = queue(&name("both"))
            .bind(&exchange, "shop.order.created")
            .unwrap()
            .bind(&exchange, "shop.*.created")
            .unwrap();
        let (mut one, mut any) = (hear(&one, 10).await, hear(&any, 10).await);
        let (mut all, mut both) = (hear(&all, 10).await, hear(&both, 10).await);
        let topics =
            ["order.created", "order", "order.item.added", "user.created", "user", "order.created"];
        let sent: Vec<_> = topics
            .iter()
            .zip(0..)
            .map(|(topic, sequence)| {
                let mut parcel = parcel(sequence);
                parcel.topic = (*topic).to_owned();
                parcel
            })
            .collect();
        send(&mut from, &sent).await;
        assert_eq!(sequences(&receive(&mut all, 6).await), [0, 1, 2, 3, 4, 5]);
        assert_eq!(sequences(&receive(&mut any, 4).await), [0, 1, 2, 5]);
        assert_eq!(sequences(&receive(&mut one, 2).await), [0, 5]);
        // Two of its bindings are for the same: it comes once.
        assert_eq!(sequences(&receive(&mut both, 3).await), [0, 3, 5]);
    });
}

#[test]
fn what_has_no_room_in_the_protocol_is_named_and_nothing_is_sent() {
    run(async {
        let name = name("room");
        let queue = queue(&name);
        for (what, spoil) in [
            (
                "content type",
                Box::new(|parcel: &mut Parcel| {
                    parcel.content_type = "x".repeat(256).into();
                }) as Box<dyn Fn(&mut Parcel)>,
            ),
            (
                "frame_max",
                Box::new(|parcel| {
                    parcel.metadata.insert("long", "x".repeat(200_000));
                }),
            ),
        ] {
            let mut link = out(&queue).await;
            let mut parcels = parcels(7..10);
            spoil(&mut parcels[1]);
            let error = link.submit(&parcels).await.unwrap_err();
            let LinkError::Unsendable { sequence: 8, problem } = error else { panic!("{error}") };
            assert!(problem.contains(what), "{problem}");
            assert!(get(&bare().await, &name).await.is_none());
        }
        // A topic may be as long as it likes for a queue, but not as a routing key.
        let mut long = parcel(3);
        long.topic = "x".repeat(256);
        send(&mut out(&queue).await, std::slice::from_ref(&long)).await;
        assert_eq!(content(&receive(&mut hear(&queue, 1).await, 1).await[0]), &long);
        let outlet = RabbitOutlet::to_exchange(rabbit(), &crate::tools::name("events")).unwrap();
        let error = outlet.connect().await.unwrap().submit(&[long]).await.unwrap_err();
        assert!(matches!(error, LinkError::Unsendable { sequence: 3, .. }), "{error}");
    });
}

#[test]
fn the_largest_headers_pass() {
    run(async {
        let queue = queue(&name("large"));
        let mut large = parcel(1);
        // A frame has 131,072 bytes unless the server is told otherwise.
        large.metadata.insert("long", "x".repeat(129_000));
        send(&mut out(&queue).await, std::slice::from_ref(&large)).await;
        let mut link = hear(&queue, 1).await;
        let deliveries = receive(&mut link, 1).await;
        assert_eq!(content(&deliveries[0]), &large);
        // Neither does the reason of a dead letter break the frame.
        let reason = "\u{1F40E}".repeat(10_000);
        let dead = slipring_bridge::Settled::Dead(reason.into());
        link.settle(&[settlement(&deliveries[0], dead)]).await.unwrap();
        link.close().await;
    });
}

//! What goes into the stream.

use std::time::Duration;

use slipring_bridge::{Connect, JetStream, JetStreamOut, LinkError, Listen, Outgoing, Parcel};

use crate::{
    all, bare,
    common::nats_server::NatsServer,
    input, length,
    links::{self, confirm, lane, numbers, run, samples, seed, take_done},
    out, send, stream,
};

#[test]
fn all_fields_arrive_in_order() {
    let server = NatsServer::start();
    run(async {
        let parcels = samples(900_000);
        send(&out(&server), &parcels).await.unwrap();
        let mut link = input(&server).listen(16).await.unwrap();
        assert_eq!(take_done(&mut link, parcels.len()).await.unwrap(), parcels);
    });
}

#[test]
fn any_texts_arrive() {
    let server = NatsServer::start();
    let mut random = fastrand::Rng::with_seed(seed());
    let letters: Vec<char> = " .*>%_\r\n\t\u{0}aB/:$\u{7f}ж🚀\u{a0}\u{2028}\"\\".chars().collect();
    let mut text = || -> String {
        (0..random.usize(0..12)).map(|_| letters[random.usize(..letters.len())]).collect()
    };
    let mut parcels = lane("a", 0..300);
    for parcel in &mut parcels {
        parcel.topic = text();
        parcel.source = text();
        parcel.content_type = text().into();
        parcel.metadata.insert(text(), text());
    }
    run(async {
        send(&out(&server), &parcels).await.unwrap();
        assert_eq!(all(&server, "g").await, parcels);
    });
}

#[test]
fn batches_fly_in_order_whatever_their_sizes() {
    let server = NatsServer::start();
    let mut random = fastrand::Rng::with_seed(seed());
    run(async {
        let parcels = lane("a", 0..5_000);
        let links = links::send_all(&out(&server), &parcels, 1_024, &mut random, |_| {}).await;
        assert_eq!(links, 1);
        assert_eq!(all(&server, "g").await, parcels);
    });
}

#[test]
fn waiting_for_confirmation_may_be_given_up() {
    let server = NatsServer::start();
    let mut random = fastrand::Rng::with_seed(seed());
    run(async {
        let parcels = lane("a", 0..3_000);
        let mut link = out(&server).connect().await.unwrap();
        link.submit(&parcels).await.unwrap();
        let (mut count, mut given_up) = (0, 0);
        while count < parcels.len() {
            let patience = Duration::from_micros(random.u64(0..300));
            match tokio::time::timeout(patience, link.confirmed()).await {
                Ok(confirmed) => count += confirmed.unwrap(),
                Err(_) => given_up += 1,
            }
        }
        assert_eq!(count, parcels.len());
        assert!(given_up > 0);
        assert_eq!(all(&server, "g").await, parcels);
    });
}

#[test]
fn what_is_sent_twice_is_there_once() {
    let server = NatsServer::start();
    // The server itself knows nothing again for longer than that.
    let short = stream(&server).know_again_for(Duration::from_millis(100));
    let out = JetStreamOut::new(short);
    run(async {
        let parcels = lane("a", 0..1_000);
        send(&out, &parcels[..600]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        // Another connection, which does not know what the broker has: all of it, some of it, and what comes behind.
        send(&out, &parcels[..600]).await.unwrap();
        send(&out, &parcels[300..]).await.unwrap();
        assert_eq!(numbers(&all(&server, "g").await), (0..1_000).collect::<Vec<_>>());
    });
}

/// Two who believe they are the outbox: each event is there once and in order, and both get to the end.
#[test]
fn two_of_one_lane_do_not_double_anything() {
    let server = NatsServer::start();
    let seed = seed();
    run(async {
        let parcels = lane("a", 0..1_000);
        let run = |number| {
            let (out, parcels) = (out(&server), &parcels);
            async move {
                let mut random = fastrand::Rng::with_seed(seed + number);
                links::send_all(&out, parcels, 64, &mut random, |_| {}).await
            }
        };
        let (one, other) = tokio::join!(run(1), run(2));
        println!("{} connections", one + other);
        assert_eq!(numbers(&all(&server, "g").await), (0..1_000).collect::<Vec<_>>());
    });
}

/// When a queue is empty, nothing in it tells what was there last: the server knows it again.
#[test]
fn what_is_sent_twice_is_there_once_even_if_it_was_settled() {
    let server = NatsServer::start();
    run(async {
        let queue = || stream(&server).queue();
        let out = JetStreamOut::new(queue());
        let parcels = lane("a", 0..100);
        send(&out, &parcels[..60]).await.unwrap();
        let listen = slipring_bridge::JetStreamIn::new(queue(), "billing");
        let mut link = listen.listen(100).await.unwrap();
        assert_eq!(take_done(&mut link, 60).await.unwrap().len(), 60);
        assert_eq!(length(&server, "ORDERS").await, 0);
        send(&out, &parcels[40..]).await.unwrap();
        assert_eq!(take_done(&mut link, 40).await.unwrap(), parcels[60..]);
        assert_eq!(length(&server, "ORDERS").await, 0);
    });
}

#[test]
fn shared_streams_know_events_again_for_a_time() {
    let server = NatsServer::start();
    run(async {
        let out = out(&server).shared();
        let (one, two) = (lane("a", 0..200), lane("b", 0..200));
        let (first, second) = tokio::join!(send(&out, &one), send(&out, &two));
        first.unwrap();
        second.unwrap();
        send(&out, &one).await.unwrap();
        let found = all(&server, "g").await;
        assert_eq!(found.len(), 400);
        let of = |lane: &str| {
            let is_of = |parcel: &&Parcel| &*parcel.stamp.as_ref().unwrap().lane == lane;
            numbers(&found.iter().filter(is_of).cloned().collect::<Vec<_>>())
        };
        assert_eq!(of("a"), (0..200).collect::<Vec<_>>());
        assert_eq!(of("b"), (0..200).collect::<Vec<_>>());
        // Behind another one, as if the one between was set aside, it is another message.
        let mut behind = one[199].clone();
        behind.stamp.as_mut().unwrap().previous = Some(0);
        send(&out, &[behind]).await.unwrap();
        assert_eq!(length(&server, "ORDERS").await, 401);
    });
}

#[test]
fn a_stream_of_others_is_refused() {
    let server = NatsServer::start();
    run(async {
        send(&out(&server), &lane("a", 0..3)).await.unwrap();
        let error = send(&out(&server), &lane("b", 0..3)).await.unwrap_err();
        assert!(matches!(&error, LinkError::Refused { problem, .. } if problem.contains("lane a")));
        let context = bare(&server).await;
        context.publish("shop.orders.x", "x".into()).await.unwrap().await.unwrap();
        let error = send(&out(&server), &lane("a", 0..9)).await.unwrap_err();
        assert!(matches!(&error, LinkError::Refused { problem, .. } if problem.contains("shared")));
        send(&out(&server).shared(), &lane("b", 0..3)).await.unwrap();
        assert_eq!(length(&server, "ORDERS").await, 7);
    });
}

#[test]
fn one_that_fails_takes_those_behind_it_along() {
    let server = NatsServer::start();
    run(async {
        let parcels = lane("a", 0..30);
        let mut link = out(&server).connect().await.unwrap();
        link.submit(&parcels[..5]).await.unwrap();
        confirm(&mut link, 5).await.unwrap();
        // Another program comes in between.
        let context = bare(&server).await;
        context.publish("shop.orders.x", "x".into()).await.unwrap().await.unwrap();
        link.submit(&parcels[5..]).await.unwrap();
        let error = link.confirmed().await.unwrap_err();
        assert!(
            matches!(&error, LinkError::Lost { problem, .. } if problem.contains("wrong last sequence")),
            "{error}"
        );
        assert!(link.confirmed().await.unwrap_err().to_string().contains("failed before"));
        assert!(link.submit(&parcels).await.is_err());
        assert_eq!(length(&server, "ORDERS").await, 6);
    });
}

#[test]
fn a_server_that_has_lost_events_is_noticed() {
    let server = NatsServer::start();
    run(async {
        let parcels = lane("a", 0..30);
        send(&out(&server), &parcels[..15]).await.unwrap();
        // As if the next five were confirmed and lost.
        let error = send(&out(&server), &parcels[20..]).await.unwrap_err();
        let LinkError::Refused { problem, .. } = &error else { panic!("{error}") };
        assert!(problem.contains("has event 42 as the last, and 57 should be"), "{problem}");
        assert!(problem.contains("go_on_after_loss"), "{problem}");
        send(&out(&server).go_on_after_loss(), &parcels[20..]).await.unwrap();
        assert_eq!(length(&server, "ORDERS").await, 25);
        // Nothing is missing.
        send(&out(&server), &parcels).await.unwrap();
        assert_eq!(length(&server, "ORDERS").await, 25);
    });
}

#[test]
fn events_that_cannot_be_sent_are_named() {
    let server = NatsServer::with("max_payload: 20000");
    run(async {
        let mut parcels = lane("a", 0..10);
        parcels[4].payload = vec![7; 20_001];
        parcels[7].topic = "t".repeat(1_100);
        let out = out(&server);
        let mut link = out.connect().await.unwrap();
        assert_eq!(out.largest(), 20_000 - 8_192);
        link.submit(&parcels[..7]).await.unwrap();
        // The word on the first three is that on the one behind them.
        confirm(&mut link, 1).await.unwrap();
        let error = link.confirmed().await.unwrap_err();
        assert!(matches!(error, LinkError::Unsendable { sequence: 12, .. }), "{error}");
        while length(&server, "ORDERS").await < 4 {
            tokio::task::yield_now().await;
        }
        let mut link = out.connect().await.unwrap();
        let error = link.submit(&parcels[5..]).await.unwrap_err();
        // The one behind that which was set aside says so.
        assert!(matches!(error, LinkError::Refused { .. }), "{error}");
        parcels[5].stamp.as_mut().unwrap().previous = Some(9);
        let mut link = out.connect().await.unwrap();
        let error = link.submit(&parcels[5..]).await.unwrap_err();
        assert!(matches!(error, LinkError::Unsendable { sequence: 21, .. }), "{error}");

        let small = JetStream::new(server.url(), "FULL", "full").queue().keep_events(2);
        let error = send(&JetStreamOut::new(small), &lane("a", 0..3)).await.unwrap_err();
        assert!(
            matches!(&error, LinkError::Lost { problem, .. } if problem.contains("maximum messages"))
        );
    });
}

/// An outbox has two lanes: events, and letters that were given back. It is one writer all the same.
#[test]
fn an_outbox_goes_on_behind_a_letter_that_was_given_back() {
    let server = NatsServer::start();
    run(async {
        let mut letters = lane("a!letters", 0..2);
        let events = lane("a", 0..6);
        send(&out(&server), &events[..2]).await.unwrap();
        // The last one in the stream is a letter, then an event, each when the next connection is made.
        send(&out(&server), &letters[..1]).await.unwrap();
        send(&out(&server), &events[2..4]).await.unwrap();
        send(&out(&server), &letters.split_off(1)).await.unwrap();
        // Sent again, they are there once.
        let mut again = events[2..].to_vec();
        again.insert(2, lane("a!letters", 0..2).remove(1));
        send(&out(&server), &again).await.unwrap();
        assert_eq!(length(&server, "ORDERS").await, 8);
        let lanes = all(&server, "g").await;
        let of = |name: &str| -> Vec<_> {
            let mine = lanes.iter().filter(|parcel| &*parcel.stamp.as_ref().unwrap().lane == name);
            numbers(&mine.cloned().collect::<Vec<_>>())
        };
        assert_eq!((of("a"), of("a!letters")), ((0..6).collect(), vec![0, 1]));
    });
}

//! What becomes of what comes out of the stream.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use async_nats::jetstream::message::StreamMessage;
use slipring_bridge::{
    Delivery, Incoming, JetStreamIn, Listen, Parcel, Settled, Settlement, header,
};

use crate::{
    bare,
    common::nats_server::NatsServer,
    input, length,
    links::{Turns, lane, numbers, parcel, run, samples, seed, settle, take, take_done},
    out, pending, send, stream,
};

fn numbers_of(deliveries: &[Delivery]) -> Vec<u64> {
    numbers(&deliveries.iter().cloned().map(parcel).collect::<Vec<_>>())
}

#[test]
fn no_more_are_under_way_than_the_window_has() {
    let server = NatsServer::start();
    run(async {
        send(&out(&server), &lane("a", 0..50)).await.unwrap();
        let mut link = input(&server).listen(7).await.unwrap();
        let taken = take(&mut link, 7).await.unwrap();
        let mut more = Vec::new();
        // Longer than the server waits for signs of life: it gets them.
        let wait = Duration::from_millis(2_500);
        let nothing = tokio::time::timeout(wait, link.receive(10, &mut more)).await;
        assert!(nothing.is_err() && more.is_empty(), "{more:?}");
        assert_eq!(pending(&server).await, 7);
        settle(&mut link, &taken[..3], &Settled::Done).await.unwrap();
        assert_eq!(numbers_of(&take(&mut link, 3).await.unwrap()), [7, 8, 9]);
        assert_eq!(pending(&server).await, 7);
    });
}

/// What an inbox holds back it holds once: a word on a second one would be the last on both, and the broker would
/// forget what is nowhere else.
#[test]
fn what_is_open_does_not_come_again_over_the_same_link() {
    let server = NatsServer::start();
    run(async {
        send(&out(&server), &lane("a", 0..20)).await.unwrap();
        let hasty = input(&server).wait_for_settlement(Duration::from_millis(200));
        let mut link = hasty.listen(40).await.unwrap();
        let taken = take(&mut link, 20).await.unwrap();
        // The whole program stands still, longer than the server waits for a sign of life.
        std::thread::sleep(Duration::from_secs(1));
        send(&out(&server), &lane("a", 0..21)[20..]).await.unwrap();
        // It has delivered them again before that one.
        assert_eq!(numbers_of(&take(&mut link, 1).await.unwrap()), [20]);
        let mut more = Vec::new();
        let wait = Duration::from_secs(1);
        let nothing = tokio::time::timeout(wait, link.receive(40, &mut more)).await;
        assert!(nothing.is_err() && more.is_empty(), "{:?}", numbers_of(&more));
        settle(&mut link, &taken, &Settled::Done).await.unwrap();
        assert_eq!(pending(&server).await, 1);
    });
}

#[test]
fn what_was_not_settled_comes_again_to_the_next() {
    let server = NatsServer::start();
    run(async {
        send(&out(&server), &lane("a", 0..100)).await.unwrap();
        let mut link = input(&server).listen(40).await.unwrap();
        let taken = take(&mut link, 40).await.unwrap();
        assert_eq!(numbers_of(&taken), (0..40).collect::<Vec<_>>());
        assert!(taken.iter().all(|delivery| !delivery.is_again));
        let odd: Vec<_> = taken.iter().skip(1).step_by(2).cloned().collect();
        settle(&mut link, &odd, &Settled::Done).await.unwrap();
        link.close().await;

        // One that is closed in good order gives them back, each once.
        let mut link = input(&server).listen(200).await.unwrap();
        let taken = take(&mut link, 80).await.unwrap();
        let numbers_taken: BTreeSet<u64> = numbers_of(&taken).into_iter().collect();
        assert_eq!(numbers_taken, (0..40).step_by(2).chain(40..100).collect());
        let is_old = |delivery: &Delivery| numbers_of(std::slice::from_ref(delivery))[0] < 40;
        let old: Vec<_> = taken.into_iter().filter(is_old).collect();
        assert!(old.iter().all(|delivery| delivery.is_again));
        settle(&mut link, &old, &Settled::Done).await.unwrap();
        // One that breaks off does not: they come after a time.
        drop(link);
        let mut link = input(&server).listen(200).await.unwrap();
        let (mut turns, mut found) = (Turns::behind(39 * 3), Vec::new());
        while found.len() < 60 {
            for parcel in take_done(&mut link, 1).await.unwrap() {
                found.extend(turns.take(parcel));
            }
        }
        assert_eq!(numbers(&found), (40..100).collect::<Vec<_>>());
    });
}

#[test]
fn what_is_to_come_again_does() {
    let server = NatsServer::start();
    let mut random = fastrand::Rng::with_seed(seed());
    run(async {
        send(&out(&server), &lane("a", 0..200)).await.unwrap();
        let mut link =
            input(&server).wait_for_settlement(Duration::from_mins(1)).listen(32).await.unwrap();
        let (mut done, mut again) = (Vec::new(), BTreeMap::<u64, u32>::new());
        while done.len() < 200 {
            let mut batch = Vec::new();
            link.receive(16, &mut batch).await.unwrap();
            let settlements: Vec<_> = batch
                .into_iter()
                .map(|delivery| {
                    let tag = delivery.tag;
                    let is_again = delivery.is_again;
                    let number = numbers(&[parcel(delivery)])[0];
                    let times = again.entry(number).or_default();
                    assert_eq!(is_again, *times > 0, "{number}");
                    if *times < 2 && random.u8(..5) == 0 {
                        *times += 1;
                        return Settlement { tag, settled: Settled::Again };
                    }
                    done.push(number);
                    Settlement { tag, settled: Settled::Done }
                })
                .collect();
            link.settle(&settlements).await.unwrap();
        }
        done.sort_unstable();
        assert_eq!(done, (0..200).collect::<Vec<_>>());
        assert_eq!(pending(&server).await, 0);
        assert!(again.values().any(|times| *times > 0));
    });
}

async fn dead_letters(server: &NatsServer) -> Vec<StreamMessage> {
    let stream = bare(server).await.get_stream("ORDERS-dead").await.unwrap();
    let mut letters = Vec::new();
    for number in 1..=stream.cached_info().state.messages {
        letters.push(stream.get_raw_message(number).await.unwrap());
    }
    letters
}

#[test]
fn dead_letters_are_kept_with_the_reason() {
    let server = NatsServer::start();
    run(async {
        let parcels = samples(1_000);
        send(&out(&server), &parcels).await.unwrap();
        let mut link = input(&server).listen(10).await.unwrap();
        let taken = take(&mut link, parcels.len()).await.unwrap();
        settle(&mut link, &taken[..1], &Settled::Dead("не\nто".into())).await.unwrap();
        settle(&mut link, &taken[1..], &Settled::Done).await.unwrap();
        assert_eq!(pending(&server).await, 0);
        let letters = dead_letters(&server).await;
        assert_eq!(letters.len(), 1);
        assert!(letters[0].subject.starts_with("shop.orders-dead."), "{}", letters[0].subject);
        assert_eq!(
            letters[0].headers.get(header::REASON).unwrap().as_str(),
            "%D0%BD%D0%B5%0A%D1%82%D0%BE"
        );
        assert_eq!(letters[0].payload, parcels[0].payload);
        // It can be read like what is not dead.
        let dead = slipring_bridge::JetStream::new(server.url(), "ORDERS-dead", "shop.orders-dead");
        let mut reader = JetStreamIn::new(dead, "undertaker").listen(10).await.unwrap();
        assert_eq!(take_done(&mut reader, 1).await.unwrap(), parcels[..1]);
    });
}

/// Whoever buries a letter and breaks off before that is known, buries it again: it is there once.
#[test]
fn dead_letters_are_kept_once() {
    let server = NatsServer::start();
    run(async {
        send(&out(&server), &lane("a", 0..1)).await.unwrap();
        let mut link = input(&server).listen(10).await.unwrap();
        for _ in 0..3 {
            let taken = take(&mut link, 1).await.unwrap();
            // As if it had come to that only: the letter is written, and the message is not ended.
            settle(&mut link, &taken, &Settled::Again).await.unwrap();
            let copy = taken[0].clone();
            assert!(copy.content.is_ok());
        }
        let taken = take(&mut link, 1).await.unwrap();
        let context = bare(&server).await;
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Msg-Id", "ORDERS:billing:1");
        context
            .publish_with_headers("shop.orders-dead.x", headers, "x".into())
            .await
            .unwrap()
            .await
            .unwrap();
        settle(&mut link, &taken, &Settled::Dead("no".into())).await.unwrap();
        assert_eq!(dead_letters(&server).await.len(), 1);
        assert_eq!(pending(&server).await, 0);
    });
}

#[test]
fn what_is_no_parcel_is_told_and_can_be_put_aside() {
    let server = NatsServer::start();
    run(async {
        let mut link = input(&server).listen(10).await.unwrap();
        let context = bare(&server).await;
        let mut headers = async_nats::HeaderMap::new();
        headers.insert(header::ID, "seven");
        let ack = context.publish_with_headers("shop.orders.t", headers, "x".into()).await.unwrap();
        ack.await.unwrap();
        context.publish("shop.orders.a%20b.%_", "{}".into()).await.unwrap().await.unwrap();
        let taken = take(&mut link, 2).await.unwrap();
        let unreadable = taken[0].content.as_ref().unwrap_err();
        assert!(unreadable.problem.contains("slipring-id"), "{unreadable}");
        assert_eq!((&*unreadable.topic, unreadable.payload.as_slice()), ("t", &b"x"[..]));
        let plain: &Parcel = taken[1].content.as_ref().unwrap();
        assert_eq!((plain.topic.as_str(), plain.payload.as_slice()), ("a b.", &b"{}"[..]));
        assert_eq!(plain.stamp, None);
        assert!(plain.time.as_nanos() > 1_600_000_000_000_000_000);
        settle(&mut link, &taken[..1], &Settled::Dead("no".into())).await.unwrap();
        assert_eq!(
            dead_letters(&server).await[0].headers.get(header::ID).unwrap().as_str(),
            "seven"
        );
    });
}

/// A message that somebody deletes before it is buried leaves its reason behind.
#[test]
fn a_dead_letter_of_nothing() {
    let server = NatsServer::start();
    run(async {
        send(&out(&server), &lane("a", 0..2)).await.unwrap();
        let mut link = input(&server).listen(10).await.unwrap();
        let taken = take(&mut link, 2).await.unwrap();
        let orders = bare(&server).await.get_stream("ORDERS").await.unwrap();
        orders.delete_message(1).await.unwrap();
        settle(&mut link, &taken[..1], &Settled::Dead("gone".into())).await.unwrap();
        let letters = dead_letters(&server).await;
        assert_eq!(letters[0].headers.get(header::REASON).unwrap().as_str(), "gone");
    });
}

#[test]
fn consumers_of_one_name_share_the_work_and_of_others_do_not() {
    let server = NatsServer::start();
    run(async {
        let input = input(&server).wait_for_settlement(Duration::from_mins(1));
        let (mut one, mut other) =
            (input.listen(16).await.unwrap(), input.listen(16).await.unwrap());
        send(&out(&server), &lane("a", 0..300)).await.unwrap();
        let mut seen = BTreeSet::new();
        let mut counts = [0; 2];
        while seen.len() < 300 {
            for (number, link) in [&mut one, &mut other].into_iter().enumerate() {
                let mut batch = Vec::new();
                let wait = Duration::from_millis(20);
                if let Ok(got) = tokio::time::timeout(wait, link.receive(4, &mut batch)).await {
                    got.unwrap();
                    settle(link, &batch, &Settled::Done).await.unwrap();
                    counts[number] += batch.len();
                    for number in numbers_of(&batch) {
                        assert!(seen.insert(number), "{number} comes twice");
                    }
                }
            }
        }
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
        let mut mail = JetStreamIn::new(stream(&server), "mail").listen(300).await.unwrap();
        assert_eq!(take_done(&mut mail, 300).await.unwrap().len(), 300);
        assert_eq!(length(&server, "ORDERS").await, 300);
        let mut late =
            JetStreamIn::new(stream(&server), "late").from_now().listen(9).await.unwrap();
        send(&out(&server), &lane("a", 300..302)).await.unwrap();
        assert_eq!(numbers(&take_done(&mut late, 2).await.unwrap()), [300, 301]);
    });
}

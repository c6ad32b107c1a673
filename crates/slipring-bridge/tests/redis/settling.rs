//! What becomes of what comes out of the stream.

use std::collections::BTreeMap;

use slipring_bridge::{Incoming, Listen, Settled, Settlement, header};

use crate::{
    STREAM, input, length,
    links::{lane, numbers, parcel, run, samples, seed, settle, take, take_done},
    out, pending, send, server,
};

type Fields = BTreeMap<String, Vec<u8>>;

fn dead_letters(server: &crate::common::redis_server::RedisServer) -> Vec<Fields> {
    let mut range = redis::cmd("XRANGE");
    let found: Vec<(String, Fields)> =
        range.arg("orders.dead").arg("-").arg("+").query(&mut server.connection()).unwrap();
    found.into_iter().map(|(_, fields)| fields).collect()
}

#[test]
fn no_more_are_under_way_than_the_window_has() {
    let server = server();
    run(async {
        send(&out(&server), &lane("a", 0..50)).await.unwrap();
        let mut link = input(&server).listen(7).await.unwrap();
        let taken = take(&mut link, 7).await.unwrap();
        let mut more = Vec::new();
        let wait = std::time::Duration::from_millis(700);
        let nothing = tokio::time::timeout(wait, link.receive(10, &mut more)).await;
        assert!(nothing.is_err() && more.is_empty());
        assert_eq!(pending(&server), 7);
        settle(&mut link, &taken[..3], &Settled::Done).await.unwrap();
        more.extend(take(&mut link, 3).await.unwrap());
        assert_eq!(numbers(&more.into_iter().map(parcel).collect::<Vec<_>>()), [7, 8, 9]);
        assert_eq!(pending(&server), 7);
    });
}

#[test]
fn what_is_not_settled_comes_again_first_and_in_order() {
    let server = server();
    run(async {
        send(&out(&server), &lane("a", 0..100)).await.unwrap();
        let mut link = input(&server).listen(40).await.unwrap();
        let taken = take(&mut link, 40).await.unwrap();
        assert!(taken.iter().all(|delivery| !delivery.is_again));
        let odd: Vec<_> = taken.iter().skip(1).step_by(2).cloned().collect();
        settle(&mut link, &odd, &Settled::Done).await.unwrap();
        link.close().await;

        let mut link = input(&server).listen(200).await.unwrap();
        let again = take(&mut link, 20).await.unwrap();
        assert!(again.iter().all(|delivery| delivery.is_again));
        let even: Vec<u64> = (0..40).step_by(2).collect();
        assert_eq!(numbers(&again.into_iter().map(parcel).collect::<Vec<_>>()), even);
        // What was read and not asked for by the first link comes before what nobody has read.
        let rest = take_done(&mut link, 60).await.unwrap();
        assert_eq!(numbers(&rest), (40..100).collect::<Vec<_>>());
    });
}

#[test]
fn what_is_to_come_again_does() {
    let server = server();
    let mut random = fastrand::Rng::with_seed(seed());
    run(async {
        let parcels = lane("a", 0..200);
        send(&out(&server), &parcels).await.unwrap();
        let mut link = input(&server).listen(32).await.unwrap();
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
        assert_eq!(pending(&server), 0);
        assert!(again.values().any(|times| *times > 0));
    });
}

#[test]
fn all_of_a_window_that_come_again_come_in_order() {
    let server = server();
    run(async {
        send(&out(&server), &lane("a", 0..60)).await.unwrap();
        let mut link = input(&server).listen(20).await.unwrap();
        let mut taken = take(&mut link, 20).await.unwrap();
        taken.reverse();
        settle(&mut link, &taken, &Settled::Again).await.unwrap();
        let again = take_done(&mut link, 60).await.unwrap();
        assert_eq!(numbers(&again), (0..60).collect::<Vec<_>>());
    });
}

#[test]
fn dead_letters_are_kept_with_the_reason() {
    let server = server();
    run(async {
        let parcels = samples(1_000);
        send(&out(&server), &parcels).await.unwrap();
        let mut link = input(&server).listen(10).await.unwrap();
        let taken = take(&mut link, parcels.len()).await.unwrap();
        settle(&mut link, &taken[..1], &Settled::Dead("не то: \"x\"".into())).await.unwrap();
        settle(&mut link, &taken[1..], &Settled::Done).await.unwrap();
        assert_eq!(pending(&server), 0);
        let letters = dead_letters(&server);
        assert_eq!(letters.len(), 1);
        let letter = &letters[0];
        assert_eq!(letter[header::REASON], "не то: \"x\"".as_bytes());
        assert_eq!(letter["slipring-group"], b"billing");
        assert_eq!(letter["payload"], parcels[0].payload);
        let _ = parcels[0].headers(|name, value| {
            assert_eq!(letter[name], value.as_bytes());
            std::ops::ControlFlow::Continue(())
        });
        // Only whoever has it can put it there.
        link.close().await;
        let mut link = input(&server).listen(10).await.unwrap();
        send(&out(&server), &lane("b", 0..1)).await.unwrap();
        let taken = take(&mut link, 1).await.unwrap();
        redis::cmd("XACK")
            .arg(&[STREAM, "billing"])
            .arg(ids(&server))
            .exec(&mut server.connection())
            .unwrap();
        settle(&mut link, &taken, &Settled::Dead("late".into())).await.unwrap();
        assert_eq!(dead_letters(&server).len(), 1);
    });
}

/// The ids of all entries.
fn ids(server: &crate::common::redis_server::RedisServer) -> Vec<String> {
    let mut range = redis::cmd("XRANGE");
    let found: Vec<(String, Fields)> =
        range.arg(STREAM).arg("-").arg("+").query(&mut server.connection()).unwrap();
    found.into_iter().map(|(id, _)| id).collect()
}

#[test]
fn what_is_no_parcel_is_told_and_can_be_put_aside() {
    let server = server();
    run(async {
        let mut link = input(&server).listen(10).await.unwrap();
        let add = |fields: &[(&str, &str)]| {
            let mut add = redis::cmd("XADD");
            add.arg(STREAM).arg("*").arg(fields).exec(&mut server.connection()).unwrap();
        };
        add(&[("user", "5")]);
        add(&[("payload", "x"), ("slipring-id", "seven"), ("slipring-topic", "t")]);
        add(&[("payload", "{}")]);
        let taken = take(&mut link, 3).await.unwrap();
        let unreadable = taken[0].content.as_ref().unwrap_err();
        assert!(unreadable.problem.contains("payload") && &*unreadable.topic == STREAM);
        let unreadable = taken[1].content.as_ref().unwrap_err();
        assert_eq!((&*unreadable.topic, unreadable.payload.as_slice()), ("t", &b"x"[..]));
        let plain = taken[2].content.as_ref().unwrap();
        assert_eq!((plain.topic.as_str(), plain.payload.as_slice()), (STREAM, &b"{}"[..]));
        assert_eq!(plain.stamp, None);
        settle(&mut link, &taken[..2], &Settled::Dead("no".into())).await.unwrap();
        assert_eq!(dead_letters(&server)[0]["user"], b"5");
    });
}

#[test]
fn what_somebody_deletes_is_not_missed_in_silence() {
    let server = server();
    run(async {
        send(&out(&server), &lane("a", 0..3)).await.unwrap();
        let mut link = input(&server).listen(10).await.unwrap();
        take(&mut link, 3).await.unwrap();
        link.close().await;
        let second = ids(&server)[1].clone();
        redis::cmd("XDEL").arg(STREAM).arg(&second).exec(&mut server.connection()).unwrap();
        let mut link = input(&server).listen(10).await.unwrap();
        let taken = take(&mut link, 3).await.unwrap();
        assert!(taken[0].content.is_ok() && taken[2].content.is_ok());
        let unreadable = taken[1].content.as_ref().unwrap_err();
        assert!(unreadable.problem.contains(&second), "{unreadable}");
        settle(&mut link, &taken[1..2], &Settled::Dead("gone".into())).await.unwrap();
        assert_eq!(dead_letters(&server)[0]["slipring-entry"], second.as_bytes());
        assert_eq!(pending(&server), 2);
    });
}

#[test]
fn what_is_settled_goes_if_nobody_else_wants_it() {
    let server = server();
    run(async {
        send(&out(&server), &lane("a", 0..10)).await.unwrap();
        let mut link = input(&server).delete_settled().listen(10).await.unwrap();
        let taken = take(&mut link, 10).await.unwrap();
        settle(&mut link, &taken[..4], &Settled::Done).await.unwrap();
        settle(&mut link, &taken[4..5], &Settled::Dead("x".into())).await.unwrap();
        assert_eq!(length(&server, STREAM), 5);
        let other = slipring_bridge::RedisIn::new(server.url(), STREAM, "mail");
        let mut other = other.listen(10).await.unwrap();
        assert_eq!(take_done(&mut other, 5).await.unwrap().len(), 5);
        settle(&mut link, &taken[5..], &Settled::Done).await.unwrap();
        assert_eq!(length(&server, STREAM), 5);
        assert_eq!(pending(&server), 0);
    });
}

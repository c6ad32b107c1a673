//! Several who read a stream.

use std::{collections::BTreeSet, time::Duration};

use slipring_bridge::{Incoming, Listen, RedisIn, Settled};

use crate::{
    STREAM, input,
    links::{lane, numbers, parcel, run, settle, take, take_done},
    out, pending, send, server,
};

#[test]
fn each_group_gets_all_and_one_that_begins_now_the_rest() {
    let server = server();
    run(async {
        let parcels = lane("a", 0..50);
        send(&out(&server), &parcels[..20]).await.unwrap();
        let group = |name: &str| RedisIn::new(server.url(), STREAM, name);
        let mut late = group("late").from_now().listen(10).await.unwrap();
        send(&out(&server), &parcels[20..]).await.unwrap();
        for name in ["billing", "mail"] {
            let mut link = group(name).listen(10).await.unwrap();
            assert_eq!(take_done(&mut link, 50).await.unwrap(), parcels);
        }
        assert_eq!(take_done(&mut late, 30).await.unwrap(), parcels[20..]);
    });
}

#[test]
fn consumers_share_the_work() {
    let server = server();
    run(async {
        let mut links = Vec::new();
        for name in ["one", "two", "three"] {
            links.push(input(&server).consumer(name).listen(4).await.unwrap());
        }
        send(&out(&server), &lane("a", 0..300)).await.unwrap();
        let mut seen = BTreeSet::new();
        while seen.len() < 300 {
            for link in &mut links {
                let mut batch = Vec::new();
                let wait = Duration::from_millis(50);
                if let Ok(got) = tokio::time::timeout(wait, link.receive(4, &mut batch)).await {
                    got.unwrap();
                    settle(link, &batch, &Settled::Done).await.unwrap();
                    for delivery in batch {
                        let number = numbers(&[parcel(delivery)])[0];
                        assert!(seen.insert(number), "{number} comes twice");
                    }
                }
            }
        }
        assert_eq!(pending(&server), 0);
    });
}

#[test]
fn what_the_dead_have_is_taken_over_and_what_the_living_have_is_not() {
    let server = server();
    run(async {
        send(&out(&server), &lane("a", 0..30)).await.unwrap();
        let time = Duration::from_secs(2);
        let mut dead = input(&server).consumer("dead").listen(10).await.unwrap();
        take(&mut dead, 10).await.unwrap();
        drop(dead);
        // It has its hands full, and gives signs of life all the same.
        let mut slow = input(&server).consumer("slow").claim_after(time).listen(5).await.unwrap();
        let held = take(&mut slow, 5).await.unwrap();
        assert_eq!(
            numbers(&held.iter().cloned().map(parcel).collect::<Vec<_>>()),
            [10, 11, 12, 13, 14]
        );
        let mut heir = input(&server).consumer("heir").claim_after(time).listen(100).await.unwrap();
        let mut heirs = take(&mut heir, 25).await.unwrap();
        assert!(heirs.iter().all(|delivery| {
            let is_of_dead = numbers(&[parcel(delivery.clone())])[0] < 10;
            delivery.is_again == is_of_dead
        }));
        // As long again: what `slow` has stays with it.
        let more = tokio::time::timeout(time * 2, heir.receive(100, &mut heirs)).await;
        assert!(more.is_err(), "{heirs:?}");
        let mut found = numbers(&heirs.iter().cloned().map(parcel).collect::<Vec<_>>());
        found.sort_unstable();
        assert_eq!(found, (0..10).chain(15..30).collect::<Vec<_>>());
        settle(&mut slow, &held, &Settled::Done).await.unwrap();
        settle(&mut heir, &heirs, &Settled::Done).await.unwrap();
        assert_eq!(pending(&server), 0);
    });
}

#[test]
fn what_was_deleted_is_claimed_as_deleted() {
    let server = server();
    run(async {
        send(&out(&server), &lane("a", 0..3)).await.unwrap();
        let mut dead = input(&server).consumer("dead").listen(10).await.unwrap();
        take(&mut dead, 3).await.unwrap();
        drop(dead);
        redis::cmd("DEL").arg("other").exec(&mut server.connection()).unwrap();
        redis::cmd("XTRIM").arg(&[STREAM, "MAXLEN", "2"]).exec(&mut server.connection()).unwrap();
        let time = Duration::from_millis(200);
        let mut heir = input(&server).consumer("heir").claim_after(time).listen(10).await.unwrap();
        let taken = take(&mut heir, 3).await.unwrap();
        assert!(taken[0].content.as_ref().unwrap_err().problem.contains("deleted"));
        assert!(taken[1].content.is_ok() && taken[2].content.is_ok());
        settle(&mut heir, &taken[..1], &Settled::Dead("gone".into())).await.unwrap();
        settle(&mut heir, &taken[1..], &Settled::Done).await.unwrap();
        assert_eq!(pending(&server), 0);
    });
}

//! Several who read a stream.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use slipring_bridge::{Inbox, Incoming, IntoStore, Listen, RedisIn, Settled};
use slipring_store::{EventStore, Memory};

use crate::{
    STREAM, input,
    links::{LONG, lane, numbers, parcel, run, settle, take, take_done},
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
        let time = Duration::from_secs(4);
        // It has its hands full, and gives signs of life all the same.
        let mut slow = input(&server).consumer("slow").claim_after(time).listen(5).await.unwrap();
        let held = take(&mut slow, 5).await.unwrap();
        assert_eq!(numbers(&held.iter().cloned().map(parcel).collect::<Vec<_>>()), [0, 1, 2, 3, 4]);
        let mut dead = input(&server).consumer("dead").listen(10).await.unwrap();
        take(&mut dead, 10).await.unwrap();
        drop(dead);
        let mut heir = input(&server).consumer("heir").claim_after(time).listen(100).await.unwrap();
        let mut heirs = take(&mut heir, 25).await.unwrap();
        assert!(heirs.iter().all(|delivery| {
            let is_of_dead = numbers(&[parcel(delivery.clone())])[0] < 15;
            delivery.is_again == is_of_dead
        }));
        // As long again: what `slow` has stays with it.
        let more = tokio::time::timeout(time * 2, heir.receive(100, &mut heirs)).await;
        assert!(more.is_err(), "{heirs:?}");
        let found = numbers(&heirs.iter().cloned().map(parcel).collect::<Vec<_>>());
        assert_eq!(found, (5..30).collect::<Vec<_>>());
        settle(&mut slow, &held, &Settled::Done).await.unwrap();
        settle(&mut heir, &heirs, &Settled::Done).await.unwrap();
        assert_eq!(pending(&server), 0);
    });
}

/// To an inbox what comes behind them would be early, and a window full of that leaves no room for what is missing.
#[test]
fn an_heir_gets_what_the_dead_have_before_all_that_is_new() {
    let server = server();
    let store = Arc::new(Memory::new());
    run(async {
        send(&out(&server), &lane("a", 0..300)).await.unwrap();
        let mut dead = input(&server).consumer("dead").listen(100).await.unwrap();
        take(&mut dead, 100).await.unwrap();
    });
    let heir = input(&server).consumer("heir").claim_after(Duration::from_secs(1));
    let intake = IntoStore::new("in", store.clone()).unwrap();
    let inbox = Inbox::builder("in", heir, intake).window(50).start().unwrap();
    let (status, _) = inbox.wait_until(LONG, |status| status.safe == 300);
    assert_eq!((status.safe, status.duplicates, status.gaps), (300, 0, 0), "{status:?}");
    assert!(inbox.stop(LONG).halted.is_none());
    assert_eq!((store.bounds().unwrap().durable, pending(&server)), (300, 0));
}

#[test]
fn who_has_room_and_nothing_to_do_lives() {
    let server = server();
    run(async {
        send(&out(&server), &lane("a", 0..5)).await.unwrap();
        let time = Duration::from_secs(2);
        let mut slow = input(&server).consumer("slow").claim_after(time).listen(10).await.unwrap();
        let held = take(&mut slow, 5).await.unwrap();
        let mut other = input(&server).consumer("other").claim_after(time).listen(9).await.unwrap();
        let mut taken = Vec::new();
        let more = tokio::time::timeout(time * 2, other.receive(100, &mut taken)).await;
        assert!(more.is_err(), "{taken:?}");
        send(&out(&server), &lane("a", 0..6)[5..]).await.unwrap();
        let (mut one, mut two) = (Vec::new(), Vec::new());
        tokio::select! {
            got = slow.receive(1, &mut one) => got.unwrap(),
            got = other.receive(1, &mut two) => got.unwrap(),
        }
        assert_eq!(one.len() + two.len(), 1);
        settle(&mut slow, &held, &Settled::Done).await.unwrap();
        assert_eq!(pending(&server), 1);
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

/// A word on one delivery is a word on the entry: so there is only one of it.
#[test]
fn what_is_open_does_not_come_again_over_the_same_link() {
    let server = server();
    run(async {
        send(&out(&server), &lane("a", 0..1)).await.unwrap();
        let input = input(&server).claim_after(Duration::from_millis(300));
        let mut link = input.listen(2).await.unwrap();
        let first = take(&mut link, 1).await.unwrap();
        let mut connection = server.connection();
        let mut range = redis::cmd("XRANGE");
        let found: Vec<(String, Vec<String>)> =
            range.arg(STREAM).arg("-").arg("+").query(&mut connection).unwrap();
        // Another one takes it, dies, and it comes back.
        let mut claim = redis::cmd("XCLAIM");
        claim.arg(STREAM).arg(&["billing", "other", "0"]).arg(&found[0].0);
        claim.exec(&mut connection).unwrap();
        let mut owners = redis::cmd("XPENDING");
        owners.arg(STREAM).arg(&["billing", "-", "+", "9"]);
        loop {
            let owned: Vec<(String, String, u64, u64)> = owners.query(&mut connection).unwrap();
            if owned[0].1 == "slipring" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for number in 1..4 {
            send(&out(&server), &lane("a", 0..number + 1)[number as usize..]).await.unwrap();
            let next = take(&mut link, 1).await.unwrap();
            assert_eq!(numbers(&next.iter().cloned().map(parcel).collect::<Vec<_>>()), [number]);
            settle(&mut link, &next, &Settled::Done).await.unwrap();
            assert_eq!(pending(&server), 1);
        }
        settle(&mut link, &first, &Settled::Done).await.unwrap();
        assert_eq!(pending(&server), 0);
    });
}

/// A server may not know yet that a connection is dead, and give it an entry.
#[test]
fn what_a_dead_connection_was_given_comes_all_the_same() {
    let server = server();
    run(async {
        send(&out(&server), &lane("a", 0..2)).await.unwrap();
        let input = input(&server).claim_after(Duration::from_millis(300));
        let mut link = input.listen(1).await.unwrap();
        let first = take(&mut link, 1).await.unwrap();
        let mut read = redis::cmd("XREADGROUP");
        read.arg(&["GROUP", "billing", "slipring", "COUNT", "1", "STREAMS", STREAM, ">"]);
        read.exec(&mut server.connection()).unwrap();
        // There is no room for it, and it comes: what an inbox holds back may wait for it.
        let second = take(&mut link, 1).await.unwrap();
        assert_eq!(numbers(&second.iter().cloned().map(parcel).collect::<Vec<_>>()), [1]);
        settle(&mut link, &first, &Settled::Done).await.unwrap();
        settle(&mut link, &second, &Settled::Done).await.unwrap();
        // And there is room for one, not for two.
        send(&out(&server), &lane("a", 0..4)).await.unwrap();
        for number in 2..4 {
            let next = take(&mut link, 1).await.unwrap();
            assert_eq!(numbers(&next.iter().cloned().map(parcel).collect::<Vec<_>>()), [number]);
            assert_eq!(pending(&server), 1);
            settle(&mut link, &next, &Settled::Done).await.unwrap();
        }
    });
}

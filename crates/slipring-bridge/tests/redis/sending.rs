//! What goes into the stream.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use slipring_bridge::{
    Connect, LinkError, Listen, Outbox, Outgoing, RedisDurability, RedisIn, RedisOut,
};
use slipring_events::EventId;
use slipring_store::{Batch, Durability, Entry, EventStore, Memory};

use crate::{
    STREAM, all,
    common::redis_server::{GONE, RedisServer},
    input, length,
    links::{self, LONG, confirm, lane, numbers, run, samples, seed, take_done},
    out, send, server,
};

#[test]
fn all_fields_arrive_in_order() {
    let server = server();
    run(async {
        let parcels = samples(3 << 20);
        send(&out(&server), &parcels).await.unwrap();
        let mut link = input(&server).listen(16).await.unwrap();
        assert_eq!(take_done(&mut link, parcels.len()).await.unwrap(), parcels);
    });
}

#[test]
fn batches_fly_in_order_whatever_their_sizes() {
    let server = server();
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
    let server = server();
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
    let server = server();
    run(async {
        let parcels = lane("a", 0..1_000);
        send(&out(&server), &parcels[..600]).await.unwrap();
        // Another connection, which does not know what the broker has: all of it, some of it, and what comes behind.
        send(&out(&server), &parcels[..600]).await.unwrap();
        send(&out(&server), &parcels[300..]).await.unwrap();
        // Two at once.
        let more = lane("a", 1_000..2_000);
        let (out, again) = (out(&server), out(&server));
        let (one, other) = tokio::join!(send(&out, &more), send(&again, &more));
        one.unwrap();
        other.unwrap();
        let found = all(&server, "g").await;
        assert_eq!(numbers(&found), (0..2_000).collect::<Vec<_>>());
    });
}

#[test]
fn lanes_do_not_disturb_each_other() {
    let server = server();
    run(async {
        let (mut one, two) = (lane("a", 0..300), lane("b", 0..300));
        let other = slipring_bridge::Parcel::new("plain", "1000");
        one.extend([other.clone(), other]);
        one.extend(two);
        send(&out(&server), &one).await.unwrap();
        // What has no stamp is added as often as it is sent.
        send(&out(&server), &one).await.unwrap();
        let found = all(&server, "g").await;
        let of = |lane: Option<&str>| {
            let is_of = |parcel: &&slipring_bridge::Parcel| {
                parcel.stamp.as_ref().map(|stamp| &*stamp.lane) == lane
            };
            numbers(&found.iter().filter(is_of).cloned().collect::<Vec<_>>())
        };
        assert_eq!(of(Some("a")), (0..300).collect::<Vec<_>>());
        assert_eq!(of(Some("b")), (0..300).collect::<Vec<_>>());
        assert_eq!(of(None), [1_000; 4]);
    });
}

/// How often the server has answered which error.
fn errors(server: &RedisServer) -> String {
    redis::cmd("INFO").arg("errorstats").query(&mut server.connection()).unwrap()
}

#[test]
fn one_that_fails_takes_those_behind_it_along() {
    let server = server();
    run(async {
        let parcels = lane("a", 0..30);
        // Nothing of the lane is there: the first of a connection may begin anywhere, others may not.
        let mut link = out(&server).connect().await.unwrap();
        link.submit(&parcels[5..10]).await.unwrap();
        link.submit(&parcels[11..20]).await.unwrap();
        link.submit(&parcels[20..]).await.unwrap();
        assert_eq!(link.confirmed().await.unwrap(), 5);
        let error = link.confirmed().await.unwrap_err();
        assert!(
            matches!(&error, LinkError::Refused { problem, .. } if problem.contains("SLIPBEHIND"))
        );
        assert_eq!(length(&server, STREAM), 5);

        // The server has no memory left for the first batch, and has some again for the next.
        let mut connection = server.connection();
        let mut memory = |bytes: u32| {
            let mut config = redis::cmd("CONFIG");
            config.arg("SET").arg("maxmemory").arg(bytes).exec(&mut connection).unwrap();
        };
        let other = lane("b", 0..30);
        let mut link = out(&server).connect().await.unwrap();
        memory(1);
        link.submit(&other[..10]).await.unwrap();
        while !errors(&server).contains("errorstat_OOM") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        memory(0);
        link.submit(&other[10..20]).await.unwrap();
        while !errors(&server).contains("errorstat_SLIPBEHIND:count=2") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let error = link.confirmed().await.unwrap_err();
        assert!(
            matches!(&error, LinkError::Lost { problem, .. } if problem.contains("OOM")),
            "{error}"
        );
        let error = link.confirmed().await.unwrap_err();
        assert!(error.to_string().contains("failed before"), "{error}");
        assert!(link.submit(&other[20..]).await.is_err());
        send(&out(&server), &other).await.unwrap();
        assert_eq!(numbers(&all(&server, "g").await[5..]), (0..30).collect::<Vec<_>>());
    });
}

#[test]
fn a_server_that_has_lost_events_is_noticed() {
    let server = server();
    run(async {
        let parcels = lane("a", 0..30);
        send(&out(&server), &parcels[..20]).await.unwrap();
        // As if it had lost the last five.
        let mut set = redis::cmd("HSET");
        set.arg("orders.lanes").arg("a").arg(14 * 3).exec(&mut server.connection()).unwrap();
        let error = send(&out(&server), &parcels[20..]).await.unwrap_err();
        let LinkError::Refused { problem, .. } = &error else { panic!("{error}") };
        assert!(problem.contains("it has 42 as the last, and 57 should be"), "{problem}");
        assert!(problem.contains("go_on_after_loss"), "{problem}");
        // Sent from where it is, it goes on.
        send(&out(&server), &parcels[15..25]).await.unwrap();
        set.arg("a").arg(14 * 3).exec(&mut server.connection()).unwrap();
        send(&out(&server).go_on_after_loss(), &parcels[25..]).await.unwrap();
    });
}

/// Letters that were given back have numbers that no floating point number tells apart.
#[test]
fn sequences_are_as_large_as_numbers_are() {
    let server = server();
    run(async {
        let mut parcels = lane("a", 0..20);
        for (number, parcel) in parcels.iter_mut().enumerate() {
            let stamp = parcel.stamp.as_mut().unwrap();
            stamp.sequence = (1 << 62) + number as u64;
            stamp.previous = number.checked_sub(1).map(|before| (1 << 62) + before as u64);
        }
        for end in [1, 9, 10, 20] {
            send(&out(&server), &parcels[..end]).await.unwrap();
        }
        assert_eq!(all(&server, "reader").await, parcels);
        let mut behind = lane("a", 0..1);
        let stamp = behind[0].stamp.as_mut().unwrap();
        (stamp.sequence, stamp.previous) = ((1 << 62) + 22, Some((1 << 62) + 21));
        let error = send(&out(&server), &behind).await.unwrap_err();
        assert!(matches!(error, LinkError::Refused { .. }), "{error}");
    });
}

/// What is alike in a call is sent once: whatever that is, each one arrives as it was.
#[test]
fn whatever_is_alike_arrives_as_it_was() {
    let server = server();
    let mut random = fastrand::Rng::with_seed(seed());
    run(async {
        let mut parcels = lane("a", 0..1_500);
        for parcel in &mut parcels {
            parcel.topic = format!("topic.{}", random.u8(..3));
            if random.u8(..4) == 0 {
                parcel.source = ["", "=", "?", "kassa 7"][random.usize(..4)].into();
            }
            if random.u8(..4) == 0 {
                parcel.correlation = Some(EventId::random());
                parcel.schema = u16::from(random.u8(..2));
            }
            if random.u8(..20) == 0 {
                parcel.metadata.insert("tenant", "nord");
                parcel.id = None;
            }
            parcel.payload.resize(random.usize(..40), b'=');
        }
        // Calls of all sizes, and some of it again.
        let mut at = 0;
        while at < parcels.len() {
            let end = (at + random.usize(1..400)).min(parcels.len());
            send(&out(&server), &parcels[at.saturating_sub(random.usize(..50))..end])
                .await
                .unwrap();
            at = end;
        }
        assert_eq!(all(&server, "reader").await, parcels);
    });
}

#[test]
fn what_the_word_of_the_server_is_worth() {
    let synced = server();
    let weak = RedisServer::start(GONE);
    run(async {
        let out = out(&synced).must_sync();
        assert_eq!(out.durability(), None);
        drop(out.connect().await.unwrap());
        assert_eq!(out.durability(), Some(RedisDurability::Synced));

        let out = RedisOut::new(weak.url(), STREAM);
        send(&out, &lane("a", 0..3)).await.unwrap();
        let Some(RedisDurability::Weaker { why }) = out.durability() else { panic!() };
        assert!(why.contains("appendonly"), "{why}");
        let error = out.must_sync().connect().await.unwrap_err();
        assert!(
            matches!(&error, LinkError::Refused { problem, .. } if problem.contains("appendonly"))
        );
    });
}

#[test]
fn trimming_leaves_what_a_group_wants() {
    let server = server();
    run(async {
        let parcels = lane("a", 0..3_000);
        let trimming = out(&server).keep_entries(300);
        // No group: all of it stays.
        send(&trimming, &parcels[..1_000]).await.unwrap();
        assert_eq!(length(&server, STREAM), 1_000);
        // One that has settled all but the 500th and what it has not read: those stay, and what is before them goes.
        let mut link = input(&server).listen(800).await.unwrap();
        let taken = links::take(&mut link, 800).await.unwrap();
        let (one, others): (Vec<_>, Vec<_>) =
            taken.into_iter().enumerate().partition(|(number, _)| *number == 500);
        let others: Vec<_> = others.into_iter().map(|(_, delivery)| delivery).collect();
        links::settle(&mut link, &others, &slipring_bridge::Settled::Done).await.unwrap();
        link_close(link).await;
        send(&trimming, &parcels[1_000..2_000]).await.unwrap();
        let left = length(&server, STREAM);
        assert!((1_500..=1_600).contains(&left), "{left}");
        let mut link = input(&server).listen(2_000).await.unwrap();
        let rest = take_done(&mut link, 1_200).await.unwrap_or_default();
        assert_eq!(rest.len(), 1_200);
        assert_eq!(rest[..1], [links::parcel(one[0].1.clone())]);
        drop(link);
        send(&trimming, &parcels[2_000..2_300]).await.unwrap();
        let left = length(&server, STREAM);
        assert!((300..=500).contains(&left), "{left}");
        // By age: all that is acknowledged is older than nothing.
        send(&out(&server).keep_for(Duration::ZERO), &parcels[2_300..2_301]).await.unwrap();
        let left = length(&server, STREAM);
        assert!((301..=400).contains(&left), "{left}");
        // Asked for, also what nobody has read.
        send(&out(&server).keep_entries(100).trim_unread(), &parcels[2_301..]).await.unwrap();
        let left = length(&server, STREAM);
        assert!((100..=200).contains(&left), "{left}");
    });
}

async fn link_close(link: impl slipring_bridge::Incoming) {
    link.close().await;
}

#[test]
fn a_script_that_was_forgotten_costs_a_connection() {
    let server = server();
    run(async {
        let parcels = lane("a", 0..20);
        let mut link = out(&server).connect().await.unwrap();
        link.submit(&parcels[..10]).await.unwrap();
        confirm(&mut link, 10).await.unwrap();
        redis::cmd("SCRIPT").arg("FLUSH").exec(&mut server.connection()).unwrap();
        link.submit(&parcels[10..]).await.unwrap();
        let error = link.confirmed().await.unwrap_err();
        assert!(matches!(&error, LinkError::Lost { problem, .. } if problem.contains("NOSCRIPT")));
        send(&out(&server), &parcels[10..]).await.unwrap();
        assert_eq!(all(&server, "g").await, parcels);
    });
}

#[test]
fn what_is_no_stream_is_refused() {
    let server = server();
    let mut set = redis::cmd("SET");
    set.arg(STREAM).arg("x").exec(&mut server.connection()).unwrap();
    run(async {
        let error = send(&out(&server), &lane("a", 0..2)).await.unwrap_err();
        assert!(
            matches!(&error, LinkError::Refused { problem, .. } if problem.contains("WRONGTYPE"))
        );
        let error = RedisIn::new(server.url(), STREAM, "g").listen(1).await.unwrap_err();
        assert!(
            matches!(&error, LinkError::Refused { problem, .. } if problem.contains("WRONGTYPE"))
        );
    });
}

#[test]
fn what_an_outbox_had_set_aside_goes_out_when_it_is_given_back() {
    let server = server();
    let store = Arc::new(Memory::new());
    let mut batch = Batch::new();
    for payload in ["x".repeat(2_000), "a".to_owned(), "y".repeat(2_000), "b".to_owned()] {
        batch.append(Entry::new("order.placed", &payload)).unwrap();
    }
    let end = store.commit(&batch, Durability::Synced).unwrap().end;
    let outbox = Outbox::builder("out", store.clone(), out(&server).largest_event(1_000));
    let outbox = outbox.start().unwrap();
    outbox.wait_for(end, LONG).unwrap();
    assert_eq!(outbox.letters().list().unwrap().len(), 2);
    assert!(outbox.stop(LONG).has_ended);

    let outbox = Outbox::builder("out", store, out(&server)).start().unwrap();
    assert_eq!(outbox.letters().requeue_all().unwrap(), 2);
    let deadline = Instant::now() + LONG;
    while length(&server, STREAM) < 4 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
    assert!(outbox.stop(LONG).halted.is_none());
    let found = run(all(&server, "g"));
    let sizes: Vec<_> = found.iter().map(|parcel| parcel.payload.len()).collect();
    assert_eq!(sizes, [1, 1, 2_000, 2_000]);
}

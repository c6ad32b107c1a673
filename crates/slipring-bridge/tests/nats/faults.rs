//! Servers that are killed and connections that are cut.

use slipring_bridge::{
    Connect, Incoming, JetStream, JetStreamIn, JetStreamOut, LinkError, Listen, Outgoing, Parcel,
    Settled,
};

use crate::{
    all,
    common::nats_server::NatsServer,
    input, length,
    links::{Turns, lane, numbers, parcel, run, seed, send_all, settle, take},
    out,
    proxy::Proxy,
    send,
};

#[test]
fn killed_while_events_are_under_way() {
    let mut random = fastrand::Rng::with_seed(seed());
    let mut server = NatsServer::start();
    let parcels = lane("a", 0..6_000);
    let mut kills: Vec<_> = (0..4).map(|_| random.usize(..6_000)).collect();
    kills.sort_unstable();
    kills.reverse();
    let killed = kills.len();
    let out = out(&server);
    let mut dice = random.fork();
    let links = run(async {
        send_all(&out, &parcels, 1_024, &mut random, |confirmed| {
            if kills.last().is_some_and(|at| *at <= confirmed) && dice.bool() {
                kills.pop();
                server.kill();
                server.restart();
            }
        })
        .await
    });
    // A connection may be made to one that is killed at once.
    assert!(links >= 2, "{links} connections, {killed} times killed");
    run(async {
        assert_eq!(numbers(&all(&server, "g").await), (0..6_000).collect::<Vec<_>>());
    });
}

#[test]
fn cut_at_any_place() {
    let mut random = fastrand::Rng::with_seed(seed());
    let server = NatsServer::start();
    let proxy = Proxy::before(&server);
    let stream = JetStream::new(proxy.url(), "ORDERS", "shop.orders");
    let parcels = lane("a", 0..3_000);
    let (mut dice, mut cuts) = (random.fork(), 15);
    run(async {
        let links = send_all(&JetStreamOut::new(stream), &parcels, 512, &mut random, |_| {
            if cuts > 0 && proxy.has_cut() {
                cuts -= 1;
                proxy.cut_after(dice.i64(1..60_000));
            }
        })
        .await;
        println!("{links} connections, {cuts} cuts left");
        assert!(links > 3, "{links}");
        assert_eq!(numbers(&all(&server, "g").await), (0..3_000).collect::<Vec<_>>());
    });
}

#[test]
fn killed_between_delivery_and_settlement() {
    let mut server = NatsServer::start();
    run(async {
        send(&out(&server), &lane("a", 0..100)).await.unwrap();
        let mut link = input(&server).listen(60).await.unwrap();
        let taken = take(&mut link, 60).await.unwrap();
        settle(&mut link, &taken[..20], &Settled::Done).await.unwrap();
        server.kill();
        let error = settle(&mut link, &taken[20..], &Settled::Done).await.unwrap_err();
        assert!(matches!(error, LinkError::Lost { .. }), "{error}");
        let error = link.receive(100, &mut Vec::new()).await.unwrap_err();
        assert!(matches!(error, LinkError::Lost { .. }), "{error}");
        let error = input(&server).listen(60).await.unwrap_err();
        assert!(matches!(error, LinkError::Lost { .. }), "{error}");
        server.restart();
        let mut link = input(&server).listen(100).await.unwrap();
        let mut turns = Turns::behind(19 * 3);
        let mut found = Vec::new();
        while found.len() < 80 {
            for delivery in take(&mut link, 1).await.unwrap() {
                found.extend(turns.take(parcel(delivery)));
            }
        }
        assert_eq!(numbers(&found), (20..100).collect::<Vec<_>>());
    });
}

/// Both ends, and a server that is killed again and again: whoever goes by the stamps gets each event once and in order.
#[test]
fn killed_again_and_again() {
    let mut random = fastrand::Rng::with_seed(seed());
    let mut server = NatsServer::start();
    let parcels = lane("a", 0..3_000);
    let (out, input) = (out(&server), input(&server));
    let reader = std::thread::spawn(move || run(read_all(input, 3_000)));
    let mut kills = 4;
    run(async {
        let mut dice = random.fork();
        send_all(&out, &parcels, 256, &mut random, |_| {
            if kills > 0 && dice.u8(..12) == 0 {
                kills -= 1;
                server.kill();
                server.restart();
            }
        })
        .await;
    });
    server.kill();
    server.restart();
    let (found, links) = reader.join().unwrap();
    assert_eq!(numbers(&found), (0..3_000).collect::<Vec<_>>());
    println!("{links} connections");
    run(async { assert_eq!(length(&server, "ORDERS").await, 3_000) });
}

async fn read_all(input: JetStreamIn, count: usize) -> (Vec<Parcel>, usize) {
    let (mut turns, mut found, mut links) = (Turns::default(), Vec::new(), 0);
    while found.len() < count {
        let Ok(mut link) = input.listen(200).await else {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            continue;
        };
        links += 1;
        loop {
            let mut batch = Vec::new();
            if found.len() == count || link.receive(64, &mut batch).await.is_err() {
                break;
            }
            for delivery in &batch {
                found.extend(turns.take(parcel(delivery.clone())));
            }
            if settle(&mut link, &batch, &Settled::Done).await.is_err() {
                break;
            }
        }
    }
    (found, links)
}

#[test]
fn a_consumer_that_is_deleted_ends_the_link() {
    let server = NatsServer::start();
    run(async {
        send(&out(&server), &lane("a", 0..3)).await.unwrap();
        let mut link = input(&server).listen(10).await.unwrap();
        let taken = take(&mut link, 3).await.unwrap();
        let orders = crate::bare(&server).await.get_stream("ORDERS").await.unwrap();
        orders.delete_consumer("billing").await.unwrap();
        let error = link.receive(1, &mut Vec::new()).await.unwrap_err();
        assert!(matches!(error, LinkError::Lost { .. }), "{error}");
        assert!(settle(&mut link, &taken, &Settled::Done).await.is_err());
    });
}

#[test]
fn a_stream_that_is_deleted_fails_what_is_sent() {
    let server = NatsServer::start();
    run(async {
        let parcels = lane("a", 0..20);
        let mut link = out(&server).connect().await.unwrap();
        link.submit(&parcels[..10]).await.unwrap();
        crate::links::confirm(&mut link, 10).await.unwrap();
        crate::bare(&server).await.delete_stream("ORDERS").await.unwrap();
        link.submit(&parcels[10..]).await.unwrap();
        let error = link.confirmed().await.unwrap_err();
        assert!(matches!(error, LinkError::Lost { .. }), "{error}");
        // The next one makes it anew.
        send(&out(&server), &parcels[10..]).await.unwrap();
        assert_eq!(length(&server, "ORDERS").await, 10);
    });
}

//! Servers that are killed and answers that are lost.

use slipring_bridge::{Connect, Incoming, LinkError, Listen, Outgoing, RedisIn, RedisOut, Settled};

use crate::{
    STREAM, all, input,
    links::{LONG, Turns, lane, numbers, parcel, run, seed, send_all, settle, take},
    out,
    proxy::Proxy,
    send, server,
};

#[test]
fn killed_while_events_are_under_way() {
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut server = server();
    let parcels = lane("a", 0..6_000);
    let mut kills: Vec<_> = (0..5).map(|_| random.usize(..6_000)).collect();
    kills.sort_unstable();
    kills.reverse();
    let url = server.url();
    let killed = kills.len();
    let out = RedisOut::new(url, STREAM).must_sync();
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
fn an_answer_that_is_lost() {
    let server = server();
    let proxy = Proxy::before(&server);
    run(async {
        let out = RedisOut::new(proxy.url(), STREAM);
        let parcels = lane("a", 0..100);
        let mut link = out.connect().await.unwrap();
        link.submit(&parcels[..50]).await.unwrap();
        assert_eq!(link.confirmed().await.unwrap(), 50);
        proxy.lose_an_answer(|| {});
        link.submit(&parcels[50..70]).await.unwrap();
        let error = link.confirmed().await.unwrap_err();
        assert!(matches!(error, LinkError::Lost { .. }), "{error}");
        assert!(proxy.has_lost_it());
        // It keeps failing.
        let after = link.submit(&parcels[70..]).await;
        assert!(after.is_err() || link.confirmed().await.is_err());
        // The server has them: they were only not confirmed.
        assert_eq!(crate::length(&server, STREAM), 70);
        send(&out, &parcels[50..]).await.unwrap();
        assert_eq!(all(&server, "g").await, parcels);
    });
}

#[test]
fn killed_between_delivery_and_settlement() {
    let mut server = server();
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
        let again = take(&mut link, 80).await.unwrap();
        assert!(again[..40].iter().all(|delivery| delivery.is_again));
        let found: Vec<_> = again.into_iter().map(parcel).collect();
        assert_eq!(numbers(&found), (20..100).collect::<Vec<_>>());
    });
}

/// Both ends, and a server that is killed again and again: whoever goes by the stamps gets each event once and in order.
#[test]
fn killed_again_and_again() {
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut server = server();
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
}

async fn read_all(input: RedisIn, count: usize) -> (Vec<slipring_bridge::Parcel>, usize) {
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
fn a_server_that_is_silent_is_given_up() {
    let server = server();
    let proxy = Proxy::before(&server);
    run(async {
        let slow = slipring_bridge::RedisServer::at(proxy.url())
            .timeout(std::time::Duration::from_millis(300));
        let out = RedisOut::new(slow, STREAM);
        let mut link = out.connect().await.unwrap();
        // The server sleeps with the answer in its hands.
        proxy.lose_an_answer(|| std::thread::sleep(LONG));
        link.submit(&lane("a", 0..10)).await.unwrap();
        let error = link.confirmed().await.unwrap_err();
        assert!(error.to_string().contains("no answer for 300ms"), "{error}");
    });
}

#[test]
fn a_group_that_is_gone_ends_the_link_and_is_made_again() {
    let server = server();
    run(async {
        send(&out(&server), &lane("a", 0..3)).await.unwrap();
        let mut link = input(&server).listen(10).await.unwrap();
        let taken = take(&mut link, 3).await.unwrap();
        redis::cmd("DEL").arg(STREAM).exec(&mut server.connection()).unwrap();
        let error = link.receive(1, &mut Vec::new()).await.unwrap_err();
        assert!(matches!(error, LinkError::Lost { .. }), "{error}");
        // Nobody wants to know of these any more.
        settle(&mut link, &taken, &Settled::Done).await.unwrap();
        send(&out(&server), &lane("a", 3..6)).await.unwrap();
        let mut link = input(&server).listen(10).await.unwrap();
        let found: Vec<_> = take(&mut link, 3).await.unwrap().into_iter().map(parcel).collect();
        assert_eq!(numbers(&found), [3, 4, 5]);
    });
}

/// The newer protocol has other forms of answers.
#[test]
fn both_protocols() {
    let server = server();
    run(async {
        let separator = if server.url().contains("+unix") { "?" } else { "/?" };
        let url = format!("{}{separator}protocol=resp3", server.url());
        let (out, parcels) = (RedisOut::new(url.as_str(), STREAM), lane("a", 0..20));
        send(&out.clone().must_sync().keep_entries(5), &parcels).await.unwrap();
        let input = RedisIn::new(url.as_str(), STREAM, "billing");
        drop(take(&mut input.listen(10).await.unwrap(), 5).await.unwrap());
        let heir = input.consumer("heir").claim_after(std::time::Duration::from_millis(300));
        let mut heir = heir.listen(50).await.unwrap();
        let mut turns = Turns::default();
        let mut found = Vec::new();
        while found.len() < 20 {
            for delivery in take(&mut heir, 1).await.unwrap() {
                found.extend(turns.take(parcel(delivery)));
            }
        }
        assert_eq!(found, parcels);
    });
}

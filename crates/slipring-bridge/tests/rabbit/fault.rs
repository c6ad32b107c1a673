//! What goes wrong between a program and its server.

use std::{
    fs,
    net::TcpListener,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use slipring_bridge::{
    Connect, Incoming, LinkError, Listen, Outbox, OutboxState, Outgoing, Rabbit, RabbitOutgoing,
    RabbitOutlet, RabbitQueue,
};
use slipring_store::{Batch, Durability, Entry, EventStore, Memory};

use crate::{
    common::{proxy::Proxy, rabbit_server::RabbitServer},
    tools::*,
};

fn behind(proxy: &Proxy) -> Rabbit {
    at(proxy.port())
}

/// Waits until it fails, and says how many were confirmed before.
async fn failure(link: &mut RabbitOutgoing, unconfirmed: usize) -> (usize, LinkError) {
    let mut confirmed = 0;
    while confirmed < unconfirmed {
        match link.confirmed().await {
            Ok(more) => confirmed += more,
            Err(error) => return (confirmed, error),
        }
    }
    panic!("it does not fail")
}

#[test]
fn a_frame_that_is_cut_in_the_middle_is_a_lost_link_and_nothing_else() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    run(async {
        let proxy = Proxy::before(RabbitServer::shared().port());
        let name = name("cut");
        let queue = RabbitQueue::new(behind(&proxy), &name).unwrap();
        let mut sent = parcels(0..30);
        for parcel in &mut sent {
            parcel.payload = vec![b'x'; 5_000];
        }
        let mut certain = 0;
        let mut tries = 0;
        // What an outbox does: everything from the first one on that is not confirmed, in order.
        while certain < sent.len() {
            let mut link = RabbitOutlet::to_queue(queue.clone()).connect().await.unwrap();
            tries += 1;
            if tries < 12 {
                proxy.cut_after(random.usize(1..160_000));
            }
            let rest = &sent[certain..];
            let error = match link.submit(rest).await {
                Ok(()) => loop {
                    match link.confirmed().await {
                        Ok(more) => certain += more,
                        Err(error) => break Some(error),
                    }
                    if certain == sent.len() {
                        break None;
                    }
                },
                Err(error) => Some(error),
            };
            assert!(matches!(error, None | Some(LinkError::Lost { .. })), "{error:?}");
        }
        assert!(proxy.cuts() > 0, "it was never cut");
        // What is left of its budget is not for the inbox.
        proxy.cut_after(1 << 40);
        let mut link = queue.listen(1_000).await.unwrap();
        let mut next = 0;
        while next < 30 {
            let deliveries = receive(&mut link, 1).await;
            let sequence = sequence(&deliveries[0]);
            assert!(sequence <= next, "{next} is missing");
            assert_eq!(content(&deliveries[0]).payload.len(), 5_000);
            next = next.max(sequence + 1);
            link.settle(&done(&deliveries)).await.unwrap();
        }
    });
}

#[test]
fn what_is_taken_and_not_confirmed_is_not_confirmed() {
    run(async {
        let proxy = Proxy::before(RabbitServer::shared().port());
        let name = name("unheard");
        let queue = RabbitQueue::new(behind(&proxy), &name).unwrap();
        let mut link = RabbitOutlet::to_queue(queue.clone()).connect().await.unwrap();
        proxy.lose_answers(true);
        link.submit(&parcels(0..5)).await.unwrap();
        let channel = bare().await;
        while waiting(&channel, &name).await.0 < 5 {}
        proxy.cut();
        let (confirmed, error) = failure(&mut link, 5).await;
        assert_eq!(confirmed, 0);
        assert!(matches!(error, LinkError::Lost { .. }), "{error}");
        // What an inbox has said has been heard, though nobody tells it.
        proxy.lose_answers(false);
        let mut link = queue.listen(3).await.unwrap();
        let deliveries = receive(&mut link, 3).await;
        assert_eq!(waiting(&channel, &name).await, (2, 1));
        proxy.lose_answers(true);
        link.settle(&done(&deliveries[..2])).await.unwrap();
        while waiting(&channel, &name).await.0 > 0 {}
        proxy.cut();
        assert_eq!(left(&channel, &name).await, 3);
    });
}

#[test]
fn a_server_that_says_nothing_any_more_is_lost_in_time() {
    run(async {
        let proxy = Proxy::before(RabbitServer::shared().port());
        let rabbit = behind(&proxy).heartbeat(Duration::from_secs(1));
        let queue = RabbitQueue::new(rabbit, &name("stall")).unwrap();
        let mut from = RabbitOutlet::to_queue(queue.clone()).connect().await.unwrap();
        let mut to = queue.listen(1).await.unwrap();
        send(&mut from, &parcels(0..1)).await;
        let deliveries = receive(&mut to, 1).await;
        proxy.stall(true);
        let begin = Instant::now();
        let sent = from.submit(&parcels(1..3)).await;
        let outgoing = async {
            match sent {
                Ok(()) => failure(&mut from, 2).await.1,
                Err(error) => error,
            }
        };
        let mut nothing = Vec::new();
        let (outgoing, incoming) =
            futures_util::future::join(outgoing, to.receive(1, &mut nothing)).await;
        let incoming = incoming.unwrap_err();
        for error in [outgoing, incoming] {
            assert!(matches!(error, LinkError::Lost { .. }), "{error}");
        }
        // Twice a second each; far less than the whole test may take, whatever the machine does.
        assert!(begin.elapsed() < LONG / 2, "{:?}", begin.elapsed());
        assert!(to.settle(&done(&deliveries)).await.is_err());
        from.close().await;
        to.close().await;
        proxy.stall(false);
        let mut to = queue.listen(1).await.unwrap();
        let again = receive(&mut to, 1).await;
        assert_eq!((sequence(&again[0]), again[0].is_again), (0, true));
    });
}

#[test]
fn a_server_that_never_says_a_word_is_lost_in_time_and_leaves_nothing_behind() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    // What it accepts stays open until the test ends.
    thread::spawn(move || silent.incoming().collect::<Vec<_>>());
    run(async {
        let rabbit = at(port).patience(Duration::from_millis(100));
        let outlet = RabbitOutlet::to_exchange(rabbit.clone(), "never").unwrap();
        let queue = RabbitQueue::new(rabbit, "never").unwrap();
        for _ in 0..20 {
            let error = outlet.connect().await.unwrap_err();
            assert!(matches!(error, LinkError::Lost { .. }), "{error}");
            assert!(error.to_string().contains("100ms"), "{error}");
            let error = queue.listen(1).await.unwrap_err();
            assert!(matches!(error, LinkError::Lost { .. }), "{error}");
        }
        // Each of them had a thread of its own. Other tests have some, too, but not half as many.
        while connection_threads() >= 20 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

fn connection_threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("lapin-io")).count()
}

#[test]
fn to_close_a_link_takes_no_longer_than_the_patience() {
    run(async {
        let proxy = Proxy::before(RabbitServer::shared().port());
        let name = name("close");
        // Enough to connect on a busy machine; the heartbeats would need an hour.
        let rabbit =
            behind(&proxy).patience(Duration::from_secs(5)).heartbeat(Duration::from_hours(1));
        let queue = RabbitQueue::new(rabbit, &name).unwrap();
        let mut from = RabbitOutlet::to_queue(queue.clone()).connect().await.unwrap();
        let mut to = queue.listen(1).await.unwrap();
        send(&mut from, &parcels(0..1)).await;
        assert_eq!(receive(&mut to, 1).await.len(), 1);
        proxy.stall(true);
        futures_util::future::join(from.close(), to.close()).await;
        // The line is cut, so the server will hear of it, and give the delivery to another.
        proxy.stall(false);
        let mut link = hear(&crate::tools::queue(&name), 1).await;
        assert_eq!(sequences(&receive(&mut link, 1).await), [0]);
    });
}

#[test]
fn what_was_confirmed_or_not_settled_survives_the_death_of_the_server() {
    let mut server = RabbitServer::start("");
    run(async {
        let rabbit = at(server.port());
        let queue = RabbitQueue::new(rabbit.clone(), "durable").unwrap().bind("events", "order.*");
        let queue = queue.unwrap();
        let outlet = RabbitOutlet::to_exchange(rabbit, "events").unwrap();
        queue.listen(1).await.unwrap().close().await;
        server.wait_until_it_has_noted("order.*");

        // It dies between submit and confirmed.
        let mut link = outlet.connect().await.unwrap();
        send(&mut link, &parcels(0..50)).await;
        link.submit(&parcels(50..350)).await.unwrap();
        let first = link.confirmed().await.unwrap();
        server.kill();
        let mut confirmed = first;
        // On a quick machine it may have confirmed all of them before it died.
        while confirmed < 300 {
            match link.confirmed().await {
                Ok(more) => confirmed += more,
                Err(error) => {
                    assert!(matches!(error, LinkError::Lost { .. }), "{error}");
                    let error = link.submit(&parcels(0..1)).await.unwrap_err();
                    assert!(matches!(error, LinkError::Lost { .. }), "{error}");
                    break;
                }
            }
        }
        link.close().await;
        let certain = 50 + u64::try_from(confirmed).unwrap();
        assert!(matches!(outlet.connect().await, Err(LinkError::Lost { .. })));
        server.restart();
        let mut link = outlet.connect().await.unwrap();
        send(&mut link, &parcels(certain..400)).await;

        // It dies between receive and settle.
        let mut link = queue.listen(60).await.unwrap();
        let deliveries = receive(&mut link, 60).await;
        assert_eq!(sequences(&deliveries), (0..60).collect::<Vec<_>>());
        link.settle(&done(&deliveries[..20])).await.unwrap();
        // The server has heard of it: it sends as many others.
        receive(&mut link, 20).await;
        server.kill();
        let error = link.receive(1, &mut Vec::new()).await.unwrap_err();
        assert!(matches!(error, LinkError::Lost { .. }), "{error}");
        assert!(link.settle(&done(&deliveries[20..])).await.is_err());
        link.close().await;
        server.restart();

        // What was acknowledged may come again, if its disk did not know that yet; nothing else is missing.
        let mut link = queue.listen(1_000).await.unwrap();
        let mut next = None;
        while next != Some(400) {
            let deliveries = receive(&mut link, 1).await;
            let sequence = sequence(&deliveries[0]);
            assert!(sequence <= next.unwrap_or(20), "{sequence} comes, {next:?} is missing");
            next = next.max(Some(sequence + 1));
            link.settle(&done(&deliveries)).await.unwrap();
        }
    });
}

#[test]
fn a_server_without_room_is_waited_for_and_may_be_left() {
    // So little that it has used it up when it starts.
    let server = RabbitServer::start("vm_memory_high_watermark.absolute = 1MB\n");
    run(async {
        let rabbit = at(server.port());
        let queue = RabbitQueue::new(rabbit.clone(), "full").unwrap();
        let mut link = RabbitOutlet::to_queue(queue.clone()).connect().await.unwrap();
        // One that is not waited for ends in time, though it cannot say goodbye.
        let hasty = rabbit.patience(Duration::from_secs(5));
        let left = RabbitOutlet::to_queue(RabbitQueue::new(hasty, "left").unwrap());
        let mut left = left.connect().await.unwrap();
        // An outbox says what it waits for.
        let store = Arc::new(Memory::new());
        let told = RabbitOutlet::to_queue(RabbitQueue::new(at(server.port()), "told").unwrap());
        let outbox = Outbox::builder("told", store.clone(), told).start().unwrap();
        let mut batch = Batch::new();
        batch.append(Entry::new("order.placed", "lamp")).unwrap();
        let end = store.commit(&batch, Durability::Synced).unwrap().end;
        left.submit(&parcels(0..2)).await.unwrap();
        link.submit(&parcels(0..2)).await.unwrap();
        let room = async {
            // Another thread asks, as this one has to run the links meanwhile.
            let asked = tokio::task::spawn_blocking(move || {
                while !server.control(&["list_connections", "state"]).contains("blocked") {}
                let short = |state: &OutboxState| matches!(state, OutboxState::Waiting { because } if because.contains("short of memory"));
                let deadline = Instant::now() + LONG;
                while !short(&outbox.state()) {
                    assert!(Instant::now() < deadline, "{:?}", outbox.state());
                    thread::sleep(Duration::from_millis(5));
                }
                assert_eq!(outbox.confirmed(), 0);
                (server, outbox)
            });
            let (server, outbox) = asked.await.unwrap();
            left.close().await;
            let given = tokio::task::spawn_blocking(move || {
                server.control(&["set_vm_memory_high_watermark", "0.9"]);
                outbox.wait_for(end, LONG).unwrap();
                let status = outbox.status().unwrap();
                assert_eq!((status.links, status.unconfirmed), (1, 0), "it has kept its link");
                server
            });
            given.await.unwrap()
        };
        let confirmed = async {
            let mut confirmed = 0;
            while confirmed < 2 {
                confirmed += link.confirmed().await.unwrap();
            }
            confirmed
        };
        let (server, confirmed) = futures_util::future::join(room, confirmed).await;
        assert_eq!(confirmed, 2);
        assert_eq!(sequences(&receive(&mut hear(&queue, 2).await, 2).await), [0, 1]);
        drop(server);
    });
}

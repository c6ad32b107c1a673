//! What becomes of deliveries.

use std::collections::BTreeSet;

use futures_util::FutureExt;
use lapin::{
    BasicProperties,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};
use slipring_bridge::{Incoming, LinkError, Listen, RabbitQueue, Settled, Settlement};

use crate::tools::*;

#[test]
fn what_is_done_is_forgotten_and_the_rest_comes_again_in_order() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    run(async {
        let name = name("settle");
        let queue = queue(&name);
        let all = parcels(0..200);
        send(&mut out(&queue).await, &all).await;
        let mut open: BTreeSet<u64> = (0..200).collect();
        let mut first = true;
        while !open.is_empty() {
            let mut link = hear(&queue, 200).await;
            let deliveries = receive(&mut link, open.len()).await;
            assert_eq!(sequences(&deliveries), open.iter().copied().collect::<Vec<_>>());
            assert!(deliveries.iter().all(|delivery| delivery.is_again != first));
            first = false;
            let mut rest = deliveries;
            random.shuffle(&mut rest);
            // Some are settled in some calls, in whatever order; the link then ends in good order, or not.
            for _ in 0..random.usize(1..4) {
                let some = rest.split_off(rest.len() - random.usize(0..=rest.len().min(40)));
                link.settle(&done(&some)).await.unwrap();
                for delivery in some {
                    open.remove(&sequence(&delivery));
                }
            }
            link.close().await;
        }
        assert_eq!(left(&bare().await, &name).await, 0);
    });
}

#[test]
fn what_is_given_back_comes_again_in_its_place() {
    run(async {
        let queue = queue(&name("again"));
        send(&mut out(&queue).await, &parcels(0..6)).await;
        let mut link = hear(&queue, 6).await;
        let deliveries = receive(&mut link, 6).await;
        let mut settlements = done(&deliveries[..1]);
        for delivery in &deliveries[2..5] {
            settlements.push(settlement(delivery, Settled::Again));
        }
        link.settle(&settlements).await.unwrap();
        let again = receive(&mut link, 3).await;
        assert_eq!(sequences(&again), [2, 3, 4]);
        assert!(again.iter().all(|delivery| delivery.is_again));
        assert!(again.iter().all(|delivery| delivery.tag > deliveries[5].tag), "tags grow");
        link.settle(&done(&again)).await.unwrap();
        link.close().await;
        assert_eq!(sequences(&receive(&mut hear(&queue, 6).await, 2).await), [1, 5]);
    });
}

#[test]
fn no_more_than_the_window_is_under_way() {
    run(async {
        let name = name("window");
        let (queue, channel) = (queue(&name), bare().await);
        send(&mut out(&queue).await, &parcels(0..10)).await;
        let mut link = hear(&queue, 3).await;
        let first = receive(&mut link, 3).await;
        assert_eq!(waiting(&channel, &name).await, (7, 1));
        link.settle(&done(&first[1..2])).await.unwrap();
        assert_eq!(sequences(&receive(&mut link, 1).await), [3]);
        assert_eq!(waiting(&channel, &name).await, (6, 1));
        link.settle(&done(&first[..1])).await.unwrap();
        link.settle(&done(&first[2..])).await.unwrap();
        assert_eq!(sequences(&receive(&mut link, 2).await), [4, 5]);
    });
}

#[test]
fn a_delivery_that_is_not_open_is_an_error_and_touches_no_other() {
    run(async {
        let queue = queue(&name("twice"));
        send(&mut out(&queue).await, &parcels(0..2)).await;
        let mut link = hear(&queue, 2).await;
        let deliveries = receive(&mut link, 2).await;
        link.settle(&done(&deliveries[..1])).await.unwrap();
        let mut twice = done(&deliveries[1..]);
        twice.push(Settlement { tag: deliveries[0].tag, settled: Settled::Done });
        let error = link.settle(&twice).await.unwrap_err();
        assert!(matches!(error, LinkError::Lost { .. }), "{error}");
        drop(link);
        assert_eq!(sequences(&receive(&mut hear(&queue, 2).await, 1).await), [1]);
    });
}

#[test]
fn dead_letters_are_kept_with_the_reason() {
    run(async {
        let name = name("mortal");
        let queue = queue(&name);
        let mut link = hear(&queue, 10).await;
        send(&mut out(&queue).await, &parcels(0..4)).await;
        let channel = bare().await;
        let mut headers = FieldTable::default();
        headers.insert("CC".into(), AMQPValue::FieldArray(vec![].into()));
        headers.insert("tenant".into(), AMQPValue::LongString("blue".into()));
        let stranger = BasicProperties::default()
            .with_expiration("60000".into())
            .with_user_id("guest".into())
            .with_correlation_id("c-17".into())
            .with_headers(headers);
        publish(&channel, &name, stranger, b"\xFFwhat it says").await;
        let deliveries = receive(&mut link, 5).await;
        let dead =
            |at: usize, reason: &str| settlement(&deliveries[at], Settled::Dead(reason.into()));
        let mut settlements =
            vec![dead(1, "no such order: \u{1F40E}"), dead(3, ""), dead(4, "no text")];
        settlements.extend(done(&deliveries[..1]));
        link.settle(&settlements).await.unwrap();
        let letters = format!("{name}.dead");
        let letter = get(&channel, &letters).await.unwrap();
        assert_eq!(
            (reason(&letter), &*letter.data),
            ("no such order: \u{1F40E}".into(), &b"payload 1"[..])
        );
        assert_eq!(reason(&get(&channel, &letters).await.unwrap()), "");
        let letter = get(&channel, &letters).await.unwrap();
        assert_eq!((&*reason(&letter), &*letter.data), ("no text", &b"\xFFwhat it says"[..]));
        let properties = &letter.properties;
        assert_eq!(properties.expiration(), &None, "it would vanish");
        assert_eq!(properties.delivery_mode(), &Some(2), "it is kept on a disk");
        assert_eq!(properties.correlation_id().as_ref().unwrap().as_str(), "c-17");
        let headers = properties.headers().as_ref().unwrap().inner();
        for (header, value) in
            [("tenant", "blue"), ("rabbitmq-queue", &name), ("rabbitmq-routing-key", &name)]
        {
            assert_eq!(headers.get(header), Some(&AMQPValue::LongString(value.into())));
        }
        assert!(get(&channel, &letters).await.is_none());
        link.close().await;
        // A dead letter is an event still: an inbox may listen to it.
        assert_eq!(sequences(&receive(&mut hear(&queue, 10).await, 1).await), [2]);
    });
}

#[test]
fn a_dead_letter_that_nobody_takes_stays_where_it_was() {
    run(async {
        let name = name("mortal");
        let queue = queue(&name);
        send(&mut out(&queue).await, &parcels(0..3)).await;
        let mut link = hear(&queue, 10).await;
        let deliveries = receive(&mut link, 3).await;
        let channel = bare().await;
        let letters = format!("{name}.dead");
        channel.queue_delete(letters.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
        let mut settlements = done(&deliveries[..2]);
        settlements.push(settlement(&deliveries[2], Settled::Dead("why not".into())));
        let error = link.settle(&settlements).await.unwrap_err();
        assert!(matches!(error, LinkError::Refused { .. }), "{error}");
        assert!(error.to_string().contains(&letters), "{error}");
        drop(link);
        // The queue of dead letters is made again.
        assert_eq!(sequences(&receive(&mut hear(&queue, 10).await, 3).await), [0, 1, 2]);
    });
}

#[test]
fn the_server_may_bury_them_itself() {
    run(async {
        let (name, graves, graveyard) = (name("mortal"), name("graves"), name("graveyard"));
        let channel = bare().await;
        let kind = lapin::ExchangeKind::Fanout;
        let (options, none) = (ExchangeDeclareOptions::default(), FieldTable::default());
        channel
            .exchange_declare(graveyard.as_str().into(), kind, options, none.clone())
            .await
            .unwrap();
        let options = QueueDeclareOptions::durable();
        channel.queue_declare(graves.as_str().into(), options, none.clone()).await.unwrap();
        let bind = channel.queue_bind(
            graves.as_str().into(),
            graveyard.as_str().into(),
            "".into(),
            QueueBindOptions::default(),
            none,
        );
        bind.await.unwrap();
        let queue = queue(&name).dead_letter_exchange(&graveyard).unwrap();
        send(&mut out(&queue).await, &parcels(0..2)).await;
        let mut link = hear(&queue, 10).await;
        let deliveries = receive(&mut link, 2).await;
        link.settle(&[settlement(&deliveries[1], Settled::Dead("unsaid".into()))]).await.unwrap();
        let letter = loop {
            if let Some(letter) = get(&channel, &graves).await {
                break letter;
            }
        };
        assert_eq!(letter.data, b"payload 1");
        link.close().await;
        assert_eq!(sequences(&receive(&mut hear(&queue, 10).await, 1).await), [0]);
    });
}

#[test]
fn of_several_one_is_active_and_then_the_next() {
    run(async {
        let queue = queue(&name("single"));
        let (mut first, mut second) = (hear(&queue, 10).await, hear(&queue, 10).await);
        send(&mut out(&queue).await, &parcels(0..10)).await;
        let deliveries = receive(&mut first, 10).await;
        assert_eq!(sequences(&deliveries), (0..10).collect::<Vec<_>>());
        assert!(second.receive(1, &mut Vec::new()).now_or_never().is_none());
        first.settle(&done(&deliveries[..4])).await.unwrap();
        first.close().await;
        assert_eq!(sequences(&receive(&mut second, 6).await), [4, 5, 6, 7, 8, 9]);
    });
}

#[test]
fn competitors_share() {
    run(async {
        let queue = queue(&name("shared")).competing();
        let mut links = Vec::new();
        for _ in 0..3 {
            links.push(hear(&queue, 1).await);
        }
        send(&mut out(&queue).await, &parcels(0..60)).await;
        let (mut seen, mut counts) = (BTreeSet::new(), [0; 3]);
        while seen.len() < 60 {
            let received = links.iter_mut().zip(&mut counts).map(|(link, count)| async {
                let mut deliveries = Vec::new();
                if link.receive(1, &mut deliveries).now_or_never().is_some() {
                    *count += 1;
                    link.settle(&done(&deliveries)).await.unwrap();
                }
                sequences(&deliveries)
            });
            for sequence in futures_util::future::join_all(received).await.into_iter().flatten() {
                assert!(seen.insert(sequence), "{sequence} came twice");
            }
            tokio::task::yield_now().await;
        }
        // Each gets one at a time: nobody takes all of them.
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    });
}

#[test]
fn at_most_once_is_once_at_most() {
    run(async {
        let name = name("once");
        let queue = queue(&name).at_most_once();
        send(&mut out(&queue).await, &parcels(0..10)).await;
        let mut link = hear(&queue, 2).await;
        let deliveries = receive(&mut link, 10).await;
        assert_eq!(sequences(&deliveries), (0..10).collect::<Vec<_>>(), "whatever the window says");
        link.settle(&done(&deliveries[..3])).await.unwrap();
        let rest = [
            settlement(&deliveries[3], Settled::Again),
            settlement(&deliveries[4], Settled::Dead("kept".into())),
        ];
        link.settle(&rest).await.unwrap();
        drop(link);
        let channel = bare().await;
        assert_eq!(left(&channel, &name).await, 0);
        assert_eq!(reason(&get(&channel, &format!("{name}.dead")).await.unwrap()), "kept");
    });
}

#[test]
fn quorum_queues_are_queues() {
    run(async {
        let name = name("quorum");
        let queue = queue(&name).quorum().argument("x-delivery-limit", 2).unwrap();
        send(&mut out(&queue).await, &parcels(0..3)).await;
        let mut link = hear(&queue, 10).await;
        let deliveries = receive(&mut link, 3).await;
        assert_eq!(sequences(&deliveries), [0, 1, 2]);
        let mut settlements = done(&deliveries[..1]);
        settlements.push(settlement(&deliveries[1], Settled::Dead("why not".into())));
        settlements.push(settlement(&deliveries[2], Settled::Again));
        link.settle(&settlements).await.unwrap();
        let channel = bare().await;
        let letters = format!("{name}.dead");
        assert_eq!(reason(&get(&channel, &letters).await.unwrap()), "why not");
        for _ in 0..2 {
            let again = receive(&mut link, 1).await;
            assert_eq!(sequences(&again), [2]);
            link.settle(&[settlement(&again[0], Settled::Again)]).await.unwrap();
        }
        // That was once too often for the server, which has no reason to give, but keeps it.
        let letter = loop {
            if let Some(letter) = get(&channel, &letters).await {
                break letter;
            }
        };
        assert_eq!(letter.data, b"payload 2");
    });
}

#[test]
fn a_queue_that_is_deleted_ends_the_link_and_is_made_again() {
    run(async {
        let name = name("gone");
        let queue = queue(&name);
        send(&mut out(&queue).await, &parcels(0..1)).await;
        let mut link = hear(&queue, 10).await;
        assert_eq!(sequences(&receive(&mut link, 1).await), [0]);
        let channel = bare().await;
        channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
        let error = link.receive(1, &mut Vec::new()).await.unwrap_err();
        assert!(matches!(error, LinkError::Lost { .. }), "{error}");
        let mut link = hear(&queue, 10).await;
        send(&mut out(&queue).await, &parcels(1..2)).await;
        assert_eq!(sequences(&receive(&mut link, 1).await), [1]);
    });
}

#[test]
fn a_path_names_its_last_word() {
    run(async {
        let name = name("billing");
        let queue = RabbitQueue::at_path(rabbit(), &format!("shop/europe/{name}")).unwrap();
        let mut link = queue.listen(1).await.unwrap();
        publish(&bare().await, &name, BasicProperties::default(), b"hello").await;
        assert_eq!(content(&receive(&mut link, 1).await[0]).payload, b"hello");
    });
}

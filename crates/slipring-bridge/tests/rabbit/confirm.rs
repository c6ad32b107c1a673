//! What the server says of what it was sent: a prefix at a time, and nothing that is not so.

use std::{future::poll_fn, pin::pin, task::Poll};

use lapin::options::ExchangeDeleteOptions;
use slipring_bridge::{Connect, Incoming, LinkError, Outgoing, RabbitOutlet, Unrouted};

use crate::tools::*;

/// Polls it a few times, and drops it if it is not done then.
async fn impatiently<T>(work: impl Future<Output = T>, times: usize) -> Option<T> {
    let mut work = pin!(work);
    let mut left = times;
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

#[test]
fn nothing_is_lost_when_nobody_waits_for_it_to_the_end() {
    run(async {
        let name = name("patience");
        let mut link = out(&queue(&name)).await;
        let (mut sent, mut confirmed, mut broken_off) = (0, 0, 0);
        while confirmed < 2_000 {
            if sent - confirmed < 50 && sent < 2_000 {
                link.submit(&parcels(sent..sent + 10)).await.unwrap();
                sent += 10;
            }
            if let Some(more) = impatiently(link.confirmed(), fastrand::usize(0..2)).await {
                let more = u64::try_from(more.unwrap()).unwrap();
                assert!(more >= 1);
                confirmed += more;
            } else {
                broken_off += 1;
                tokio::task::yield_now().await;
            }
            assert!(confirmed <= sent);
        }
        assert_eq!(confirmed, 2_000);
        assert!(broken_off > 0, "it was always there already");
        link.close().await;
        // The same where they come from.
        let queue = queue(&name);
        let mut link = hear(&queue, 20).await;
        let mut expected = 0;
        while expected < 2_000 {
            let mut deliveries = Vec::new();
            let received = link.receive(7, &mut deliveries);
            if let Some(received) = impatiently(received, fastrand::usize(0..2)).await {
                received.unwrap();
            } else {
                assert!(deliveries.is_empty());
                tokio::task::yield_now().await;
            }
            for delivery in &deliveries {
                assert_eq!(sequence(delivery), expected);
                expected += 1;
            }
            link.settle(&done(&deliveries)).await.unwrap();
        }
    });
}

/// Sends them at once, and says how many are confirmed before something else comes.
async fn confirmed(
    link: &mut slipring_bridge::RabbitOutgoing,
    all: &[slipring_bridge::Parcel],
) -> (usize, LinkError) {
    link.submit(all).await.unwrap();
    let mut confirmed = 0;
    loop {
        match link.confirmed().await {
            Ok(more) => confirmed += more,
            Err(error) => return (confirmed, error),
        }
        assert!(confirmed < all.len(), "there is one that nobody gets");
    }
}

#[test]
fn what_nobody_gets_is_an_error_or_not_as_told() {
    run(async {
        let exchange = name("events");
        let outlet = RabbitOutlet::to_exchange(rabbit(), &exchange).unwrap();
        let queue = queue(&name("bound")).bind(&exchange, "order.*").unwrap();
        let mut to = hear(&queue, 100).await;
        let mut sent = parcels(0..8);
        sent[5].topic = "user.created".to_owned();
        sent[7].topic = "user.created".to_owned();

        let mut link = outlet.connect().await.unwrap();
        let (good, error) = confirmed(&mut link, &sent).await;
        assert_eq!(good, 5);
        let LinkError::Refused { problem, .. } = error else { panic!("{error}") };
        assert!(problem.contains("user.created") && problem.contains(&exchange), "{problem}");
        assert_eq!(sequences(&receive(&mut to, 6).await), [0, 1, 2, 3, 4, 6]);

        let mut link = outlet.clone().unrouted(Unrouted::SetAside).connect().await.unwrap();
        let (good, error) = confirmed(&mut link, &sent).await;
        assert_eq!(good, 5);
        assert!(matches!(error, LinkError::Unsendable { sequence: 5, .. }), "{error}");
        assert_eq!(sequences(&receive(&mut to, 6).await), [0, 1, 2, 3, 4, 6]);

        let mut link = outlet.unrouted(Unrouted::Drop).connect().await.unwrap();
        send(&mut link, &sent).await;
        assert_eq!(sequences(&receive(&mut to, 6).await), [0, 1, 2, 3, 4, 6]);
    });
}

#[test]
fn whoever_is_not_bound_is_found_wherever_it_stands() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    run(async {
        let exchange = name("events");
        let outlet = RabbitOutlet::to_exchange(rabbit(), &exchange).unwrap();
        let queue = queue(&name("bound")).bind(&exchange, "order.*").unwrap();
        // What has to go to a disk is confirmed late, what goes nowhere at once.
        hear(&queue, 1).await.close().await;
        for _ in 0..40 {
            let mut sent = parcels(0..random.u64(1..120));
            for parcel in &mut sent {
                if random.u8(..) < 40 {
                    parcel.topic = "user.created".to_owned();
                }
                parcel.payload = vec![b'x'; random.usize(0..2_000)];
            }
            let first = sent.iter().position(|parcel| parcel.topic.starts_with("user"));
            let mut link = outlet.clone().unrouted(Unrouted::SetAside).connect().await.unwrap();
            let Some(first) = first else {
                send(&mut link, &sent).await;
                continue;
            };
            let (good, error) = confirmed(&mut link, &sent).await;
            assert_eq!(good, first);
            let expected = u64::try_from(first).unwrap();
            assert!(
                matches!(error, LinkError::Unsendable { sequence, .. } if sequence == expected),
                "{error}"
            );
        }
    });
}

#[test]
fn a_full_queue_refuses_and_what_it_has_is_confirmed() {
    run(async {
        let name = name("full");
        let queue = queue(&name)
            .argument("x-max-length", 3)
            .unwrap()
            .argument_text("x-overflow", "reject-publish")
            .unwrap();
        let mut link = out(&queue).await;
        send(&mut link, &parcels(0..3)).await;
        link.submit(&parcels(3..5)).await.unwrap();
        let error = link.confirmed().await.unwrap_err();
        let LinkError::Refused { problem, .. } = error else { panic!("{error}") };
        assert!(problem.contains("event 3"), "{problem}");
        assert_eq!(sequences(&receive(&mut hear(&queue, 10).await, 3).await), [0, 1, 2]);
    });
}

#[test]
fn what_is_too_large_for_the_server_is_named() {
    run(async {
        let name = name("size");
        let queue = queue(&name);
        let mut link = out(&queue).await;
        let mut sent = parcels(0..5);
        // Just as much as it takes.
        sent[1].payload = vec![1; 4 << 20];
        send(&mut link, &sent).await;
        sent[3].payload = vec![1; (4 << 20) + 1];
        link.submit(&sent).await.unwrap();
        let error = loop {
            match link.confirmed().await {
                Ok(more) => assert!(more <= 3),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, LinkError::Unsendable { sequence: 3, .. }), "{error}");
        // What is sent on it later fails in the same way.
        let error = link.submit(&parcels(9..10)).await.unwrap_err();
        assert!(matches!(error, LinkError::Unsendable { sequence: 3, .. }), "{error}");
        let outlet = RabbitOutlet::to_queue(queue);
        assert_eq!(Connect::largest(&outlet), 16 << 20);
        assert_eq!(Connect::largest(&outlet.largest(77)), 77);
    });
}

#[test]
fn an_exchange_that_vanishes_is_a_refusal_that_says_so() {
    run(async {
        let exchange = name("events");
        let outlet = RabbitOutlet::to_exchange(rabbit(), &exchange).unwrap();
        let mut link = outlet.connect().await.unwrap();
        let channel = bare().await;
        let options = ExchangeDeleteOptions::default();
        channel.exchange_delete(exchange.as_str().into(), options).await.unwrap();
        let error = match link.submit(&parcels(0..2)).await {
            Ok(()) => link.confirmed().await.unwrap_err(),
            Err(error) => error,
        };
        assert!(matches!(error, LinkError::Refused { .. }), "{error}");
        assert!(error.to_string().contains(&exchange), "{error}");
    });
}

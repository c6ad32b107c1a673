//! Replies, and receipts.

use std::{sync::mpsc, time::Duration};

use slipring::LagPolicy;
use slipring_events::{AnyEvent, Backoff, Bus, Draft, EventId, Fate, HandlerError, Reason, Retry};

use crate::common::{AMPLE, MILLI, by_clock, log, news, number, publish, settle};

#[test]
fn the_first_reply_wins_and_every_reply_is_an_event() {
    let (bus, _) = by_clock(16);
    let (replies, record) = log();
    let mut hands = Vec::new();
    for (name, factor) in [("slow", 10_u64), ("fast", 100)] {
        let handler = bus.handler(name).on::<u32>();
        hands.push(
            handler
                .by_hand(move |number, context| {
                    context.reply(AnyEvent::new(u64::from(*number) * factor))
                })
                .unwrap()
                .1,
        );
    }
    let (_audit, mut audit) = bus
        .handler("audit")
        .on::<u64>()
        .by_hand(move |number, context| record.lock().unwrap().push((*number, context.causation())))
        .unwrap();
    let mut request = bus.publisher().request(number(7)).unwrap();
    assert!(request.wait(MILLI).is_err());
    settle(&mut hands[1]);
    settle(&mut hands[0]);
    assert_eq!(request.wait(AMPLE).unwrap().get(), Some(&700_u64));
    settle(&mut audit);
    let asked = Some(request.published().id());
    assert_eq!(news(&replies), [(700, asked), (70, asked)]);
    let reply = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(request);
    assert_eq!(reply.get(), Some(&700_u64));
}

#[test]
fn nobody_replies_to_what_is_no_question_nor_by_a_failure() {
    let (bus, clock) = by_clock(16);
    let (handler, mut hand) = bus
        .handler("moody")
        .on::<u32>()
        .retry(Retry::none().then(Backoff::fixed(MILLI), 1))
        .by_hand(|number, context| {
            context.reply(AnyEvent::new(u64::from(*number)))?;
            if context.attempt() == 1 { Err("not now".into()) } else { Ok::<_, HandlerError>(()) }
        })
        .unwrap();
    publish(&bus, [1]);
    let mut request = bus.publisher().request(number(2)).unwrap();
    settle(&mut hand);
    assert_eq!(
        request.wait(Duration::ZERO).unwrap_err().to_string(),
        "no reply within 0ns: see the dead letters, or wait longer"
    );
    clock.advance(MILLI);
    settle(&mut hand);
    assert_eq!(request.wait(AMPLE).unwrap().get(), Some(&2_u64));
    // What nobody asked fails, whatever it retries.
    let letters = bus.dead_letters().list();
    assert_eq!((letters.len(), &letters[0].reason), (1, &Reason::Failed("nobody asked".into())));
    assert_eq!(handler.account().handled, 1);
}

// ---- receipts ----

#[test]
fn a_receipt_tells_of_every_fate_once_all_are_done() {
    let (bus, clock) = by_clock(16);
    let id = EventId::random();
    let register = |name: &str| bus.handler(name).on::<u32>();
    let mut hands = [
        register("handles").by_hand(|_, _| ()).unwrap().1,
        register("knows").idempotent(8).by_hand(|_, _| ()).unwrap().1,
        register("fails").by_hand(|_, _| Err::<(), _>("no")).unwrap().1,
        register("tries")
            .retry(Retry::none().then(Backoff::fixed(MILLI), 1))
            .by_hand(|_, context| if context.attempt() == 1 { Err("not yet") } else { Ok(()) })
            .unwrap()
            .1,
        bus.handler("texts").on::<String>().by_hand(|_, _| ()).unwrap().1,
    ];
    let (_elsewhere, _idle) = bus.handler("elsewhere").topic("no.such").by_hand(|_, _| ()).unwrap();
    let (_leaves, leaves) = register("leaves").by_hand(|_, _| ()).unwrap();
    let mut publisher = bus.publisher();
    publisher.send(Draft::new(number(1)).id(id)).unwrap();
    let mut receipt = publisher.send_tracked(Draft::new(number(1)).id(id)).unwrap();
    assert_eq!(receipt.published().handlers(), 6);
    for hand in &mut hands {
        settle(hand);
    }
    let open = receipt.wait(MILLI).unwrap_err();
    assert_eq!(open.handlers.iter().map(|name| &**name).collect::<Vec<_>>(), ["tries", "leaves"]);
    drop(leaves);
    clock.advance(MILLI);
    settle(&mut hands[3]);
    let told: Vec<_> = receipt
        .wait(AMPLE)
        .unwrap()
        .into_iter()
        .map(|each| (each.handler.to_string(), each.fate))
        .collect();
    let expected = vec![
        ("fails".to_owned(), Fate::Failed("no".into())),
        ("leaves".to_owned(), Fate::PassedOver),
    ];
    assert_eq!(told, expected);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(receipt).len(), 2);
}

#[test]
fn a_receipt_is_a_future_that_is_woken() {
    let bus = Bus::<AnyEvent>::start(8).unwrap();
    let (go, wait) = mpsc::channel::<()>();
    bus.handler("slow").on::<u32>().run(move |_, _| wait.recv().unwrap()).unwrap();
    let receipt = bus.publisher().publish_tracked(number(1)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let done = runtime.block_on(async {
        let receipt = tokio::spawn(receipt);
        tokio::task::yield_now().await;
        go.send(()).unwrap();
        tokio::time::timeout(AMPLE, receipt).await
    });
    assert!(done.unwrap().unwrap().is_empty());
}

#[test]
fn what_is_passed_over_for_lag_is_told() {
    let (bus, _) = by_clock(8);
    let (lags, mut hand) = bus
        .handler("lags")
        .on::<u32>()
        .lag_limit(1, LagPolicy::SkipAhead)
        .by_hand(|_, _| ())
        .unwrap();
    let mut receipts: Vec<_> =
        (0..4).map(|count| bus.publisher().publish_tracked(number(count)).unwrap()).collect();
    settle(&mut hand);
    let account = lags.account();
    assert_eq!((account.passed_over, account.handled), (3, 1), "{account:?}");
    for (count, receipt) in receipts.iter_mut().enumerate() {
        let passed_over = usize::from(count < 3);
        assert_eq!(
            receipt.wait(Duration::from_secs(1)).map(|unhandled| unhandled.len()),
            Ok(passed_over)
        );
    }
}

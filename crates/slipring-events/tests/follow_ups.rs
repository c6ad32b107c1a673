//! What follows from events: who publishes it, when, and that nobody waits for ever.

mod common;

#[path = "follow_ups/answers.rs"]
mod answers;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use common::{AMPLE, Bad, MILLI, by_clock, log, news, number, publish, settle};
use slipring_events::{
    AnyEvent, Bus, Context, Draft, EventId, FollowUpError, Reason, RefusedReason, Retry, Step,
    events,
};

#[derive(Clone, Debug)]
struct OrderCreated(u32);
#[derive(Clone, Debug)]
struct InventoryDeducted(u32);
#[derive(Clone, Debug)]
struct Shipped(u32);

events! {
    /// What happens in a shop.
    enum Shop {
        OrderCreated = "order.created",
        InventoryDeducted = "inventory.deducted",
        Shipped = "order.shipped",
    }
}

// ---- ids, order, and when ----

#[test]
fn what_follows_belongs_to_the_conversation_and_is_caused_by_its_event() {
    let (bus, _) = by_clock(16);
    let (ids, record) = log::<(u32, EventId, EventId, Option<EventId>)>();
    let (_chain, mut chain) = bus
        .handler("chain")
        .on::<u32>()
        .by_hand(|number, _| (*number < 3).then(|| AnyEvent::new(number + 1)))
        .unwrap();
    let (_audit, mut audit) = bus
        .handler("audit")
        .on::<u32>()
        .by_hand(move |number, context| {
            let now = (*number, context.id(), context.correlation(), context.causation());
            record.lock().unwrap().push(now);
        })
        .unwrap();
    publish(&bus, [1]);
    settle(&mut chain);
    settle(&mut audit);
    let seen = news(&ids);
    assert_eq!(seen.len(), 3);
    let first = seen[0].1;
    let expected: Vec<_> = (0..3_u32)
        .map(|at| {
            let of = |at: u32| EventId::of(first.source().unwrap(), u64::from(at));
            (at + 1, of(at), first, at.checked_sub(1).map(of))
        })
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_conversation_from_elsewhere_goes_on_and_what_a_handler_says_of_it_counts() {
    let (bus, _) = by_clock(16);
    let (ids, record) = log::<(Option<EventId>, EventId)>();
    let (here, there) = (EventId::random(), EventId::random());
    let (_chain, mut chain) = bus
        .handler("chain")
        .on::<u32>()
        .by_hand(move |_, context| -> Result<(), FollowUpError> {
            context.publish(AnyEvent::new("plain"))?;
            context.send(
                Draft::new(AnyEvent::new("told")).correlation(there).causation(here).topic("a.b"),
            )
        })
        .unwrap();
    let (_audit, mut audit) = bus
        .handler("audit")
        .on::<&str>()
        .by_hand(move |_, context| {
            record.lock().unwrap().push((context.causation(), context.correlation()));
        })
        .unwrap();
    let published =
        bus.publisher().send(Draft::new(number(1)).id(here).correlation(there)).unwrap();
    assert_eq!(published.sequence(), 0);
    settle(&mut chain);
    settle(&mut audit);
    assert_eq!(news(&ids), [(Some(here), there), (Some(here), there)]);
}

#[test]
fn what_follows_comes_in_order_and_only_from_success() {
    let (bus, _) = by_clock(64);
    let (texts, record) = log();
    let bad = Bad::these([1]);
    let is_bad = bad.clone();
    let (chained, mut chain) = bus
        .handler("chain")
        .on::<u32>()
        .retry(Retry::immediately(2))
        .by_hand(
            move |number,
                  context|
                  -> Result<Vec<AnyEvent>, Box<dyn std::error::Error + Send + Sync>> {
                context.publish(AnyEvent::new(format!("{number} a")))?;
                context.publish(AnyEvent::new(format!("{number} b")))?;
                assert!(*number != 2 || context.attempt() > 1, "half-way");
                is_bad.try_on(*number)?;
                Ok(vec![AnyEvent::new(format!("{number} c")), AnyEvent::new(format!("{number} d"))])
            },
        )
        .unwrap();
    let (_audit, mut audit) = bus
        .handler("audit")
        .on::<String>()
        .by_hand(move |text, _| record.lock().unwrap().push(text.clone()))
        .unwrap();
    publish(&bus, 0..4);
    settle(&mut chain);
    settle(&mut audit);
    let expected: Vec<String> = [0, 2, 3]
        .iter()
        .flat_map(|number| "abcd".chars().map(move |c| format!("{number} {c}")))
        .collect();
    assert_eq!(news(&texts), expected);
    let account = chained.account();
    assert_eq!(
        (account.handled, account.dead, account.follow_ups, account.failures),
        (3, 1, 12, 4)
    );
    assert!(account.adds_up(), "{account:?}");
}

#[test]
fn too_many_follow_ups_are_an_error_and_the_event_goes_the_way_of_failures() {
    let (bus, _) = by_clock(64);
    let (subscription, mut hand) = bus
        .handler("many")
        .on::<u32>()
        .follow_ups(3)
        .by_hand(|number, _| vec![AnyEvent::new("one of many"); *number as usize])
        .unwrap();
    publish(&bus, [3, 4, 2]);
    settle(&mut hand);
    let account = subscription.account();
    assert_eq!((account.handled, account.dead, account.follow_ups), (2, 1, 5), "{account:?}");
    let letters = bus.dead_letters().list();
    let Reason::Failed(error) = &letters[0].reason else { panic!("{letters:?}") };
    assert_eq!(**error, *FollowUpError::TooMany(3).to_string());
}

#[test]
fn a_topic_that_is_none_fails_the_event() {
    let (bus, _) = by_clock(8);
    let (_handler, mut hand) = bus
        .handler("wild")
        .on::<u32>()
        .by_hand(|_, context| context.send(Draft::new(AnyEvent::new("x")).topic("a.*")))
        .unwrap();
    publish(&bus, [1]);
    settle(&mut hand);
    assert!(matches!(bus.dead_letters().list()[0].reason, Reason::Failed(_)));
}

// ---- no deadlock ----

/// Orders are published by several threads; what follows from them goes by two handlers and is counted by a third.
fn chain_on(capacity: usize, run: impl Fn(&Bus<Shop>, &Arc<AtomicU64>, &Arc<AtomicU64>)) {
    const PUBLISHERS: u32 = 3;
    const ORDERS: u32 = 150;
    let bus = Bus::<Shop>::builder(capacity).start().unwrap();
    let (shipped, sum) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    run(&bus, &shipped, &sum);
    thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let mut orders = bus.publisher();
            scope.spawn(move || {
                for order in 0..ORDERS {
                    orders.publish(OrderCreated(publisher * ORDERS + order)).unwrap();
                }
            });
        }
    });
    let report = bus.shutdown(AMPLE).unwrap();
    assert!(report.handlers.iter().all(|handler| handler.account.adds_up()), "{report}");
    let all = u64::from(PUBLISHERS * ORDERS);
    assert_eq!(shipped.load(Ordering::Relaxed), all, "{report}");
    assert_eq!(sum.load(Ordering::Relaxed), all * (all - 1) / 2);
    let follow_ups: u64 = report.handlers.iter().map(|handler| handler.account.follow_ups).sum();
    assert_eq!(follow_ups, 2 * all, "{report}");
}

fn deduct(order: &OrderCreated, context: &mut Context<'_, Shop>) -> Result<(), FollowUpError> {
    context.publish(InventoryDeducted(order.0))
}

fn ship(
    deducted: &InventoryDeducted,
    context: &mut Context<'_, Shop>,
) -> Result<(), FollowUpError> {
    context.publish(Shipped(deducted.0))
}

fn count(shipped: &Arc<AtomicU64>, sum: &Arc<AtomicU64>) -> impl Fn(&Shipped) + Send + use<> {
    let (shipped, sum) = (Arc::clone(shipped), Arc::clone(sum));
    move |order| {
        shipped.fetch_add(1, Ordering::Relaxed);
        sum.fetch_add(u64::from(order.0), Ordering::Relaxed);
    }
}

#[test]
fn a_chain_of_threads_never_locks_up() {
    for capacity in [1, 2, 4] {
        chain_on(capacity, |bus, shipped, sum| {
            let count = count(shipped, sum);
            bus.handler("stock").on::<OrderCreated>().run(deduct).unwrap();
            bus.handler("shipping").on::<InventoryDeducted>().run(ship).unwrap();
            bus.handler("count").on::<Shipped>().run(move |order, _| count(order)).unwrap();
        });
    }
}

#[test]
fn a_chain_of_inline_handlers_never_locks_up() {
    for capacity in [1, 2, 4] {
        chain_on(capacity, |bus, shipped, sum| {
            let count = count(shipped, sum);
            bus.handler("stock").on::<OrderCreated>().inline(deduct).unwrap();
            bus.handler("shipping").on::<InventoryDeducted>().inline(ship).unwrap();
            bus.handler("count").on::<Shipped>().inline(move |order, _| count(order)).unwrap();
        });
    }
}

#[test]
fn a_chain_of_all_kinds_never_locks_up() {
    // On one thread: a task that blocks it would be seen.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    for capacity in [1, 2, 4] {
        chain_on(capacity, |bus, shipped, sum| {
            let count = count(shipped, sum);
            let (_handler, task) = bus
                .handler("stock")
                .on::<OrderCreated>()
                .task(async |order, context| {
                    tokio::task::yield_now().await;
                    deduct(order, context)
                })
                .unwrap();
            runtime.spawn(task);
            bus.handler("shipping").on::<InventoryDeducted>().inline(ship).unwrap();
            let (_handler, mut hand) =
                bus.handler("count").on::<Shipped>().by_hand(move |order, _| count(order)).unwrap();
            thread::spawn(move || {
                while hand.step() != Step::Over {
                    thread::yield_now();
                }
            });
            bus.handler("look").run(|_, _| ()).unwrap();
        });
    }
}

#[test]
fn a_chain_of_tasks_on_one_thread_never_locks_up() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    for capacity in [1, 2, 4] {
        chain_on(capacity, |bus, shipped, sum| {
            let count = count(shipped, sum);
            let stock = bus.handler("stock").on::<OrderCreated>();
            runtime.spawn(stock.task(async |order, context| deduct(order, context)).unwrap().1);
            let shipping = bus.handler("shipping").on::<InventoryDeducted>();
            runtime.spawn(shipping.task(async |order, context| ship(order, context)).unwrap().1);
            bus.handler("count").on::<Shipped>().run(move |order, _| count(order)).unwrap();
        });
    }
}

#[test]
fn two_handlers_whose_follow_ups_fill_the_ring_make_room_for_each_other() {
    let (bus, _) = by_clock(2);
    let mut hands: Vec<_> = ["a", "b"]
        .map(|name| {
            bus.handler(name)
                .on::<u32>()
                .by_hand(|number, _| Some(AnyEvent::new(number.to_string())))
        })
        .into_iter()
        .map(Result::unwrap)
        .collect();
    publish(&bus, [0, 1]);
    let mut rounds = 0;
    while hands.iter().any(|(handler, _)| handler.account().next < 6) {
        for (_, hand) in &mut hands {
            hand.step();
        }
        rounds += 1;
        assert!(rounds < 1_000, "{hands:?}");
    }
    for (handler, _) in &hands {
        let account = handler.account();
        assert_eq!((account.handled, account.follow_ups, account.dead), (2, 2, 0), "{account:?}");
    }
}

// ---- publishers, and handlers that act as such ----

#[test]
fn publishers_wait_while_follow_ups_wait_for_room() {
    let (bus, _) = by_clock(2);
    let (chained, mut chain) = bus
        .handler("chain")
        .on::<u32>()
        .by_hand(|number, _| {
            vec![AnyEvent::new(format!("{number} a")), AnyEvent::new(format!("{number} b"))]
        })
        .unwrap();
    let (_slow, mut slow) = bus.handler("slow").by_hand(|_, _| ()).unwrap();
    publish(&bus, [0, 1]);
    assert_eq!(chain.step(), Step::Moved);
    // Its follow-ups have no room before the slow one goes on, and it waits with them.
    assert_eq!(
        (chain.step(), chained.account().next, chained.account().follow_ups),
        (Step::Full, 1, 0)
    );
    let mut publisher = bus.publisher();
    assert_eq!(slow.step(), Step::Moved);
    // Now there is room, but not for those from outside.
    assert_eq!(publisher.try_publish(number(2)).unwrap_err().reason, RefusedReason::Full);
    assert_eq!(
        publisher.publish_within(MILLI, number(2)).unwrap_err().reason,
        RefusedReason::TimedOut
    );
    (0..100).for_each(|_| {
        chain.step();
        slow.step();
    });
    assert_eq!((chained.account().follow_ups, chained.account().handled), (4, 2));
    settle(&mut slow);
    settle(&mut chain);
    assert_eq!(publisher.try_publish(number(2)).unwrap().sequence(), 6);
    drop((chain, slow));
}

#[test]
fn a_handler_that_waits_for_room_on_its_own_ring_is_told_so() {
    let (tell, told) = mpsc::channel();
    let bus = Bus::<AnyEvent>::start(1).unwrap();
    let (mut publisher, say) = (bus.publisher(), tell.clone());
    bus.handler("thread")
        .on::<u8>()
        .run(move |_, _| say.send(publisher.publish(number(1)).unwrap_err().reason).unwrap())
        .unwrap();
    bus.publisher().publish(AnyEvent::new(1_u8)).unwrap();
    assert_eq!(told.recv_timeout(AMPLE), Ok(RefusedReason::WouldDeadlock));
    let (mut publisher, say) = (bus.publisher(), tell.clone());
    bus.handler("inline")
        .on::<u16>()
        .inline(move |_, _| say.send(publisher.publish(number(1)).unwrap_err().reason).unwrap())
        .unwrap();
    bus.publisher().publish(AnyEvent::new(1_u16)).unwrap();
    assert_eq!(told.recv_timeout(AMPLE), Ok(RefusedReason::WouldDeadlock));
    let (mut publisher, say) = (bus.publisher(), tell);
    let (_handler, task) = bus
        .handler("task")
        .on::<u32>()
        .task(async move |_, _| {
            tokio::task::yield_now().await;
            say.send(publisher.publish_async(number(1)).await.unwrap_err().reason).unwrap();
        })
        .unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    runtime.spawn(task);
    bus.publisher().publish(number(1)).unwrap();
    assert_eq!(told.recv_timeout(AMPLE), Ok(RefusedReason::WouldDeadlock));
    bus.shutdown(AMPLE).unwrap();
}

#[test]
fn a_task_that_awaits_the_way_for_others_follow_ups_is_told_so() {
    let bus = Bus::<AnyEvent>::start(2).unwrap();
    let (chained, mut chain) =
        bus.handler("chain").on::<u32>().by_hand(|_, _| vec![AnyEvent::new("follows")]).unwrap();
    let (tell, told) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let (mut publisher, wait) = (bus.publisher(), std::sync::Mutex::new(wait));
    let (_handler, task) = bus
        .handler("task")
        .on::<u32>()
        .task(async move |_, _| {
            wait.lock().unwrap().recv().unwrap();
            tell.send(
                publisher.publish_async(AnyEvent::new("more")).await.map_err(|e| e.reason).err(),
            )
            .unwrap();
        })
        .unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    runtime.spawn(task);
    publish(&bus, [0, 1]);
    // Its follow-up waits for the task to go on.
    assert_eq!((chain.step(), chain.step(), chained.account().next), (Step::Moved, Step::Full, 1));
    go.send(()).unwrap();
    assert_eq!(told.recv_timeout(Duration::from_secs(10)), Ok(Some(RefusedReason::WouldDeadlock)));
    go.send(()).unwrap();
    drop((chain, runtime));
}

#[test]
fn an_inline_handler_sees_what_follows_in_other_threads_without_another_publisher() {
    let (tell, told) = mpsc::channel();
    let bus = Bus::<AnyEvent>::start(8).unwrap();
    bus.handler("inline")
        .on::<String>()
        .inline(move |text, _| tell.send(text.clone()).unwrap())
        .unwrap();
    bus.handler("thread")
        .on::<u32>()
        .run(|number, _| Some(AnyEvent::new(number.to_string())))
        .unwrap();
    publish(&bus, [7]);
    assert_eq!(told.recv_timeout(Duration::from_secs(10)).as_deref(), Ok("7"));
    let (_hand, mut hand) = bus
        .handler("hand")
        .on::<u8>()
        .by_hand(|number, _| Some(AnyEvent::new(number.to_string())))
        .unwrap();
    bus.publisher().publish(AnyEvent::new(8_u8)).unwrap();
    settle(&mut hand);
    assert_eq!(told.recv_timeout(Duration::from_secs(10)).as_deref(), Ok("8"));
    drop(hand);
}

#[test]
fn who_does_not_want_to_wait_does_not_wait_for_the_follow_ups_of_inline_handlers() {
    let (bus, _) = by_clock(1);
    let inline = bus
        .handler("inline")
        .on::<u32>()
        .inline(|number, _| Some(AnyEvent::new(number.to_string())))
        .unwrap();
    let (_slow, mut slow) = bus.handler("slow").by_hand(|_, _| ()).unwrap();
    // In a thread of its own, so that it is seen if it waits.
    let (tell, told) = mpsc::channel();
    let mut publisher = bus.publisher();
    thread::spawn(move || tell.send(publisher.try_publish(number(7)).unwrap().sequence()).unwrap());
    assert_eq!(told.recv_timeout(Duration::from_secs(10)), Ok(0));
    assert_eq!((inline.account().handled, inline.account().follow_ups), (1, 0));
    settle(&mut slow);
    assert_eq!((inline.account().follow_ups, inline.account().filtered), (1, 1));
    drop(slow);
}

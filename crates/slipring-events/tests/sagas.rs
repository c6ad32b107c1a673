//! Stories that take several events, what is published later, and what handlers share.

#![allow(missing_docs, reason = "a shop that nobody else sees")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use slipring_events::{
    Bulkhead, Bus, ByHand, Context, HandlerError, ManualClock, Plain, Reason, Saga, Step,
    Subscription, events,
};

const AMPLE: Duration = Duration::from_mins(1);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created(u32);
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paid(u32);
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Late;
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shipped(u32);
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancelled(u32);

events! {
    /// What happens in a shop.
    #[derive(PartialEq, Eq)]
    pub enum Shop {
        Created = "order.created",
        Paid = "order.paid",
        Late = "order.late",
        Shipped = "order.shipped",
        Cancelled = "order.cancelled",
    }
}

type Log = Arc<Mutex<Vec<Shop>>>;

fn in_time(
    order: Option<u32>,
    event: &Shop,
    context: &mut Context<'_, Shop>,
) -> Result<Option<u32>, HandlerError> {
    Ok(match (event, order) {
        (Shop::Created(Created(order)), None) => {
            context.publish_after(Duration::from_mins(15), Late)?;
            Some(*order)
        }
        (Shop::Paid(Paid(amount)), Some(order)) => {
            context.publish(Shipped(order))?;
            if *amount == 0 {
                return Err("nothing was paid".into());
            }
            None
        }
        (Shop::Late(_), Some(order)) => {
            context.publish(Cancelled(order))?;
            None
        }
        (_, order) => order,
    })
}

struct Shopping {
    bus: Bus<Shop>,
    clock: ManualClock,
    saga: ByHand<Shop>,
    log: ByHand<Shop>,
    seen: Log,
    handler: Subscription<Shop>,
}

impl Shopping {
    fn new(most: usize) -> Self {
        let clock = ManualClock::default();
        let bus = Bus::<Shop>::builder(64).clock(clock.clone()).start().unwrap();
        let saga = Saga::new(in_time).at_most(most);
        let (handler, saga) = bus.handler("orders").by_hand_handler(saga).unwrap();
        let seen = Log::default();
        let record = Arc::clone(&seen);
        let (_, log) = bus
            .handler("log")
            .by_hand(move |event, _| record.lock().unwrap().push(event.clone()))
            .unwrap();
        Self { bus, clock, saga, log, seen, handler }
    }

    /// Publishes an event of this story, and runs everybody.
    fn tell(&mut self, story: u128, event: impl Into<Shop>) {
        let draft =
            slipring_events::Draft::new(event).correlation(uuid::Uuid::from_u128(story).into());
        self.bus.publisher().send(draft).unwrap();
        self.run();
    }

    fn run(&mut self) {
        while self.saga.step() == Step::Moved || self.log.step() == Step::Moved {}
    }

    /// What was seen since the last time, but for what was told.
    fn follow_ups(&mut self) -> Vec<Shop> {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        seen.into_iter()
            .filter(|event| matches!(event, Shop::Shipped(_) | Shop::Cancelled(_)))
            .collect()
    }
}

#[test]
fn a_story_ends_by_an_event_or_by_its_deadline() {
    let mut shop = Shopping::new(100);
    shop.tell(1, Created(1));
    shop.tell(2, Created(2));
    shop.tell(2, Paid(50));
    assert_eq!(shop.follow_ups(), [Shipped(2).into()]);
    shop.clock.advance(Duration::from_secs(899));
    shop.run();
    assert_eq!(shop.follow_ups(), []);
    assert_eq!(shop.saga.step(), Step::Idle(Some(Duration::from_secs(1))));
    shop.clock.advance(Duration::from_secs(1));
    shop.run();
    // The second one has ended: its deadline is nothing to it.
    assert_eq!(shop.follow_ups(), [Cancelled(1).into()]);
    shop.tell(1, Paid(50));
    assert_eq!(shop.follow_ups(), []);
}

#[test]
fn a_step_that_fails_has_not_happened() {
    let mut shop = Shopping::new(100);
    shop.tell(1, Created(1));
    shop.tell(1, Paid(0));
    assert_eq!(shop.follow_ups(), []);
    assert_eq!(shop.handler.account().dead, 1);
    shop.tell(1, Paid(50));
    assert_eq!(shop.follow_ups(), [Shipped(1).into()]);
}

#[test]
fn there_are_only_so_many_stories() {
    let mut shop = Shopping::new(1);
    shop.tell(1, Created(1));
    shop.tell(2, Created(2));
    let letters = shop.bus.dead_letters().list();
    let [letter] = &letters[..] else { panic!("{letters:?}") };
    assert!(letter.reason.to_string().starts_with("1 stories are open"), "{}", letter.reason);
    shop.tell(1, Paid(50));
    assert_eq!(shop.bus.dead_letters().requeue(letter.id), Ok(1));
    shop.run();
    shop.tell(2, Paid(50));
    assert_eq!(shop.follow_ups(), [Shipped(1).into(), Shipped(2).into()]);
}

#[test]
fn a_shutdown_does_not_wait_for_what_is_to_come_later_and_does_not_lose_it() {
    let bus = Bus::<Shop>::start(8).unwrap();
    bus.handler("later")
        .on::<Created>()
        .run(|_, context| context.publish_after(Duration::from_hours(1), Late))
        .unwrap();
    bus.publisher().publish_tracked(Created(1)).unwrap().wait(AMPLE).unwrap();
    let letters = bus.dead_letters().clone();
    let report = bus.shutdown(AMPLE).unwrap();
    assert_eq!(report.handlers[0].account.unsent, 1);
    let letter = letters.get(letters.list()[0].id).unwrap();
    assert_eq!((letter.info.reason, letter.envelope.payload), (Reason::Unsent, Late.into()));
}

#[test]
fn what_is_to_come_later_counts_as_a_follow_up() {
    let bus = Bus::<Shop>::start(8).unwrap();
    let (handler, mut hand) = bus
        .handler("later")
        .on::<Created>()
        .follow_ups(1)
        .by_hand(|_, context| context.publish_after(Duration::from_hours(1), Late))
        .unwrap();
    let mut publisher = bus.publisher();
    publisher.publish(Created(1)).unwrap();
    publisher.publish(Created(2)).unwrap();
    while hand.step() == Step::Moved {}
    assert_eq!((handler.account().handled, handler.account().dead), (1, 1));
}

#[test]
fn a_bulkhead_lets_so_many_through_and_all_of_them_in_the_end() {
    const HANDLERS: usize = 5;
    const EVENTS: u32 = 200;
    let bulkhead = Bulkhead::new(2);
    let bus = Bus::<Shop>::start(16).unwrap();
    let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    for number in 0..HANDLERS {
        let (inside, most) = (Arc::clone(&inside), Arc::clone(&most));
        // One of them asks for nothing that comes: it must not keep a place.
        let topic = if number == 0 { "order.paid" } else { "order.created" };
        let handle = move |_: &Shop, _: &mut Context<'_, Shop>| {
            let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            std::thread::yield_now();
            inside.fetch_sub(1, Ordering::SeqCst);
        };
        bus.handler(format!("handler {number}"))
            .topic(topic)
            .bulkhead(&bulkhead)
            .run_handler(Plain(handle))
            .unwrap();
    }
    let mut publisher = bus.publisher();
    for order in 0..EVENTS {
        publisher.publish(Created(order)).unwrap();
    }
    let report = bus.shutdown(AMPLE).unwrap();
    let handled: Vec<u64> = report.handlers.iter().map(|handler| handler.account.handled).collect();
    assert_eq!(handled, [0, 200, 200, 200, 200]);
    assert!(most.load(Ordering::SeqCst) <= 2);
}

#[test]
fn an_inline_handler_publishes_nothing_later() {
    let bus = Bus::<Shop>::start(8).unwrap();
    let handler = bus
        .handler("later")
        .on::<Created>()
        .inline(|_, context| context.publish_after(AMPLE, Late))
        .unwrap();
    bus.publisher().publish(Created(1)).unwrap();
    assert_eq!(handler.account().dead, 1);
    let told = bus.dead_letters().list()[0].reason.to_string();
    assert!(told.contains("give it a thread or a task"), "{told}");
}

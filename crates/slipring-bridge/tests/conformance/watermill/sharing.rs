//! Several inboxes of one group.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Barrier,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use slipring_bridge::{Intake, IntakeError, IntoStore, Listen, Parcel, Verdict};
use slipring_store::Memory;

use super::store;
use crate::{
    harness::{
        LONG, arrive, arrive_by, count, count_all, into, into_shared, listens, once_in_one,
        publish, publish_at_once, receive, same, send, sent, share, stop,
    },
    worlds::World,
};

const PUBLISHERS: u64 = 50;
const EVENTS: u64 = 5_000;
const INBOXES: usize = 20;
/// Small, so that none of them can have everything.
const SMALL: usize = 60;

pub fn p02_those_who_share_have_each_event_once_between_them<W: World>(world: &mut W) {
    let sender = store();
    let receivers: Vec<_> = (0..INBOXES).map(|_| store()).collect();
    let start = |(member, receiver): (usize, &Arc<Memory>)| {
        share(world.member("p02", "all", member), SMALL, into_shared(receiver))
    };
    let inboxes: Vec<_> = receivers.iter().enumerate().map(start).collect();
    listens(&inboxes);
    let outbox = send("out", &sender, world.out("p02", true));
    publish_at_once(&sender, "p02", PUBLISHERS, EVENTS / PUBLISHERS);
    sent(&outbox, &sender);
    arrive_by(&inboxes.iter().collect::<Vec<_>>(), EVENTS, || count_all(&receivers));
    // Nothing goes wrong, so that nothing comes twice, be it to two of them.
    let received: u64 = inboxes.into_iter().map(|inbox| stop(inbox).received).sum();
    assert_eq!(received, EVENTS);
    once_in_one(&sender, &receivers);
    let with_some = receivers.iter().filter(|receiver| count(receiver) > 0).count();
    println!("p02: {with_some} of {INBOXES} inboxes have something");
    assert!(with_some > 1, "they do not share");
}

/// It dies when it has stored the first that it was given, before it can say so.
struct Dying {
    inner: IntoStore,
    stored: Arc<AtomicU64>,
}

impl Intake for Dying {
    fn take(
        &mut self,
        parcels: &mut VecDeque<Parcel>,
        _: &mut Vec<Verdict>,
    ) -> Result<(), IntakeError> {
        let before = parcels.len();
        self.inner.take(parcels, &mut Vec::new())?;
        self.stored.fetch_add((before - parcels.len()) as u64, Ordering::SeqCst);
        Err(IntakeError::over("it has died"))
    }
}

pub fn p02_a_store_that_is_shared_has_each_event_once_though_some_die<W: World>(world: &mut W) {
    const DYING: usize = 5;
    let (sender, receiver, stored) = (store(), store(), Arc::<AtomicU64>::default());
    let input = |member| world.hasty_member("p02dying", "all", member);
    let start_dying = |member| {
        let intake = Dying { inner: into_shared(&receiver), stored: stored.clone() };
        share(input(member), SMALL, intake)
    };
    let dying: Vec<_> = (0..DYING).map(start_dying).collect();
    listens(&dying);
    let outbox = send("out", &sender, world.out("p02dying", true));
    publish_at_once(&sender, "p02dying", PUBLISHERS, EVENTS / PUBLISHERS);
    let mut deliveries = 0;
    for inbox in dying {
        // What one of them leaves behind is for the others, until the last has had something.
        let (status, _) = inbox.wait_until(LONG, |_| false);
        let report = inbox.stop(LONG);
        assert!(report.has_ended && report.halted.is_some(), "{status:?}");
        assert!(report.status.received > 0 && report.status.safe == 0, "{status:?}");
        deliveries += report.status.received;
    }
    let stored = stored.load(Ordering::SeqCst);
    assert!(stored >= DYING as u64);

    let start = |member| share(input(member), SMALL, into_shared(&receiver));
    let inboxes: Vec<_> = (DYING..INBOXES).map(start).collect();
    sent(&outbox, &sender);
    let safe = || inboxes.iter().map(|inbox| inbox.status().safe).sum();
    // Each of them once more, since nobody has said of any that it is safe.
    arrive_by(&inboxes.iter().collect::<Vec<_>>(), EVENTS, safe);
    deliveries += inboxes.into_iter().map(|inbox| stop(inbox).received).sum::<u64>();
    println!("p02: {deliveries} deliveries of {EVENTS} events, {stored} stored by the dead");
    assert!(deliveries >= EVENTS + stored, "{deliveries}, {stored}");
    once_in_one(&sender, &[receiver]);
}

/// They listen and end, all at once, each in another way.
fn come_and_go<L: Listen>(store: &Arc<Memory>, input: impl Fn(usize) -> L + Sync) {
    const INBOXES: usize = 10;
    let start = Barrier::new(INBOXES);
    thread::scope(|scope| {
        for member in 0..INBOXES {
            let (start, input) = (&start, &input);
            scope.spawn(move || {
                start.wait();
                let inbox = share(input(member), SMALL, into_shared(store));
                if member % 3 > 0 {
                    listens([&inbox]);
                }
                if member % 2 > 0 {
                    return drop(inbox);
                }
                let report = inbox.stop(Duration::ZERO);
                assert!(report.has_ended && report.halted.is_none(), "{report:?}");
            });
        }
    });
}

pub fn p07_after_many_have_come_and_gone_at_once_one_gets_all<W: World>(world: &mut W) {
    const EVENTS: u64 = 50;
    // Nothing is sent meanwhile. Then it is as if they had never been there.
    let (sender, receiver) = (store(), store());
    come_and_go(&receiver, |_| world.input("p07", "all"));
    let outbox = send("out", &sender, world.out("p07", true));
    publish(&sender, "p07", 0..EVENTS);
    sent(&outbox, &sender);
    let inbox = receive(world.input("p07", "all"), into(&receiver));
    arrive(&receiver, EVENTS, &inbox);
    let status = stop(inbox);
    assert_eq!((status.received, status.duplicates), (EVENTS, 0));
    same(&sender, &receiver, 1, |_| true);

    // They come and go while there is something for them: what they had and did not store comes again.
    let (sender, receiver) = (store(), store());
    let input = |member| world.hasty_member("p07busy", "all", member);
    listens([&share(input(10), 1, into_shared(&receiver))]);
    let outbox = send("out", &sender, world.out("p07busy", true));
    publish(&sender, "p07busy", 0..EVENTS * 10);
    sent(&outbox, &sender);
    come_and_go(&receiver, input);
    publish(&sender, "p07busy", EVENTS * 10..EVENTS * 11);
    sent(&outbox, &sender);
    let inbox = share(input(10), SMALL, into_shared(&receiver));
    arrive(&receiver, EVENTS * 11, &inbox);
    stop(inbox);
    once_in_one(&sender, &[receiver]);
}

//! The circuit: the producers and the stations around the ring, each with its cursor and its bell,
//! and who follows whom. It knows everything but the events.
//!
//! A station's barrier is [`Circuit::ahead`], the producers' is [`Circuit::gate`]. Both are the
//! same thing: the smallest cursor among those that are followed. A station that has left is
//! looked through: whoever followed it follows what it followed.

use crossbeam_utils::CachePadded;

use crate::{
    bell::Bell,
    current::{self, Who},
    cursor::{Cursor, DETACHED},
    error::{Fault, PublishError},
    figures::{Figures, Stall, Stalls, StationLog},
    guests::{Guests, Start},
    lifecycle::Lifecycle,
    post::{Place, Post},
    seen::Seen,
    sequence::Capacity,
    sequencer::Sequencer,
    skips::Skips,
    sync::{
        Arc,
        atomic::AtomicUsize,
        fence::Fences,
        thread,
        time::{self, Instant},
    },
    team::{Hand, Team},
    told::Teller,
    topology::{MOST_STATIONS, Node},
    trace,
    wait::{Wait, Waiter},
};

/// How long a producer is willing to wait for room.
#[derive(Clone, Copy, Debug)]
pub enum Patience {
    None,
    Until(Instant),
    Forever,
}

/// What faults and errors call the reset hook.
pub(crate) const RESET_HOOK_NAME: &str = "reset hook";

#[derive(Debug)]
pub struct Circuit {
    pub(crate) capacity: Capacity,
    pub(crate) sequencer: Sequencer,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) skips: Skips,
    /// The stations that the ring was built with.
    pub(crate) posts: Box<[Post]>,
    /// What they are called.
    pub(crate) names: Box<[Arc<str>]>,
    /// What their owners tell of them.
    pub(crate) tellers: Box<[Option<Teller>]>,
    /// Those that came later.
    pub(crate) guests: Guests,
    /// The sequence that the ring started with.
    pub(crate) first: u64,
    /// The stations that nobody follows but the producers.
    pub(crate) last: Box<[usize]>,
    /// The reset hook's cursor, when there is one: it follows the last stations, and the producers
    /// follow it. It has no bell, because nobody sleeps for it: a producer that finds the last
    /// stations past runs the hook itself.
    cleared: Option<Cursor>,
    producer_wait: Wait,
    /// How stations wait that do not say how.
    pub(crate) station_wait: Wait,
    /// Producer handles alive; the last one to go closes the ring.
    pub(super) producers: AtomicUsize,
    /// Stations, pollers and producers: all that may want a core at once.
    pub(super) threads: AtomicUsize,
    /// Counts down since a spinning thread was last seen to share its core.
    pub(super) shared_core: CachePadded<AtomicUsize>,
    pub(super) cores: usize,
    pub(crate) stalls: CachePadded<Stalls>,
    /// When it was built.
    pub(crate) start: Instant,
}

/// What a circuit is made of.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) capacity: Capacity,
    pub(crate) many_producers: bool,
    pub(crate) first: u64,
    pub(crate) station_wait: Wait,
    pub(crate) producer_wait: Wait,
    pub(crate) resets: bool,
    pub(crate) nodes: Vec<Node>,
    pub(crate) tellers: Box<[Option<Teller>]>,
}

impl Circuit {
    pub(crate) fn new(plan: Plan) -> Self {
        let Plan { capacity, many_producers, first, station_wait, producer_wait, .. } = plan;
        let Plan { resets, nodes, tellers, .. } = plan;
        let fences = Fences::detect();
        let followed = |index| nodes.iter().any(|node| node.follows.contains(&index));
        let last = (0..nodes.len()).filter(|index| !followed(*index)).collect();
        let names = nodes.iter().map(|node| Arc::clone(&node.name)).collect();
        let guests =
            Guests::new(MOST_STATIONS.saturating_sub(nodes.len()), 1 + nodes.len(), fences);
        let post = |(index, node): (usize, Node)| Post {
            mutates: node.mutates,
            follows: node.follows.into(),
            cursor: Cursor::new(first),
            bell: Bell::new(fences, 1 + index),
            figures: CachePadded::new(Figures::starting_at(first)),
            team: node.workers.map(|workers| Box::new(Team::new(workers, capacity, first))),
        };
        Self {
            capacity,
            sequencer: Sequencer::new(many_producers, capacity, first),
            lifecycle: Lifecycle::new(fences),
            skips: Skips::default(),
            first,
            last,
            cleared: resets.then(|| Cursor::new(first)),
            station_wait,
            producer_wait,
            producers: AtomicUsize::new(0),
            threads: AtomicUsize::new(0),
            shared_core: CachePadded::default(),
            cores: thread::parallelism(),
            stalls: CachePadded::default(),
            start: time::now(),
            posts: nodes.into_iter().enumerate().map(post).collect(),
            names,
            tellers,
            guests,
        }
    }

    /// The place of a station: one that the ring was built with, or a guest's.
    #[inline]
    pub(crate) fn post(&self, index: usize) -> &Post {
        match self.posts.get(index) {
            Some(post) => post,
            None => self.guests.post(index - self.posts.len()),
        }
    }

    // ---- barriers ----

    /// The first sequence that station `index`, which stands at `from`, may not touch yet, looked
    /// for no further than `limit` where looking costs something.
    #[inline]
    pub(crate) fn ahead(&self, index: usize, from: u64, limit: u64) -> u64 {
        self.smallest(&self.post(index).follows, || self.sequencer.available(from, limit))
    }

    /// The first sequence that the last stations have not passed, those included that have come
    /// since (see `guests.rs`).
    #[inline]
    pub(crate) fn last_passed(&self) -> u64 {
        let passed = self.declared_passed();
        if self.guests.have_never_come() { passed } else { self.passed_with_guests() }
    }

    #[cold]
    fn passed_with_guests(&self) -> u64 {
        loop {
            let arrivals = self.guests.arrivals();
            let passed = self.passed_but(None);
            if self.guests.are_still(arrivals) {
                return passed;
            }
        }
    }

    /// As far as this look goes, and without the guest at the seat `but`.
    fn passed_but(&self, but: Option<usize>) -> u64 {
        self.declared_passed().min(self.guests.passed_by_all(but))
    }

    /// How far the last of those stations have come that the ring was built with.
    #[inline]
    fn declared_passed(&self) -> u64 {
        self.smallest(&self.last, || self.ungated())
    }

    /// What is published, for those who find that every station has left, or who come. Without the event that was
    /// refused because the ring was closed while it was written: nobody is given that one.
    #[cold]
    fn ungated(&self) -> u64 {
        self.as_far_as_it_counts(self.sequencer.ungated())
    }

    /// What is published, without what is refused because it came too late.
    pub(crate) fn as_far_as_it_counts(&self, published: u64) -> u64 {
        if self.lifecycle.flags().are_closing() {
            published.min(self.lifecycle.settled_end())
        } else {
            published
        }
    }

    /// The end of what was claimed so far, or of the stream: a figure, not a permission.
    pub(crate) fn claimed(&self) -> u64 {
        self.end().unwrap_or_else(|| self.sequencer.claimed())
    }

    /// The end of what producers have begun to publish, as far as it will ever exist.
    fn begun(&self) -> u64 {
        if self.sequencer.multi.is_some() { self.sequencer.claimed() } else { self.ungated() }
    }

    /// What producers follow by one lap.
    #[inline]
    pub(crate) fn gate(&self) -> u64 {
        match &self.cleared {
            Some(cleared) => cleared.passed(),
            None => self.last_passed(),
        }
    }

    /// The smallest cursor of the stations `followed`; `origin` is what the producers published.
    #[inline]
    fn smallest(&self, followed: &[usize], origin: impl Fn() -> u64 + Copy) -> u64 {
        let Some((first, others)) = followed.split_first() else {
            return origin();
        };
        let mut smallest = self.passed_by(*first, origin);
        for index in others {
            smallest = smallest.min(self.passed_by(*index, origin));
        }
        smallest
    }

    #[inline]
    fn passed_by(&self, index: usize, origin: impl Fn() -> u64) -> u64 {
        match self.posts[index].cursor.passed() {
            DETACHED => self.through(index, &origin, &mut Seen::default()),
            cursor => cursor,
        }
    }

    /// What a station that has left followed.
    #[cold]
    fn through(&self, index: usize, origin: &dyn Fn() -> u64, seen: &mut Seen) -> u64 {
        let follows = &self.posts[index].follows;
        if follows.is_empty() {
            return origin();
        }
        let passed = |index: &usize| match self.posts[*index].cursor.passed() {
            // Its share is in the result already.
            DETACHED if !seen.is_first_time(*index) => DETACHED,
            DETACHED => self.through(*index, origin, seen),
            cursor => cursor,
        };
        follows.iter().map(passed).min().unwrap_or(DETACHED)
    }

    /// Whether sequence `from` is published, though perhaps not yet passed by others.
    pub(crate) fn is_published(&self, from: u64) -> bool {
        self.sequencer.available(from, from + 1) > from
    }

    /// Whether station `index`, which stands at `from`, waits for other stations rather than for
    /// producers.
    pub(crate) fn is_gated(&self, index: usize, from: u64) -> bool {
        !self.post(index).follows.is_empty() && self.is_published(from)
    }

    /// The end of the stream, once it is known.
    #[inline]
    pub(crate) fn end(&self) -> Option<u64> {
        self.lifecycle.end()
    }

    // ---- waiting ----

    /// The bell of somebody among `followed` who has not passed `from`; `None` if all have.
    /// `is_published` says so of the producers.
    fn holder(
        &self,
        followed: &[usize],
        from: u64,
        is_published: &dyn Fn() -> bool,
        seen: &mut Seen,
    ) -> Option<&Bell> {
        if followed.is_empty() {
            return (!is_published()).then_some(&self.lifecycle.published);
        }
        followed.iter().find_map(|index| {
            let post = &self.posts[*index];
            // Only a glance: it tells whose bell to sleep at, and whether to sleep at all, which the
            // fences of the bell order; what may be touched is found by another look.
            match post.cursor.glance() {
                DETACHED if !seen.is_first_time(*index) => None,
                DETACHED => self.holder(&post.follows, from, is_published, seen),
                cursor => (cursor <= from).then_some(&post.bell),
            }
        })
    }

    /// Lets the thread of a station, which stands at `from`, wait a little for `from` to become available
    /// or the stream to end. Returns `true` when the deadline has passed.
    pub(crate) fn pause_station(
        &self,
        waiter: &mut Waiter,
        who: Who,
        from: u64,
        deadline: Option<Instant>,
    ) -> bool {
        let place = self.place(who);
        let log = StationLog { waits: &place.figures().waits, start: self.start };
        waiter.pause(self, &log, deadline, || self.station_holder(who.station(), from))
    }

    /// The bell of somebody who keeps station `index`, which stands at `from`, from going on; `None` if
    /// there is no need to wait.
    pub(crate) fn station_holder(&self, index: usize, from: u64) -> Option<&Bell> {
        if self.lifecycle.is_halted() || self.end() == Some(from) {
            return None;
        }
        let post = self.post(index);
        if post.team.as_ref().is_some_and(|team| team.has_dealt(from)) {
            return None;
        }
        if self.is_dismissed(index, from) {
            return None;
        }
        let is_published = || self.is_published(from);
        self.holder(&post.follows, from, &is_published, &mut Seen::default())
    }

    /// Waits until the gate has reached `need`, with patience, and returns the gate. `help` may
    /// move the gate.
    ///
    /// # Errors
    /// `Full` or `TimedOut` when patience ends, `Closed` or `Halted` when the ring does,
    /// `WouldDeadlock` when it would be this thread's own station that is waited for.
    #[cold]
    pub(crate) fn await_gate(
        &self,
        need: u64,
        patience: Patience,
        help: impl Fn(),
    ) -> Result<u64, PublishError> {
        let mut waiter = Waiter::new(self.producer_wait);
        let stall = Stall::new(&self.stalls);
        let deadline = match patience {
            Patience::Until(deadline) => Some(deadline),
            Patience::None | Patience::Forever => None,
        };
        let mut late = false;
        loop {
            if self.cleared.is_some() {
                help();
            }
            if self.lifecycle.is_refusing() {
                return Err(self.lifecycle.refusal());
            }
            let gate = self.gate();
            if gate >= need {
                return Ok(gate);
            }
            if matches!(patience, Patience::None) {
                return Err(PublishError::Full);
            }
            if late {
                return Err(PublishError::TimedOut);
            }
            if let Some(station) = self.own_station_in_the_way(need) {
                return Err(PublishError::WouldDeadlock { station });
            }
            late = waiter.pause(self, &stall, deadline, || self.gate_holder(need));
        }
    }

    /// The bell of somebody who keeps the gate below `need`; `None` if there is no need to wait.
    pub(crate) fn gate_holder(&self, need: u64) -> Option<&Bell> {
        if self.lifecycle.is_refusing() {
            return None;
        }
        let is_published = || self.ungated() >= need;
        self.holder(&self.last, need - 1, &is_published, &mut Seen::default())
            .or_else(|| self.guests.holder(need - 1))
    }

    /// The station that this thread is running, if the gate cannot reach `need` before it returns.
    pub(crate) fn own_station_in_the_way(&self, need: u64) -> Option<Arc<str>> {
        let is_in_the_way = |who: Who| {
            if who == Who::RESET_HOOK {
                return self.cleared() < need;
            }
            let Place { post, hand } = self.place(who);
            hand.map_or_else(|| post.cursor.glance(), Hand::from) < need
        };
        let who = current::find(self, is_in_the_way)?;
        Some(if who == Who::RESET_HOOK {
            Arc::from(RESET_HOOK_NAME)
        } else {
            self.name(who.station())
        })
    }

    /// Whether the calling thread runs a station of those that `are_meant`, which has not passed everything before
    /// `sequence` and will not before the call returns.
    pub(crate) fn is_in_its_own_way(&self, are_meant: &[bool], sequence: u64) -> bool {
        let is_in_the_way = |who: Who| {
            let is_meant = who != Who::RESET_HOOK && are_meant.get(who.station()) == Some(&true);
            is_meant && {
                let Place { post, hand } = self.place(who);
                hand.map_or_else(|| post.cursor.glance(), Hand::from) < sequence
            }
        };
        current::find(self, is_in_the_way).is_some()
    }

    /// Where a thread works, which runs a station or is one of its workers.
    #[inline]
    pub(crate) fn place(&self, who: Who) -> Place<'_> {
        Place::of(self.post(who.station()), who.worker)
    }

    /// A bell by its number: the producers' is 0, and then come the stations'.
    pub(crate) fn bell(&self, number: usize) -> &Bell {
        match number.checked_sub(1) {
            None => &self.lifecycle.published,
            Some(index) => &self.post(index).bell,
        }
    }

    /// What a station is called.
    pub(crate) fn name(&self, index: usize) -> Arc<str> {
        match self.names.get(index) {
            Some(name) => Arc::clone(name),
            None => self.guests.name(index - self.names.len()),
        }
    }

    pub(crate) fn wake_all(&self) {
        self.lifecycle.published.ring();
        for post in self.posts.iter().chain(self.guests.posts()) {
            post.bell.ring();
        }
    }

    // ---- life ----

    /// Refuses claims from now on; stations drain what was published and end.
    pub(crate) fn close(&self) {
        self.lifecycle.settle(|| self.sequencer.close());
        self.wake_all();
    }

    /// As `close`, if nothing is claimed from `end` on, or nothing happens; of many producers only.
    pub(crate) fn close_at(&self, end: u64) -> bool {
        let is_closed = self.sequencer.close_at(end);
        if is_closed {
            self.close();
        }
        is_closed
    }

    /// Stops everybody where they are.
    pub(crate) fn halt(&self, fault: Option<Fault>) {
        let told = fault.clone();
        self.lifecycle.halt(fault);
        self.close();
        told.iter().for_each(trace::faulted);
    }

    /// A guest takes its place; returns the first sequence that is its own. From there on it holds
    /// the producers back.
    pub(crate) fn arrive(&self, index: usize, start: Start) -> u64 {
        let post = self.post(index);
        let seat = index - self.posts.len();
        // One at a time: who comes looks at the cursors of those that are here, and one that is about
        // to come stands behind where it will begin.
        let _arriving = self.guests.one_at_a_time(seat);
        // Before it is seen here, so that nobody finds those beside its cursor that were counted for another one.
        post.figures.settled.forget();
        post.cursor.hand_on(self.last_passed());
        self.guests.announce();
        let oldest = self.passed_but(Some(seat));
        let first = match start {
            Start::Oldest => oldest,
            Start::Now => self.begun().max(oldest),
        };
        post.figures.start_at(first);
        self.skips.begin(seat, first);
        post.advance(first);
        first
    }

    /// Gives back the seat of a guest that has left for good, once; of no effect on a station that the ring
    /// was built with.
    pub(crate) fn vacate(&self, index: usize, name: &Arc<str>) {
        if let Some(seat) = index.checked_sub(self.posts.len()) {
            self.guests.vacate(seat, name);
        }
    }

    /// Whether a guest that stands at `cursor` has been told to leave there, or before.
    pub(crate) fn is_dismissed(&self, index: usize, cursor: u64) -> bool {
        index >= self.posts.len() && self.post(index).figures.dismissed_at.get() <= cursor
    }

    /// Tells a guest to leave as soon as it has passed everything before `sequence`.
    pub(crate) fn dismiss(&self, index: usize, sequence: u64) {
        let dismissed_at = &self.post(index).figures.dismissed_at;
        // Told again, it does not stay longer.
        dismissed_at.set(sequence.min(dismissed_at.get()));
        // It may sleep at anybody's.
        self.wake_all();
    }

    /// Station `index`, which stands at `cursor`, leaves: it holds nobody back any more.
    pub(crate) fn detach(&self, index: usize, cursor: u64) {
        let post = self.post(index);
        // Not for a guest: what is before its first sequence may not be published. The stations that were
        // here from the beginning have kept the prefix, or hold the gate.
        if index < self.posts.len() {
            // Before anybody can see that it has left: a producer that does, and finds the prefix too
            // low, sleeps at the producers' bell, which is not rung below.
            self.sequencer.keep_prefix(cursor);
        }
        post.figures.left_at.set(cursor);
        post.cursor.hand_on(DETACHED);
        // Whoever sleeps for this cursor now follows another one.
        post.bell.ring();
    }

    /// The reset hook has cleared everything before `sequence`.
    pub(crate) fn cleared_to(&self, sequence: u64) {
        if let Some(cleared) = &self.cleared {
            cleared.hand_on(sequence);
        }
    }

    /// The first sequence that the reset hook has not cleared.
    pub(crate) fn cleared(&self) -> u64 {
        self.cleared.as_ref().map_or(self.first, Cursor::glance)
    }

    /// The same, if there is a hook.
    pub(crate) fn cleared_to_now(&self) -> Option<u64> {
        self.cleared.as_ref().map(Cursor::glance)
    }

    /// Whether the last stations have passed something that the reset hook has not cleared.
    pub(crate) fn is_uncleared(&self) -> bool {
        self.last_passed() > self.cleared()
    }
}

//! Prototypes of the hot paths of a ring buffer, measured against each other: the evidence behind
//! the choice of the publish, consume, claim and multi-producer publication paths.
//!
//! ```text
//! cargo run --release --bin hot_paths -- [q1|q2|q3|q4|all] [--rounds N]
//! ```
//!
//! * **q1**: what each duty of a single producer costs at batch 1: a `closed` flag, a `claimed`
//!   announcement, a wake-up check, with compiler fences (the light side of an asymmetric fence)
//!   or real ones.
//! * **q2**: how long a consumer's run may be, and what holding off short runs gives; with the
//!   one-way latency of a paced open loop, measured from the intended time.
//! * **q3**: multi-producer claim: compare-exchange behind a cached gate, or fetch-add that waits
//!   for room afterwards.
//! * **q4**: multi-producer publication: lap marks (u32, the same spread over cache lines, u8),
//!   a bitmap, in-order hand-over of one cursor.
//!
//! Variants of a question run interleaved, round after round. Each run lasts [`RUN`] and is
//! verified (count, order, sum of all words); a wrong run panics. A throughput cell reads
//! `median (min..max) ×ratio b batch`: millions of events a second, the median over the rounds of
//! the ratio to the row's first column in the same round, and the consumer's average run.
//! A column named "again" repeats the first one: its ratio shows the noise.

use std::cell::UnsafeCell;
use std::env;
use std::hint::spin_loop;
use std::sync::Barrier;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, compiler_fence, fence,
};
use std::thread;
use std::time::{Duration, Instant};

/// How long the producers of one run keep publishing.
const RUN: Duration = Duration::from_millis(250);
/// Events a producer publishes between two looks at the clock.
const CHUNK: u64 = 4096;
/// The share of one core that other processes may take during a run.
const SHARE: f64 = 0.2;
/// Runs before a disturbed one is taken as it is.
const TRIES: u32 = 10;
/// Where an event of a multi-producer run carries its producer's number.
const PRODUCER_SHIFT: u32 = 56;

// ---------------------------------------------------------------- common parts

/// Keeps what one thread writes two cache lines away from everything else.
#[derive(Default)]
#[repr(align(128))]
struct Padded<T>(T);

/// A power-of-two array addressed by sequence.
struct Ring<T> {
    cells: Box<[T]>,
    mask: u64,
}

impl<T: Default> Ring<T> {
    fn new(len: usize) -> Self {
        assert!(len.is_power_of_two());
        Self { cells: (0..len).map(|_| T::default()).collect(), mask: len as u64 - 1 }
    }

    #[inline(always)]
    fn at(&self, seq: u64) -> &T {
        // SAFETY: `mask` is the length minus one, so the masked index is in bounds.
        unsafe { self.cells.get_unchecked((seq & self.mask) as usize) }
    }
}

/// The event storage.
struct Slots<E>(Ring<UnsafeCell<E>>);

// SAFETY: slots are reached only through `write` and `read`, whose callers promise exclusion.
unsafe impl<E: Send> Sync for Slots<E> {}

impl<E: Event> Slots<E> {
    fn capacity(&self) -> u64 {
        self.0.mask + 1
    }

    /// # Safety
    /// The caller has claimed `seq` exclusively and the consumer has released its previous lap.
    #[inline(always)]
    unsafe fn write(&self, seq: u64, event: E) {
        // SAFETY: exclusive by the contract above.
        unsafe { *self.0.at(seq).get() = event }
    }

    /// # Safety
    /// `seq` has been seen published with `Acquire` and not yet been released by the consumer.
    #[inline(always)]
    unsafe fn read(&self, seq: u64) -> E {
        // SAFETY: nobody writes a published slot before its release, by the contract above.
        unsafe { *self.0.at(seq).get() }
    }
}

/// An event: a number, repeated with an offset in each further word.
trait Event: Copy + Default + Send + 'static {
    const WORDS: u64;
    fn new(value: u64) -> Self;
    fn words(&self) -> &[u64];

    #[inline(always)]
    fn sum(&self) -> u64 {
        self.words().iter().fold(0, |sum, w| sum.wrapping_add(*w))
    }

    /// The sum of `count` events with the values `base..base + count`.
    fn sum_of(base: u64, count: u64) -> u64 {
        let values = base.wrapping_mul(count) + count * count.saturating_sub(1) / 2;
        let offsets = count * (Self::WORDS * (Self::WORDS - 1) / 2);
        values.wrapping_mul(Self::WORDS).wrapping_add(offsets)
    }
}

/// 64 bytes: one cache line.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Line([u64; 8]);

/// 8 bytes.
#[derive(Clone, Copy, Default)]
struct Word([u64; 1]);

macro_rules! event {
    ($event:ident, $words:literal) => {
        impl Event for $event {
            const WORDS: u64 = $words;

            #[inline(always)]
            fn new(value: u64) -> Self {
                Self(std::array::from_fn(|i| value.wrapping_add(i as u64)))
            }

            #[inline(always)]
            fn words(&self) -> &[u64] {
                &self.0
            }
        }
    };
}
event!(Word, 1);
event!(Line, 8);

/// How the consumer learns that no more events will come; read only when the ring looks empty.
struct Finish {
    live: AtomicUsize,
    sent: AtomicU64,
}

impl Finish {
    fn new(producers: usize) -> Padded<Self> {
        Padded(Self { live: AtomicUsize::new(producers), sent: AtomicU64::new(0) })
    }

    fn producer_done(&self, sent: u64) {
        self.sent.fetch_add(sent, Relaxed);
        self.live.fetch_sub(1, Release);
    }

    fn is_all(&self, consumed: u64) -> bool {
        self.live.load(Acquire) == 0 && self.sent.load(Relaxed) == consumed
    }
}

/// What a throughput run gives: millions of events a second, and the consumer's average run.
type Throughput = [f64; 2];

fn throughput(events: u64, runs: u64, elapsed: Duration) -> Throughput {
    [events as f64 / elapsed.as_secs_f64() / 1e6, events as f64 / runs as f64]
}

// ---------------------------------------------------------------- one producer, one consumer

/// Duties of the single producer, as bits of a const parameter. None: the floor.
type Duties = u32;
/// Look at the `closed` flag before each publish.
const CLOSED: Duties = 1;
/// Announce the claim, with a fence, before that look.
const CLAIMED: Duties = 2;
/// Look whether a consumer sleeps, after a fence, behind each publish.
const WAKE: Duties = 4;
/// Make those fences real ones; else they bind the compiler only.
const REAL_FENCE: Duties = 8;

#[inline(always)]
fn order<const DUTIES: Duties>() {
    if DUTIES & REAL_FENCE != 0 {
        fence(SeqCst);
    } else {
        compiler_fence(SeqCst);
    }
}

/// How the single consumer shapes its runs.
#[derive(Clone, Copy)]
struct Policy {
    name: &'static str,
    /// The longest run before the cursor is published.
    longest: fn(capacity: u64) -> u64,
    /// A run shorter than this is held off once.
    short: u64,
    /// `spin_loop` hints of a hold-off.
    pauses: u32,
    /// Empty looks since the last run up to which the flow still counts as continuous.
    grace: u32,
}

impl Policy {
    const fn longest(name: &'static str, longest: fn(u64) -> u64) -> Self {
        Self { name, longest, ..UNBOUNDED }
    }

    const fn hold(name: &'static str, short: u64, pauses: u32, grace: u32) -> Self {
        Self { name, short, pauses, grace, ..UNBOUNDED }
    }
}

const UNBOUNDED: Policy =
    Policy { name: "unbounded", longest: |_| u64::MAX, short: 0, pauses: 0, grace: 0 };
const BLIND: Policy = Policy::hold("hold 64/16 blind", 64, 16, u32::MAX);
const HOLDS: [Policy; 6] = [
    Policy::hold("hold 16/4", 16, 4, 0),
    Policy::hold("hold 16/16", 16, 16, 0),
    Policy::hold("hold 64/4", 64, 4, 0),
    Policy::hold("hold 64/16", 64, 16, 0),
    Policy::hold("hold 256/64", 256, 64, 0),
    BLIND,
];
const LONGEST: [Policy; 4] = [
    Policy::longest("at most 64", |_| 64),
    Policy::longest("at most 256", |_| 256),
    Policy::longest("at most 1024", |_| 1024),
    Policy::longest("at most capacity/4", |capacity| capacity / 4),
];

struct Spsc<E> {
    slots: Slots<E>,
    published: Padded<AtomicU64>,
    consumed: Padded<AtomicU64>,
    claimed: Padded<AtomicU64>,
    closed: Padded<AtomicBool>,
    sleepers: Padded<AtomicU32>,
    finish: Padded<Finish>,
}

struct Producer<'a, E, const DUTIES: Duties> {
    ring: &'a Spsc<E>,
    next: u64,
    gate: u64,
}

impl<E: Event, const DUTIES: Duties> Producer<'_, E, DUTIES> {
    /// Whether it did; a closed ring takes nothing.
    #[inline(always)]
    fn publish(&mut self, event: E) -> bool {
        let (ring, seq) = (self.ring, self.next);
        if DUTIES & CLAIMED != 0 {
            ring.claimed.0.store(seq + 1, Relaxed);
            order::<DUTIES>();
        }
        if DUTIES & CLOSED != 0 && ring.closed.0.load(Relaxed) {
            return false;
        }
        let full = self.gate + ring.slots.capacity();
        if seq >= full {
            self.wait_for_room();
        }
        // SAFETY: the only producer owns `seq`, and the gate says the slot has been released.
        unsafe { ring.slots.write(seq, event) };
        self.next = seq + 1;
        ring.published.0.store(seq + 1, Release);
        if DUTIES & WAKE != 0 {
            order::<DUTIES>();
            if ring.sleepers.0.load(Relaxed) != 0 {
                ring.wake();
            }
        }
        true
    }

    #[inline(always)]
    fn wait_for_room(&mut self) {
        loop {
            self.gate = self.ring.consumed.0.load(Acquire);
            if self.next < self.gate + self.ring.slots.capacity() {
                return;
            }
            spin_loop();
        }
    }
}

impl<E: Event> Spsc<E> {
    fn new(capacity: usize) -> Self {
        Self {
            slots: Slots(Ring::new(capacity)),
            published: Padded::default(),
            consumed: Padded::default(),
            claimed: Padded::default(),
            closed: Padded::default(),
            sleepers: Padded::default(),
            finish: Finish::new(1),
        }
    }

    /// Stands for the wake-up, which these runs (the consumer never sleeps) do not reach.
    #[cold]
    fn wake(&self) {
        self.sleepers.0.store(0, Relaxed);
    }

    /// Shows every event to `see`; returns the count of events and of runs.
    #[inline(always)]
    fn consume(&self, policy: Policy, mut see: impl FnMut(u64, E)) -> (u64, u64) {
        let longest = (policy.longest)(self.slots.capacity());
        let (mut next, mut runs, mut empty) = (0, 0, 0_u32);
        loop {
            let mut ready = self.published.0.load(Acquire) - next;
            if ready == 0 {
                if self.finish.0.is_all(next) {
                    return (next, runs);
                }
                empty = empty.saturating_add(1);
                spin_loop();
                continue;
            }
            if ready < policy.short && empty <= policy.grace {
                for _ in 0..policy.pauses {
                    spin_loop();
                }
                ready = self.published.0.load(Acquire) - next;
            }
            let end = next + ready.min(longest);
            while next < end {
                // SAFETY: below the published cursor, and not released before the store below.
                see(next, unsafe { self.slots.read(next) });
                next += 1;
            }
            self.consumed.0.store(end, Release);
            runs += 1;
            empty = 0;
        }
    }
}

fn spsc<E: Event, const DUTIES: Duties>(capacity: usize, policy: Policy) -> Throughput {
    let ring = Spsc::<E>::new(capacity);
    let barrier = Barrier::new(2);
    let (mut disorder, mut sum) = (0, 0_u64);
    let (elapsed, events, runs) = thread::scope(|scope| {
        scope.spawn(|| {
            let mut producer = Producer::<_, DUTIES> { ring: &ring, next: 0, gate: 0 };
            barrier.wait();
            let start = Instant::now();
            'run: while start.elapsed() < RUN {
                for _ in 0..CHUNK {
                    if !producer.publish(E::new(producer.next)) {
                        break 'run;
                    }
                }
            }
            ring.finish.0.producer_done(producer.next);
        });
        barrier.wait();
        let start = Instant::now();
        let (events, runs) = ring.consume(policy, |seq, event| {
            disorder |= event.words()[0] ^ seq;
            sum = sum.wrapping_add(event.sum());
        });
        (start.elapsed(), events, runs)
    });
    assert_eq!((disorder, sum), (0, E::sum_of(0, events)), "spsc run");
    throughput(events, runs, elapsed)
}

/// What a paced run gives: p50, p90 and p99 of the one-way latency in nanoseconds.
type Latency = [f64; 3];

fn paced(policy: Policy, per_second: u64) -> Latency {
    let ring = Spsc::<Word>::new(1024);
    let period = Duration::from_nanos(1_000_000_000 / per_second);
    let count = per_second * RUN.as_millis() as u64 / 1000;
    let mut nanos = Vec::with_capacity(count as usize);
    let first = Instant::now() + Duration::from_millis(2);
    let due = |seq: u64| first + period * seq as u32;
    let mut disorder = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut producer =
                Producer::<_, { CLOSED | CLAIMED }> { ring: &ring, next: 0, gate: 0 };
            while producer.next < count {
                while Instant::now() < due(producer.next) {}
                if !producer.publish(Word::new(producer.next)) {
                    break;
                }
            }
            ring.finish.0.producer_done(producer.next);
        });
        ring.consume(policy, |seq, event| {
            disorder |= event.words()[0] ^ seq;
            nanos.push(due(seq).elapsed().as_nanos() as u64);
        });
    });
    assert_eq!((disorder, nanos.len() as u64), (0, count), "paced run");
    nanos.sort_unstable();
    [50, 90, 99].map(|percent| nanos[(nanos.len() - 1) * percent / 100] as f64)
}

// ---------------------------------------------------------------- many producers, one consumer

#[derive(Clone, Copy, Debug)]
enum Wait {
    Hint,
    Yield,
}

impl Wait {
    fn pause(self) {
        match self {
            Self::Hint => spin_loop(),
            Self::Yield => thread::yield_now(),
        }
    }
}

/// How producers make claimed slots known to the consumer.
trait Publication: Sync {
    fn new(capacity: usize) -> Self;
    fn publish(&self, from: u64, to: u64, wait: Wait);
    /// The end of the unbroken published stretch that starts at `next`.
    fn end(&self, next: u64) -> u64;
}

/// A mark that says in which lap a slot was published last; a fresh one says: in none.
trait Mark: Default + Sync {
    fn set(&self, lap: u64);
    fn is(&self, lap: u64) -> bool;
}

macro_rules! mark {
    ($atomic:ty, $lap:ty) => {
        impl Mark for $atomic {
            #[inline(always)]
            fn set(&self, lap: u64) {
                self.store((lap as $lap).wrapping_add(1), Release);
            }

            #[inline(always)]
            fn is(&self, lap: u64) -> bool {
                self.load(Acquire) == (lap as $lap).wrapping_add(1)
            }
        }
    };
}
mark!(AtomicU8, u8);
mark!(AtomicU32, u32);

/// One mark a slot, set by a plain store. `SPREAD` swaps the two low hexadecimal digits of the
/// index, so that sixteen neighbours fall on sixteen cache lines (of u32 marks).
struct Marks<M, const SPREAD: bool> {
    marks: Ring<M>,
    lap_shift: u32,
}

impl<M: Mark, const SPREAD: bool> Marks<M, SPREAD> {
    #[inline(always)]
    fn of(&self, seq: u64) -> (&M, u64) {
        let place = if SPREAD { (seq & !0xff) | (seq & 0xf) << 4 | (seq >> 4) & 0xf } else { seq };
        (self.marks.at(place), seq >> self.lap_shift)
    }
}

impl<M: Mark, const SPREAD: bool> Publication for Marks<M, SPREAD> {
    fn new(capacity: usize) -> Self {
        Self { marks: Ring::new(capacity), lap_shift: capacity.trailing_zeros() }
    }

    #[inline(always)]
    fn publish(&self, from: u64, to: u64, _: Wait) {
        for seq in from..to {
            let (mark, lap) = self.of(seq);
            mark.set(lap);
        }
    }

    #[inline(always)]
    fn end(&self, mut next: u64) -> u64 {
        loop {
            let (mark, lap) = self.of(next);
            if !mark.is(lap) {
                return next;
            }
            next += 1;
        }
    }
}

/// One bit a slot that flips each lap: one atomic read-modify-write for each word touched.
struct Bitmap {
    words: Ring<AtomicU64>,
    lap_shift: u32,
}

impl Publication for Bitmap {
    fn new(capacity: usize) -> Self {
        Self { words: Ring::new(capacity / 64), lap_shift: capacity.trailing_zeros() }
    }

    #[inline(always)]
    fn publish(&self, mut from: u64, to: u64, _: Wait) {
        while from < to {
            let until = to.min((from | 63) + 1);
            let bits = (u64::MAX >> (64 - (until - from))) << (from & 63);
            self.words.at(from >> 6).fetch_xor(bits, Release);
            from = until;
        }
    }

    #[inline(always)]
    fn end(&self, mut next: u64) -> u64 {
        loop {
            let odd_lap = (next >> self.lap_shift) & 1 == 1;
            let word = self.words.at(next >> 6).load(Acquire);
            let ready = if odd_lap { !word } else { word } >> (next & 63);
            let run = u64::from(ready.trailing_ones());
            next += run;
            if run == 0 || next & 63 != 0 {
                return next;
            }
        }
    }
}

/// One cursor that producers hand to each other in the order of their claims.
struct InOrder(Padded<AtomicU64>);

impl Publication for InOrder {
    fn new(_: usize) -> Self {
        Self(Padded::default())
    }

    #[inline(always)]
    fn publish(&self, from: u64, to: u64, wait: Wait) {
        while self.0.0.load(Acquire) != from {
            wait.pause();
        }
        self.0.0.store(to, Release);
    }

    #[inline(always)]
    fn end(&self, _: u64) -> u64 {
        self.0.0.load(Acquire)
    }
}

struct Mpsc<E, P> {
    slots: Slots<E>,
    claim: Padded<AtomicU64>,
    consumed: Padded<AtomicU64>,
    finish: Padded<Finish>,
    publication: P,
}

impl<E: Event, P: Publication> Mpsc<E, P> {
    fn has_room(&self, end: u64, gate: u64) -> bool {
        end <= gate + self.slots.capacity()
    }

    /// Claims only what has room, so a claim never waits.
    #[inline(always)]
    fn claim_by_exchange(&self, count: u64, gate: &mut u64, wait: Wait) -> u64 {
        let mut from = self.claim.0.load(Relaxed);
        loop {
            if !self.has_room(from + count, *gate) {
                *gate = self.consumed.0.load(Acquire);
                if !self.has_room(from + count, *gate) {
                    wait.pause();
                    from = self.claim.0.load(Relaxed);
                    continue;
                }
            }
            let to = from + count;
            match self.claim.0.compare_exchange_weak(from, to, Relaxed, Relaxed) {
                Ok(_) => return from,
                Err(actual) => from = actual,
            }
        }
    }

    /// Claims at once and waits for room afterwards.
    #[inline(always)]
    fn claim_by_add(&self, count: u64, gate: &mut u64, wait: Wait) -> u64 {
        let from = self.claim.0.fetch_add(count, Relaxed);
        while !self.has_room(from + count, *gate) {
            *gate = self.consumed.0.load(Acquire);
            if self.has_room(from + count, *gate) {
                break;
            }
            wait.pause();
        }
        from
    }

    fn produce<const ADD: bool, const BATCH: u64>(&self, base: u64, wait: Wait) -> u64 {
        let (mut sent, mut gate) = (0, 0);
        let start = Instant::now();
        while start.elapsed() < RUN {
            for _ in 0..CHUNK / BATCH {
                let from = if ADD {
                    self.claim_by_add(BATCH, &mut gate, wait)
                } else {
                    self.claim_by_exchange(BATCH, &mut gate, wait)
                };
                for seq in from..from + BATCH {
                    // SAFETY: claimed by this thread, and the gate says the slots are released.
                    unsafe { self.slots.write(seq, E::new(base + sent)) };
                    sent += 1;
                }
                self.publication.publish(from, from + BATCH, wait);
            }
        }
        self.finish.0.producer_done(sent);
        sent
    }

    /// Shows every event to `see`; returns the count of events and of runs.
    fn consume(&self, wait: Wait, mut see: impl FnMut(E)) -> (u64, u64) {
        let (mut next, mut runs) = (0, 0);
        loop {
            let end = self.publication.end(next);
            if end == next {
                if self.finish.0.is_all(next) {
                    return (next, runs);
                }
                wait.pause();
                continue;
            }
            for seq in next..end {
                // SAFETY: seen published, and not released before the store below.
                see(unsafe { self.slots.read(seq) });
            }
            next = end;
            self.consumed.0.store(next, Release);
            runs += 1;
        }
    }
}

fn mpsc<E: Event, P: Publication, const ADD: bool, const BATCH: u64>(
    capacity: usize,
    producers: usize,
    wait: Wait,
) -> Throughput {
    let ring = Mpsc::<E, P> {
        slots: Slots(Ring::new(capacity)),
        claim: Padded::default(),
        consumed: Padded::default(),
        finish: Finish::new(producers),
        publication: P::new(capacity),
    };
    let barrier = Barrier::new(producers + 1);
    // A power of two above the most producers, so that the index needs no check.
    let mut seen = [0_u64; 4];
    let (mut disorder, mut sum) = (0, 0_u64);
    let (elapsed, events, runs, sent) = thread::scope(|scope| {
        let (ring, barrier) = (&ring, &barrier);
        let threads: Vec<_> = (0..producers as u64)
            .map(|producer| {
                scope.spawn(move || {
                    barrier.wait();
                    ring.produce::<ADD, BATCH>(producer << PRODUCER_SHIFT, wait)
                })
            })
            .collect();
        barrier.wait();
        let start = Instant::now();
        let (events, runs) = ring.consume(wait, |event| {
            let value = event.words()[0];
            let producer = (value >> PRODUCER_SHIFT) as usize & 3;
            disorder |= value ^ ((producer as u64) << PRODUCER_SHIFT | seen[producer]);
            seen[producer] += 1;
            sum = sum.wrapping_add(event.sum());
        });
        let elapsed = start.elapsed();
        let join = |thread: thread::ScopedJoinHandle<u64>| thread.join().expect("producer");
        let sent: Vec<u64> = threads.into_iter().map(join).collect();
        (elapsed, events, runs, sent)
    });
    let expected = (0..).zip(&sent).fold(0_u64, |sum, (producer, &count)| {
        sum.wrapping_add(E::sum_of(producer << PRODUCER_SHIFT, count))
    });
    assert_eq!((disorder, sum), (0, expected), "mpsc run");
    assert_eq!(seen[..producers], sent, "mpsc run");
    throughput(events, runs, elapsed)
}

// ---------------------------------------------------------------- questions and tables

struct Cell<S> {
    row: String,
    column: &'static str,
    run: Box<dyn Fn() -> S>,
    samples: Vec<S>,
}

struct Question<S> {
    title: &'static str,
    cells: Vec<Cell<S>>,
}

impl<S> Question<S> {
    fn new(title: &'static str) -> Self {
        Self { title, cells: Vec::new() }
    }

    fn add(&mut self, row: &str, column: &'static str, run: impl Fn() -> S + 'static) {
        let (row, run) = (row.to_owned(), Box::new(run));
        self.cells.push(Cell { row, column, run, samples: Vec::new() });
    }

    /// Runs all cells in interleaved rounds and prints them; `show` gets a cell's samples and
    /// those of the first cell of its row.
    fn answer(mut self, rounds: usize, show: fn(&[S], &[S]) -> String) {
        let mut repeated = 0;
        for _ in 0..rounds {
            for cell in &mut self.cells {
                let (sample, thrown_away) = undisturbed(&cell.run);
                cell.samples.push(sample);
                repeated += thrown_away;
            }
        }
        let (mut rows, mut columns) = (Vec::new(), Vec::new());
        for cell in &self.cells {
            if !rows.contains(&&cell.row) {
                rows.push(&cell.row);
            }
            if !columns.contains(&cell.column) {
                columns.push(cell.column);
            }
        }
        println!("\n### {} ({rounds} rounds, {repeated} disturbed runs repeated)\n", self.title);
        println!("| case | {} |", columns.join(" | "));
        println!("|---|{}", "---|".repeat(columns.len()));
        for row in rows {
            let in_row: Vec<_> = self.cells.iter().filter(|cell| cell.row == *row).collect();
            let show_column = |column: &&str| {
                let cell = in_row.iter().find(|cell| cell.column == *column);
                cell.map_or_else(String::new, |cell| show(&cell.samples, &in_row[0].samples))
            };
            let shown: Vec<_> = columns.iter().map(show_column).collect();
            println!("| {row} | {} |", shown.join(" | "));
        }
    }
}

/// Processor time of everything else on the machine so far, in ticks of 10 ms (Linux; elsewhere none).
fn ticks_of_others() -> i64 {
    let fields = |path: &str, range: std::ops::Range<usize>| -> i64 {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let fields = text.split_whitespace().skip(range.start).take(range.len());
        fields.filter_map(|field| field.parse::<i64>().ok()).sum()
    };
    // User, nice and system; stolen time; and our own user and system time.
    fields("/proc/stat", 1..4) + fields("/proc/stat", 8..9) - fields("/proc/self/stat", 13..15)
}

/// Runs in quiet; repeats, up to [`TRIES`] in all, a run in which others took their [`SHARE`].
/// Also says how many runs were thrown away.
fn undisturbed<S>(run: &dyn Fn() -> S) -> (S, u32) {
    let disturbs = |act: &mut dyn FnMut()| {
        let (start, before) = (Instant::now(), ticks_of_others());
        act();
        let share = (ticks_of_others() - before) as f64 / 100.0 / start.elapsed().as_secs_f64();
        share > SHARE
    };
    let mut thrown_away = 0;
    loop {
        let mut sample = None;
        if !disturbs(&mut || sample = Some(run())) || thrown_away + 1 == TRIES {
            return (sample.expect("has run"), thrown_away);
        }
        thrown_away += 1;
        while disturbs(&mut || thread::sleep(RUN)) {}
    }
}

/// Minimum, median and maximum.
fn spread(values: impl Iterator<Item = f64>) -> (f64, f64, f64) {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    (sorted[0], sorted[sorted.len() / 2], sorted[sorted.len() - 1])
}

fn show_throughput(samples: &[Throughput], first: &[Throughput]) -> String {
    let (min, median, max) = spread(samples.iter().map(|s| s[0]));
    let pairs = samples.iter().zip(first);
    let (_, ratio, _) = spread(pairs.map(|(s, f)| s[0] / f[0]));
    let (_, batch, _) = spread(samples.iter().map(|s| s[1]));
    format!("**{median:.0}** ({min:.0}..{max:.0}) ×{ratio:.2} b {batch:.0}")
}

fn show_latency(samples: &[Latency], _: &[Latency]) -> String {
    let show = |percentile: usize| {
        let (min, median, max) = spread(samples.iter().map(|s| s[percentile]));
        format!("{median:.0} ({min:.0}..{max:.0})")
    };
    [0, 1, 2].map(show).join(" / ")
}

fn q1(rounds: usize) {
    fn row<E: Event>(question: &mut Question<Throughput>, capacity: usize, policy: Policy) {
        const ALL: Duties = CLOSED | CLAIMED | WAKE;
        let row = format!("{capacity}, {} B, {}", E::WORDS * 8, policy.name);
        let mut add = |name, run: fn(usize, Policy) -> Throughput| {
            question.add(&row, name, move || run(capacity, policy));
        };
        add("(a) floor", spsc::<E, 0>);
        add("(a) again", spsc::<E, 0>);
        add("(b) closed", spsc::<E, CLOSED>);
        add("(c) + claimed", spsc::<E, { CLOSED | CLAIMED }>);
        add("(d) c, real fence", spsc::<E, { CLOSED | CLAIMED | REAL_FENCE }>);
        add("(e) c + wake check", spsc::<E, ALL>);
        add("(f) e, real fences", spsc::<E, { ALL | REAL_FENCE }>);
    }
    let mut question = Question::new("Q1: duties of a single producer, batch 1, hint");
    for capacity in [1024, 8192, 65536] {
        row::<Word>(&mut question, capacity, UNBOUNDED);
    }
    row::<Line>(&mut question, 1024, UNBOUNDED);
    for capacity in [1024, 8192] {
        row::<Word>(&mut question, capacity, BLIND);
    }
    question.answer(rounds, show_throughput);
}

fn q2(rounds: usize) {
    fn row<E: Event>(question: &mut Question<Throughput>, capacity: usize) {
        let row = format!("{capacity}, {} B", E::WORDS * 8);
        for policy in [UNBOUNDED].into_iter().chain(LONGEST).chain(HOLDS) {
            question
                .add(&row, policy.name, move || spsc::<E, { CLOSED | CLAIMED }>(capacity, policy));
        }
    }
    let mut question = Question::new("Q2: runs of a single consumer, batch 1, hint");
    for capacity in [1024, 8192] {
        row::<Word>(&mut question, capacity);
    }
    row::<Line>(&mut question, 1024);
    question.answer(rounds, show_throughput);

    let mut question = Question::new("Q2: one-way latency in ns, p50 / p90 / p99, ring 1024, 8 B");
    for policy in [UNBOUNDED].into_iter().chain(HOLDS) {
        question.add(policy.name, "100 k/s", move || paced(policy, 100_000));
        question.add(policy.name, "1 M/s", move || paced(policy, 1_000_000));
    }
    question.answer(rounds, show_latency);
}

type RunMpsc = fn(usize, usize, Wait) -> Throughput;

fn row_of_mpsc<E: Event, const BATCH: u64>(
    question: &mut Question<Throughput>,
    (producers, wait): (usize, Wait),
    capacity: usize,
    of_claims: bool,
) {
    let exchange: RunMpsc = mpsc::<E, Marks<AtomicU32, false>, false, BATCH>;
    let variants: &[(&'static str, RunMpsc)] = if of_claims {
        &[
            ("exchange", exchange),
            ("exchange again", exchange),
            ("add", mpsc::<E, Marks<AtomicU32, false>, true, BATCH>),
        ]
    } else {
        &[
            ("(a) u32 marks", exchange),
            ("(a2) u32, spread", mpsc::<E, Marks<AtomicU32, true>, false, BATCH>),
            ("(b) u8 marks", mpsc::<E, Marks<AtomicU8, false>, false, BATCH>),
            ("(c) bitmap", mpsc::<E, Bitmap, false, BATCH>),
            ("(d) in order", mpsc::<E, InOrder, false, BATCH>),
        ]
    };
    let bytes = E::WORDS * 8;
    let row = format!("{producers} P, {wait:?}, {capacity}, {bytes} B, batch {BATCH}");
    for &(name, run) in variants {
        question.add(&row, name, move || run(capacity, producers, wait));
    }
}

fn q3(rounds: usize) {
    let mut question = Question::new("Q3: multi-producer claim, u32 lap marks");
    for crowd in [(1, Wait::Hint), (1, Wait::Yield), (2, Wait::Yield), (3, Wait::Yield)] {
        row_of_mpsc::<Word, 1>(&mut question, crowd, 1024, true);
        row_of_mpsc::<Word, 1>(&mut question, crowd, 65536, true);
        row_of_mpsc::<Word, 10>(&mut question, crowd, 1024, true);
    }
    question.answer(rounds, show_throughput);
}

fn q4(rounds: usize) {
    let mut question = Question::new("Q4: multi-producer publication, claim by exchange");
    for crowd in [(1, Wait::Hint), (2, Wait::Yield), (3, Wait::Yield)] {
        row_of_mpsc::<Word, 1>(&mut question, crowd, 1024, false);
        row_of_mpsc::<Word, 10>(&mut question, crowd, 1024, false);
        row_of_mpsc::<Word, 1>(&mut question, crowd, 65536, false);
        row_of_mpsc::<Line, 1>(&mut question, crowd, 1024, false);
    }
    question.answer(rounds, show_throughput);
}

/// Prints what the figures depend on most: the cost of a hint and of moving a cache line.
fn describe_machine() {
    const TIMES: u32 = 100_000;
    let start = Instant::now();
    for _ in 0..TIMES {
        spin_loop();
    }
    let hint = start.elapsed() / TIMES;
    let (ping, pong) = (Padded(AtomicU32::new(0)), Padded(AtomicU32::new(0)));
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            for i in 1..=TIMES {
                while ping.0.load(Acquire) != i {}
                pong.0.store(i, Release);
            }
        });
        for i in 1..=TIMES {
            ping.0.store(i, Release);
            while pong.0.load(Acquire) != i {}
        }
    });
    let bounce = start.elapsed() / TIMES;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    println!("{cores} cores; spin_loop {hint:?}; cache-line round trip {bounce:?}");
}

fn main() {
    let (mut which, mut rounds) = ("all".to_owned(), 7);
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "q1" | "q2" | "q3" | "q4" | "all" => which = arg,
            "--rounds" => {
                let number = args.next().and_then(|n| n.parse().ok());
                rounds = number.filter(|n| *n > 0).expect("--rounds takes a count");
            }
            _ => panic!("usage: hot_paths [q1|q2|q3|q4|all] [--rounds N]"),
        }
    }
    describe_machine();
    let questions: [fn(usize); 4] = [q1, q2, q3, q4];
    for (name, run) in ["q1", "q2", "q3", "q4"].into_iter().zip(questions) {
        if which == name || which == "all" {
            run(rounds);
        }
    }
}

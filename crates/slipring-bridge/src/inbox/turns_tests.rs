//! The turns against what is plainly right: any order in which a broker may deliver what an outbox sends.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use fastrand::Rng;
use proptest::prelude::*;

use super::*;

fn stamp(sequence: u64, previous: Option<u64>) -> Stamp {
    Stamp { lane: "lane".into(), sequence, previous }
}

/// Feeds one, and says what was handed on.
fn feed(turns: &mut Turns<u64>, stamp: &Stamp, tag: u64) -> (Turn, Vec<u64>) {
    let mut steps = Vec::new();
    let turn = turns.arrive(stamp, tag, stamp.sequence, Instant::now(), &mut steps);
    (turn, taken(&steps))
}

fn taken(steps: &[Step<u64>]) -> Vec<u64> {
    let take = |step: &Step<u64>| match step {
        Step::Take { content, .. } => Some(*content),
        _ => None,
    };
    steps.iter().filter_map(take).collect()
}

/// A queue of a broker, and an outbox before it that begins again at any moment, behind what is confirmed.
struct Run {
    rng: Rng,
    /// The chain, with gaps between the numbers.
    chain: Vec<u64>,
    confirmed: usize,
    sent: usize,
    /// The outbox has begun again and has not come to where it was.
    queue: Vec<usize>,
    unsettled: Vec<(u64, usize)>,
    next_tag: u64,
    turns: Turns<u64>,
    in_hand: VecDeque<(u64, Option<u64>)>,
    /// What is safe: it survives.
    stored: Vec<u64>,
}

const WINDOW: usize = 16;

impl Run {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let (mut at, mut chain) = (0, Vec::new());
        for _ in 0..rng.usize(1..80) {
            at += rng.u64(1..4);
            chain.push(at);
        }
        Self {
            rng,
            chain,
            confirmed: 0,
            sent: 0,
            queue: Vec::new(),
            unsettled: Vec::new(),
            next_tag: 0,
            turns: Turns::new([]),
            in_hand: VecDeque::new(),
            stored: Vec::new(),
        }
    }

    fn stamp(&self, index: usize) -> Stamp {
        stamp(self.chain[index], index.checked_sub(1).map(|before| self.chain[before]))
    }

    fn step(&mut self, is_calm: bool) {
        match self.rng.u8(0..if is_calm { 12 } else { 20 }) {
            0..4 => self.send(is_calm),
            4..8 => self.deliver(),
            8..12 => self.finish(),
            // The outbox's link is lost: from the first unconfirmed on again.
            12 | 13 => self.sent = self.confirmed,
            // The broker delivers one twice.
            14 if !self.queue.is_empty() => {
                let one = self.rng.usize(..self.queue.len());
                let twin = self.queue[one];
                let at = self.rng.usize(one..=self.queue.len().min(one + 4));
                self.queue.insert(at, twin);
            }
            15 | 16 => self.lose_link(),
            17 => self.crash(),
            _ => {}
        }
    }

    /// Sends one more; the broker may lose it, and then it is not confirmed, nor is any behind it on this link.
    fn send(&mut self, is_calm: bool) {
        if self.sent < self.chain.len() && self.sent - self.confirmed < WINDOW {
            let is_lost = !is_calm && self.rng.u8(..10) == 0;
            if !is_lost {
                self.queue.push(self.sent);
            }
            let is_next = self.sent == self.confirmed;
            self.sent += 1;
            if is_next && !is_lost && self.rng.bool() {
                self.confirmed += 1;
            }
        } else if is_calm && self.confirmed < self.chain.len() {
            // It sends them again, and this time they are confirmed.
            self.sent = self.confirmed;
            while self.sent < self.chain.len() && self.sent - self.confirmed < WINDOW {
                self.queue.push(self.sent);
                self.sent += 1;
            }
            self.confirmed = self.sent;
        }
    }

    fn deliver(&mut self) {
        if self.queue.is_empty() {
            return;
        }
        let index = self.queue.remove(0);
        let (tag, stamp) = (self.next_tag, self.stamp(index));
        self.next_tag += 1;
        self.unsettled.push((tag, index));
        let mut steps = Vec::new();
        self.turns.arrive(&stamp, tag, stamp.sequence, Instant::now(), &mut steps);
        self.act(steps);
    }

    fn act(&mut self, steps: Vec<Step<u64>>) {
        for step in steps {
            match step {
                Step::Take { sequence, tag, .. } => self.in_hand.push_back((sequence, Some(tag))),
                Step::Done { tag, .. } => self.settle(tag),
                Step::Late { .. } => panic!("nothing was given up"),
            }
        }
    }

    fn settle(&mut self, tag: u64) {
        let before = self.unsettled.len();
        self.unsettled.retain(|(other, _)| *other != tag);
        assert_eq!(self.unsettled.len() + 1, before, "each is settled once: {tag}");
    }

    /// The intake is done with the oldest one.
    fn finish(&mut self) {
        let Some((sequence, tag)) = self.in_hand.pop_front() else { return };
        self.stored.push(sequence);
        let twins = self.turns.safe("lane", sequence);
        tag.into_iter().chain(twins).for_each(|tag| self.settle(tag));
    }

    /// What is not settled comes again, in any order, before the rest.
    fn lose_link(&mut self) {
        let mut again: Vec<usize> = self.unsettled.drain(..).map(|(_, index)| index).collect();
        self.rng.shuffle(&mut again);
        self.queue.splice(0..0, again);
        self.turns.forget_tags();
        self.in_hand.iter_mut().for_each(|(_, tag)| *tag = None);
    }

    fn crash(&mut self) {
        self.lose_link();
        self.in_hand.clear();
        let mark = self.stored.last().map(|mark| ("lane".into(), *mark));
        self.turns = Turns::new(mark);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 1_000 }))]

    #[test]
    fn each_goes_on_once_and_in_order_whatever_the_broker_does(seed: u64) {
        let mut run = Run::new(seed);
        for _ in 0..400 {
            run.step(false);
        }
        for _ in 0..100_000 {
            if run.stored.len() == run.chain.len() && run.unsettled.is_empty() && run.queue.is_empty() {
                break;
            }
            run.step(true);
        }
        prop_assert_eq!(&run.stored, &run.chain);
        prop_assert!(run.unsettled.is_empty(), "all is settled: {:?}", run.unsettled);
        prop_assert_eq!(run.turns.held(), 0);
    }

    #[test]
    fn what_is_given_up_is_told_and_nothing_else_is_missing(
        seed: u64, count in 2_u64..60, lost in 1_usize..10,
    ) {
        let mut rng = Rng::with_seed(seed);
        let lost: BTreeSet<u64> = (0..lost).map(|_| rng.u64(1..count)).collect();
        let (mut turns, mut got, mut told) = (Turns::new([]), Vec::new(), Vec::new());
        for sequence in (0..count).filter(|sequence| !lost.contains(sequence)) {
            let stamp = stamp(sequence, sequence.checked_sub(1));
            got.extend(feed(&mut turns, &stamp, sequence).1);
        }
        let now = Instant::now();
        loop {
            let missing = turns.missing(now, Duration::ZERO);
            let [missing] = &missing[..] else { break };
            let mut steps = Vec::new();
            turns.give_up(missing, now, &mut steps);
            got.extend(taken(&steps));
            told.extend(missing.after.map_or(0, |after| after + 1)..=missing.up_to);
        }
        let mut all: Vec<u64> = got.iter().chain(&told).copied().collect();
        prop_assert!(got.is_sorted_by(|one, next| one < next));
        all.sort_unstable();
        prop_assert!(all.is_sorted_by(|one, next| one < next), "none is both: {:?}", all);
        // Those behind the last that came cannot be known.
        let end = got.last().map_or(0, |last| last + 1);
        prop_assert_eq!(all, (0..end).collect::<Vec<_>>());
        for missing in told {
            let late = feed(&mut turns, &stamp(missing, missing.checked_sub(1)), 1_000);
            prop_assert_eq!(late, (Turn::Late, vec![]));
        }
    }
}

#[test]
fn a_lane_that_nobody_knows_begins_with_its_first_or_waits_a_moment() {
    let mut turns = Turns::new([]);
    assert_eq!(feed(&mut turns, &stamp(5, Some(3)), 0), (Turn::Early, vec![]));
    assert_eq!(feed(&mut turns, &stamp(3, None), 1), (Turn::Next, vec![3, 5]));

    let mut turns = Turns::new([]);
    let (now, moment) = (Instant::now(), Duration::from_secs(1));
    for (sequence, previous) in [(9, 7), (7, 4), (12, 9)] {
        assert_eq!(feed(&mut turns, &stamp(sequence, Some(previous)), 0).0, Turn::Early);
    }
    let mut steps = Vec::new();
    turns.begin(now, moment, &mut steps);
    assert_eq!((taken(&steps), turns.missing(now, Duration::ZERO)), (vec![], vec![]));
    turns.begin(Instant::now() + moment, moment, &mut steps);
    assert_eq!((taken(&steps), turns.held()), (vec![7, 9, 12], 0));
}

#[test]
fn what_was_set_aside_after_it_was_sent_is_not_waited_for() {
    // 6 was on the link, and 7 behind it; then 6 was refused for good, and 7 came again behind 5.
    let mut turns = Turns::new([(Arc::from("lane"), 5)]);
    assert_eq!(feed(&mut turns, &stamp(7, Some(6)), 0), (Turn::Early, vec![]));
    assert_eq!(feed(&mut turns, &stamp(7, Some(5)), 1), (Turn::Next, vec![7]));
    assert_eq!(turns.safe("lane", 7), [0]);

    // The copy that waits for nothing that does not come is the one that is kept.
    let mut turns = Turns::new([(Arc::from("lane"), 4)]);
    assert_eq!(feed(&mut turns, &stamp(7, Some(6)), 0).0, Turn::Early);
    let mut steps = Vec::new();
    let again = turns.arrive(&stamp(7, Some(5)), 1, 7, Instant::now(), &mut steps);
    assert_eq!(again, Turn::Duplicate);
    assert!(matches!(steps[..], [Step::Done { tag: 0, .. }]));
    assert_eq!(feed(&mut turns, &stamp(5, Some(4)), 2), (Turn::Next, vec![5, 7]));
}

#[test]
fn what_comes_again_while_it_is_in_hand_is_settled_with_it() {
    let mut turns = Turns::new([]);
    assert_eq!(feed(&mut turns, &stamp(1, None), 0), (Turn::Next, vec![1]));
    assert_eq!(feed(&mut turns, &stamp(1, None), 1), (Turn::Duplicate, vec![]));
    assert_eq!(feed(&mut turns, &stamp(1, None), 2), (Turn::Duplicate, vec![]));
    assert_eq!(turns.safe("lane", 1), [1, 2]);
    let mut steps = Vec::new();
    turns.arrive(&stamp(1, None), 3, 1, Instant::now(), &mut steps);
    assert!(matches!(steps[..], [Step::Done { tag: 3, .. }]));
}

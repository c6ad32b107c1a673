//! Handlers that run by hand, and a clock that goes when they have nothing more to do: hours pass in
//! a moment, and the same each time. In a service they have threads (`run`) or are tasks (`task`), and
//! the clock is the system's; the handlers are the same.

use std::{
    fmt::Display,
    sync::{Arc, Mutex},
    time::Duration,
};

use slipring_events::{ByHand, Clock, Event, ManualClock, Step, Time};

/// The handlers of a bus, and the clock that it goes by.
pub struct Simulation<E: Event> {
    clock: ManualClock,
    hands: Vec<ByHand<E>>,
}

impl<E: Event> Simulation<E> {
    /// Begins at nine in the morning.
    pub fn new() -> Self {
        let nine: Time = "2026-11-23T09:00:00Z".parse().expect("it is a time");
        Self { clock: ManualClock::new(nine), hands: Vec::new() }
    }

    /// For the bus, and for whoever wants to know what time it is.
    pub fn clock(&self) -> ManualClock {
        self.clock.clone()
    }

    pub fn add(&mut self, hand: ByHand<E>) {
        self.hands.push(hand);
    }

    /// Lets so much time pass, and the handlers do what falls into it.
    pub fn pass(&mut self, time: Duration) {
        let end = self.clock.now().saturating_add(time);
        loop {
            let left = end.since(self.clock.now());
            match self.work() {
                Some(due) if due < left => self.clock.advance(due),
                _ => return self.clock.advance(left),
            }
        }
    }

    /// Goes on until nothing is left to be done, now or later.
    pub fn run_out(&mut self) {
        while let Some(due) = self.work() {
            self.clock.advance(due);
        }
    }

    /// Has the handlers do what they can do now, in turns; returns when something more is due.
    fn work(&mut self) -> Option<Duration> {
        loop {
            let steps: Vec<Step> = self.hands.iter_mut().map(ByHand::step).collect();
            if !steps.contains(&Step::Moved) {
                let due = |step| if let Step::Idle(due) = step { due } else { None };
                return steps.into_iter().filter_map(due).min();
            }
        }
    }
}

/// What has happened, and when: to be printed at the end.
#[derive(Clone)]
pub struct Story {
    clock: ManualClock,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Story {
    pub fn new(clock: ManualClock) -> Self {
        Self { clock, lines: Arc::default() }
    }

    pub fn tell(&self, what: impl Display) {
        let time = self.clock.now().to_string();
        let line = format!("{}  {what}", &time[11..19]);
        self.lines.lock().expect("nobody panics with it").push(line);
    }

    /// The first so many lines.
    pub fn print(&self, lines: usize) {
        let all = self.lines.lock().expect("nobody panics with it");
        all.iter().take(lines).for_each(|line| println!("{line}"));
        if all.len() > lines {
            println!("      …   and {} lines more", all.len() - lines);
        }
    }
}

//! What a station does with its events: holds them, looks twice or changes them, fails as planned,
//! and remembers.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use slipring::{At, Handler, HandlerError, HandlerMut, model::plan_a_panic};

use super::{
    case::{PanickingHook, Station},
    event::{Content, Event, Held, step},
};

/// What became of an event at a station.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Handled(u64, Content),
    /// The handler gave up, and the policy is to skip.
    Skipped(u64),
}

impl Seen {
    pub fn sequence(self) -> u64 {
        let (Self::Handled(sequence, _) | Self::Skipped(sequence)) = self;
        sequence
    }
}

/// What all threads of a case write down. The locks are the standard library's: nobody stops with
/// one of them.
#[derive(Debug, Default)]
pub struct Notes {
    /// By station.
    pub seen: Vec<Mutex<Vec<Seen>>>,
    /// Calls that the policies repeated, by station.
    pub retried: Vec<AtomicUsize>,
    /// Who halted the ring by failing, and the sequence where that is known.
    pub faults: Mutex<Vec<(String, Option<u64>)>>,
    /// What the reset hook was called for.
    pub cleared: Mutex<Vec<Content>>,
    /// Handlers that exist.
    pub handlers: AtomicUsize,
}

impl Notes {
    pub fn new(stations: usize) -> Self {
        Self {
            seen: (0..stations).map(|_| Mutex::default()).collect(),
            retried: (0..stations).map(|_| AtomicUsize::default()).collect(),
            ..Self::default()
        }
    }

    pub fn fault(&self, name: &str, at: Option<u64>) {
        self.faults.lock().expect("nothing panics here").push((name.to_owned(), at));
    }
}

/// The handler of a station.
#[derive(Debug)]
pub struct Script {
    pub index: usize,
    pub station: Station,
    notes: Arc<Notes>,
    /// Where it failed last, and how often in a row.
    failed: (u64, u32),
    /// Batches until the hook panics.
    patience: u32,
}

impl Drop for Script {
    fn drop(&mut self) {
        self.notes.handlers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Script {
    pub fn new(index: usize, station: &Station, notes: &Arc<Notes>) -> Self {
        notes.handlers.fetch_add(1, Ordering::Relaxed);
        let station = station.clone();
        Self { index, station, notes: Arc::clone(notes), failed: (u64::MAX, 0), patience: 4 }
    }

    fn note(&self, seen: impl IntoIterator<Item = Seen>) {
        self.notes.seen[self.index].lock().expect("nothing panics here").extend(seen);
    }

    /// Fails as planned on a slice of events.
    fn check(&mut self, first: u64, events: usize) -> Result<(), String> {
        let all = first..first + events as u64;
        let Some(failing) = self.station.failing else { return Ok(()) };
        if !all.clone().any(|sequence| sequence % 7 == failing.at) {
            return Ok(());
        }
        if self.failed.0 != first {
            self.failed = (first, 0);
        }
        if self.failed.1 == failing.times {
            return Ok(());
        }
        self.failed.1 += 1;
        if self.failed.1 <= self.station.retries() {
            self.notes.retried[self.index].fetch_add(1, Ordering::Relaxed);
        } else if self.station.skips() {
            self.note(all.map(Seen::Skipped));
        } else {
            self.notes.fault(&Station::name(self.index), Some(first));
        }
        step();
        if failing.panics { plan_a_panic() } else { Err("as planned".to_owned()) }
    }

    fn release(&self, at: At<'_>) {
        if at.sequence() % 5 == self.station.releases_at {
            at.release();
        }
    }

    pub fn read(&mut self, event: &Event, at: At<'_>) -> Result<(), String> {
        self.read_all(std::slice::from_ref(event), at)
    }

    pub fn read_all(&mut self, events: &[Event], at: At<'_>) -> Result<(), String> {
        let held: Vec<Held> = events.iter().map(Event::hold).collect();
        self.release(at);
        self.check(at.sequence(), events.len())?;
        self.look(events, at.sequence());
        drop(held);
        Ok(())
    }

    pub fn remember(&self, sequence: u64, content: Content) {
        self.note([Seen::Handled(sequence, content)]);
    }

    /// Looks at events twice and remembers them.
    fn look(&mut self, events: &[Event], first: u64) {
        let before: Vec<Content> = events.iter().map(Event::shown).collect();
        step();
        assert!(events.iter().map(Event::shown).eq(before.iter().copied()), "an event changes");
        self.note((first..).zip(before).map(|(sequence, event)| Seen::Handled(sequence, event)));
    }

    pub fn update(&mut self, event: &mut Event, at: At<'_>) -> Result<(), String> {
        self.update_all(std::slice::from_mut(event), at)
    }

    pub fn update_all(&mut self, events: &mut [Event], at: At<'_>) -> Result<(), String> {
        let held: Vec<Held> = events.iter().map(Event::hold_alone).collect();
        self.release(at);
        self.check(at.sequence(), events.len())?;
        for event in &mut *events {
            event.shown();
            event.pass(self.index);
        }
        step();
        events.iter_mut().for_each(Event::complete);
        self.note(
            (at.sequence()..)
                .zip(&*events)
                .map(|(sequence, event)| Seen::Handled(sequence, event.shown())),
        );
        drop(held);
        Ok(())
    }

    fn hook(&mut self, which: PanickingHook) {
        step();
        if self.station.hook == Some(which) {
            self.patience = self.patience.saturating_sub(1);
            if self.patience == 0 || which == PanickingHook::Stop {
                self.notes.fault(&Station::name(self.index), None);
                plan_a_panic();
            }
        }
    }
}

impl Handler<Event> for Script {
    fn on_batch_start(&mut self, _size: usize, _backlog: u64) {
        self.hook(PanickingHook::BatchStart);
    }

    fn on_event(&mut self, event: &Event, at: At<'_>) -> Result<(), HandlerError> {
        Ok(self.read(event, at)?)
    }

    fn on_stop(&mut self) {
        self.hook(PanickingHook::Stop);
    }
}

impl HandlerMut<Event> for Script {
    fn on_batch_start(&mut self, _size: usize, _backlog: u64) {
        self.hook(PanickingHook::BatchStart);
    }

    fn on_event(&mut self, event: &mut Event, at: At<'_>) -> Result<(), HandlerError> {
        Ok(self.update(event, at)?)
    }

    fn on_stop(&mut self) {
        self.hook(PanickingHook::Stop);
    }
}

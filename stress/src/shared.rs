//! What the threads of a round share beside the ring: the clock, what is written down, and who is at large.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

use crate::{
    event::Census,
    evidence::{Act, Asked, Cleared, Testimony},
    plan::Plan,
};

/// What the threads of a round share, beside the ring.
#[derive(Debug)]
pub struct Shared {
    clock: Option<AtomicU64>,
    pub census: Arc<Census>,
    /// By station and worker, and behind them the guests; each is handed in when the code is
    /// dropped.
    testimonies: Mutex<Vec<Vec<Option<Testimony>>>>,
    /// By station.
    asked: Vec<Mutex<Vec<Asked>>>,
    cleared: Mutex<Vec<Cleared>>,
    pub reset_panicked: AtomicBool,
    /// Set before anybody calls `close` or `halt`, or ends the dispatcher.
    pub is_closing: AtomicBool,
    /// Set when `close` or `halt` has returned.
    pub is_closed: AtomicBool,
    /// The end of what each producer was told that it has published. Not one word for all: that
    /// would order the producers, and could hide what is missing.
    published: Vec<AtomicU64>,
    pub producers_left: AtomicU32,
    /// How many guests have come.
    pub arrivals: AtomicU64,
    /// How many have set out to come.
    pub attempts: AtomicU64,
    /// Set when there is nothing left to be watched.
    pub is_over: AtomicBool,
    act: Mutex<Act>,
    /// Who has not ended.
    roll: Mutex<Vec<String>>,
}

impl Shared {
    pub fn new(plan: &Plan) -> Arc<Self> {
        let unheard = plan.everybody().map(|plan| vec![None; plan.workers()]).collect();
        Arc::new(Self {
            clock: plan.has_clock.then(AtomicU64::default),
            census: Arc::default(),
            testimonies: Mutex::new(unheard),
            asked: plan.stations.iter().map(|_| Mutex::default()).collect(),
            cleared: Mutex::default(),
            reset_panicked: AtomicBool::new(false),
            is_closing: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            published: plan.producers.iter().map(|_| AtomicU64::new(plan.first)).collect(),
            producers_left: AtomicU32::new(plan.producers.len() as u32),
            arrivals: AtomicU64::new(0),
            attempts: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            act: Mutex::default(),
            roll: Mutex::default(),
        })
    }

    /// The time, where the round has a clock.
    pub fn tick(&self) -> Option<u64> {
        self.clock.as_ref().map(|clock| clock.fetch_add(1, Ordering::Relaxed))
    }

    pub fn testify(&self, index: usize, worker: usize, testimony: Testimony) {
        locked(&self.testimonies)[index][worker] = Some(testimony);
    }

    /// Whether a guest's code has been dropped.
    pub fn has_testified(&self, index: usize) -> bool {
        locked(&self.testimonies)[index].iter().all(Option::is_some)
    }

    /// All testimonies, once they are complete.
    pub fn take_testimonies(&self) -> Option<Vec<Testimony>> {
        let testimonies = locked(&self.testimonies);
        let of_team = |workers: &Vec<Option<Testimony>>| {
            Some(Testimony::of_team(workers.iter().cloned().collect::<Option<_>>()?))
        };
        testimonies.iter().map(of_team).collect()
    }

    /// Writes down that a station's key is asked for; returns how often it was before.
    pub fn ask(&self, station: usize, asked: Asked) -> usize {
        let mut all = locked(&self.asked[station]);
        all.push(asked);
        all.len() - 1
    }

    pub fn asked(&self) -> Vec<Vec<Asked>> {
        self.asked.iter().map(|asked| locked(asked).clone()).collect()
    }

    /// A producer was told that it has published everything before `end`.
    pub fn publish(&self, producer: usize, end: u64) {
        self.published[producer].store(end, Ordering::Release);
    }

    /// The end of all that producers were told they have published.
    pub fn published(&self) -> u64 {
        let ends = self.published.iter().map(|end| end.load(Ordering::Acquire));
        ends.max().unwrap_or_default()
    }

    pub fn act(&self) -> Act {
        *locked(&self.act)
    }

    pub fn begin(&self, act: Act) {
        *locked(&self.act) = act;
    }

    pub fn clear(&self, cleared: Cleared) {
        locked(&self.cleared).push(cleared);
    }

    pub fn cleared(&self) -> Vec<Cleared> {
        locked(&self.cleared).clone()
    }

    /// Lists somebody until the answer is dropped.
    pub fn enlist(self: &Arc<Self>, name: impl Into<String>) -> Enlisted {
        let name = name.into();
        locked(&self.roll).push(name.clone());
        Enlisted { name, shared: Arc::clone(self) }
    }

    /// Who has not ended.
    pub fn at_large(&self) -> Vec<String> {
        locked(&self.roll).clone()
    }
}

/// Somebody who has not ended.
#[derive(Debug)]
pub struct Enlisted {
    name: String,
    shared: Arc<Shared>,
}

impl Drop for Enlisted {
    fn drop(&mut self) {
        let mut roll = locked(&self.shared.roll);
        if let Some(index) = roll.iter().position(|name| *name == self.name) {
            roll.swap_remove(index);
        }
    }
}

/// A planned panic may come while a lock is held; what it guards stays as good as it was.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Who runs next: random walks and priorities, as the seed of an execution says.
//!
//! Shuttle's own schedulers go on from one execution to the next; these start afresh, so that the
//! seed of a failing execution is all that it takes to see it again.

use fastrand::Rng;
use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};

use super::failure;

/// The executions to run.
#[derive(Clone, Copy, Debug)]
pub enum Seeds {
    One(u64),
    /// So many, each with a new seed.
    Many(u64),
}

/// How the next thread is chosen.
#[derive(Debug)]
enum Manner {
    /// Any of them; the running one goes on so many times in 64.
    Walk { stays: u32 },
    /// Probabilistic concurrency testing (Burckhardt et al., ASPLOS 2010): the one with the highest
    /// priority. At a few moments the running thread becomes the last one; so does whoever yields.
    Priorities { demotions: Vec<u64>, of: Vec<i64>, last: i64 },
}

impl Manner {
    fn draw(rng: &mut Rng) -> Self {
        if rng.bool() {
            return Self::Walk { stays: [0, 32, 56, 62][rng.usize(0..4)] };
        }
        // An execution's length is not known in advance; its order of magnitude will do.
        let steps = 1_u64 << rng.u32(6..17);
        let demotions = (0..rng.u32(0..7)).map(|_| rng.u64(0..steps)).collect();
        Self::Priorities { demotions, of: Vec::new(), last: 0 }
    }
}

#[derive(Debug)]
pub(super) struct Seeded {
    seeds: Seeds,
    schedule: Rng,
    /// What the model draws, apart from what the schedule does.
    data: Rng,
    manner: Manner,
    steps: u64,
}

impl Seeded {
    pub(super) fn new(seeds: Seeds) -> Self {
        let rng = Rng::with_seed(0);
        Self {
            seeds,
            schedule: rng.clone(),
            data: rng,
            manner: Manner::Walk { stays: 0 },
            steps: 0,
        }
    }

    fn next_seed(&mut self) -> Option<u64> {
        match &mut self.seeds {
            Seeds::Many(0) => None,
            Seeds::Many(left) => {
                *left -= 1;
                Some(fastrand::u64(..))
            }
            Seeds::One(seed) => {
                let seed = *seed;
                self.seeds = Seeds::Many(0);
                Some(seed)
            }
        }
    }
}

impl Scheduler for Seeded {
    fn new_execution(&mut self) -> Option<Schedule> {
        let seed = self.next_seed()?;
        failure::begin(seed);
        self.schedule = Rng::with_seed(seed);
        self.data = self.schedule.fork();
        self.manner = Manner::draw(&mut self.schedule);
        self.steps = 0;
        Some(Schedule::new(seed))
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        self.steps += 1;
        let rng = &mut self.schedule;
        let current = current.filter(|current| runnable.iter().any(|task| task.id() == *current));
        match &mut self.manner {
            Manner::Walk { stays } => {
                let stays = !is_yielding && rng.u32(0..64) < *stays;
                current.filter(|_| stays).or_else(|| rng.choice(runnable).map(|task| task.id()))
            }
            Manner::Priorities { demotions, of, last } => {
                let newest = runnable.iter().map(|task| usize::from(task.id())).max()?;
                while of.len() <= newest {
                    of.push(rng.i64(1..i64::MAX));
                }
                if is_yielding || demotions.contains(&self.steps) {
                    *last -= 1;
                    if let Some(current) = current {
                        of[usize::from(current)] = *last;
                    }
                }
                runnable.iter().map(|task| task.id()).max_by_key(|id| of[usize::from(*id)])
            }
        }
    }

    fn next_u64(&mut self) -> u64 {
        self.data.u64(..)
    }
}

//! How a dispatcher ends: several threads close and halt it at random moments, and the last one to
//! let go of it waits for its end in one of four ways.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use fastrand::Rng;
use slipring::{Dispatcher, Report, ShutdownError};

use super::event::{Event, step};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Nothing,
    Close,
    Halt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    Join,
    Shutdown,
    /// With no time to drain.
    ShutdownNow,
    Drop,
}

/// What each of the threads does, and after how many steps; and what the last one does.
#[derive(Clone, Debug)]
pub struct Ending {
    pub acts: Vec<(u32, Act)>,
    pub last: Last,
    /// Only when the producers and the pollers are done.
    pub late: bool,
}

impl Ending {
    /// Waits for the producers to end it.
    pub fn orderly(late: bool) -> Self {
        Self { acts: vec![(0, Act::Nothing)], last: Last::Join, late }
    }

    pub fn storm(rng: &mut Rng) -> Self {
        let longest = 1 << rng.u32(0..10);
        let acts = (0..rng.usize(1..5))
            .map(|_| {
                let act = match rng.u32(0..6) {
                    0 | 1 => Act::Close,
                    2 => Act::Halt,
                    _ => Act::Nothing,
                };
                (rng.u32(0..longest), act)
            })
            .collect();
        let last = match rng.u32(0..6) {
            0 | 1 => Last::Join,
            2 | 3 => Last::Shutdown,
            4 => Last::ShutdownNow,
            _ => Last::Drop,
        };
        Self { acts, last, late: false }
    }

    /// Whether stations may be told to stop before they have handled everything.
    pub fn halts(&self) -> bool {
        self.last == Last::ShutdownNow || self.acts.iter().any(|(_, act)| *act == Act::Halt)
    }

    /// Whether producers may be refused.
    pub fn closes(&self) -> bool {
        self.last != Last::Join || self.acts.iter().any(|(_, act)| *act != Act::Nothing)
    }
}

/// What the dispatcher's last owner was told; nothing if it was dropped.
pub type Told = Option<Result<Report, ShutdownError>>;

/// Starts the threads. Whoever waits for all of them finds what the last one was told.
pub fn start(
    ending: &Ending,
    dispatcher: Dispatcher<Event>,
) -> (Vec<shuttle::thread::JoinHandle<()>>, Arc<Mutex<Told>>) {
    let told = Arc::new(Mutex::new(None));
    let last = ending.last;
    // Nobody else has a share: the last one to let go must be one of the threads.
    let shares = std::iter::repeat_n(Arc::new(dispatcher), ending.acts.len()).collect::<Vec<_>>();
    let threads = shares
        .into_iter()
        .zip(&ending.acts)
        .map(|(dispatcher, (steps, act))| {
            let (steps, act) = (*steps, *act);
            let told = Arc::clone(&told);
            shuttle::thread::spawn(move || {
                (0..steps).for_each(|_| step());
                match act {
                    Act::Nothing => {}
                    Act::Close => dispatcher.close(),
                    Act::Halt => dispatcher.halt(),
                }
                let Some(dispatcher) = Arc::into_inner(dispatcher) else { return };
                let result = match last {
                    Last::Join => Some(dispatcher.join()),
                    Last::Shutdown => Some(dispatcher.shutdown(Duration::from_mins(1))),
                    Last::ShutdownNow => Some(dispatcher.shutdown(Duration::ZERO)),
                    Last::Drop => {
                        drop(dispatcher);
                        None
                    }
                };
                *told.lock().expect("nothing panics here") = result;
            })
        })
        .collect();
    (threads, told)
}

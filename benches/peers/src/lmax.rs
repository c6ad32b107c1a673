//! LMAX Disruptor, in a JVM of its own beside this program: `lmax/README.md` has the protocol and
//! why it is asked this way.
//!
//! * The classes are compiled and the JVM started when the first run is asked for. It stays for all
//!   runs, because it is slow until its compiler has seen a cell for a while, and ends with its
//!   [`Lmax`]. Between two runs no thread of it is busy.
//! * Every cell is warmed up before its first run: the README's two runs, shorter, since the harness
//!   tries its way to the length of a run as well.
//! * A JVM cannot pin its threads. Where the others have cores of their own, it runs unpinned. It is
//!   told whether threads outnumber cores, by the same count as for all others: then its producer, too,
//!   yields while it waits for the clock.
//! * More threads that spin than cores make it wait for time slices, like all others. It comes
//!   through, so those cells fit.
//! * Its blocking wait sleeps for the producers only: a stage that waits for another stage spins, so
//!   the pipeline and the diamond collapse in the same way where cores are few.

mod classes;
mod reply;
mod server;

use std::{
    collections::HashSet,
    env,
    path::Path,
    sync::{Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use slipring_bench::{Cell, Contestant, Fault, Load, Outcome, contestant::is_classic};

use self::{reply::Reply, server::Server};

/// Where Debian has it.
const JAR: &str = "/usr/share/java/disruptor.jar";

/// A ring of so many large events, and the second one of the ping-pong, fit into the young part of
/// the heap.
const MOST_SLOTS: usize = 1 << 20;

/// How long a reply may take; the program gives a run up after 60 s by itself.
const REPLY_LIMIT: Duration = Duration::from_secs(90);

/// How long a run of the warm-up should take.
const WARM_RUN: Duration = Duration::from_millis(200);
/// How many of that length there are.
const WARM_RUNS: usize = 2;
/// When the warm-up of a cell ends, however far it came.
const WARM_LIMIT: Duration = Duration::from_secs(1);
/// Events of its first try.
const FIRST_TRY: u64 = 100;
/// How many times as long the next try may be: not more, because where threads outnumber cores a
/// lucky try is a hundred times faster than the next one.
const GROWTH: std::ops::RangeInclusive<f64> = 0.1..=10.0;

/// LMAX Disruptor 3.4.4.
#[derive(Debug, Default)]
pub struct Lmax {
    /// One run at a time; empty before the first and after one that broke it.
    jvm: Mutex<Option<Jvm>>,
}

/// A JVM and the kinds of runs that it knows: cells, with a rate or without, crowded or not.
#[derive(Debug)]
struct Jvm {
    server: Server,
    warm: HashSet<(Cell, bool, bool)>,
}

/// Why there is no reply that counts.
enum Failure {
    /// The JVM said why, and serves the next request.
    Refused(Fault),
    /// Nobody knows what the JVM does, if it is there.
    Lost(Fault),
}

impl Lmax {
    /// What is missing when it fits nothing.
    pub const NEEDS: &str = "lmax needs a JDK and Disruptor's jar: \
        apt-get install openjdk-17-jdk-headless libdisruptor-java";

    /// Whether it can run here; looks once, and says on standard error what is missing.
    fn is_there() -> bool {
        static THERE: OnceLock<bool> = OnceLock::new();
        *THERE.get_or_init(|| {
            let there = is_on_path("java") && is_on_path("javac") && Path::new(JAR).is_file();
            if !there {
                eprintln!("{}", Self::NEEDS);
            }
            there
        })
    }
}

impl Contestant for Lmax {
    fn name(&self) -> &'static str {
        "lmax"
    }

    fn fits(&self, cell: &Cell) -> bool {
        // Disruptor 3.4.4 waits for ever for room for a batch that is larger than the ring.
        let sized = cell.capacity.is_power_of_two()
            && cell.capacity <= MOST_SLOTS
            && cell.batch <= cell.capacity;
        is_classic(cell) && sized && Self::is_there()
    }

    fn run(&self, cell: &Cell, load: &Load) -> Result<Outcome, Fault> {
        let mut slot = self.jvm.lock().unwrap_or_else(PoisonError::into_inner);
        let jvm = match &mut *slot {
            Some(jvm) => jvm,
            empty => empty.insert(Jvm::start()?),
        };
        match jvm.run(cell, load) {
            Ok(reply) => reply.verdict(cell, load),
            Err(Failure::Refused(fault)) => Err(fault),
            Err(Failure::Lost(fault)) => {
                // Its drop ends the JVM, and the next run starts another.
                *slot = None;
                Err(fault)
            }
        }
    }
}

impl Jvm {
    fn start() -> Result<Self, Fault> {
        let classes = classes::compiled(JAR).map_err(Fault::Peer)?;
        let mut command = classes::server(&classes, JAR).map_err(Fault::Peer)?;
        let server = Server::start(&mut command)
            .map_err(|error| Fault::Peer(format!("cannot start java: {error}")))?;
        Ok(Self { server, warm: HashSet::new() })
    }

    fn run(&mut self, cell: &Cell, load: &Load) -> Result<Reply, Failure> {
        // It has classes of their own for each kind.
        let kind = (*cell, load.rate.is_some(), load.is_crowded(cell));
        if !self.warm.contains(&kind) {
            self.warm_up(cell, load)?;
            self.warm.insert(kind);
        }
        self.ask(cell, load)
    }

    /// Tries for `coming` that get longer until they last, then as many of them as it takes.
    fn warm_up(&mut self, cell: &Cell, coming: &Load) -> Result<(), Failure> {
        let begun = Instant::now();
        let (mut events, mut long_runs) = (FIRST_TRY, 0);
        while long_runs < WARM_RUNS && begun.elapsed() < WARM_LIMIT {
            let load = Load { events: cell.whole_batches(events), ..coming.clone() };
            let reply = self.ask(cell, &load)?;
            // Figures of a run that was wrong are no measure.
            let outcome = reply.verdict(cell, &load).map_err(Failure::Refused)?;
            long_runs += usize::from(outcome.elapsed * 2 >= WARM_RUN);
            events = next_try(&outcome);
        }
        Ok(())
    }

    fn ask(&mut self, cell: &Cell, load: &Load) -> Result<Reply, Failure> {
        let reply = self.server.ask(&request(cell, load), REPLY_LIMIT);
        let line = reply.map_err(|error| Failure::Lost(Fault::Peer(error)))?;
        Reply::parse(&line)
    }
}

fn request(cell: &Cell, load: &Load) -> String {
    let Cell { scenario, wait, batch, capacity, bytes } = cell;
    // The program keeps time in whole nanoseconds.
    let (events, rate) = (load.events, load.rate.unwrap_or(0).min(1_000_000_000));
    format!(
        "scenario={scenario} wait={wait} batch={batch} ring={capacity} bytes={bytes} \
         events={events} rate={rate} crowded={}",
        load.is_crowded(cell),
    )
}

/// The events of a run that takes as long as a run of the warm-up should.
#[allow(clippy::cast_precision_loss, clippy::cast_sign_loss)]
fn next_try(last: &Outcome) -> u64 {
    let missing = WARM_RUN.as_secs_f64() / last.elapsed.as_secs_f64();
    (missing.clamp(*GROWTH.start(), *GROWTH.end()) * last.events as f64) as u64
}

fn is_on_path(program: &str) -> bool {
    let name = format!("{program}{}", env::consts::EXE_SUFFIX);
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| directory.join(&name).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipring_bench::{Scenario, Wait};
    use std::sync::Arc;

    #[test]
    fn a_request_has_all_words() {
        let cell = Cell::new(Scenario::Pipeline(3), Wait::Hint, 10, 64, 8);
        let on = |cores: &[usize], load| request(&cell, &Load { cores: Arc::from(cores), ..load });
        let words = "scenario=pipeline wait=hint batch=10 ring=64 bytes=24 events=100 rate=";
        let full = on(&[0, 1, 2, 3], Load::full(&cell, 91));
        assert_eq!(full, format!("{words}0 crowded=false"));
        let paced = on(&[0, 1, 2], Load::paced(&cell, 100, 5));
        assert_eq!(paced, format!("{words}5 crowded=true"));
    }

    #[test]
    fn after_the_end_of_the_jvm_another_one_starts() {
        assert!(Lmax::is_there(), "{}", Lmax::NEEDS);
        let lmax = Lmax::default();
        let cell = Cell::new(Scenario::Unicast, Wait::Block, 10, 64, 8);
        let load = Load::full(&cell, 1_000);
        lmax.run(&cell, &load).expect("it is right");
        lmax.jvm.lock().expect("no panic").as_mut().expect("it is kept").server.stop();
        let fault = lmax.run(&cell, &load).expect_err("nobody can reply");
        assert!(matches!(fault, Fault::Peer(_)), "{fault}");
        assert!(lmax.jvm.lock().expect("no panic").is_none());
        lmax.run(&cell, &load).expect("a new one is right");
    }

    #[test]
    fn the_warm_up_grows_by_steps() {
        let after = |millis| {
            let elapsed = Duration::from_millis(millis);
            next_try(&Outcome { events: 100, elapsed, average_batch: 1.0, latency: None })
        };
        assert_eq!([after(0), after(100), after(400), after(60_000)], [1_000, 200, 50, 10]);
    }
}

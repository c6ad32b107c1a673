//! The program with the models, run one model a process.

use std::{
    collections::BTreeSet,
    env, fs,
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{
    mutants::{self, Mutant, Verdict, verdict},
    operation::{Operation, Order},
    sites::Place,
};
use crate::{command, project::Project};

const BUILD: [&str; 7] =
    ["test", "-p", "loom-tests", "--profile", "loom", "--no-run", "--message-format=json"];
/// What the program says before the number of executions, when it is done.
const EXECUTIONS: &str = "executions: ";
/// Far more than a model of the quick run takes.
const BASELINE_TIME_MAX: Duration = Duration::from_mins(20);

#[derive(Debug)]
pub struct Models {
    program: PathBuf,
    root: PathBuf,
}

/// A model with one form of the fence, as it runs when it passes.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    pub name: String,
    pub executions: usize,
    pub time: Duration,
    pub reaches: BTreeSet<Reached>,
    /// Mutants that it passes, because it passes with all of them at once.
    pub spares: &'a [Mutant<'a>],
}

/// What a job is a run of: `p06::one_sleeper`, without the form of the fence.
pub fn model(job: &str) -> &str {
    job.split('/').next().unwrap_or(job)
}

/// A site as the models' log says it.
pub type Reached = (Place, Operation, Order);

impl Models {
    pub fn build(project: &Project) -> Result<Self, String> {
        let mut command = project.cargo(&BUILD);
        println!("    $ {}", command::shown(&command));
        let messages = command::output(&mut command)?;
        let program = executable(&messages)
            .ok_or("cargo names no executable of the test `models` of loom-tests")?;
        Ok(Self { program: program.into(), root: project.path("") })
    }

    /// Runs every model, with the listed survivors weakened. The jobs come in the order in which
    /// mutants meet them: those with few executions first. That number, unlike the time, is always
    /// the same.
    ///
    /// A weaker ordering of a load, a store or a change allows more executions and forbids none. So
    /// what passes without all of these passes without each of them: one search tells that, where
    /// each would want its own in every model that reaches it.
    pub fn jobs<'a>(&self, listed: &'a [Mutant<'a>]) -> Result<Vec<Job<'a>>, String> {
        let list = command::output(Command::new(&self.program).arg("--list"))?;
        let names: Vec<&str> = list.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        let logs = env::temp_dir().join(format!("slipring-orderings-{}", std::process::id()));
        fs::create_dir_all(&logs).map_err(|error| format!("{}: {error}", logs.display()))?;
        let numbered: Vec<(usize, &str)> = names.into_iter().enumerate().collect();
        let jobs = parallel(&numbered, |(number, name)| {
            let log = logs.join(number.to_string());
            // If it fails, each of them is tried by itself.
            self.job(name, &log, listed).or_else(|_| self.job(name, &log, &[]))
        });
        let _ = fs::remove_dir_all(&logs);
        let mut jobs = jobs.into_iter().collect::<Result<Vec<_>, String>>()?;
        jobs.sort_by_key(|job| job.executions);
        Ok(jobs)
    }

    fn job<'a>(
        &self,
        name: &str,
        log: &PathBuf,
        spares: &'a [Mutant<'a>],
    ) -> Result<Job<'a>, String> {
        let started = Instant::now();
        let mut command = self.command(name);
        command.env("ORD_LOG", log).env("ORD_MUT", mutants::at_once(spares));
        let output = command::within(&mut command, BASELINE_TIME_MAX)?;
        let output = output.ok_or_else(|| {
            format!("the model {name} did not end within {} s", BASELINE_TIME_MAX.as_secs())
        })?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            return Err(format!("the model {name} fails with the orderings as they are:\n{text}"));
        }
        let executions = text.lines().find_map(|line| line.strip_prefix(EXECUTIONS)?.parse().ok());
        let executions = executions.ok_or_else(|| format!("the model {name} did not count"))?;
        let log = fs::read_to_string(log).unwrap_or_default();
        let reaches = log.lines().map(reached).collect::<Result<_, _>>()?;
        Ok(Job { name: name.to_owned(), executions, time: started.elapsed(), reaches, spares })
    }

    /// What becomes of a model with one ordering weakened.
    pub fn try_mutant(&self, job: &Job<'_>, mutant: &Mutant<'_>) -> Verdict {
        let limit = job.time * 10 + Duration::from_secs(30);
        let mut command = self.command(&job.name);
        match command::within(command.env("ORD_MUT", mutant.order()), limit) {
            Err(error) => Verdict::Undecided(error),
            Ok(None) => Verdict::Undecided(format!("no end within {} s", limit.as_secs())),
            Ok(Some(output)) => {
                let text = String::from_utf8_lossy(&output.stdout);
                verdict(output.status.success(), &text)
            }
        }
    }

    fn command(&self, job: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.root).args(["--run", job]);
        // Of a mutant's many ways to end, the program tells those that count on standard output.
        command.stderr(Stdio::null()).env_remove("ORD_LOG").env_remove("ORD_MUT");
        command
    }
}

/// Does something with each item, on all cores; the results are in the items' order.
pub fn parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let share = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return done };
            done.push((index, work(item)));
        }
    };
    let mut results: Vec<(usize, R)> = thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(share)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// The executable of the test `models` among cargo's messages, one JSON object a line.
fn executable(messages: &str) -> Option<String> {
    let is_it = |line: &&str| {
        line.starts_with(r#"{"reason":"compiler-artifact""#)
            && line.contains(r#""kind":["test"]"#)
            && line.contains(r#""name":"models""#)
    };
    let line = messages.lines().rev().find(is_it)?;
    let (_, value) = line.split_once(r#""executable":""#)?;
    let mut path = String::new();
    let mut characters = value.chars();
    loop {
        match characters.next()? {
            '"' => return Some(path),
            // In a path only quotes and backslashes are escaped.
            '\\' => path.push(characters.next()?),
            character => path.push(character),
        }
    }
}

/// A line of the models' log: `src/cursor.rs:33:16 load Acquire`.
fn reached(line: &str) -> Result<Reached, String> {
    let parse = || {
        let [place, operation, order] = line.split(' ').collect::<Vec<_>>()[..] else {
            return None;
        };
        let mut place = place.rsplitn(3, ':');
        let (column, line) = (place.next()?.parse().ok()?, place.next()?.parse().ok()?);
        let place = Place { file: place.next()?.replace('\\', "/"), line, column };
        Some((place, Operation::named(operation)?, Order::named(order)?))
    };
    parse().ok_or_else(|| format!("the models' log has a line that is not understood: {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_found_among_cargo_s_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-message","target":{"kind":["test"],"name":"models"}}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"models"},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"kind":["test"],"name":"models"},"executable":"C:\\a b\\models","fresh":true}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(executable(messages).as_deref(), Some(r"C:\a b\models"));
        assert_eq!(executable(r#"{"reason":"build-finished"}"#), None);
    }

    #[test]
    fn the_log_is_read() {
        let place = Place { file: "src/a.rs".to_owned(), line: 3, column: 14 };
        let expected = (place, Operation::LightFence, Order::SeqCst);
        assert_eq!(reached("src/a.rs:3:14 light-fence SeqCst"), Ok(expected));
        for line in
            ["", "src/a.rs:3 load Acquire", "src/a.rs:3:1 load", "src/a.rs:3:1 look Acquire"]
        {
            assert!(reached(line).is_err(), "{line}");
        }
    }

    #[test]
    fn results_are_in_the_items_order() {
        let items: Vec<usize> = (0..100).collect();
        let doubled: Vec<usize> = items.iter().map(|item| item * 2).collect();
        assert_eq!(parallel(&items, |item| item * 2), doubled);
    }
}

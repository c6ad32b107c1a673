//! A reactive pipeline over sensor data: lines are read on a pool of threads, what cannot be read is counted and stops
//! nothing, readings are put into windows by count or time, and each window is summed up on the pool. Whoever reads
//! the sums is slow; the sensors are made to wait, and no more is on the way than the pipeline keeps.
//!
//! Run it with `cargo run --release -p slipring-events --example sensors`, add `-- --help` for the options. Exit code
//! 0: the totals are right; 1: they are not.

use std::{
    error::Error,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use clap::Parser;
use slipring_events::reactive::{Pool, Subject, SystemTimer};

/// Windows that are summed up at a time.
const WINDOWS_AT_WORK: usize = 2;

/// Sensors, windows and averages.
#[derive(Clone, Debug, Parser)]
struct Options {
    /// How many lines the sensors send.
    #[arg(long, default_value_t = 20_000)]
    lines: u64,
    /// How many sensors there are.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    sensors: u32,
    /// How many lines may wait, a power of two.
    #[arg(long, default_value_t = 256)]
    room: usize,
    /// Readings in a window.
    #[arg(long, default_value_t = 500)]
    window: usize,
    /// How long a window waits for readings, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How many windows to show.
    #[arg(long, default_value_t = 6)]
    show: usize,
    /// Other lines for another number.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What a sensor has measured, in hundredths of a degree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    sensor: u32,
    hundredths: i64,
}

/// What a window comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Summary {
    readings: u64,
    sum: i64,
    least: Reading,
    most: Reading,
}

/// What has become of all lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Totals {
    unreadable: u64,
    summaries: Vec<Summary>,
    /// The most that were ever sent and not summed up.
    most_on_the_way: u64,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let options = Options::parse();
    let totals = run(&options)?;
    for (number, summary) in totals.summaries.iter().take(options.show).enumerate() {
        println!("window {number:>3}  {summary}");
    }
    let hidden = totals.summaries.len().saturating_sub(options.show);
    if hidden > 0 {
        println!("... and {hidden} more");
    }
    println!();
    println!("lines          {}", options.lines);
    println!("unreadable     {}, which stopped nothing", totals.unreadable);
    println!("windows        {}, with {} readings", totals.summaries.len(), totals.readings());
    println!(
        "on the way     {} lines at most, of {} that have room",
        totals.most_on_the_way,
        bound(&options)
    );
    Ok(match totals.check(&options) {
        Ok(()) => {
            println!("checked        every line is in a window, or counted as unreadable");
            ExitCode::SUCCESS
        }
        Err(complaint) => {
            println!("WRONG          {complaint}");
            ExitCode::FAILURE
        }
    })
}

fn run(options: &Options) -> Result<Totals, Box<dyn Error>> {
    let pool = Pool::of_cores()?;
    let mut lines = Subject::new(options.room)?;
    let unreadable = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&unreadable);
    let mut summaries = lines
        .subscribe()?
        .observe_on(&pool, pool.workers(), |line: String| read(&line))
        .on_error(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        })
        .window(options.window, Duration::from_secs(options.seconds), SystemTimer)
        .observe_on(&pool, WINDOWS_AT_WORK, |window| sum_up(&window));
    let done = Arc::new(AtomicU64::new(0));
    let sensors = {
        let (options, done, unreadable) =
            (options.clone(), Arc::clone(&done), Arc::clone(&unreadable));
        thread::spawn(move || {
            let mut most = 0;
            for (sent, line) in (1..).zip(measure(&options)) {
                lines.publish(line).map_err(|refused| refused.to_string())?;
                // Whoever is done may be counted late, and never early.
                let passed = done.load(Ordering::SeqCst) + unreadable.load(Ordering::SeqCst);
                most = most.max(sent - passed.min(sent));
            }
            Ok::<u64, String>(most)
        })
    };
    let mut totals = Totals::default();
    smol::block_on(async {
        while let Some(summary) = summaries.next().await {
            done.fetch_add(summary.readings, Ordering::SeqCst);
            totals.summaries.push(summary);
            // Somebody who takes their time.
            thread::yield_now();
        }
    });
    totals.most_on_the_way = sensors.join().map_err(|_| "a sensor panicked")??;
    totals.unreadable = unreadable.load(Ordering::SeqCst);
    Ok(totals)
}

/// What the sensors send: now and then something that nobody can read.
fn measure(options: &Options) -> impl Iterator<Item = String> + use<> {
    let (mut rng, sensors) = (fastrand::Rng::with_seed(options.seed), options.sensors);
    (0..options.lines).map(move |_| {
        let sensor = rng.u32(0..sensors);
        match rng.u32(0..50) {
            0 => format!("{sensor} ?"),
            _ => format!("{sensor} {}", 2_000 + rng.i64(-500..=500)),
        }
    })
}

fn read(line: &str) -> Result<Reading, Box<dyn Error + Send + Sync>> {
    let (sensor, hundredths) = line.split_once(' ').ok_or("two words are wanted")?;
    Ok(Reading { sensor: sensor.parse()?, hundredths: hundredths.parse()? })
}

/// No window is empty.
fn sum_up(window: &[Reading]) -> Summary {
    let by_heat = |reading: &&Reading| reading.hundredths;
    Summary {
        readings: window.len() as u64,
        sum: window.iter().map(|reading| reading.hundredths).sum(),
        least: window.iter().min_by_key(by_heat).copied().unwrap_or(window[0]),
        most: window.iter().max_by_key(by_heat).copied().unwrap_or(window[0]),
    }
}

/// How many lines there is room for, all together: on the ring and one that is being published, being read, in the
/// window that is open, and in those that are summed up or have not been counted yet.
fn bound(options: &Options) -> u64 {
    let at_work = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (options.room + 1 + at_work + options.window * (1 + WINDOWS_AT_WORK + 1)) as u64
}

impl Totals {
    fn readings(&self) -> u64 {
        self.summaries.iter().map(|summary| summary.readings).sum()
    }

    /// Compares with a plain loop over the same lines.
    fn check(&self, options: &Options) -> Result<(), String> {
        let plain: Vec<Option<Reading>> = measure(options).map(|line| read(&line).ok()).collect();
        let readings: Vec<Reading> = plain.iter().copied().flatten().collect();
        let unreadable = (plain.len() - readings.len()) as u64;
        let sum: i64 = readings.iter().map(|reading| reading.hundredths).sum();
        let found: i64 = self.summaries.iter().map(|summary| summary.sum).sum();
        same("unreadable", unreadable, self.unreadable)?;
        same("readings", readings.len() as u64, self.readings())?;
        same("sum", sum, found)?;
        let (most, bound) = (self.most_on_the_way, bound(options));
        if most > bound {
            return Err(format!("{most} lines were on the way, and there is room for {bound}"));
        }
        Ok(())
    }
}

fn same<T: Copy + PartialEq + std::fmt::Display>(
    what: &str,
    expected: T,
    found: T,
) -> Result<(), String> {
    if expected == found { Ok(()) } else { Err(format!("{what}: {found} in place of {expected}")) }
}

/// Of hundredths.
fn degrees(hundredths: i64) -> String {
    let sign = if hundredths < 0 { "-" } else { "" };
    let hundredths = hundredths.unsigned_abs();
    format!("{sign}{}.{:02}", hundredths / 100, hundredths % 100)
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { readings, sum, least, most } = self;
        let average = degrees(sum / i64::try_from(*readings).unwrap_or(i64::MAX));
        write!(
            f,
            "{readings} readings, {average} degrees on average, {} (sensor {}) to {} (sensor {})",
            degrees(least.hundredths),
            least.sensor,
            degrees(most.hundredths),
            most.sensor,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(lines: u64, room: usize, window: usize) -> Options {
        let mut options = Options::parse_from(["sensors"]);
        // Only full windows, and what is left at the end.
        (options.lines, options.room, options.window, options.seconds) =
            (lines, room, window, 3_600);
        options
    }

    #[test]
    fn every_line_is_in_a_window_or_counted() {
        for (lines, room, window) in
            [(5_000, 1, 1), (5_000, 2, 7), (5_000, 64, 100), (10, 64, 100), (0, 4, 4)]
        {
            let options = options(lines, room, window);
            let totals = run(&options).expect("it runs");
            assert_eq!(totals.check(&options), Ok(()), "{options:?}");
            let (full, rest) =
                (totals.readings() / window as u64, totals.readings() % window as u64);
            assert_eq!(totals.summaries.len() as u64, full + u64::from(rest > 0));
        }
    }

    #[test]
    fn totals_that_are_wrong_are_found() {
        let options = options(1_000, 8, 10);
        let totals = run(&options).expect("it runs");
        let wrong = |change: fn(&mut Totals)| {
            let mut totals = totals.clone();
            change(&mut totals);
            totals.check(&options).is_err()
        };
        assert!(wrong(|totals| totals.unreadable += 1));
        assert!(wrong(|totals| totals.summaries.truncate(3)));
        assert!(wrong(|totals| totals.summaries[0].sum += 1));
        assert!(wrong(|totals| totals.most_on_the_way = 1_000));
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        assert_eq!(read("3 2050").ok(), Some(Reading { sensor: 3, hundredths: 2_050 }));
        assert!(["", "3", "3 ?", "x 2050"].into_iter().all(|line| read(line).is_err()));
    }
}

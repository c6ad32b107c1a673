//! `slipring store replay`.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _, Write},
    ops::ControlFlow,
    thread,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use slipring_events::Time;
use slipring_store::Record;

use super::{
    failure::Failure,
    location::Location,
    output::{Form, writer},
    read::Written,
    times,
};

/// After so many events the progress is shown again.
const STEP: u64 = 4_096;
/// A pause is slept in parts, so that the bar moves.
const NAP: Duration = Duration::from_millis(100);

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A directory, or redis://HOST:PORT#NAME.
    store: Location,
    /// From that position on; from the first that is there if not given.
    #[arg(long, value_name = "POSITION", conflicts_with = "since")]
    from: Option<u64>,
    /// From the first position on whose event is not older: 2026-11-22T08:30:00Z, or 24h for a day ago.
    #[arg(long, value_name = "TIME", value_parser = times::moment)]
    since: Option<Time>,
    /// Up to that position, which is not replayed; to the end if not given.
    #[arg(long, value_name = "POSITION", default_value_t = u64::MAX, hide_default_value = true)]
    to: u64,
    /// So many times as fast as it happened: 1 keeps its pace, 60 makes a minute of an hour. As fast as it goes if
    /// not given.
    #[arg(long, value_name = "FACTOR", value_parser = speed)]
    speed: Option<f64>,
    /// Writes no events, only what they were.
    #[arg(long)]
    silent: bool,
    /// How to write an event.
    #[arg(long, value_enum, default_value_t)]
    form: Form,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if speed.is_finite() && speed > 0.0 => Ok(speed),
        _ => Err(format!("{text:?} is no speed: write 1 for the pace in which it happened, or 60")),
    }
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let opened = args.store.open()?;
    let bounds = opened.store.bounds()?;
    let from = match (args.from, args.since) {
        (Some(from), _) => from,
        (None, Some(since)) => {
            let replay = slipring_store::Replay::new(opened.store.clone());
            replay.from_time(since).first_position()?
        }
        (None, None) => bounds.first,
    };
    let end = args.to.min(bounds.end);
    let bar = progress(end.saturating_sub(from));
    let mut replay = Replay { pace: args.speed.map(Pace::new), shown: Shown::default() };
    let to = if args.silent { Box::new(io::sink()) } else { writer("-".as_ref())? };
    let mut written = (!args.silent).then(|| Written::new(args.form, to));
    let start = Instant::now();
    let mut done = Ok(());
    opened.store.scan(from, &mut |record| {
        if record.position >= end {
            return ControlFlow::Break(());
        }
        done = replay.take(&record, written.as_mut(), &bar);
        if done.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    if let Some(written) = &mut written {
        written.flush()?;
    }
    done?;
    bar.finish_and_clear();
    replay.shown.tell(&mut io::stderr().lock(), start.elapsed())?;
    Ok(())
}

fn progress(events: u64) -> ProgressBar {
    let is_seen = io::stderr().is_terminal();
    let target = if is_seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let form = "{bar:30} {pos}/{len} events, {per_sec}, {eta} left";
    let style = ProgressStyle::with_template(form).expect("the template is well formed");
    ProgressBar::with_draw_target(Some(events), target).with_style(style)
}

/// Keeps events apart as they were when they happened.
struct Pace {
    speed: f64,
    /// When the first was replayed, and when it happened.
    first: Option<(Instant, Time)>,
}

impl Pace {
    fn new(speed: f64) -> Self {
        Self { speed, first: None }
    }

    /// How long to wait for the turn of an event.
    fn wait(&mut self, time: Time) -> Duration {
        let (start, first) = *self.first.get_or_insert((Instant::now(), time));
        let due = time.since(first).as_secs_f64() / self.speed;
        // What is not for some hundred thousand years has no duration.
        let due = Duration::try_from_secs_f64(due).unwrap_or(Duration::MAX);
        due.saturating_sub(start.elapsed())
    }
}

/// What was replayed.
#[derive(Debug, Default)]
struct Shown {
    events: u64,
    bytes: u64,
    times: Option<(Time, Time)>,
    topics: BTreeMap<String, u64>,
}

struct Replay {
    pace: Option<Pace>,
    shown: Shown,
}

impl Replay {
    fn take<W: Write>(
        &mut self,
        record: &Record<'_>,
        written: Option<&mut Written<W>>,
        bar: &ProgressBar,
    ) -> Result<(), Failure> {
        let mut written = written;
        if let Some(pace) = &mut self.pace {
            let mut left = pace.wait(record.time);
            if !left.is_zero()
                && let Some(written) = &mut written
            {
                // Whoever reads is to have what has happened.
                written.flush()?;
            }
            while !left.is_zero() {
                bar.set_position(self.shown.events);
                thread::sleep(left.min(NAP));
                left = pace.wait(record.time);
            }
        }
        if let Some(written) = written
            && written.write(record).is_break()
        {
            return written.flush();
        }
        self.shown.note(record);
        if self.shown.events.is_multiple_of(STEP) {
            bar.set_position(self.shown.events);
        }
        Ok(())
    }
}

impl Shown {
    fn note(&mut self, record: &Record<'_>) {
        self.events += 1;
        self.bytes += record.payload.len() as u64;
        let (first, last) = self.times.unwrap_or((record.time, record.time));
        self.times = Some((first.min(record.time), last.max(record.time)));
        match self.topics.get_mut(record.topic) {
            Some(count) => *count += 1,
            None => drop(self.topics.insert(record.topic.to_owned(), 1)),
        }
    }

    fn tell(&self, to: &mut impl Write, took: Duration) -> io::Result<()> {
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = self.events as f64 / took.as_secs_f64().max(1e-9);
        writeln!(
            to,
            "{} events, {} bytes of what happened, {rate:.0} events/s",
            self.events, self.bytes,
        )?;
        if let Some((first, last)) = self.times {
            writeln!(to, "{first} to {last}")?;
        }
        for (topic, count) in &self.topics {
            writeln!(to, "{count:>10}  {topic}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_waits_for_its_turn() {
        let mut pace = Pace::new(1_000.0);
        assert_eq!(pace.wait(Time::from_nanos(5)), Duration::ZERO);
        let hours = pace.wait(Time::from_nanos(5).saturating_add(Duration::from_hours(1_000)));
        assert!(hours <= Duration::from_hours(1) && hours > Duration::from_mins(59), "{hours:?}");
        // Earlier than the first: clocks were set back.
        assert_eq!(pace.wait(Time::EPOCH), Duration::ZERO);
        let never = Pace::new(f64::MIN_POSITIVE).wait(Time::from_nanos(u64::MAX));
        assert_eq!(never, Duration::ZERO);
    }

    #[test]
    fn a_speed_is_more_than_nothing() {
        assert_eq!(speed("0.5"), Ok(0.5));
        for wrong in ["", "0", "-1", "NaN", "inf", "fast"] {
            assert!(speed(wrong).expect_err(wrong).contains("no speed"), "{wrong}");
        }
    }
}

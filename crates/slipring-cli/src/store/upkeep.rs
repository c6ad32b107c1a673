//! `slipring store verify`, `retain` and `compact`.

use std::{
    io::{self, Write as _},
    ops::ControlFlow,
    time::Duration,
};

use slipring_events::{Clock as _, SystemClock};
use slipring_store::{EventStore, Retention};

use super::{failure::Failure, location::Location, times};

#[derive(Clone, Debug, clap::Args)]
pub struct VerifyArgs {
    /// A directory, or redis://HOST:PORT#NAME.
    store: Location,
}

#[derive(Clone, Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["age", "events", "bytes"]))]
pub struct RetainArgs {
    /// A directory, or redis://HOST:PORT#NAME.
    store: Location,
    /// Keeps what is not older: 24h, 7d.
    #[arg(long, value_name = "TIME", value_parser = times::span)]
    age: Option<Duration>,
    /// Keeps so many events.
    #[arg(long, value_name = "N")]
    events: Option<u64>,
    /// Keeps so many bytes.
    #[arg(long, value_name = "N")]
    bytes: Option<u64>,
}

#[derive(Clone, Debug, clap::Args)]
pub struct CompactArgs {
    /// A directory.
    store: Location,
}

pub fn verify(args: &VerifyArgs) -> Result<(), Failure> {
    let opened = args.store.open_damaged()?;
    let mut to = io::stdout().lock();
    let Some(store) = &opened.embedded else {
        let events = read_all(&*opened.store)?;
        writeln!(to, "{events} events, and all of them can be read")?;
        return Ok(());
    };
    let report = store.verify()?;
    writeln!(to, "{report}")?;
    if report.is_sound() {
        Ok(())
    } else {
        Err(Failure::Damaged(format!("{} is damaged", args.store)))
    }
}

/// Reads every event.
fn read_all(store: &dyn EventStore) -> Result<u64, Failure> {
    let bounds = store.bounds()?;
    let mut expected = bounds.first;
    let mut gap = None;
    let next = store.scan(bounds.first, &mut |record| {
        if record.position != expected {
            gap = Some((expected, record.position));
            return ControlFlow::Break(());
        }
        expected += 1;
        ControlFlow::Continue(())
    })?;
    match gap {
        Some((expected, found)) => Err(Failure::Damaged(format!(
            "the event at {expected} is missing: the one at {found} follows"
        ))),
        None if next < bounds.end => Err(Failure::Damaged(format!(
            "the events from {next} on are missing: the store says that it ends at {}",
            bounds.end
        ))),
        None => Ok(next - bounds.first),
    }
}

pub fn retain(args: &RetainArgs) -> Result<(), Failure> {
    let opened = args.store.open()?;
    let mut keep = Retention::everything();
    (keep.age, keep.events, keep.bytes) = (args.age, args.events, args.bytes);
    let removed = opened.store.retain(&keep, SystemClock.now())?;
    let mut to = io::stdout().lock();
    writeln!(to, "{} events removed; the first is now {}", removed.events, removed.first)?;
    if let Some(name) = removed.held_by {
        writeln!(to, "more is kept for checkpoint `{}`", name.escape_debug())?;
    }
    Ok(())
}

pub fn compact(args: &CompactArgs) -> Result<(), Failure> {
    let opened = args.store.open()?;
    let Some(store) = opened.embedded else {
        return Err(Failure::Impossible(
            "only a store in a directory is compacted: a server does it by itself".to_owned(),
        ));
    };
    let before = store.figures()?.file_bytes;
    store.compact()?;
    let after = store.figures()?.file_bytes;
    writeln!(io::stdout().lock(), "{before} bytes before, {after} now")?;
    Ok(())
}

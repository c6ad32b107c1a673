//! `slipring store query` and `tail`.

use std::{
    io::{self, BufWriter, Write},
    ops::ControlFlow,
    time::Duration,
};

use slipring_events::{Time, topic::Pattern};
use slipring_store::{Query, Reach, Record, StoreError, Subscription};

use super::{failure::Failure, location::Location, output::Form, times};

/// How long to wait for events before looking again.
const WAIT: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, clap::Args)]
pub struct QueryArgs {
    /// A directory, or redis://HOST:PORT#NAME.
    store: Location,
    /// Only these: order.created, order.* or order.#.
    #[arg(long, value_name = "PATTERN")]
    topic: Option<Pattern>,
    /// Nothing before: 2026-11-22T08:30:00Z, or 24h for a day ago.
    #[arg(long, value_name = "TIME", value_parser = times::moment)]
    from: Option<Time>,
    /// Nothing behind; an event of that very moment is shown.
    #[arg(long, value_name = "TIME", value_parser = times::moment)]
    to: Option<Time>,
    /// So many at most.
    #[arg(long, value_name = "N", default_value_t = u64::MAX, hide_default_value = true)]
    limit: u64,
    /// How to write an event.
    #[arg(long, value_enum, default_value_t)]
    form: Form,
}

#[derive(Clone, Debug, clap::Args)]
pub struct TailArgs {
    /// A directory, or redis://HOST:PORT#NAME.
    store: Location,
    /// How many of the last events.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10, conflicts_with = "from")]
    lines: u64,
    /// From that position on instead.
    #[arg(long, value_name = "POSITION")]
    from: Option<u64>,
    /// Goes on with events as they are stored. A store in a directory is open to one program at a time, so this
    /// is for one in a server.
    #[arg(short, long)]
    follow: bool,
    /// How to write an event.
    #[arg(long, value_enum, default_value_t)]
    form: Form,
}

/// Writes records, and keeps the first failure to do so.
pub struct Written<W> {
    form: Form,
    to: W,
    failure: Option<Failure>,
}

impl<W: Write> Written<W> {
    pub fn new(form: Form, to: W) -> Self {
        Self { form, to, failure: None }
    }

    pub fn write(&mut self, record: &Record<'_>) -> ControlFlow<()> {
        match self.form.write(record, &mut self.to) {
            Ok(()) => ControlFlow::Continue(()),
            Err(failure) => {
                self.failure = Some(failure);
                ControlFlow::Break(())
            }
        }
    }

    /// Whether all has been written.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.failure.take().map_or(Ok(()), Err)?;
        self.to.flush()?;
        Ok(())
    }
}

pub fn query(args: &QueryArgs) -> Result<(), Failure> {
    let opened = args.store.open()?;
    let mut query = args.topic.clone().map_or_else(Query::all, Query::matching).limit(args.limit);
    query.from = args.from.unwrap_or(query.from);
    query.to = args.to.unwrap_or(query.to);
    let mut written = Written::new(args.form, BufWriter::new(io::stdout().lock()));
    opened.store.query(&query, &mut |record| written.write(&record))?;
    written.flush()
}

pub fn tail(args: &TailArgs) -> Result<(), Failure> {
    let opened = args.store.open()?;
    let bounds = opened.store.bounds()?;
    let from = match args.from {
        Some(from) if from < bounds.first => {
            return Err(StoreError::Removed { asked: from, first: bounds.first }.into());
        }
        Some(from) if from > bounds.end => {
            return Err(StoreError::Beyond { asked: from, end: bounds.end }.into());
        }
        Some(from) => from,
        None => bounds.end.saturating_sub(args.lines).max(bounds.first),
    };
    let mut written = Written::new(args.form, BufWriter::new(io::stdout().lock()));
    let mut subscription = Subscription::new(opened.store, from, Reach::Visible);
    subscription.next_now(&mut |record| written.write(&record))?;
    written.flush()?;
    if !args.follow {
        return Ok(());
    }
    loop {
        subscription.next_within(WAIT, &mut |record| written.write(&record))?;
        written.flush()?;
    }
}

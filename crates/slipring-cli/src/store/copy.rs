//! `slipring store export` and `import`.

use std::{
    io::BufRead,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use slipring_store::{Batch, Durability, EventStore, StoreError, lines};

use super::{
    failure::Failure,
    location::Location,
    output::{Form, reader, writer},
    read::Written,
};

#[derive(Clone, Debug, clap::Args)]
pub struct ExportArgs {
    /// A directory, or redis://HOST:PORT#NAME.
    store: Location,
    /// Where the lines go; - is the standard output.
    #[arg(default_value = "-")]
    file: PathBuf,
    /// From that position on; from the first that is there if not given.
    #[arg(long, value_name = "POSITION")]
    from: Option<u64>,
    /// Up to that position, which is not written; to the end if not given.
    #[arg(long, value_name = "POSITION", default_value_t = u64::MAX, hide_default_value = true)]
    to: u64,
}

#[derive(Clone, Debug, clap::Args)]
pub struct ImportArgs {
    /// A directory, which is made if it is not there, or redis://HOST:PORT#NAME.
    store: Location,
    /// Where the lines come from; - is the standard input.
    #[arg(default_value = "-")]
    file: PathBuf,
    /// How many events are committed at once. If the import ends early, what was committed stays, and the message
    /// says from which line on to go on.
    #[arg(long, value_name = "N", default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// Leaves out so many lines first.
    #[arg(long, value_name = "N", default_value_t = 0)]
    skip: u64,
}

pub fn export(args: &ExportArgs) -> Result<(), Failure> {
    let opened = args.store.open()?;
    let from = match args.from {
        Some(from) => from,
        None => opened.store.bounds()?.first,
    };
    let mut written = Written::new(Form::Json, writer(&args.file)?);
    let mut count = 0_u64;
    opened.store.scan(from, &mut |record| {
        if record.position >= args.to {
            return ControlFlow::Break(());
        }
        count += 1;
        written.write(&record)
    })?;
    written.flush()?;
    eprintln!("{count} events from {}", args.store);
    Ok(())
}

pub fn import(args: &ImportArgs) -> Result<(), Failure> {
    let mut from = reader(&args.file)?;
    let opened = args.store.open_or_create()?;
    let store = &*opened.store;
    let mut import = Import { store, batch: Batch::new(), lines: 0, done: args.skip, events: 0 };
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = from.read_until(b'\n', &mut line).map_err(Failure::from);
        let is_end = match read {
            Ok(bytes) => bytes == 0,
            Err(failure) => return Err(import.given_up(&args.file, failure)),
        };
        if is_end {
            break;
        }
        import.lines += 1;
        if import.lines <= args.skip {
            continue;
        }
        let done = import.take(&line, args.batch as usize);
        if let Err(failure) = done {
            return Err(import.given_up(&args.file, failure));
        }
    }
    if let Err(failure) = import.commit() {
        return Err(import.given_up(&args.file, failure));
    }
    eprintln!("{} events into {}", import.events, args.store);
    Ok(())
}

struct Import<'a> {
    store: &'a dyn EventStore,
    batch: Batch,
    /// How many lines have been read.
    lines: u64,
    /// How many of them are done with, for good.
    done: u64,
    /// How many events they were.
    events: u64,
}

impl Import<'_> {
    fn take(&mut self, line: &[u8], most: usize) -> Result<(), Failure> {
        let line = line.trim_ascii();
        if line.is_empty() {
            return Ok(());
        }
        let impossible = |problem: &dyn std::fmt::Display| Failure::Impossible(problem.to_string());
        let event = lines::read(line).map_err(|error| impossible(&error))?;
        event.put_into(&mut self.batch).map_err(|error| impossible(&error))?;
        if self.batch.len() >= most { self.commit() } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<(), Failure> {
        self.store.commit(&self.batch, Durability::Visible)?;
        match self.store.sync() {
            // As durable as the server is set to make it.
            Ok(_) | Err(StoreError::NotDurable { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        self.events += self.batch.len() as u64;
        self.done = self.lines;
        self.batch.clear();
        Ok(())
    }

    /// Says where it stopped, so that it can go on there.
    fn given_up(&self, file: &Path, failure: Failure) -> Failure {
        let (line, done) = (self.lines, self.done);
        failure.while_(format_args!(
            "{}, line {line} (lines 1 to {done} are stored: go on with --skip {done})",
            file.display(),
        ))
    }
}

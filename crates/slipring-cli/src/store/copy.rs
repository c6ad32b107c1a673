//! `slipring store export` and `import`.

use std::{
    io::{BufRead, Read as _},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use slipring_store::{Batch, CommitError, Durability, Entry, EventStore, StoreError, lines};

use super::{
    failure::Failure,
    location::Location,
    output::{Form, reader, writer},
    read::Written,
};

/// How many bytes a line may have: each byte of the largest event takes six at most, as `\\u0001` does.
const LONGEST_LINE: u64 = Entry::LARGEST as u64 * 6 + (1 << 20);

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
    let mut import =
        Import { store, batch: Batch::new(), lines: 0, done: args.skip, events: 0, is_open: false };
    let mut line = Vec::new();
    loop {
        line.clear();
        let is_end = match read_line(&mut *from, &mut line, LONGEST_LINE) {
            Ok(bytes) => bytes == 0,
            Err(failure) => {
                import.lines += 1;
                return Err(import.given_up(&args.file, failure));
            }
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

/// Reads a line, of so many bytes at most: what is longer is no event, and need not fit into the memory.
fn read_line(from: &mut dyn BufRead, line: &mut Vec<u8>, most: u64) -> Result<usize, Failure> {
    let bytes = from.take(most + 1).read_until(b'\n', line)?;
    if bytes as u64 > most {
        return Err(Failure::Impossible(format!("it has more than {most} bytes: no event has")));
    }
    Ok(bytes)
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
    /// What became of the lines behind those is not known.
    is_open: bool,
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
        let committed = self.store.commit(&self.batch, Durability::Visible);
        self.is_open = matches!(committed, Err(CommitError::Store(StoreError::Io { .. })));
        committed?;
        match self.store.sync() {
            // As durable as the server is set to make it.
            Ok(_) | Err(StoreError::NotDurable { .. }) => {}
            Err(error) => {
                self.is_open = true;
                return Err(error.into());
            }
        }
        self.events += self.batch.len() as u64;
        self.done = self.lines;
        self.batch.clear();
        Ok(())
    }

    /// Says where it stopped, so that it can go on there.
    fn given_up(&self, file: &Path, failure: Failure) -> Failure {
        let (line, done) = (self.lines, self.done);
        let open = if self.is_open {
            format!("; lines {} to {line} may be stored or not: look with `tail` first", done + 1)
        } else {
            String::new()
        };
        failure.while_(format_args!(
            "{}, line {line} (lines 1 to {done} are stored: go on with --skip {done}{open})",
            file.display(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipring_store::Memory;

    #[test]
    fn a_line_without_an_end_is_not_read_to_its_end() {
        let mut line = Vec::new();
        let mut text = &b"1234\n12345\n123456"[..];
        assert_eq!(read_line(&mut text, &mut line, 6).expect("it is short"), 5);
        line.clear();
        assert_eq!(read_line(&mut text, &mut line, 6).expect("it is short"), 6);
        line.clear();
        assert_eq!(read_line(&mut text, &mut line, 6).expect("it is short"), 6);
        line.clear();
        assert_eq!(read_line(&mut text, &mut line, 6).expect("it is the end"), 0);
        let mut endless = std::io::BufReader::new(std::io::repeat(b'x'));
        let failure = read_line(&mut endless, &mut line, 6).expect_err("it has no end");
        assert!(failure.to_string().contains("more than 6 bytes"), "{failure}");
        assert_eq!(line.len(), 7);
    }

    #[test]
    fn what_is_not_known_is_said() {
        let store = Memory::new();
        let (batch, file) = (Batch::new(), Path::new("orders.jsonl"));
        let mut import =
            Import { store: &store, batch, lines: 12, done: 8, events: 8, is_open: false };
        let say = |import: &Import<'_>| {
            let failure = Failure::Impossible("the disk is full".to_owned());
            import.given_up(file, failure).to_string()
        };
        assert!(!say(&import).contains("may be stored or not"));
        import.is_open = true;
        assert!(say(&import).contains("--skip 8; lines 9 to 12 may be stored or not: "));
    }
}

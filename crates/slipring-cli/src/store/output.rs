//! How events are shown.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::Path,
};

use slipring_store::{Record, lines};

use super::failure::Failure;

/// How many bytes of what happened are shown.
const SHOWN: usize = 60;

/// How to write an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// A line of JSON each, with everything.
    #[default]
    Json,
    /// Position, time, topic, stream and the first of what happened.
    Short,
}

impl Form {
    pub fn write(self, record: &Record<'_>, to: &mut impl Write) -> Result<(), Failure> {
        match self {
            Self::Json => lines::write(record, &mut *to)?,
            Self::Short => short(record, to)?,
        }
        to.write_all(b"\n")?;
        Ok(())
    }
}

fn short(record: &Record<'_>, to: &mut impl Write) -> io::Result<()> {
    write!(to, "{:>8}  {}  {}", record.position, record.time, record.topic)?;
    if let Some(place) = record.stream {
        write!(to, "  {}/{}", place.name.escape_debug(), place.version)?;
    }
    let first = &record.payload[..record.payload.len().min(SHOWN)];
    let dots = if first.len() < record.payload.len() { "..." } else { "" };
    // What is no text is escaped, too: a terminal must not obey it.
    match std::str::from_utf8(record.payload) {
        Ok(text) => {
            let first: String = text.chars().take(SHOWN).collect();
            let dots = if first.len() < text.len() { "..." } else { "" };
            let calm: String = first
                .chars()
                .flat_map(|char| {
                    let is_calm = !char.is_control();
                    let escaped = (!is_calm).then(|| char.escape_default());
                    is_calm.then_some(char).into_iter().chain(escaped.into_iter().flatten())
                })
                .collect();
            write!(to, "  {calm}{dots}")
        }
        Err(_) => write!(to, "  {}{dots}", first.escape_ascii()),
    }
}

/// Where lines go: a file, or the standard output for `-`.
pub fn writer(path: &Path) -> Result<Box<dyn Write>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(BufWriter::new(io::stdout().lock())));
    }
    let file = File::create(path).map_err(|error| Failure::from(error).while_(path.display()))?;
    Ok(Box::new(BufWriter::new(file)))
}

/// Where lines come from: a file, or the standard input for `-`.
pub fn reader(path: &Path) -> Result<Box<dyn BufRead>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(path).map_err(|error| Failure::from(error).while_(path.display()))?;
    Ok(Box::new(BufReader::new(file)))
}

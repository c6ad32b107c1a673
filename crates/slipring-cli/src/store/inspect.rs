//! `slipring store inspect`.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    ops::ControlFlow,
};

use serde_json::{Value, json};
use slipring_events::Time;
use slipring_store::{Bounds, Checkpoint, EventStore, NamedCheckpoint, Query};

use super::{failure::Failure, location::Location};

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A directory, or redis://HOST:PORT#NAME.
    store: Location,
    /// The same for other programs, as JSON.
    #[arg(long)]
    json: bool,
}

/// What there is to say.
struct Found {
    bounds: Bounds,
    topics: Vec<Topic>,
    checkpoints: Vec<NamedCheckpoint>,
    /// Of a store in a directory.
    bytes: Option<u64>,
    streams: Option<u64>,
    values: Option<u64>,
}

struct Topic {
    name: String,
    events: u64,
    /// When the first one happened that is left.
    first: Option<Time>,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let opened = args.store.open()?;
    let store = &*opened.store;
    let figures = opened.embedded.as_ref().map(|store| store.figures()).transpose()?;
    let counts = figures.as_ref().map(|figures| &*figures.topics);
    let found = Found {
        bounds: store.bounds()?,
        topics: topics(store, counts)?,
        checkpoints: Checkpoint::all(store)?,
        bytes: figures.as_ref().map(|figures| figures.file_bytes),
        streams: figures.as_ref().map(|figures| figures.streams),
        values: figures.as_ref().map(|figures| figures.values),
    };
    let text = if args.json { format!("{:#}\n", found.as_json()) } else { found.for_people() };
    io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// The topics with their first events; if nobody has counted them, that is done.
fn topics(store: &dyn EventStore, counts: Option<&[(String, u64)]>) -> Result<Vec<Topic>, Failure> {
    let names: Vec<(String, Option<u64>)> = match counts {
        Some(counts) => counts.iter().map(|(name, events)| (name.clone(), Some(*events))).collect(),
        None => store.topics()?.into_iter().map(|name| (name, None)).collect(),
    };
    let mut topics = Vec::new();
    for (name, count) in names {
        let (mut first, mut events) = (None, 0);
        let query = Query::topic(&*name).limit(if count.is_some() { 1 } else { u64::MAX });
        store.query(&query, &mut |record| {
            first.get_or_insert(record.time);
            events += 1;
            ControlFlow::Continue(())
        })?;
        topics.push(Topic { name, events: count.unwrap_or(events), first });
    }
    Ok(topics)
}

impl Found {
    fn behind(&self, checkpoint: &NamedCheckpoint) -> u64 {
        self.bounds.end.saturating_sub(checkpoint.position)
    }

    fn as_json(&self) -> Value {
        let topics = self.topics.iter().map(|topic| {
            let first = topic.first.map(|first| first.to_string());
            json!({ "topic": topic.name, "events": topic.events, "first": first })
        });
        let checkpoints = self.checkpoints.iter().map(|checkpoint| {
            let behind = self.behind(checkpoint);
            json!({ "name": checkpoint.name, "position": checkpoint.position, "behind": behind })
        });
        json!({
            "first": self.bounds.first,
            "end": self.bounds.end,
            "durable": self.bounds.durable,
            "bytes": self.bytes,
            "streams": self.streams,
            "values": self.values,
            "topics": topics.collect::<Vec<Value>>(),
            "checkpoints": checkpoints.collect::<Vec<Value>>(),
        })
    }

    fn for_people(&self) -> String {
        let mut text = String::new();
        let Bounds { first, end, durable, .. } = self.bounds;
        let events = end - first;
        let _ = writeln!(text, "events       {events}, from position {first} to before {end}");
        let _ = writeln!(text, "durable      to before {durable}");
        let counts = [
            ("on the disk", self.bytes, " bytes"),
            ("streams", self.streams, ""),
            ("values", self.values, ""),
        ];
        for (what, count, unit) in counts {
            if let Some(count) = count {
                let _ = writeln!(text, "{what:<11}  {count}{unit}");
            }
        }
        let _ = writeln!(text, "topics       {}", self.topics.len());
        for Topic { name, events, first } in &self.topics {
            let first = first.map(|first| format!(", the first at {first}")).unwrap_or_default();
            let _ = writeln!(text, "  {name}: {events} events{first}");
        }
        let _ = writeln!(text, "checkpoints  {}", self.checkpoints.len());
        for checkpoint in &self.checkpoints {
            let (name, behind) = (checkpoint.name.escape_debug(), self.behind(checkpoint));
            let _ = writeln!(text, "  {name} at {}, {behind} behind", checkpoint.position);
        }
        text
    }
}

//! `slipring store inspect`.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    ops::ControlFlow,
};

use serde_json::{Value, json};
use slipring_events::Time;
use slipring_store::{Checkpoint, EventStore, Query};

use super::{failure::Failure, location::Location};

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A directory, or redis://HOST:PORT#NAME.
    store: Location,
    /// The same for other programs, as JSON.
    #[arg(long)]
    json: bool,
    /// Also counts the events of each topic, which reads all of them.
    #[arg(long)]
    count: bool,
}

struct Topic {
    name: String,
    first: Option<Time>,
    count: Option<u64>,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    let opened = args.store.open()?;
    let store = &*opened.store;
    let bounds = store.bounds()?;
    let checkpoints = Checkpoint::all(store)?;
    let topics = topics(store, args.count)?;
    let bytes = opened.embedded.as_ref().map(|store| store.size()).transpose()?;
    let text = if args.json {
        let topics = topics.iter().map(|topic| {
            let first = topic.first.map(|first| first.to_string());
            json!({ "topic": topic.name, "first": first, "events": topic.count })
        });
        let checkpoints = checkpoints.iter().map(|checkpoint| {
            json!({ "name": checkpoint.name, "position": checkpoint.position, "behind": bounds.end.saturating_sub(checkpoint.position) })
        });
        let all = json!({
            "first": bounds.first,
            "end": bounds.end,
            "durable": bounds.durable,
            "bytes": bytes,
            "topics": topics.collect::<Vec<Value>>(),
            "checkpoints": checkpoints.collect::<Vec<Value>>(),
        });
        format!("{all:#}\n")
    } else {
        let mut text = String::new();
        let events = bounds.end - bounds.first;
        let _ = writeln!(text, "events       {events}, from position {} to before {}", bounds.first, bounds.end);
        let _ = writeln!(text, "durable      to before {}", bounds.durable);
        if let Some(bytes) = bytes {
            let _ = writeln!(text, "on the disk  {bytes} bytes");
        }
        let _ = writeln!(text, "topics       {}", topics.len());
        for Topic { name, first, count } in &topics {
            let first = first.map_or_else(|| "none is left".to_owned(), |first| format!("the first at {first}"));
            let count = count.map(|count| format!("{count} events, ")).unwrap_or_default();
            let _ = writeln!(text, "  {name}: {count}{first}");
        }
        let _ = writeln!(text, "checkpoints  {}", checkpoints.len());
        for checkpoint in &checkpoints {
            let behind = bounds.end.saturating_sub(checkpoint.position);
            let _ = writeln!(text, "  {} at {}, {behind} behind", checkpoint.name.escape_debug(), checkpoint.position);
        }
        text
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn topics(store: &dyn EventStore, count: bool) -> Result<Vec<Topic>, Failure> {
    let mut topics = Vec::new();
    for name in store.topics()? {
        let (mut first, mut events) = (None, 0);
        let query = Query::topic(&*name).limit(if count { u64::MAX } else { 1 });
        store.query(&query, &mut |record| {
            first.get_or_insert(record.time);
            events += 1;
            ControlFlow::Continue(())
        })?;
        topics.push(Topic { name, first, count: count.then_some(events) });
    }
    Ok(topics)
}

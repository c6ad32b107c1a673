//! One picture of each ring, for scripts and reports.

use std::{
    io::{self, ErrorKind, Write},
    time::Duration,
};

use slipring::Snapshot;
use slipring_insight::{Change, Feed, FeedError, Picture};

/// In what form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Text,
    Mermaid,
    Dot,
}

/// The looks at a ring that a picture needs.
#[derive(Clone, Debug, Default)]
struct Looks {
    first: Option<Snapshot>,
    last: Option<Snapshot>,
}

impl Looks {
    fn add(&mut self, snapshot: Snapshot) {
        if self.first.is_none() {
            self.first = Some(snapshot);
        } else {
            self.last = Some(snapshot);
        }
    }

    fn span(&self) -> Option<Duration> {
        Some(self.last.as_ref()?.at.saturating_sub(self.first.as_ref()?.at))
    }

    fn picture(&self, ring: &str) -> Option<Picture> {
        let first = self.first.as_ref()?;
        Some(match &self.last {
            Some(last) => Picture::with_change(ring, last, &Change::between(first, last)),
            None => Picture::new(ring, first),
        })
    }
}

/// Looks for so long, and prints.
pub fn print(mut feed: Feed, interval: Duration, form: Form) -> Result<(), String> {
    let rings = feed.hello().rings.clone();
    let mut looks = vec![Looks::default(); rings.len()];
    while !looks.iter().all(|looks| looks.span().is_some_and(|span| span >= interval)) {
        match feed.next_update() {
            Ok(update) => looks[update.ring].add(update.snapshot),
            // What was seen until then is worth a picture.
            Err(FeedError::Ended) if looks.iter().all(|looks| looks.first.is_some()) => break,
            Err(error) => return Err(error.to_string()),
        }
    }
    let pictures = looks.iter().zip(&rings).filter_map(|(looks, ring)| looks.picture(ring));
    let texts = pictures.map(|picture| match form {
        Form::Text => picture.text().to_string(),
        Form::Mermaid => picture.mermaid().to_string(),
        Form::Dot => picture.dot().to_string(),
    });
    let text = texts.collect::<Vec<_>>().join("\n");
    match io::stdout().write_all(text.as_bytes()) {
        // Whoever reads may stop before the end.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.to_string()),
        _ => Ok(()),
    }
}

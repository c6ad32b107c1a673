//! Which events an outbox sends.

use std::borrow::Cow;

use slipring_events::{Metadata, Pattern, Source};
use slipring_store::Record;

use crate::{Renames, inbox::ORIGIN};

/// By what the order of events is kept that go to different partitions.
pub(crate) type Key = dyn for<'a> Fn(&Record<'a>) -> Cow<'a, str> + Send + Sync;

pub(crate) struct Selection {
    pub patterns: Vec<Pattern>,
    /// Which partition, of how many.
    pub partition: Option<(u32, u32)>,
    pub key: Box<Key>,
    pub renames: Renames,
    /// Also what came in by an inbox.
    pub from_elsewhere: bool,
    pub content_type: Cow<'static, str>,
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            patterns: Vec::new(),
            partition: None,
            key: Box::new(stream_or_topic),
            renames: Renames::none(),
            from_elsewhere: false,
            content_type: Cow::Borrowed(""),
        }
    }
}

fn stream_or_topic<'a>(record: &Record<'a>) -> Cow<'a, str> {
    Cow::Borrowed(record.stream.map_or(record.topic, |place| place.name))
}

impl Selection {
    /// Whether an event is for this outbox, as far as its metadata has no say in it.
    pub fn wants(&self, record: &Record<'_>) -> bool {
        let is_asked_for = self.patterns.is_empty()
            || self.patterns.iter().any(|pattern| pattern.matches(record.topic));
        is_asked_for && self.is_in_partition(record)
    }

    /// Whether an event with those notes is: what came in by an inbox does not go out again.
    pub fn wants_notes(&self, metadata: &Metadata) -> bool {
        self.from_elsewhere || metadata.get(ORIGIN).is_none()
    }

    fn is_in_partition(&self, record: &Record<'_>) -> bool {
        // The hash of a source is the same in every version.
        let of = |parts: u32| (Source::named(&(self.key)(record)).bits() % u64::from(parts)) as u32;
        self.partition.is_none_or(|(partition, parts)| of(parts) == partition)
    }
}

//! A stream, as both ends know it.

use std::{fmt, time::Duration};

use async_nats::jetstream::{
    self, Context, ErrorCode,
    context::{CreateStreamErrorKind, GetStreamErrorKind},
    stream::{Config, DiscardPolicy, RetentionPolicy, StorageType, Stream},
};

use super::server::{Line, NatsServer};
use crate::LinkError;

const MAKING: &str = "making the stream";

/// A stream of NATS `JetStream`: where it is, and how it is made if it is not there.
///
/// It is made in files, with the limits given here; one that is there stays as it is, and is refused if it has other
/// limits than those given, or does not take what is published under its prefix.
///
/// What a server confirms is in its files, but servers sync them only now and then, every two minutes unless they are told
/// otherwise: what was confirmed survives the end of the server, but not that of its machine. Servers from 2.10 on can
/// be told `sync_interval: always` in the block `jetstream` of their settings; several replicas on machines of their own help, too.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use slipring_bridge::JetStream;
///
/// let stream = JetStream::new("nats://127.0.0.1:4222", "ORDERS", "shop.orders")
///     .keep_for(Duration::from_hours(24));
/// # drop(stream);
/// ```
#[derive(Clone, Debug)]
pub struct JetStream {
    pub(super) server: NatsServer,
    pub(super) name: String,
    pub(super) prefix: String,
    age: Option<Duration>,
    bytes: Option<i64>,
    events: Option<i64>,
    replicas: Option<usize>,
    duplicates: Option<Duration>,
    is_queue: bool,
    is_in_memory: bool,
}

impl JetStream {
    /// A stream of what is published under a prefix, dots and all behind it.
    pub fn new(
        server: impl Into<NatsServer>,
        name: impl Into<String>,
        prefix: impl Into<String>,
    ) -> Self {
        Self {
            server: server.into(),
            name: name.into(),
            prefix: prefix.into(),
            age: None,
            bytes: None,
            events: None,
            replicas: None,
            duplicates: None,
            is_queue: false,
            is_in_memory: false,
        }
    }

    /// Events go after that time, read or not.
    #[must_use = "it is built by value, another is returned"]
    pub fn keep_for(mut self, time: Duration) -> Self {
        self.age = Some(time);
        self
    }

    /// The oldest events go, read or not, when the stream has more bytes than that. One that is a
    /// [queue](Self::queue) takes no more instead, until some are settled.
    #[must_use = "it is built by value, another is returned"]
    pub fn keep_bytes(mut self, bytes: u64) -> Self {
        self.bytes = Some(i64::try_from(bytes).unwrap_or(i64::MAX));
        self
    }

    /// The oldest events go, read or not, when the stream has more than that. One that is a [queue](Self::queue)
    /// takes no more instead, until some are settled.
    #[must_use = "it is built by value, another is returned"]
    pub fn keep_events(mut self, events: u64) -> Self {
        self.events = Some(i64::try_from(events).unwrap_or(i64::MAX));
        self
    }

    /// Events go when they are settled. Only one durable consumer can read it.
    #[must_use = "it is built by value, another is returned"]
    pub fn queue(mut self) -> Self {
        self.is_queue = true;
        self
    }

    /// How many servers of a cluster keep it: one unless told otherwise.
    #[must_use = "it is built by value, another is returned"]
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = Some(replicas);
        self
    }

    /// For how long the server knows an event again that is sent twice: two minutes unless told otherwise. Only streams that
    /// are [shared](super::JetStreamOut::shared) depend on it.
    #[must_use = "it is built by value, another is returned"]
    pub fn know_again_for(mut self, time: Duration) -> Self {
        self.duplicates = Some(time);
        self
    }

    /// Keeps it in the memory of the server, and loses it with that.
    #[must_use = "it is built by value, another is returned"]
    pub fn in_memory(mut self) -> Self {
        self.is_in_memory = true;
        self
    }

    /// Where dead letters are.
    pub(super) fn dead(&self) -> Self {
        let server = self.server.clone();
        let mut dead =
            Self::new(server, format!("{}-dead", self.name), format!("{}-dead", self.prefix));
        dead.replicas = self.replicas;
        dead.is_in_memory = self.is_in_memory;
        dead
    }

    fn config(&self) -> Config {
        Config {
            name: self.name.clone(),
            subjects: vec![self.subjects()],
            retention: if self.is_queue {
                RetentionPolicy::WorkQueue
            } else {
                RetentionPolicy::Limits
            },
            discard: if self.is_queue { DiscardPolicy::New } else { DiscardPolicy::Old },
            storage: if self.is_in_memory { StorageType::Memory } else { StorageType::File },
            max_age: self.age.unwrap_or_default(),
            max_bytes: self.bytes.unwrap_or(-1),
            max_messages: self.events.unwrap_or(-1),
            num_replicas: self.replicas.unwrap_or(1),
            duplicate_window: self.known_again(),
            ..Config::default()
        }
    }

    /// The server refuses one that is longer than what is kept.
    fn known_again(&self) -> Duration {
        let wanted = self.duplicates.unwrap_or(Duration::from_mins(2));
        self.age.map_or(wanted, |age| wanted.min(age))
    }

    fn subjects(&self) -> String {
        format!("{}.>", self.prefix)
    }

    /// What the server would not say clearly.
    fn check(&self) -> Result<(), LinkError> {
        let refused = |why: String| Err(LinkError::refused(MAKING, why));
        let is_bad = |text: &str| {
            text.is_empty()
                || text.contains(|letter: char| {
                    letter.is_whitespace() || letter.is_control() || "*>/\\".contains(letter)
                })
        };
        if is_bad(&self.name) || self.name.contains('.') || self.name.len() > 200 {
            return refused(format!(
                "{:?} is no name of a stream: letters and digits are",
                self.name
            ));
        }
        if self.prefix.split('.').any(is_bad) || self.prefix.len() > 256 {
            return refused(format!(
                "{:?} is no prefix: words with dots between them are",
                self.prefix
            ));
        }
        Ok(())
    }

    /// The stream, made if it is not there.
    pub(super) async fn open(
        &self,
        line: &mut Line,
        context: &Context,
    ) -> Result<Stream, LinkError> {
        self.check()?;
        match line.within(MAKING, context.get_stream(&self.name)).await? {
            Ok(stream) => return self.checked(stream),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(said)
                    if said.error_code() == ErrorCode::STREAM_NOT_FOUND => {}
                GetStreamErrorKind::JetStream(said) => return Err(line.refused(MAKING, &said)),
                _ => return Err(line.lost(MAKING, &error)),
            },
        }
        match line.within(MAKING, context.create_stream(self.config())).await? {
            Ok(stream) => self.checked(stream),
            Err(error) => match error.kind() {
                CreateStreamErrorKind::JetStream(said) => Err(refused_or_lost(line, &said)),
                _ => Err(line.lost(MAKING, &error)),
            },
        }
    }

    /// That one which is there is what it should be.
    fn checked(&self, stream: Stream) -> Result<Stream, LinkError> {
        let found = &stream.cached_info().config;
        let wanted = self.config();
        let differs = |what: &str, found: &dyn fmt::Debug, wanted: &dyn fmt::Debug| {
            let name = &self.name;
            let problem = format!(
                "stream {name} is there with other settings: its {what} is {found:?}, wanted is {wanted:?}"
            );
            Err(LinkError::refused(MAKING, problem))
        };
        let takes_all = |subject: &String| covers(subject, &self.prefix);
        if !found.subjects.iter().any(takes_all) {
            return differs("list of subjects", &found.subjects, &wanted.subjects);
        }
        if found.no_ack || found.sealed || found.mirror.is_some() {
            return differs(
                "state",
                &"sealed, a mirror, or without acknowledgements",
                &"none of these",
            );
        }
        if found.retention != wanted.retention {
            return differs("retention", &found.retention, &wanted.retention);
        }
        if found.storage != wanted.storage {
            return differs("storage", &found.storage, &wanted.storage);
        }
        if self.age.is_some() && found.max_age != wanted.max_age {
            return differs("greatest age", &found.max_age, &wanted.max_age);
        }
        if self.bytes.is_some() && found.max_bytes != wanted.max_bytes {
            return differs("greatest size", &found.max_bytes, &wanted.max_bytes);
        }
        if self.events.is_some() && found.max_messages != wanted.max_messages {
            return differs("greatest number", &found.max_messages, &wanted.max_messages);
        }
        if self.replicas.is_some() && found.num_replicas != wanted.num_replicas {
            return differs("number of replicas", &found.num_replicas, &wanted.num_replicas);
        }
        if self.duplicates.is_some() && found.duplicate_window != wanted.duplicate_window {
            return differs(
                "window for duplicates",
                &found.duplicate_window,
                &wanted.duplicate_window,
            );
        }
        Ok(stream)
    }
}

/// Whether a subject of a stream takes all that is published under a prefix.
fn covers(subject: &str, prefix: &str) -> bool {
    let mut wanted = prefix.split('.');
    for part in subject.split('.') {
        match (part, wanted.next()) {
            (">", _) => return true,
            ("*", Some(_)) => {}
            (part, Some(wanted)) if part == wanted => {}
            _ => return false,
        }
    }
    false
}

/// Others may make it in the same moment; everything else is for somebody to see to.
fn refused_or_lost(line: &Line, said: &jetstream::Error) -> LinkError {
    if said.error_code() == ErrorCode::STREAM_NAME_EXIST {
        return line.lost(MAKING, said);
    }
    line.refused(MAKING, said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_subjects_take_all_of_a_prefix() {
        for subject in [">", "a.>", "a.b.>", "*.>", "*.b.>", "a.*.>"] {
            assert!(covers(subject, "a.b"), "{subject}");
        }
        for subject in ["a", "a.b", "a.b.*", "a.c.>", "a.b.c.>", "*", "b.>"] {
            assert!(!covers(subject, "a.b"), "{subject}");
        }
    }

    #[test]
    fn names_that_are_none() {
        for (name, prefix) in
            [("", "p"), ("a.b", "p"), ("a b", "p"), ("a", ""), ("a", "p."), ("a", "p.*")]
        {
            let error = JetStream::new("nats://h", name, prefix).check().unwrap_err();
            assert!(matches!(error, LinkError::Refused { .. }), "{error}");
        }
        JetStream::new("nats://h", "A-1_b", "p.q").check().unwrap();
    }
}

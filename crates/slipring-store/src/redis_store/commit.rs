//! A batch as the server takes it, and what it says to it.

use std::{collections::HashMap, io};

use redis::{Cmd, Value};

use super::{RedisStore, link::Question, pack::Pack, reply};
use crate::{Batch, CommitError, Committed, Conflict, Expectation, StoreError};

/// How many events an entry of the log has at most, and from how many bytes on it takes no more.
///
/// Measured on two busy cores over a socket, with events of 100 bytes and no append only file, for entries of 1, 16, 128
/// and 1,024 events: commits of 1,024 events bring 37, 77, 73 and 31 thousand events a second, those of 64 bring 44, 55,
/// 62 and 53, and those of a single event do not care. A scan brings 23, 246, 491 and 410 thousand, and looking events up
/// by topic and time 7, 31, 68 and 150. One entry for each event is the worst at all of it, and entries of many events
/// cost who looks up a few of them far apart: 128 it is.
const CHUNK_EVENTS: u32 = 128;
const CHUNK_BYTES: usize = 64 << 10;
/// How many commits the server remembers, to know one that is sent again.
const REMEMBERED: u64 = 16_384;
/// How many bytes of events a commit may have, and how many of all else: the server takes 1 GiB at once, and 512 MiB in
/// one word, unless told otherwise. To more it does not answer, but ends the connection.
const LARGEST: usize = (512 << 20) - 1024;

const DOING: &str = "committing";

/// What the server says to a commit.
enum Answer {
    Done(Committed),
    /// The stream of that expectation has so many events.
    Stream(usize, u64),
    /// The value of that expectation is this one.
    Value(usize, Option<Vec<u8>>),
    /// There were so many commits since the last that this client knows of that it may not remember this one.
    Stale,
}

impl RedisStore {
    /// Commits. What is sent again, because the answer was lost, is known by its token and not done twice.
    pub(super) fn send(&self, batch: &Batch) -> Result<Committed, CommitError> {
        check_size(batch.bytes().len(), "events")?;
        let token = self.token();
        let request = Request::of(batch, self.segment);
        check_size(request.rest.as_bytes().len(), "values and of what goes with its events")?;
        // Whether it was sent before, and may have come about.
        let mut was_sent = false;
        let answer = self.link.persist(|| {
            loop {
                let command = self.command(&request, &token);
                let question = Question::Script(&self.scripts.commit, &command);
                let value = self
                    .link
                    .ask_once(DOING, &question, self.link.timeout())
                    .inspect_err(|failure| was_sent |= failure.is_open)?;
                match self.understand(value)? {
                    // Nobody but others has committed for long. The server has not done it, and told how far it is.
                    Answer::Stale if !was_sent => {}
                    answer => return Ok(answer),
                }
            }
        });
        match answer {
            Ok(Answer::Done(committed)) => Ok(committed),
            Ok(Answer::Stream(index, found)) => Err(stream_conflict(batch, index, found)?.into()),
            Ok(Answer::Value(index, found)) => Err(value_conflict(batch, index, found)?.into()),
            Ok(Answer::Stale) => Err(unknown("the server does not remember it any more").into()),
            Err(failure) if was_sent => Err(unknown(&failure.error.to_string()).into()),
            Err(failure) => Err(failure.error.into()),
        }
    }

    fn command(&self, request: &Request<'_>, token: &[u8]) -> Cmd {
        let lua = &self.scripts.commit;
        let mut command = self.call(lua);
        let mut ask = Pack::default();
        ask.array(13).bytes(token).number(self.horizon()).number(REMEMBERED).append(&request.rest);
        command.arg(ask.as_bytes());
        for chunk in &request.chunks {
            command.arg(*chunk);
        }
        command
    }

    fn understand(&self, value: Value) -> Result<Answer, StoreError> {
        let mut answer = reply::array(DOING, value)?.into_iter();
        let mut next = || answer.next().unwrap_or_default();
        let number = |value: Value| reply::number(DOING, &value);
        match reply::text(DOING, next())?.as_str() {
            "done" => {
                let committed = Committed { first: number(next())?, end: number(next())? };
                self.learn(number(next())?);
                Ok(Answer::Done(committed))
            }
            "stale" => {
                self.learn(number(next())?);
                Ok(Answer::Stale)
            }
            "stream" => Ok(Answer::Stream(number(next())? as usize, number(next())?)),
            "value" => Ok(Answer::Value(
                number(next())? as usize,
                match next() {
                    Value::Nil => None,
                    value => Some(reply::bytes(DOING, value)?),
                },
            )),
            other => Err(reply::odd(DOING, &format!("`{}` in it", other.escape_debug()))),
        }
    }
}

fn check_size(bytes: usize, of: &str) -> Result<(), StoreError> {
    if bytes <= LARGEST {
        return Ok(());
    }
    let why = format!(
        "a batch for this store has less than 512 MiB of {of}, and this one {bytes} bytes: commit it in parts"
    );
    Err(StoreError::Refused(why.into()))
}

/// What became of it is not known.
fn unknown(because: &str) -> StoreError {
    let doing = "waiting for the answer to a commit, which may be there or not";
    StoreError::Io { doing, error: io::Error::new(io::ErrorKind::ConnectionAborted, because) }
}

fn stream_conflict(batch: &Batch, index: usize, found: u64) -> Result<Conflict, StoreError> {
    let mut streams = batch.expectations().filter_map(|expectation| match expectation {
        Expectation::Stream { stream, expected } => Some((stream, expected)),
        Expectation::Value { .. } => None,
    });
    match streams.nth(index) {
        Some((stream, expected)) => Ok(Conflict::Stream { stream: stream.into(), expected, found }),
        None => Err(reply::odd(DOING, "a conflict with nothing that was expected")),
    }
}

fn value_conflict(
    batch: &Batch,
    index: usize,
    found: Option<Vec<u8>>,
) -> Result<Conflict, StoreError> {
    let mut values = batch.expectations().filter_map(|expectation| match expectation {
        Expectation::Value { space, key, .. } => Some((space, key)),
        Expectation::Stream { .. } => None,
    });
    match values.nth(index) {
        Some((space, key)) => Ok(Conflict::Value {
            space: space.into(),
            key: key.into(),
            found: found.map(Vec::into_boxed_slice),
        }),
        None => Err(reply::odd(DOING, "a conflict with nothing that was expected")),
    }
}

/// A batch, packed but for what is another at each attempt.
struct Request<'a> {
    rest: Pack,
    chunks: Vec<&'a [u8]>,
}

/// Names, each of them once, in the order in which they came.
#[derive(Default)]
struct Names<'a> {
    numbers: HashMap<&'a str, u32>,
    names: Vec<&'a str>,
}

impl<'a> Names<'a> {
    /// The number of a name: the first is 1.
    fn number(&mut self, name: &'a str) -> u32 {
        if self.names.last() == Some(&name) {
            return self.names.len() as u32;
        }
        *self.numbers.entry(name).or_insert_with(|| {
            self.names.push(name);
            self.names.len() as u32
        })
    }

    fn pack(&self, rest: &mut Pack) {
        rest.array(self.names.len());
        for name in &self.names {
            rest.bytes(name.as_bytes());
        }
    }
}

impl<'a> Request<'a> {
    fn of(batch: &'a Batch, segment: u64) -> Self {
        let mut rest = Pack::default();
        rest.number(segment);
        pack_expectations(batch, &mut rest);
        let changes: Vec<_> = batch.changes().collect();
        rest.array(changes.len() * 4);
        for change in changes {
            rest.bytes(change.space.as_bytes()).bytes(change.key).maybe(change.value);
            rest.number(change.is_placed.into());
        }
        let (mut topics, mut streams) = (Names::default(), Names::default());
        let numbers: Vec<_> = batch.topics().map(|topic| topics.number(topic)).collect();
        let mut events = Vec::with_capacity(batch.len() * 20);
        let (mut earliest, mut latest) = (u64::MAX, 0);
        let mut chunks: Vec<(u32, usize)> = Vec::new();
        for event in batch.appended() {
            match chunks.last_mut() {
                Some((count, begin))
                    if *count < CHUNK_EVENTS && event.at - *begin < CHUNK_BYTES =>
                {
                    *count += 1;
                }
                _ => chunks.push((1, event.at)),
            }
            let begin = chunks.last().map_or(0, |(_, begin)| *begin);
            let time = event.time.as_nanos();
            (earliest, latest) = (time.min(earliest), time.max(latest));
            let stream = event.stream.map_or(0, |stream| streams.number(stream));
            events.extend_from_slice(&numbers[event.topic as usize].to_le_bytes());
            events.extend_from_slice(&stream.to_le_bytes());
            events.extend_from_slice(&((event.at - begin) as u32).to_le_bytes());
            events.extend_from_slice(&time.to_be_bytes());
        }
        topics.pack(&mut rest);
        streams.pack(&mut rest);
        rest.bytes(&events);
        let ends = chunks.iter().skip(1).map(|(_, begin)| *begin).chain([batch.bytes().len()]);
        let frames = chunks.iter().zip(ends).map(|((_, begin), end)| &batch.bytes()[*begin..end]);
        let frames: Vec<_> = frames.collect();
        rest.array(chunks.len() * 2);
        for ((count, _), frames) in chunks.iter().zip(&frames) {
            let sum = crc32fast::hash(frames).to_string();
            rest.number(u64::from(*count)).bytes(sum.as_bytes());
        }
        rest.bytes(&earliest.to_be_bytes()).bytes(&latest.to_be_bytes());
        Self { rest, chunks: frames }
    }
}

fn pack_expectations(batch: &Batch, rest: &mut Pack) {
    let streams = |expectation: &Expectation<'_>| matches!(expectation, Expectation::Stream { .. });
    let count = batch.expectations().filter(streams).count();
    rest.array(count * 2);
    for expectation in batch.expectations() {
        if let Expectation::Stream { stream, expected } = expectation {
            rest.bytes(stream.as_bytes()).bytes(expected.events().to_string().as_bytes());
        }
    }
    rest.array((batch.expectations().count() - count) * 3);
    for expectation in batch.expectations() {
        if let Expectation::Value { space, key, value } = expectation {
            rest.bytes(space.as_bytes()).bytes(key).maybe(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_would_not_answer_to_is_refused() {
        assert!(check_size(LARGEST, "events").is_ok());
        let error = check_size(LARGEST + 1, "events").unwrap_err().to_string();
        assert!(error.contains("512 MiB of events") && error.contains("in parts"), "{error}");
    }
}

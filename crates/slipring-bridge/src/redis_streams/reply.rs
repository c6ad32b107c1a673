//! What the server answers.

use std::{fmt, str::FromStr};

use redis::Value;

use crate::LinkError;

/// Where an entry is in its stream.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Id {
    pub millis: u64,
    pub number: u64,
}

impl Id {
    pub(super) const FIRST: Self = Self { millis: 0, number: 0 };
    /// Behind all that there can be: the last number of all stands for new entries.
    pub(super) const LAST: Self = Self { millis: u64::MAX, number: u64::MAX - 1 };

    /// The one right before it.
    pub(super) fn before(self) -> Self {
        match (self.millis, self.number) {
            (0, 0) => Self::FIRST,
            (millis, 0) => Self { millis: millis - 1, number: u64::MAX },
            (millis, number) => Self { millis, number: number - 1 },
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.number)
    }
}

impl FromStr for Id {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (millis, number) = text.split_once('-').ok_or(())?;
        Ok(Self { millis: millis.parse().map_err(drop)?, number: number.parse().map_err(drop)? })
    }
}

/// Names and values, in their order.
pub(super) type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// An entry of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub id: Id,
    /// `None` if it was deleted.
    pub fields: Option<Fields>,
}

/// The answer is none.
fn strange(doing: &'static str, value: &Value) -> LinkError {
    let said: String = format!("{value:?}").chars().take(100).collect();
    LinkError::lost(doing, format!("the server answers something else: {said}"))
}

pub(super) fn array(doing: &'static str, value: Value) -> Result<Vec<Value>, LinkError> {
    match value {
        Value::Nil => Ok(Vec::new()),
        Value::Array(values) => Ok(values),
        Value::Map(pairs) => {
            Ok(pairs.into_iter().flat_map(|(name, value)| [name, value]).collect())
        }
        value => Err(strange(doing, &value)),
    }
}

pub(super) fn bytes(doing: &'static str, value: Value) -> Result<Vec<u8>, LinkError> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        Value::SimpleString(text) => Ok(text.into_bytes()),
        Value::Okay => Ok(b"OK".into()),
        value => Err(strange(doing, &value)),
    }
}

/// The entries of the one stream that was asked for.
pub(super) fn of_stream(doing: &'static str, value: Value) -> Result<Vec<Entry>, LinkError> {
    // With the newer protocol, names of streams and their entries.
    if let Value::Map(pairs) = value {
        let first = pairs.into_iter().next();
        return first.map_or(Ok(Vec::new()), |(_, entries_of_it)| entries(doing, entries_of_it));
    }
    let Some(stream) = array(doing, value)?.into_iter().next() else { return Ok(Vec::new()) };
    match array(doing, stream)?.into_iter().nth(1) {
        Some(entries_of_it) => entries(doing, entries_of_it),
        None => Err(strange(doing, &Value::Nil)),
    }
}

/// A number, and entries.
pub(super) fn claimed(doing: &'static str, value: Value) -> Result<(u64, Vec<Entry>), LinkError> {
    let mut parts = array(doing, value)?.into_iter();
    let number = match parts.next().unwrap_or_default() {
        Value::Int(number) => u64::try_from(number).unwrap_or(0),
        value => return Err(strange(doing, &value)),
    };
    Ok((number, entries(doing, parts.next().unwrap_or_default())?))
}

pub(super) fn entries(doing: &'static str, value: Value) -> Result<Vec<Entry>, LinkError> {
    array(doing, value)?.into_iter().map(|value| entry(doing, value)).collect()
}

fn entry(doing: &'static str, value: Value) -> Result<Entry, LinkError> {
    let mut parts = array(doing, value)?.into_iter();
    let id = bytes(doing, parts.next().unwrap_or_default())?;
    let id = std::str::from_utf8(&id).ok().and_then(|text| text.parse().ok());
    let id = id.ok_or_else(|| strange(doing, &Value::Nil))?;
    let fields = match parts.next() {
        None | Some(Value::Nil | Value::Boolean(false)) => None,
        Some(fields) => {
            let mut texts = array(doing, fields)?.into_iter();
            let mut fields = Vec::with_capacity(texts.len() / 2);
            while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
                fields.push((bytes(doing, name)?, bytes(doing, value)?));
            }
            Some(fields)
        }
    };
    Ok(Entry { id, fields })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn entries_are_read() {
        let value = Value::Array(vec![Value::Array(vec![
            text("orders"),
            Value::Array(vec![
                Value::Array(vec![text("7-1"), Value::Array(vec![text("a"), text("b")])]),
                Value::Array(vec![text("7-2"), Value::Nil]),
            ]),
        ])]);
        let entries = of_stream("testing", value).unwrap();
        let fields = Some(vec![(b"a".to_vec(), b"b".to_vec())]);
        assert_eq!(entries[0], Entry { id: Id { millis: 7, number: 1 }, fields });
        assert_eq!(entries[1], Entry { id: Id { millis: 7, number: 2 }, fields: None });
        assert_eq!(of_stream("testing", Value::Nil).unwrap(), []);
    }

    #[test]
    fn other_answers_are_errors() {
        let bad = [
            Value::Int(3),
            Value::Array(vec![Value::Int(3)]),
            Value::Array(vec![Value::Array(vec![text("orders")])]),
            Value::Array(vec![Value::Array(vec![text("orders"), Value::Int(1)])]),
        ];
        for value in bad {
            assert!(of_stream("testing", value.clone()).is_err(), "{value:?}");
        }
        for id in ["", "7", "-", "a-1", "1-b", "1-2-3"] {
            let entry = Value::Array(vec![text(id), Value::Nil]);
            assert!(entries("testing", Value::Array(vec![entry])).is_err(), "{id}");
        }
    }

    #[test]
    fn what_is_before_an_id() {
        let id = |millis, number| Id { millis, number };
        assert_eq!(id(5, 3).before(), id(5, 2));
        assert_eq!(id(5, 0).before(), id(4, u64::MAX));
        assert_eq!(Id::FIRST.before(), Id::FIRST);
    }
}

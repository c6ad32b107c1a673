//! Parcels as entries of a stream.

use std::{
    borrow::Cow,
    ops::{ControlFlow, Range},
};

use redis::Cmd;
use slipring_events::Time;

use super::reply::{Entry, Fields};
use crate::{Parcel, Unreadable, header};

/// The field of the body.
pub(super) const PAYLOAD: &str = "payload";

/// Parcels as the fields of entries, before they are sent.
#[derive(Debug, Default)]
pub(super) struct Sheet<'a> {
    /// The values of the headers, one behind the other.
    text: String,
    /// The headers, each with where its value ends.
    headers: Vec<(&'static str, usize)>,
    rows: Vec<Row<'a>>,
}

#[derive(Debug)]
struct Row<'a> {
    /// Where its headers, and their values, begin.
    headers: usize,
    text: usize,
    payload: &'a [u8],
}

impl<'a> Sheet<'a> {
    /// Puts one behind the others, and says how many bytes it has.
    pub(super) fn push(&mut self, parcel: &'a Parcel) -> usize {
        let row =
            Row { headers: self.headers.len(), text: self.text.len(), payload: &parcel.payload };
        let mut size = parcel.payload.len();
        let _ = parcel.headers(|name, value| {
            self.text.push_str(value);
            self.headers.push((name, self.text.len()));
            size += name.len() + value.len();
            ControlFlow::Continue(())
        });
        self.rows.push(row);
        size
    }

    /// Takes the last one back.
    pub(super) fn pop(&mut self) {
        if let Some(Row { headers, text, .. }) = self.rows.pop() {
            self.headers.truncate(headers);
            self.text.truncate(text);
        }
    }

    fn names(&self, row: usize) -> impl Iterator<Item = &'static str> + '_ {
        self.headers_of(row).iter().map(|(name, _)| *name)
    }

    fn headers_of(&self, row: usize) -> &[(&'static str, usize)] {
        let end = self.rows.get(row + 1).map_or(self.headers.len(), |next| next.headers);
        &self.headers[self.rows[row].headers..end]
    }

    fn value(&self, row: usize, field: usize) -> &str {
        let Row { headers, text, .. } = self.rows[row];
        let at = headers + field;
        let begin = if field == 0 { text } else { self.headers[at - 1].1 };
        &self.text[begin..self.headers[at].1]
    }

    /// Appends them to a call of the script that adds: groups that have the same fields.
    pub(super) fn write(&self, into: &mut Cmd) {
        let mut begin = 0;
        while begin < self.rows.len() {
            let alike = (begin + 1..self.rows.len())
                .take_while(|row| self.names(begin).eq(self.names(*row)))
                .count();
            self.write_group(begin..begin + 1 + alike, into);
            begin += 1 + alike;
        }
    }

    fn write_group(&self, rows: Range<usize>, into: &mut Cmd) {
        let first = rows.start;
        let fields = self.headers_of(first).len();
        into.arg(rows.len()).arg(fields + 1);
        let mut varying = Vec::with_capacity(fields);
        for (field, name) in self.names(first).enumerate() {
            let value = self.value(first, field);
            let is_alike = || rows.clone().skip(1).all(|row| self.value(row, field) == value);
            if name != header::SEQUENCE && is_alike() {
                into.arg("=").arg(name).arg(value);
            } else {
                into.arg("?").arg(name);
                varying.push(field);
            }
        }
        into.arg("?").arg(PAYLOAD);
        for row in rows {
            for field in &varying {
                into.arg(self.value(row, *field));
            }
            into.arg(self.rows[row].payload);
        }
    }
}

/// What an entry says. `stream` is its topic if it has none.
pub(super) fn read(entry: Entry, stream: &str) -> Result<Parcel, Unreadable> {
    let now = Time::from_nanos(entry.id.millis.saturating_mul(1_000_000));
    let Some(mut fields) = entry.fields else {
        let problem = format!("somebody deleted entry {} before it was settled", entry.id);
        return Err(unreadable(problem, stream, &Vec::new(), Vec::new()));
    };
    let Some(at) = fields.iter().position(|(name, _)| name == PAYLOAD.as_bytes()) else {
        let problem = format!("it has no field `{PAYLOAD}`");
        return Err(unreadable(problem, stream, &fields, Vec::new()));
    };
    let (_, payload) = fields.remove(at);
    let is_ours =
        |name: &[u8]| name.starts_with(b"slipring-") || name == header::CONTENT_TYPE.as_bytes();
    let bad = fields.iter().find(|(name, value)| is_ours(name) && str::from_utf8(value).is_err());
    if let Some((name, _)) = bad {
        let problem = format!("field `{}` is no text", String::from_utf8_lossy(name));
        return Err(unreadable(problem, stream, &fields, payload));
    }
    let find = |wanted: &'static str| {
        let found = fields.iter().find(|(name, _)| name == wanted.as_bytes());
        found.and_then(|(_, value)| str::from_utf8(value).ok())
    };
    match Parcel::from_headers(find, Vec::new(), stream, now) {
        Ok(mut parcel) => {
            parcel.payload = payload;
            Ok(parcel)
        }
        Err(error) => Err(unreadable(error.to_string(), stream, &fields, payload)),
    }
}

fn unreadable(problem: String, stream: &str, fields: &Fields, payload: Vec<u8>) -> Unreadable {
    let topic = fields.iter().find(|(name, _)| name == header::TOPIC.as_bytes());
    let topic = topic.map_or(Cow::Borrowed(stream), |(_, topic)| String::from_utf8_lossy(topic));
    Unreadable { problem: problem.into(), topic: topic.into(), payload }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis_streams::reply::Id;

    fn entry(fields: &[(&str, &[u8])]) -> Entry {
        let fields = fields.iter().map(|(name, value)| (name.as_bytes().into(), (*value).into()));
        Entry { id: Id { millis: 2_000, number: 0 }, fields: Some(fields.collect()) }
    }

    #[test]
    fn what_other_programs_add_is_read() {
        let parcel = read(entry(&[("user", b"5"), ("payload", b"{}")]), "orders").unwrap();
        assert_eq!((parcel.topic.as_str(), parcel.payload.as_slice()), ("orders", &b"{}"[..]));
        assert_eq!(parcel.time, Time::from_nanos(2_000_000_000));
        assert_eq!((parcel.stamp, parcel.id), (None, None));
    }

    #[test]
    fn what_is_no_parcel_is_unreadable() {
        type Case<'a> = (&'a [(&'a str, &'a [u8])], &'a str);
        let cases: [Case<'_>; 4] = [
            (&[("data", b"{}")], "no field `payload`"),
            (&[("payload", b"x"), (header::SOURCE, b"\xff")], "`slipring-source` is no text"),
            (&[("payload", b"x"), (header::ID, b"seven")], "slipring-id"),
            (&[("payload", b"x"), (header::LANE, b"a")], "without a sequence"),
        ];
        for (fields, said) in cases {
            let error = read(entry(fields), "orders").unwrap_err();
            assert!(error.problem.contains(said), "{error:?}");
        }
        let named = entry(&[("payload", b"x"), (header::TOPIC, b"t"), (header::ID, b"seven")]);
        let error = read(named, "orders").unwrap_err();
        assert_eq!((&*error.topic, error.payload.as_slice()), ("t", &b"x"[..]));
        let deleted = Entry { id: Id::FIRST, fields: None };
        assert!(read(deleted, "orders").unwrap_err().problem.contains("deleted"));
    }
}

//! Parcels as entries of a stream.

use std::{borrow::Cow, ops::ControlFlow};

use redis::Cmd;
use slipring_events::Time;

use super::reply::{Entry, Fields};
use crate::{Parcel, Unreadable, header};

/// The field of the body.
pub(super) const PAYLOAD: &str = "payload";

/// Appends how many texts a parcel makes, and these.
pub(super) fn write(parcel: &Parcel, into: &mut Cmd) {
    let mut count = 2;
    let _ = parcel.headers(|_, _| {
        count += 2;
        ControlFlow::Continue(())
    });
    into.arg(count);
    let _ = parcel.headers(|name, value| {
        into.arg(name).arg(value);
        ControlFlow::Continue(())
    });
    into.arg(PAYLOAD).arg(parcel.payload.as_slice());
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

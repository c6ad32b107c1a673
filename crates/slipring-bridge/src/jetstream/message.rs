//! Parcels as messages.

use std::{borrow::Cow, ops::ControlFlow, str::FromStr};

use async_nats::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use slipring_events::{EventId, Time};

use crate::{Parcel, Stamp, Unreadable, header};

/// What is not in a subject as it is, beside what is not ASCII.
const SUBJECT: &AsciiSet = &CONTROLS.add(b' ').add(b'*').add(b'>').add(b'%');
/// What is not in a header as it is, beside what is not ASCII and blanks at its ends.
const HEADER: &AsciiSet = &CONTROLS.add(b'%');
/// What stands for nothing between two dots.
const NOTHING: &str = "%_";
/// How long a subject may be: a server takes lines up to 4 KiB, and what it hands out has more in a line.
pub(super) const LONGEST_SUBJECT: usize = 1_024;

/// Under which subject a topic is published.
pub(super) fn subject(prefix: &str, topic: &str) -> String {
    let mut subject = prefix.to_owned();
    for part in topic.split('.') {
        subject.push('.');
        if part.is_empty() {
            subject.push_str(NOTHING);
        } else {
            subject.extend(utf8_percent_encode(part, SUBJECT));
        }
    }
    subject
}

/// Which topic a subject stands for.
pub(super) fn topic(prefix: &str, subject: &str) -> String {
    let rest = subject.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('.'));
    let parts = rest.unwrap_or(subject).split('.').map(|part| match part {
        NOTHING => Cow::Borrowed(""),
        part => percent_decode_str(part).decode_utf8_lossy(),
    });
    parts.collect::<Vec<_>>().join(".")
}

/// A text as a header says it.
pub(super) fn written(text: &str) -> String {
    let mut written: String = utf8_percent_encode(text, HEADER).collect();
    if written.starts_with(' ') {
        written.replace_range(..1, "%20");
    }
    if written.ends_with(' ') {
        written.truncate(written.len() - 1);
        written.push_str("%20");
    }
    written
}

/// By which the server knows it again. What came before is in it: if another one is set aside, and this one is sent again
/// behind an earlier one, it is another message.
pub(super) fn id(parcel: &Parcel) -> String {
    match &parcel.stamp {
        Some(Stamp { lane, sequence, previous }) => {
            let previous = previous.map_or(String::new(), |previous| previous.to_string());
            format!("{}:{sequence}:{previous}", written(lane))
        }
        None => EventId::random().to_string(),
    }
}

/// The headers of a parcel, and how many bytes they have.
pub(super) fn headers(parcel: &Parcel) -> (HeaderMap, usize) {
    let (mut headers, mut bytes) = (HeaderMap::new(), 0);
    let _ = parcel.headers(|name, value| {
        let value = written(value);
        bytes += name.len() + value.len();
        headers.insert(name, value);
        ControlFlow::Continue(())
    });
    (headers, bytes)
}

/// What a message says. `now` is when it was published.
pub(super) fn parcel(
    prefix: &str,
    subject: &str,
    headers: Option<&HeaderMap>,
    payload: &[u8],
    now: Time,
) -> Result<Parcel, Unreadable> {
    let topic = topic(prefix, subject);
    let unreadable = |problem: String| Unreadable {
        problem: problem.into(),
        topic: topic.as_str().into(),
        payload: payload.to_vec(),
    };
    let mut known = Vec::with_capacity(header::ALL.len());
    for name in header::ALL {
        if let Some(value) = headers.and_then(|headers| headers.get(name)) {
            let text = percent_decode_str(value.as_str()).decode_utf8();
            known
                .push((name, text.map_err(|_| unreadable(format!("header `{name}` is no text")))?));
        }
    }
    let find = |wanted: &'static str| {
        known.iter().find(|(name, _)| *name == wanted).map(|(_, value)| &**value)
    };
    let parcel = Parcel::from_headers(find, payload.to_vec(), &topic, now);
    parcel.map_err(|error| unreadable(error.to_string()))
}

/// The headers of a message without those that are meant for the server, and with one more.
pub(super) fn dead_headers(of: &HeaderMap, reason: &str, id: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, values) in of.iter() {
        let is_for_server = name.to_string().to_ascii_lowercase().starts_with("nats-");
        for value in values.iter().filter(|_| !is_for_server) {
            headers.append(name.clone(), value.clone());
        }
    }
    headers.insert(header::REASON, written(reason));
    let (name, id) = (HeaderName::from_str("Nats-Msg-Id"), HeaderValue::from_str(id));
    if let (Ok(name), Ok(id)) = (name, id) {
        headers.insert(name, id);
    }
    headers
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn topics_are_subjects() {
        let cases = [
            ("orders.placed", "p.orders.placed"),
            ("orders/placed:1", "p.orders/placed:1"),
            ("", "p.%_"),
            (".a..", "p.%_.a.%_.%_"),
            ("a b.*.>.%", "p.a%20b.%2A.%3E.%25"),
            ("заказ", "p.%D0%B7%D0%B0%D0%BA%D0%B0%D0%B7"),
        ];
        for (of, subject_of_it) in cases {
            assert_eq!(subject("p", of), subject_of_it);
            assert_eq!(topic("p", subject_of_it), of);
        }
        assert_eq!(topic("p.q", "other.x"), "other.x");
    }

    #[test]
    fn what_is_no_parcel_is_unreadable() {
        let cases = [(header::SOURCE, "%FF", "no text"), (header::ID, "seven", "slipring-id")];
        for (name, value, said) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(name, value);
            let error = parcel("p", "p.t", Some(&headers), b"x", Time::from_nanos(1)).unwrap_err();
            assert!(error.problem.contains(said), "{error}");
            assert_eq!((&*error.topic, error.payload.as_slice()), ("t", &b"x"[..]));
        }
    }

    proptest! {
        #[test]
        fn any_topic_is_a_subject_and_back(text in any::<String>()) {
            let subject = subject("p.q", &text);
            prop_assert!(subject.is_ascii() && !subject.contains(['*', '>', ' ']));
            prop_assert!(subject.split('.').all(|part| !part.is_empty()));
            prop_assert_eq!(topic("p.q", &subject), text);
        }

        #[test]
        fn any_text_is_a_header_and_back(text in "[\\x00-\\xff ]{0,8}|\\PC*| *") {
            let written = written(&text);
            prop_assert!(written.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
            prop_assert_eq!(written.trim(), &written);
            prop_assert_eq!(percent_decode_str(&written).decode_utf8().unwrap(), text);
        }
    }
}

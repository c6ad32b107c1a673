//! What is written can be read, what cannot be read is said, and nothing panics.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::{EventId, Metadata, Time};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Content {
    Nothing,
    Order { number: u64, items: Vec<(String, i32)>, note: Option<String> },
    Raw(Vec<u8>),
}

fn id() -> impl Strategy<Value = EventId> {
    any::<u128>().prop_map(|bits| uuid::Uuid::from_u128(bits).into())
}

fn content() -> impl Strategy<Value = Content> {
    let items = prop::collection::vec((".*", any::<i32>()), 0..4);
    let order = (any::<u64>(), items, prop::option::of(".*"))
        .prop_map(|(number, items, note)| Content::Order { number, items, note });
    prop_oneof![Just(Content::Nothing), order, any::<Vec<u8>>().prop_map(Content::Raw)]
}

fn envelope() -> impl Strategy<Value = Envelope<Content>> {
    let metadata = prop::collection::vec((".*", ".*"), 0..4);
    let links = (prop::option::of(id()), prop::option::of(id()));
    (id(), "[a-zé]{1,9}(\\.[a-z]{1,9}){0,3}", any::<u64>(), ".*", links, metadata, content())
        .prop_map(|(id, topic, nanos, source, links, metadata, payload)| Envelope {
            id,
            topic: topic.into(),
            time: Time::from_nanos(nanos),
            source: source.into(),
            correlation: links.0,
            causation: links.1,
            metadata: metadata.into_iter().collect(),
            payload,
        })
}

/// One that is always the same.
fn sample() -> Envelope<Content> {
    Envelope {
        id: EventId::of(crate::Source::from_bits(1), 2),
        topic: "order.created".into(),
        time: Time::from_nanos(1_500_000_000),
        source: "shop".into(),
        correlation: Some(EventId::of(crate::Source::from_bits(1), 1)),
        causation: None,
        metadata: [("trace", "4b")].into_iter().collect(),
        payload: Content::Raw(vec![7, 9]),
    }
}

fn from_json(json: &str) -> Result<Envelope<Content>, EnvelopeError> {
    Envelope::from_json(json)
}

const LEAST: &str = r#""id":"00000000-0000-8004-8000-000000000002","topic":"order.created",
    "time":"1970-01-01T00:00:01.5Z""#;

#[test]
fn json_without_what_is_optional_and_with_what_is_not_known() {
    let envelope = from_json(&format!(
        r#"{{"new":{{"a":[1,{{}}]}},{LEAST},"payload":"Nothing","newer":null}}"#
    ));
    let expected = Envelope {
        source: "".into(),
        correlation: None,
        metadata: Metadata::default(),
        payload: Content::Nothing,
        ..sample()
    };
    assert_eq!(envelope, Ok(expected));
}

#[test]
fn json_that_lacks_what_it_needs_says_what() {
    for field in ["id", "topic", "time"] {
        let json = format!("{{{LEAST},\"payload\":\"Nothing\"}}")
            .replace(&format!("\"{field}\":"), "\"x\":");
        let error = from_json(&json).unwrap_err();
        assert!(error.to_string().contains(&format!("missing field `{field}`")), "{error}");
    }
    let error = from_json(&format!("{{{LEAST}}}")).unwrap_err();
    assert!(error.to_string().contains("missing field `payload`"), "{error}");
}

#[test]
fn json_that_is_wrong_says_where() {
    let good = sample().to_json().unwrap().replace(",\"", ",\n\"");
    for (from, to, place) in [
        ("\"order.created\"", "7", (2, 9)),
        ("1970-01-01T00", "1970-01-01T25", (3, 39)),
        ("\"shop\"", "[]", (4, 9)),
        ("\"4b\"", "{}", (7, 20)),
        ("\"metadata\"", "metadata", (7, 1)),
    ] {
        let error = from_json(&good.replace(from, to)).unwrap_err();
        let EnvelopeError::Json { line, column, problem } = &error else { panic!("{error}") };
        assert_eq!((*line, *column), place, "{problem}");
        assert!(!problem.contains("line"), "{problem}");
    }
    assert!(from_json("").is_err() && from_json(&format!("{good} x")).is_err());
    assert!(Envelope::<Content>::from_json([0xff]).is_err());
}

#[test]
fn a_topic_that_is_none_is_neither_written_nor_read() {
    let empty = || EnvelopeError::Topic(TopicError::Empty);
    let wrong = Envelope { topic: "".into(), ..sample() };
    assert_eq!((wrong.to_json(), wrong.to_bytes()), (Err(empty()), Err(empty())));

    let json = sample().to_json().unwrap().replace("order.created", "");
    assert_eq!(from_json(&json), Err(empty()));
    let mut bytes = vec![VERSION];
    bytes.extend(postcard::to_stdvec(&wrong).unwrap());
    assert_eq!(Envelope::<Content>::from_bytes(&bytes), Err(empty()));
}

#[test]
fn what_json_cannot_say_is_refused() {
    let envelope = sample().map(|_| BTreeMap::from([([1, 2], 3)]));
    assert!(matches!(envelope.to_json(), Err(EnvelopeError::NotJson(_))));
}

#[test]
fn the_binary_form_of_version_1_stays_as_it_is() {
    let written = b"\x01\x10\0\0\0\0\0\0\x80\x04\x80\0\0\0\0\0\0\x02\x0dorder.created\
        \x80\xde\xa0\xcb\x05\x04shop\x01\x10\0\0\0\0\0\0\x80\x04\x80\0\0\0\0\0\0\x01\0\
        \x01\x05trace\x024b\x02\x02\x07\x09";
    assert_eq!(sample().to_bytes().unwrap(), written);
    assert_eq!(Envelope::from_bytes(written), Ok(sample()));
}

#[test]
fn bytes_that_are_wrong_say_why() {
    let read = |bytes: &[u8]| Envelope::<Content>::from_bytes(bytes);
    let good = sample().to_bytes().unwrap();
    assert_eq!(read(&[]), Err(EnvelopeError::Empty));
    assert_eq!(read(&[2, 0]), Err(EnvelopeError::Version { found: 2 }));
    let longer = [&good[..], &[0]].concat();
    assert_eq!(read(&longer), Err(EnvelopeError::Longer { at: good.len() }));
    for end in 1..good.len() {
        assert!(matches!(read(&good[..end]), Err(EnvelopeError::Binary(_))), "{end}");
    }
}

#[test]
fn moments_are_text_in_json_and_a_number_elsewhere() {
    let time = Time::from_nanos(1_500_000_000);
    assert_eq!(serde_json::to_string(&time).unwrap(), r#""1970-01-01T00:00:01.500000000Z""#);
    assert_eq!(postcard::to_stdvec(&time), postcard::to_stdvec(&1_500_000_000_u64));
}

proptest! {
    #[test]
    fn json_and_back(envelope in envelope()) {
        prop_assert_eq!(Envelope::from_json(envelope.to_json().unwrap()), Ok(envelope));
    }

    #[test]
    fn bytes_and_back(envelope in envelope()) {
        prop_assert_eq!(Envelope::from_bytes(&envelope.to_bytes().unwrap()), Ok(envelope));
    }

    #[test]
    fn no_bytes_are_too_odd(mut bytes in any::<Vec<u8>>()) {
        let _ = Envelope::<Content>::from_json(&bytes);
        let _ = Envelope::<Content>::from_bytes(&bytes);
        bytes.insert(0, VERSION);
        let _ = Envelope::<Content>::from_bytes(&bytes);
    }

    /// Nearly right is odder than random.
    #[test]
    fn no_damage_is_too_odd(
        envelope in envelope(), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut json = envelope.to_json().unwrap().into_bytes();
        let mut bytes = envelope.to_bytes().unwrap();
        for (at, byte) in damage {
            let (in_json, in_bytes) = (at.index(json.len()), at.index(bytes.len()));
            json[in_json] = byte;
            bytes[in_bytes] = byte;
        }
        let _ = Envelope::<Content>::from_json(&json);
        let _ = Envelope::<Content>::from_bytes(&bytes);
    }
}

//! What is written as lines of JSON comes back as it was, whatever it is.

use std::ops::ControlFlow;

use proptest::{collection::vec, option, prelude::*};
use slipring_events::{EventId, Metadata, Time};
use slipring_store::{
    Batch, Durability, Entry, EventStore, Memory,
    lines::{self, Line, LineError},
};

/// All events of a store, as lines.
fn export(store: &Memory) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    store
        .scan(0, &mut |record| {
            let mut line = Vec::new();
            lines::write(&record, &mut line).expect("it can be written");
            all.push(line);
            ControlFlow::Continue(())
        })
        .expect("it can be read");
    all
}

fn import(lines: &[Vec<u8>], into: &Memory) {
    let mut batch = Batch::new();
    for line in lines {
        lines::read(line).expect("it is one").put_into(&mut batch).expect("it is an event");
    }
    into.commit(&batch, Durability::Synced).expect("it is taken");
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    let texts = prop_oneof![
        Just("null"),
        Just("{}"),
        Just(" 7"),
        Just("7 "),
        Just("{\"a\": 1.0e5}"),
        Just("[1,\n2]"),
        Just("\"\\u0041\""),
        Just("{\"a\":1,\"a\":2}"),
        Just(""),
        Just("no json"),
        Just("123456789012345678901234567890"),
        Just("\u{2028}"),
    ];
    prop_oneof![
        texts.prop_map(|text| text.as_bytes().to_vec()),
        vec(any::<u8>(), 0..24),
        ".{0,12}".prop_map(String::into_bytes)
    ]
}

proptest! {
    #[test]
    fn a_copy_of_a_store_is_the_same(
        events in vec((payload(), any::<u64>(), option::of("[a-b]"), any::<u16>(), ".{0,5}"), 0..8),
        notes in vec((".{0,4}", ".{0,4}"), 0..3),
    ) {
        let (first, second) = (Memory::new(), Memory::new());
        let metadata: Metadata = notes.into_iter().collect();
        let mut batch = Batch::new();
        for (payload, time, stream, schema, source) in &events {
            let mut entry = Entry::at(Time::from_nanos(*time), "a.b", payload);
            entry = entry.schema(*schema).source(source).metadata(&metadata);
            entry.stream = stream.as_deref();
            batch.append(entry).expect("it is an event");
        }
        first.commit(&batch, Durability::Synced).expect("it is taken");
        let lines = export(&first);
        prop_assert!(lines.iter().all(|line| !line.contains(&b'\n')));
        import(&lines, &second);
        // The ids were those of another source, and have come along.
        prop_assert_eq!(export(&second), lines);
    }

    #[test]
    fn whatever_a_line_is_nothing_panics(line in vec(any::<u8>(), 0..40)) {
        let _ = lines::read(&line);
    }
}

#[test]
fn json_stands_as_it_was_and_all_else_as_text_or_base64() {
    let store = Memory::new();
    let mut batch = Batch::new();
    let payloads: [&[u8]; 4] = [b"{\"lamps\": 2}", b"two\nlamps", b"null", &[0xff, 0]];
    for payload in payloads {
        batch.append(Entry::at(Time::EPOCH, "a", payload)).expect("it is an event");
    }
    store.commit(&batch, Durability::Synced).expect("it is taken");
    let lines: Vec<String> =
        export(&store).into_iter().map(|line| String::from_utf8(line).expect("a text")).collect();
    let ends = [
        r#""payload":{"lamps": 2}}"#,
        r#""text":"two\nlamps"}"#,
        r#""text":"null"}"#,
        r#""base64":"/wA="}"#,
    ];
    for (position, (line, end)) in lines.iter().zip(ends).enumerate() {
        let id = EventId::of(store.source(), position as u64);
        let start = format!(
            r#"{{"position":{position},"id":"{id}","time":"1970-01-01T00:00:00.000000000Z","topic":"a","#,
        );
        assert_eq!(*line, format!("{start}{end}"));
    }
}

#[test]
fn what_is_no_event_is_told_with_its_place() {
    let event =
        r#"{"id":"00000000-0000-8004-8000-000000000002","time":"1970-01-01T00:00:00Z","topic":"a""#;
    let read = |rest: &str| lines::read(format!("{event}{rest}").as_bytes());
    assert_eq!(read(r#","text":""}"#).map(|line: Line| line.payload), Ok(Vec::new()));
    assert_eq!(read("}"), Err(LineError::Payload { found: 0 }));
    assert_eq!(read(r#","text":"","base64":""}"#), Err(LineError::Payload { found: 2 }));
    assert!(matches!(read(r#","base64":"?"}"#), Err(LineError::Base64(_))));
    let cut = read("").expect_err("it is cut off").to_string();
    assert_eq!(cut, format!("column {}: EOF while parsing an object", event.len()));
    assert!(matches!(lines::read(b"7"), Err(LineError::Json { .. })));
}

//! Values beside the events.

use std::collections::BTreeMap;

use slipring_store::{Batch, Durability, EventStore};

use crate::{
    common::harness::{Event, Model, batch_of, until, values},
    stores::Subject,
};

/// The space, the key, and the value, or none to remove it.
type Put<'a> = (&'a str, &'a [u8], Option<&'a [u8]>);

fn put(store: &dyn EventStore, changes: &[Put<'_>]) {
    let mut batch = Batch::new();
    for (space, key, value) in changes {
        match value {
            Some(value) => batch.put(space, key, value),
            None => batch.remove(space, key),
        }
    }
    let committed = store.commit(&batch, Durability::Synced).unwrap();
    assert_eq!(committed.first, committed.end);
}

pub fn values_are_put_replaced_and_removed(subject: &dyn Subject) {
    let store = subject.open();
    assert_eq!(store.value("space", b"key").unwrap(), None);
    assert_eq!(values(&*store, "space", b""), []);
    put(&*store, &[("space", b"key", Some(b"1")), ("other", b"key", Some(b"2"))]);
    assert_eq!(store.value("space", b"key").unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(store.value("other", b"key").unwrap().as_deref(), Some(&b"2"[..]));
    // Of several for one key the last counts.
    put(
        &*store,
        &[
            ("space", b"key", None),
            ("space", b"key", Some(b"3")),
            ("space", b"gone", Some(b"4")),
            ("space", b"gone", None),
            ("space", b"", Some(b"")),
            ("", b"\0\xff", Some(b"\xff\0")),
            ("nowhere", b"key", None),
        ],
    );
    let store = subject.reopen(store);
    let found = values(&*store, "space", b"");
    assert_eq!(found, [(b"".to_vec(), b"".to_vec()), (b"key".to_vec(), b"3".to_vec())]);
    assert_eq!(store.value("", b"\0\xff").unwrap().as_deref(), Some(&b"\xff\0"[..]));
    assert_eq!(store.value("space", b"").unwrap().as_deref(), Some(&b""[..]));
    assert_eq!(store.value("space", b"gone").unwrap(), None);
    assert_eq!(values(&*store, "nowhere", b""), []);
    put(&*store, &[("space", b"", None), ("space", b"key", None)]);
    assert_eq!(values(&*store, "space", b""), []);
}

pub fn a_value_tells_where_its_batch_went(subject: &dyn Subject) {
    let store = subject.open();
    let mut end = 0_u64;
    for size in [3, 0, 300, 0, 1] {
        let events = vec![Event::new("t", 1, ""); size];
        let mut batch = batch_of(&events);
        batch.put("space", b"plain", b"v");
        batch.put_placed("space", b"placed", b"v");
        batch.put_placed("space", b"gone", b"v");
        batch.remove("space", b"gone");
        batch.put_placed("space", b"", b"");
        assert_eq!(store.commit(&batch, Durability::Synced).unwrap().first, end);
        let place = end.to_be_bytes();
        end += size as u64;
        let expected = [
            (b"".to_vec(), place.to_vec()),
            (b"placed".to_vec(), [&b"v"[..], &place].concat()),
            (b"plain".to_vec(), b"v".to_vec()),
        ];
        assert_eq!(values(&*store, "space", b""), expected);
    }
    let before = values(&*subject.reopen(store), "space", b"");
    assert_eq!(before[0].1, 303_u64.to_be_bytes());
}

pub fn values_are_read_in_order_from_anywhere(subject: &dyn Subject) {
    let store = subject.open();
    let mut expected = BTreeMap::new();
    let mut random = fastrand::Rng::with_seed(8);
    let mut batch = Batch::new();
    for number in 0..2_000_u32 {
        let length = random.usize(..6);
        // Few different bytes, so that many keys begin alike.
        let key: Vec<u8> =
            (0..length).map(|_| *random.choice(b"\0\x01a\x7f\xff").unwrap()).collect();
        batch.put("many", &key, &number.to_le_bytes());
        expected.insert(key, number.to_le_bytes().to_vec());
    }
    store.commit(&batch, Durability::Synced).unwrap();
    for from in
        [&b""[..], b"\0", b"a", b"a\0", b"a\xff\xff\xff\xff\xff\xff", b"\xff", b"b", b"(", b"["]
    {
        let expected: Vec<_> = expected.range(from.to_vec()..).collect();
        let found = values(&*store, "many", from);
        assert!(found.iter().map(|(key, value)| (key, value)).eq(expected), "from {from:?}");
    }
    // A reader that breaks off, and goes on behind.
    let (mut pages, mut from) = (Vec::new(), Vec::new());
    loop {
        let mut count = 0;
        let read = store.values("many", &from.clone(), &mut |key, value| {
            pages.push((key.to_vec(), value.to_vec()));
            from = [key, b"\0"].concat();
            count += 1;
            until(count == 100)
        });
        read.unwrap();
        if count < 100 {
            break;
        }
    }
    assert!(pages.into_iter().eq(expected));
}

pub fn many_values_and_large_ones(subject: &dyn Subject) {
    let store = subject.open();
    let mut batch = Batch::new();
    let large = vec![7; 1 << 20];
    let mut expected = Vec::new();
    for number in 0..6_u8 {
        batch.put("large", &[number], &large);
        expected.push((vec![number], large.clone()));
    }
    store.commit(&batch, Durability::Synced).unwrap();
    assert!(values(&*store, "large", b"") == expected);
    let mut batch = Batch::new();
    batch.expect_value("large", &[5], Some(&large));
    batch.remove("large", &[5]);
    store.commit(&batch, Durability::Synced).unwrap();
    assert!(values(&*store, "large", b"") == expected[..5]);
}

pub fn values_go_with_the_events_of_their_batch(subject: &dyn Subject) {
    let store = subject.open();
    let mut model = Model::of(&*store);
    for number in 0..20_u8 {
        let events = [Event::new("n", u64::from(number), [number])];
        let mut batch = batch_of(&events);
        batch.put("counts", b"n", &[number]);
        batch.put("counts", &[number], b"");
        store.commit(&batch, Durability::Synced).unwrap();
        model.append(&events);
        assert_eq!(store.value("counts", b"n").unwrap(), Some(vec![number]));
    }
    model.check(&*store, 0);
    assert_eq!(values(&*store, "counts", b"").len(), 21);
}

//! A disk that fails, at each call of a run.

use fastrand::Rng;
use slipring_store::{Batch, CommitError, Durability, Entry, EventStore, StoreError};

use crate::{
    disk::{Disk, Failing, small},
    log::compare,
    power::Story,
};

const SEED: u64 = 11;
const STEPS: usize = 14;

fn made() -> Disk {
    let disk = Disk::new();
    drop(disk.open(&small()).unwrap());
    disk
}

#[test]
fn a_disk_that_fails_at_any_call_loses_nothing() {
    let mut failures = 0;
    for at in 0.. {
        for failing in [Failing::Once(at), Failing::From(at)] {
            let disk = made();
            disk.fail(failing);
            let mut story = Story::default();
            let worked = story.work(&disk, &mut Rng::with_seed(SEED), STEPS, false);
            failures += u64::from(worked.is_err());
            let mut rng = Rng::with_seed(at);
            for disk in [disk.killed(), disk.cut(&mut rng)] {
                let found = disk.open(&small()).unwrap_or_else(|error| {
                    panic!("it does not open after {failing:?}, {worked:?}: {error}")
                });
                compare(&found, &story.told, story.durable, story.last_begun);
            }
            if worked.is_ok() {
                // The run had fewer calls.
                assert!(failures > 30, "{failures}");
                return;
            }
        }
    }
}

#[test]
fn a_store_that_failed_takes_nothing_more() {
    let mut stopped = 0;
    for at in 0..60 {
        let disk = made();
        let store = disk.open(&small()).unwrap();
        let mut batch = Batch::new();
        batch.append(Entry::new("order.created", "lamp")).unwrap();
        store.commit(&batch, Durability::Synced).unwrap();
        disk.fail(Failing::Once(at));
        let Err(error) = store.commit(&batch, Durability::Synced) else {
            break;
        };
        assert!(matches!(error, CommitError::Store(StoreError::Io { .. })), "{error:?}");
        stopped += 1;
        let again = store.commit(&batch, Durability::Visible);
        assert!(matches!(again, Err(CommitError::Store(StoreError::Stopped { .. }))), "{again:?}");
        assert!(matches!(store.sync(), Err(StoreError::Stopped { .. })));
        // What was confirmed is what is told, and who waits for more is told why it does not come.
        let bounds = store.bounds().unwrap();
        assert_eq!((bounds.end, bounds.durable), (1, 1));
        let waited =
            store.wait(1, slipring_store::Reach::Durable, std::time::Duration::from_mins(10));
        assert!(matches!(waited, Err(StoreError::Stopped { .. })), "{waited:?}");
        let there = store.wait(0, slipring_store::Reach::Durable, std::time::Duration::ZERO);
        assert_eq!(there.unwrap(), bounds);
        drop(store);
        let store = disk.open(&small()).unwrap();
        let bounds = store.bounds().unwrap();
        assert!((1..=2).contains(&bounds.end), "{bounds:?}");
        store.commit(&batch, Durability::Synced).unwrap();
    }
    assert!(stopped > 3, "{stopped}");
}

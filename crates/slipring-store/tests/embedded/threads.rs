//! Several threads, and readers that do not behave.

use std::{
    io,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use slipring_events::Time;
use slipring_store::{
    Batch, CommitError, Durability, Embedded, Entry, EventStore, Expected, Query, Reach, Retention,
    StoreError, Subscription,
    embedded::{Settings, StorageBackend},
};

use crate::disk::Disk;

/// Long enough for anything; nothing waits for so long unless something is wrong.
const LONG: Duration = Duration::from_mins(2);

fn open() -> (tempfile::TempDir, Arc<Embedded>) {
    let home = tempfile::tempdir().unwrap();
    let store = Arc::new(Embedded::open(home.path().join("store")).unwrap());
    (home, store)
}

fn one(number: u64) -> Batch {
    let mut batch = Batch::new();
    let time = Time::from_nanos(number);
    batch.append(Entry::at(time, "number", &number.to_le_bytes()).stream("all")).unwrap();
    batch
}

#[test]
fn one_of_several_who_expect_the_same_gets_it() {
    let (_home, store) = open();
    let won: u64 = thread::scope(|scope| {
        let tries: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut won = 0;
                    for round in 0..25 {
                        let mut batch = one(round);
                        batch.expect("all", Expected::Events(round)).unwrap();
                        match store.commit(&batch, Durability::Visible) {
                            Ok(_) => won += 1,
                            Err(CommitError::Conflict(_)) => {}
                            Err(error) => panic!("{error}"),
                        }
                        // The others come to this round as well.
                        while store.version("all").unwrap() <= round {
                            thread::yield_now();
                        }
                    }
                    won
                })
            })
            .collect();
        tries.into_iter().map(|tried| tried.join().unwrap()).sum()
    });
    assert_eq!(won, 25);
    assert_eq!(store.version("all").unwrap(), 25);
}

#[test]
fn subscribers_see_each_event_once_while_others_write_and_remove() {
    const EVENTS: u64 = 300;
    let (_home, store) = open();
    thread::scope(|scope| {
        for reach in [Reach::Visible, Reach::Durable] {
            let store = store.clone();
            scope.spawn(move || {
                let mut next = 0;
                let mut subscription = Subscription::new(store, 0, reach);
                while next < EVENTS {
                    let read = subscription.next_within(LONG, &mut |record| {
                        assert_eq!(record.position, next);
                        assert_eq!(record.payload, next.to_le_bytes());
                        next += 1;
                        ControlFlow::Continue(())
                    });
                    assert!(read.unwrap() > 0);
                }
            });
        }
        scope.spawn(|| {
            for number in 0..EVENTS {
                store.commit(&one(number), Durability::Visible).unwrap();
                if number % 16 == 0 {
                    store.sync().unwrap();
                }
            }
            store.sync().unwrap();
        });
        scope.spawn(|| {
            // Whoever reads has a view of one moment: what a query finds is counted by a scan as well.
            let mut seen = 0;
            while seen < EVENTS {
                let mut last = None;
                let count = &mut |record: slipring_store::Record<'_>| {
                    assert_eq!(record.time, Time::from_nanos(record.position));
                    last = Some(record.position);
                    ControlFlow::Continue(())
                };
                store.query(&Query::topic("number"), count).unwrap();
                assert!(last.map_or(0, |last| last + 1) >= seen);
                seen = last.map_or(0, |last| last + 1);
            }
        });
    });
    let removed = store.retain(&Retention::everything().events(10), Time::EPOCH).unwrap();
    assert_eq!((removed.first, removed.events), (EVENTS - 10, EVENTS - 10));
    assert!(store.verify().unwrap().is_sound());
}

#[test]
fn whoever_reads_keeps_what_was_there_when_it_began() {
    let (_home, store) = open();
    for number in 0..20 {
        store.commit(&one(number), Durability::Synced).unwrap();
    }
    let mut seen = Vec::new();
    let end = store.scan(0, &mut |record| {
        if record.position == 3 {
            // A reader may read, and others may write and remove meanwhile.
            store.retain(&Retention::everything().events(0), Time::EPOCH).unwrap();
            store.commit(&one(20), Durability::Synced).unwrap();
            let bounds = store.bounds().unwrap();
            assert_eq!((bounds.first, bounds.end, bounds.durable), (20, 21, 21));
            assert!(matches!(
                store.scan(0, &mut |_| ControlFlow::Break(())),
                Err(StoreError::Removed { asked: 0, first: 20 })
            ));
            assert!(matches!(store.compact(), Err(StoreError::Refused(_))));
            let report = store.verify().unwrap();
            assert!(report.is_sound() && !report.pages, "{report}");
        }
        seen.push(record.position);
        ControlFlow::Continue(())
    });
    assert_eq!((end.unwrap(), seen), (20, (0..20).collect()));
    assert!(store.verify().unwrap().pages);
    store.compact().unwrap();
}

#[test]
fn a_reader_that_panics_leaves_nothing_behind() {
    let (_home, store) = open();
    for number in 0..5 {
        let mut batch = one(number);
        batch.put("space", b"key", b"value");
        store.commit(&batch, Durability::Visible).unwrap();
    }
    let readings: [&dyn Fn(); 4] = [
        &|| drop(store.scan(0, &mut |_| panic!("as planned"))),
        &|| drop(store.query(&Query::all(), &mut |_| panic!("as planned"))),
        &|| drop(store.stream("all", 0, &mut |_| panic!("as planned"))),
        &|| drop(store.values("space", b"", &mut |_, _| panic!("as planned"))),
    ];
    for reading in readings {
        let panic = catch_unwind(AssertUnwindSafe(reading)).unwrap_err();
        // It is not taken for damage.
        assert_eq!(panic.downcast_ref(), Some(&"as planned"));
        // No view is left open, no lock is held.
        store.compact().unwrap();
        store.commit(&one(9), Durability::Synced).unwrap();
    }
    assert!(store.verify().unwrap().pages);
}

#[test]
fn whoever_waits_is_woken_by_a_commit_or_a_sync() {
    let (_home, store) = open();
    thread::scope(|scope| {
        let visible = scope.spawn(|| store.wait(0, Reach::Visible, LONG).unwrap());
        let durable = scope.spawn(|| store.wait(0, Reach::Durable, Duration::MAX).unwrap());
        store.commit(&one(0), Durability::Visible).unwrap();
        assert_eq!(visible.join().unwrap().end, 1);
        assert!(!durable.is_finished());
        assert_eq!(store.bounds().unwrap().durable, 0);
        store.sync().unwrap();
        assert_eq!(durable.join().unwrap().durable, 1);
    });
}

/// A file whose syncs wait until they are let go.
#[derive(Debug)]
struct Slow {
    file: Arc<dyn StorageBackend>,
    armed: AtomicBool,
    begun: mpsc::SyncSender<()>,
    go: Mutex<mpsc::Receiver<()>>,
}

impl StorageBackend for Slow {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.armed.swap(false, Ordering::SeqCst) {
            self.begun.send(()).unwrap();
            self.go.lock().unwrap().recv_timeout(LONG).unwrap();
        }
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write(offset, data)
    }
}

#[test]
fn a_sync_does_not_keep_readers_waiting_and_is_told_when_it_is_done() {
    for slow in [0, 1] {
        let (begun, has_begun) = mpsc::sync_channel(1);
        let (let_go, go) = mpsc::channel();
        let mut files = Disk::new().backends();
        let file = Arc::new(Slow {
            file: files[slow].clone(),
            armed: AtomicBool::new(false),
            begun,
            go: Mutex::new(go),
        });
        files[slow] = file.clone();
        let [events, high_water] = files;
        let store = Settings::default().open_on(events, high_water).unwrap();
        store.commit(&one(0), Durability::Synced).unwrap();
        store.commit(&one(1), Durability::Visible).unwrap();
        file.armed.store(true, Ordering::SeqCst);
        thread::scope(|scope| {
            let syncing = scope.spawn(|| store.sync());
            has_begun.recv_timeout(LONG).unwrap();
            // The database or its mark is on its way to the disk.
            let mut count = 0;
            let mut counted = |_: slipring_store::Record<'_>| {
                count += 1;
                ControlFlow::Continue(())
            };
            store.scan(0, &mut counted).unwrap();
            store.query(&Query::all(), &mut counted).unwrap();
            store.stream("all", 0, &mut counted).unwrap();
            assert_eq!(count, 6);
            assert_eq!(store.value("no", b"no").unwrap(), None);
            let bounds = store.bounds().unwrap();
            assert_eq!((bounds.end, bounds.durable), (2, 1), "nothing is durable before it is");
            let_go.send(()).unwrap();
            assert_eq!(syncing.join().unwrap().unwrap(), 2);
            assert_eq!(store.bounds().unwrap().durable, 2);
        });
    }
}

//! Files that somebody else has written to while nobody was looking.
//!
//! Whatever it is, what is read must be what was written, or there must be an error.

use std::{cell::Cell, panic, sync::Once};

use fastrand::Rng;
use slipring_events::Time;
use slipring_store::{
    Batch, Durability, Embedded, EventStore, Query, Retention, StoreError,
    embedded::{Check, Report},
};

use crate::{
    common::{STREAMS, TOPICS, append, for_seeds, queried, scanned, streamed, values},
    disk::Disk,
};

const PAGE: usize = 4096;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Has panics of this thread told to nobody: the store tells of them.
fn quietly<T>(run: impl FnOnce() -> T) -> T {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                usual(panic);
            }
        }));
    });
    QUIET.set(true);
    let done = panic::catch_unwind(panic::AssertUnwindSafe(run));
    QUIET.set(false);
    done.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        panic!(
            "it panicked: {:?}",
            text.or(panic.downcast_ref::<&str>().map(|text| (*text).into()))
        )
    })
}

/// All that a store answers.
#[derive(Debug, PartialEq, Eq)]
struct Answers {
    scan: Result<Vec<String>, String>,
    /// To queries, for streams, for values: each as one text.
    others: Vec<Result<String, String>>,
}

impl Answers {
    fn of(store: &Embedded) -> Self {
        let first = store.bounds().unwrap().first;
        let (scan, end) = scanned(store, first, usize::MAX);
        let scan = if end.starts_with("Ok") { Ok(scan) } else { Err(end) };
        let mut others = Vec::new();
        let text = |answer: Result<Vec<String>, StoreError>| {
            answer.map(|all| all.join("\n")).map_err(|error| error.to_string())
        };
        let moment = Time::from_nanos(7_002 << 30);
        others.push(text(queried(store, &Query::all(), usize::MAX)));
        for topic in TOPICS {
            others.push(text(queried(store, &Query::topic(topic), usize::MAX)));
            let query = Query::topic(topic).between(..=moment);
            others.push(text(queried(store, &query, usize::MAX)));
        }
        others.push(text(store.topics()));
        for stream in STREAMS {
            let (events, end) = streamed(store, stream, 0, usize::MAX);
            let version = store.version(stream).map_err(|error| error.to_string());
            others.push(if end.starts_with("Ok") || end.contains("Removed") {
                version.map(|version| format!("{version} {end} {events:?}"))
            } else {
                Err(end)
            });
        }
        for space in ["s", "checkpoints", ""] {
            let all = values(store, space, b"");
            others.push(all.map(|all| format!("{all:?}")).map_err(|error| error.to_string()));
        }
        Self { scan, others }
    }
}

/// A store with a bit of everything, as it is when it is closed, and as it was some commits before.
struct Sample {
    older: [Vec<u8>; 2],
    files: [Vec<u8>; 2],
    answers: Answers,
}

impl Sample {
    fn new() -> Self {
        let mut rng = Rng::with_seed(5);
        let disk = Disk::new();
        // Some commits are in the index of times, and the last ones are not.
        let settings = Embedded::settings().check(Check::AfterCrash).unindexed_events(150);
        let work = |commits: u64, rng: &mut Rng| {
            let store = disk.open(&settings).unwrap();
            let mut batch = Batch::new();
            for number in 0..commits {
                batch.clear();
                for _ in 0..rng.usize(1..20) {
                    append(&mut batch, rng, 60);
                }
                batch.put("s", &[number as u8 % 40], &vec![number as u8; rng.usize(..900)]);
                let durability =
                    if number % 3 == 0 { Durability::Synced } else { Durability::Visible };
                store.commit(&batch, durability).unwrap();
            }
            store.retain(&Retention::everything().events(250), Time::EPOCH).unwrap();
            Answers::of(&store)
        };
        work(40, &mut rng);
        let older = disk.files();
        let answers = work(16, &mut rng);
        let files = disk.files();
        assert!(answers.scan.is_ok() && answers.others.iter().all(Result::is_ok));
        Self { older, files, answers }
    }

    /// The files with some damage, and what was done.
    fn damaged(&self, rng: &mut Rng, kinds: u8) -> ([Vec<u8>; 2], String) {
        let mut files = self.files.clone();
        let number = usize::from(rng.u8(..12) == 0);
        let file = &mut files[number];
        let length = file.len();
        // Where something stands, if that is soon found.
        let mut at = rng.usize(..length);
        for _ in 0..30 {
            if file[at..].iter().take(64).any(|byte| *byte != 0) {
                break;
            }
            at = rng.usize(..length);
        }
        let what = match rng.u8(..kinds) {
            0..3 => {
                let bits = [1, 1, 2, 8][rng.usize(..4)];
                for _ in 0..bits {
                    // Half of them near each other.
                    let at = if rng.bool() { (at + rng.usize(..64)).min(length - 1) } else { at };
                    file[at] ^= 1 << rng.u8(..8);
                }
                format!("{bits} bits from {at}")
            }
            3 => {
                let end = (at + [1, 8, 512, PAGE, 3 * PAGE][rng.usize(..5)]).min(length);
                file[at..end].fill([0, 0xff][rng.usize(..2)]);
                format!("bytes {at}..{end} filled")
            }
            4 => {
                file.truncate(at);
                format!("cut off at {at}")
            }
            5 => {
                let end = (at + rng.usize(1..300)).min(length);
                rng.fill(&mut file[at..end]);
                format!("bytes {at}..{end} by chance")
            }
            6 => {
                let (a, b) = (at / PAGE * PAGE, rng.usize(..length) / PAGE * PAGE);
                let size = PAGE.min(length - a).min(length - b);
                let (first, second) = (file[a..a + size].to_vec(), file[b..b + size].to_vec());
                file[a..a + size].copy_from_slice(&second);
                file[b..b + size].copy_from_slice(&first);
                format!("pages at {a} and {b} changed places")
            }
            _ => {
                let old = &self.older[number];
                let begin = (at / PAGE * PAGE).min(old.len());
                let end = (begin + [1, 2, 8][rng.usize(..3)] * PAGE).min(old.len()).min(length);
                file[begin.min(end)..end].copy_from_slice(&old[begin.min(end)..end]);
                format!("bytes {begin}..{end} as they were before")
            }
        };
        (files, format!("file {number}: {what}"))
    }

    /// Whether it was seen, when something was.
    fn try_out(&self, check: Check, files: [Vec<u8>; 2], what: &str) -> bool {
        let settings = Embedded::settings().check(check).cache_bytes(1 << 20);
        let Ok(store) = quietly(|| Disk::of(files).open(&settings)) else {
            return true;
        };
        let answers = quietly(|| Answers::of(&store));
        if answers.scan.is_ok() {
            assert!(answers.scan == self.answers.scan, "{what}: a scan gives something else");
        }
        let report = quietly(|| store.verify());
        let sound = report.as_ref().is_ok_and(Report::is_sound);
        let mut seen = answers.scan.is_err();
        for (found, expected) in answers.others.iter().zip(&self.answers.others) {
            seen |= found.is_err();
            // An index that lacks an entry is not seen by whoever asks it, but by who compares all.
            if found.is_ok() && found != expected {
                assert!(!sound, "{what}: nobody sees that an answer is another");
                assert_ne!(check, Check::Always, "{what}: it was opened, and answers differently");
            }
        }
        quietly(|| drop(store));
        seen || !sound
    }
}

fn damage(variable: &str, usual: u64, check: Check, kinds: u8) {
    let sample = Sample::new();
    assert!(!sample.try_out(check, sample.files.clone(), "nothing"));
    let mut seen = 0_u64;
    for_seeds(variable, usual, |mut rng| {
        let (files, what) = sample.damaged(&mut rng, kinds);
        seen += u64::from(sample.try_out(check, files, &what));
    });
    eprintln!("{check:?}: seen {seen}");
    // Most of a file may be free, and nobody minds damage there.
    if std::env::var("SEED").is_err() {
        assert!(seen > usual / 5, "{seen}");
    }
}

#[test]
fn damage_is_seen_when_a_store_is_opened_or_nothing_is_lost() {
    damage("DAMAGE_CASES", 100, Check::Always, 8);
}

#[test]
fn damage_is_seen_by_whoever_reads_or_by_verify() {
    damage("DAMAGE_CASES", 160, Check::AfterCrash, 6);
}

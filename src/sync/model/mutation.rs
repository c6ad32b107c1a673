//! Orderings that can be weakened at run time: how `cargo xtask ordering-mutants` finds out whether
//! a model fails without them.
//!
//! A *site* is where an ordering takes effect: the call of an atomic's method, or of a small
//! accessor marked `track_caller`, whose callers are then sites of their own (a reader that needs
//! no order would otherwise hide behind one that does).
//!
//! | variable | effect |
//! |---|---|
//! | `ORD_LOG=file` | [`write_log`] appends every site met, one a line: `file:line:column operation ordering` |
//! | `ORD_MUT=file:line:column operation weaker` | that ordering is weakened to `weaker` there (`Drop` leaves a fence out); of several, with commas between them, each is |

use std::{
    collections::BTreeSet,
    env,
    io::Write as _,
    panic::Location,
    sync::{Mutex, OnceLock, PoisonError, atomic::Ordering},
};

/// What an ordering is an operand of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    Load,
    Store,
    /// A read-modify-write.
    Change,
    /// The failed case of a compare-and-swap.
    Failure,
    Fence,
    /// The light side of an asymmetric pair.
    LightFence,
    /// The heavy side.
    HeavyFence,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Store => "store",
            Self::Change => "change",
            Self::Failure => "failure",
            Self::Fence => "fence",
            Self::LightFence => "light-fence",
            Self::HeavyFence => "heavy-fence",
        }
    }
}

/// One ordering to weaken.
struct Mutation {
    /// A path as seen from the repository's root.
    file: String,
    line: u32,
    column: u32,
    operation: String,
    /// `None`: the fence is left out.
    weaker: Option<Ordering>,
}

impl Mutation {
    fn all_from_env() -> Vec<Self> {
        let text = env::var("ORD_MUT").unwrap_or_default();
        text.split_terminator(',').map(Self::parse).collect()
    }

    fn parse(text: &str) -> Self {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [place, operation, weaker] = words[..] else {
            panic!("ORD_MUT wants `file:line:column operation weaker`, not `{text}`");
        };
        let number = |text: &str| text.parse().expect("ORD_MUT wants `file:line:column` first");
        let mut place = place.rsplitn(3, ':');
        let (column, line) = (place.next().map_or(0, number), place.next().map_or(0, number));
        let file = place.next().unwrap_or_default().to_owned();
        let weaker = match weaker {
            "Relaxed" => Some(Ordering::Relaxed),
            "Acquire" => Some(Ordering::Acquire),
            "Release" => Some(Ordering::Release),
            "AcqRel" => Some(Ordering::AcqRel),
            "Drop" => None,
            _ => panic!("ORD_MUT knows no ordering `{weaker}`"),
        };
        Self { file, line, column, operation: operation.to_owned(), weaker }
    }

    /// Asked at every access: the numbers go first.
    fn concerns(&self, here: &Location<'_>, operation: Operation) -> bool {
        (here.line(), here.column()) == (self.line, self.column)
            && operation.name() == self.operation
            && in_repository(here.file()) == self.file
    }
}

/// A place, an operation, and the ordering that the source gives it.
type Site = (&'static str, u32, u32, Operation, &'static str);

static SITES: Mutex<BTreeSet<Site>> = Mutex::new(BTreeSet::new());

/// The ordering to use at the caller's: the one given, unless it is the one to weaken.
#[track_caller]
pub(crate) fn weakened(operation: Operation, order: Ordering) -> Ordering {
    effective(Location::caller(), operation, order).unwrap_or(Ordering::Relaxed)
}

loom::lazy_static! {
    /// Written before each fence, and never read: see [`fences_are_ordered`].
    static ref FENCES: loom::sync::atomic::AtomicUsize = loom::sync::atomic::AtomicUsize::new(0);
    static ref MEETINGS: Meetings = Meetings::default();
}

/// Where the two sides of asymmetric pairs meet.
///
/// Each thread has a place, which its own light fences and everybody's heavy ones change: so the
/// later of the two sees all that was done before the other. No two threads' light fences change the
/// same one.
#[derive(Default)]
struct Meetings {
    places: [loom::sync::atomic::AtomicUsize; loom::MAX_THREADS],
    /// How many threads have a place: those that have executed a light fence. Not loom's, because
    /// it is read and written only directly behind a change of `newcomers`.
    taken: std::sync::atomic::AtomicUsize,
    /// Where a thread's first light fence meets the heavy ones that found it without a place.
    newcomers: loom::sync::atomic::AtomicUsize,
}

loom::thread_local! {
    static PLACE: usize = {
        // Acquire only: newcomers do not see each other.
        MEETINGS.newcomers.fetch_add(0, Ordering::Acquire);
        MEETINGS.taken.fetch_add(1, Ordering::Relaxed)
    };
}

impl Meetings {
    fn light(&self) {
        PLACE.with(|place| self.places[*place].fetch_add(0, Ordering::AcqRel));
    }

    fn heavy(&self) {
        self.newcomers.fetch_add(0, Ordering::AcqRel);
        for place in &self.places[..self.taken.load(Ordering::Relaxed)] {
            place.fetch_add(0, Ordering::AcqRel);
        }
    }
}

/// For the thread that builds a ring, before it shares it.
///
/// To loom a fence is no event: it tries no execution only because two fences come in another
/// order, and so misses that one thread looks between another's store and the fence behind it. Two
/// stores to one atomic are events whose orders are all tried; one that nobody reads orders nothing
/// else. The first access to it would, so that is made here.
pub(crate) fn fences_are_ordered() {
    let _ = (&*FENCES, &*MEETINGS);
}

/// A fence, unless it is the one to leave out.
#[track_caller]
pub(crate) fn fence(order: Ordering) {
    if let Some(order) = effective(Location::caller(), Operation::Fence, order) {
        FENCES.store(0, Ordering::Relaxed);
        loom::sync::atomic::fence(order);
    }
}

// The sides of an asymmetric pair are operations of their own, because an accessor executes one or
// another of them for the same caller.

/// The light side, unless it is the one to leave out.
///
/// It orders itself against heavy ones, and nothing else. A full fence would do more than the machine
/// does: a Relaxed store behind it, in a handler for instance, would count as a Release.
#[track_caller]
pub(crate) fn light_fence(order: Ordering) {
    match effective(Location::caller(), Operation::LightFence, order) {
        Some(Ordering::SeqCst) => MEETINGS.light(),
        Some(weaker) => loom::sync::atomic::fence(weaker),
        None => {}
    }
}

/// The heavy side, unless it is the one to leave out.
#[track_caller]
pub(crate) fn heavy_fence(order: Ordering) {
    match effective(Location::caller(), Operation::HeavyFence, order) {
        Some(Ordering::SeqCst) => MEETINGS.heavy(),
        Some(weaker) => loom::sync::atomic::fence(weaker),
        None => {}
    }
}

fn effective(
    here: &'static Location<'static>,
    operation: Operation,
    order: Ordering,
) -> Option<Ordering> {
    static LOGS: OnceLock<bool> = OnceLock::new();
    static MUTATIONS: OnceLock<Vec<Mutation>> = OnceLock::new();
    if *LOGS.get_or_init(|| env::var_os("ORD_LOG").is_some()) && order != Ordering::Relaxed {
        let site = (here.file(), here.line(), here.column(), operation, name(order));
        SITES.lock().unwrap_or_else(PoisonError::into_inner).insert(site);
    }
    let mutations = MUTATIONS.get_or_init(Mutation::all_from_env);
    match mutations.iter().find(|mutation| mutation.concerns(here, operation)) {
        Some(mutation) => mutation.weaker,
        None => Some(order),
    }
}

/// A path as seen from the repository's root; the models' crate sees it from a folder below.
fn in_repository(file: &str) -> &str {
    file.rfind("src/").map_or(file, |at| &file[at..])
}

fn name(order: Ordering) -> &'static str {
    match order {
        Ordering::Relaxed => "Relaxed",
        Ordering::Acquire => "Acquire",
        Ordering::Release => "Release",
        Ordering::AcqRel => "AcqRel",
        Ordering::SeqCst => "SeqCst",
        _ => unreachable!("there are five orderings"),
    }
}

/// Writes down which sites this process has met, if it was asked to.
///
/// # Panics
/// If the file cannot be written.
pub fn write_log() {
    let Some(file) = env::var_os("ORD_LOG") else { return };
    let sites = SITES.lock().unwrap_or_else(PoisonError::into_inner);
    let lines = sites.iter().map(|(file, line, column, operation, order)| {
        format!("{}:{line}:{column} {} {order}\n", in_repository(file), operation.name())
    });
    let text: String = lines.collect();
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .and_then(|mut log| log.write_all(text.as_bytes()))
        .expect("the log of sites can be written");
}

//! What decides.

use std::error::Error;

use slipring_events::Event;

/// Something whose state follows from the events of its stream, and that decides what happens next.
///
/// Each one has a stream, which is called by its kind and its id: `account-7`. A fresh one is made by
/// [`Default`]: it stands for what has never been heard of.
///
/// It [decides](Decide) about each type of command that it knows; a command of another type does not compile:
/// ```compile_fail
/// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sourcing/bank.rs")); }
/// # use slipring_store::{Json, Memory, sourcing::Repository};
/// struct Launch;
///
/// let accounts = Repository::<bank::Account, _>::new(std::sync::Arc::new(Memory::new()), Json);
/// let _ = accounts.execute("7", &Launch); // No account decides about that.
/// ```
pub trait Aggregate: Default + Send + Sync + 'static {
    /// What all of them are called: the beginning of the names of their streams. There is no `-` in it: a repository
    /// of such a kind does not compile.
    const KIND: &'static str;

    /// Which form the state has: a number to be counted up when fields change, or what [`apply`](Self::apply) makes
    /// of an event. A snapshot with another number is not used.
    const SCHEMA: u16 = 0;

    /// What happens to it.
    type Event: Event;

    /// Why it refuses a command.
    type Error: Error + Send + Sync + 'static;

    /// What it needs for its decisions that is not in its state: prices, a clock. `()` if nothing.
    type Services: Send + Sync + 'static;

    /// Takes notice of something that has happened. It has happened, so there is no refusing it; the same events make
    /// the same state each time.
    fn apply(&mut self, event: &Self::Event);
}

/// An aggregate that knows what a command of that type leads to.
pub trait Decide<C>: Aggregate {
    /// What is to happen: nothing, one event or several. It may be asked several times for one command, each time with
    /// the state of then, if somebody else has been there before.
    ///
    /// # Errors
    /// The command is refused, and nothing happens.
    fn decide(
        &self,
        command: &C,
        services: &Self::Services,
    ) -> Result<Vec<Self::Event>, Self::Error>;
}

/// What the stream of an aggregate is called.
///
/// # Examples
/// ```
/// # mod bank { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sourcing/bank.rs")); }
/// # use bank::Account;
/// use slipring_store::sourcing::{id_of, stream_of};
///
/// assert_eq!(stream_of::<Account>("7"), "account-7");
/// assert_eq!(id_of::<Account>("account-7"), Some("7"));
/// assert_eq!(id_of::<Account>("order-7"), None);
/// ```
pub fn stream_of<A: Aggregate>(id: &str) -> String {
    format!("{}-{id}", A::KIND)
}

/// The id of the aggregate whose stream it is, if it is the stream of one of that kind.
pub fn id_of<A: Aggregate>(stream: &str) -> Option<&str> {
    stream.strip_prefix(A::KIND)?.strip_prefix('-')
}

/// Refuses a kind by which streams of different kinds could have one name.
pub(crate) const fn check_kind<A: Aggregate>() {
    let kind = A::KIND.as_bytes();
    assert!(!kind.is_empty(), "the kind of an aggregate has a name");
    let mut at = 0;
    while at < kind.len() {
        assert!(
            kind[at] != b'-',
            "the kind of an aggregate has no `-` in its name: the id begins there"
        );
        at += 1;
    }
}

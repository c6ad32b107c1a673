//! A ring whose producer and whose only station, a poller, are on one thread, so that nobody is in
//! the way and nobody waits.

use slipring::{
    Access, Builder, Claim, Dispatcher, Multi, Poller, Producer, Single, Station, poller,
};
use slipring_bench::event::Words;

/// Small enough for the second-level cache, also with events of 64 bytes.
pub(crate) const SLOTS: usize = 4_096;
/// Events between two looks at the clock: enough to hide what the looks cost. Batches divide it.
pub(crate) const CHUNK: usize = 4_000;
/// The only station.
pub(crate) const STATION: &str = "only";

/// The handles; `S` is the poller.
pub(crate) struct Ring<C: Claim, S, const WORDS: usize> {
    pub(crate) producer: Producer<Words<WORDS>, C>,
    pub(crate) station: S,
    /// Keeps the ring open.
    pub(crate) _dispatcher: Dispatcher<Words<WORDS>>,
}

/// A ring whose poller reads.
pub(crate) type Reading<C, const WORDS: usize> = Ring<C, Poller<Words<WORDS>>, WORDS>;

/// A ring with one producer.
pub(crate) fn single<const WORDS: usize>() -> Reading<Single, WORDS> {
    reading(slots(poller(STATION)).start().expect("a valid ring"))
}

/// A ring with one of many producers: nobody competes, but claims and marks are there.
pub(crate) fn multi<const WORDS: usize>() -> Reading<Multi, WORDS> {
    reading(slots(poller(STATION)).start_multi().expect("a valid ring"))
}

/// The slots, and the station that may take all of them at once.
pub(crate) fn slots<A: Access, const WORDS: usize>(
    station: Station<Words<WORDS>, A>,
) -> Builder<Words<WORDS>> {
    Builder::new(SLOTS, Words::default).then(station.max_batch(SLOTS))
}

fn reading<C: Claim, const WORDS: usize>(
    (producer, mut dispatcher): (Producer<Words<WORDS>, C>, Dispatcher<Words<WORDS>>),
) -> Reading<C, WORDS> {
    let station = dispatcher.poller(STATION).expect("it was declared");
    Ring { producer, station, _dispatcher: dispatcher }
}

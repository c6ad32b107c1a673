//! Stations that several threads share, as the user declares them.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use crate::{
    extent::Within,
    handler::{At, Outcome},
    hash::KeyHasher,
    station::Station,
    work::{Each, Exclusive, Keyed, Shared},
};

/// A station whose work is shared by so many threads: each event is handled by one of them, whichever
/// has time for it. `make` is called with the number of each worker, from 0 on, and makes its handler.
///
/// A worker takes up a share of what is waiting, handles it in order, and takes the next one; the
/// workers do not wait for each other, so events of different workers are handled in any order. Whoever
/// follows the station waits for the slowest: it sees an event when that one and all before it are
/// handled. A worker that is slow with one event holds up those that follow, and after a lap the
/// producers, but not the other workers until then.
///
/// The options are each worker's own: [`policy`](Station::policy) counts the attempts of one worker,
/// [`max_batch`](Station::max_batch) is the most that one takes up at a time,
/// [`pin_each`](Station::pin_each) gives each a core; their threads are called `name-0` and so on. The
/// report adds them up.
///
/// # Examples
/// ```
/// use slipring::{Builder, At, share};
/// use std::sync::mpsc;
///
/// let (done, results) = mpsc::channel();
/// let (mut producer, dispatcher) = Builder::new(64, || 0_u64)
///     .then(share("square", 3, |_worker| {
///         let done = done.clone();
///         move |event: &u64, _: At<'_>| done.send(event * event).map_err(|_| "nobody listens")
///     }))
///     .start()?;
/// for number in 1..=10 {
///     producer.publish(|event| *event = number)?;
/// }
/// drop((producer, done));
/// assert_eq!(dispatcher.join()?.station("square").map(|square| square.handled), Some(10));
/// assert_eq!(results.iter().sum::<u64>(), 385);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn share<'a, E, F, R>(
    name: impl Into<String>,
    workers: usize,
    mut make: impl FnMut(usize) -> F,
) -> Station<E, Shared, Within<'a>>
where
    E: Send + Sync + 'a,
    F: FnMut(&E, At<'_>) -> R + Send + 'a,
    R: Outcome + 'a,
{
    Station::shared(name, false, workers, |worker| {
        let mut handle = make(worker);
        move || Each::new((), move |(): &mut (), event: &E, at: At<'_>| handle(event, at))
    })
}

/// As [`share`], for workers that change events: each has those that it has taken up to itself.
///
/// ```
/// use slipring::{At, Builder, read, share_mut};
///
/// let (mut producer, dispatcher) = Builder::new(64, || (0_u64, 0_u64))
///     .then(share_mut("price", 2, |_| |order: &mut (u64, u64), _: At<'_>| order.1 = order.0 * 3))
///     .then(read("book", |order: &(u64, u64), _| assert_eq!(order.1, order.0 * 3)))
///     .start()?;
/// for quantity in 0..100 {
///     producer.publish(|order| *order = (quantity, 0))?;
/// }
/// drop(producer);
/// dispatcher.join()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn share_mut<'a, E, F, R>(
    name: impl Into<String>,
    workers: usize,
    mut make: impl FnMut(usize) -> F,
) -> Station<E, Exclusive, Within<'a>>
where
    E: Send + 'a,
    F: FnMut(&mut E, At<'_>) -> R + Send + 'a,
    R: Outcome + 'a,
{
    Station::shared(name, false, workers, |worker| {
        let mut handle = make(worker);
        move || Each::new((), move |(): &mut (), event: &mut E, at: At<'_>| handle(event, at))
    })
}

/// A station whose work is shared by so many threads according to a key: all events of one key are
/// handled by the same worker, in their order, however many there are of each. `key` is asked once for
/// each event, by whichever worker comes first; `make` is called with the number of each worker, from 0
/// on, and makes its handler.
///
/// Which worker a key belongs to depends on nothing but the key and the number of workers, in one
/// build of the program. The workers go their own pace, as in [`share`]; whoever follows the station waits for
/// the slowest, and a worker that is more than a lap behind holds up the producers and with them
/// the others. If `key` panics the ring is halted.
///
/// # Examples
/// ```
/// use std::collections::HashMap;
/// use slipring::{At, Builder, keyed};
///
/// # #[derive(Clone, Copy, Default)]
/// struct Payment {
///     account: u32,
///     cents: i64,
/// }
///
/// // Each worker has the balances of its own accounts: no lock, and no payment overtakes another.
/// let balances = |_worker| {
///     let mut balances = HashMap::new();
///     move |payment: &Payment, _: At<'_>| {
///         *balances.entry(payment.account).or_insert(0) += payment.cents;
///     }
/// };
/// let (mut producer, dispatcher) = Builder::new(64, Payment::default)
///     .then(keyed("book", 3, |payment: &Payment| payment.account, balances))
///     .start()?;
/// for cents in 0..100 {
///     producer.publish(|payment| *payment = Payment { account: 7, cents })?;
/// }
/// drop(producer);
/// assert_eq!(dispatcher.join()?.station("book").map(|book| book.handled), Some(100));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn keyed<'a, E, K, F, R>(
    name: impl Into<String>,
    workers: usize,
    key: impl Fn(&E) -> K + Send + Sync + 'a,
    mut make: impl FnMut(usize) -> F,
) -> Station<E, Shared, Within<'a>>
where
    E: Send + Sync + 'a,
    K: Hash + 'a,
    F: FnMut(&E, At<'_>) -> R + Send + 'a,
    R: Outcome + 'a,
{
    let key = Arc::new(hashed(key));
    Station::shared(name, true, workers, |worker| {
        let (mut handle, key) = (make(worker), Arc::clone(&key));
        move || Keyed {
            work: Each::new((), move |(): &mut (), event: &E, at: At<'_>| handle(event, at)),
            key: move |event: &E| key(event),
        }
    })
}

/// As [`keyed`], for workers that change events: each has its own to itself.
pub fn keyed_mut<'a, E, K, F, R>(
    name: impl Into<String>,
    workers: usize,
    key: impl Fn(&E) -> K + Send + Sync + 'a,
    mut make: impl FnMut(usize) -> F,
) -> Station<E, Exclusive, Within<'a>>
where
    E: Send + 'a,
    K: Hash + 'a,
    F: FnMut(&mut E, At<'_>) -> R + Send + 'a,
    R: Outcome + 'a,
{
    let key = Arc::new(hashed(key));
    Station::shared(name, true, workers, |worker| {
        let (mut handle, key) = (make(worker), Arc::clone(&key));
        move || Keyed {
            work: Each::new((), move |(): &mut (), event: &mut E, at: At<'_>| handle(event, at)),
            key: move |event: &E| key(event),
        }
    })
}

/// The hash of an event's key; the same for the same key, whoever asks.
fn hashed<E, K: Hash>(key: impl Fn(&E) -> K) -> impl Fn(&E) -> u64 {
    move |event| {
        let mut hasher = KeyHasher::default();
        key(event).hash(&mut hasher);
        hasher.finish()
    }
}

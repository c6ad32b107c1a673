//! Attaching stations to a running ring, and detaching them.

use std::{fmt, mem, time::Duration};

use crate::{
    builder,
    circuit::Circuit,
    consumer::{Seat, Visit},
    current::Who,
    cursor::DETACHED,
    error::{BuildError, Failure},
    extent::Within,
    guests::{NoSeat, Start},
    muster::{self, Card, Entrant, Muster},
    poller::Poller,
    report::{self, StationReport},
    ring::Ring,
    station::{Crew, Declared, Station},
    sync::{Arc, thread, time},
    told::Teller,
    topology::MOST_STATIONS,
    work::Shared,
};

/// Attaches stations to a running ring. It can be cloned and sent to any thread.
///
/// A station that is attached reads, and stands behind stations that the ring was built with: behind
/// the last ones, or those that are named. It sees every event from
/// [`first_sequence`](Member::first_sequence) on, in order, and holds the producers back from there on, as
/// every station does. It is nobody's business but its own how long it stays.
///
/// # Examples
/// ```
/// use slipring::{Builder, Detach, Start, read};
/// use std::time::Duration;
///
/// let (mut producer, dispatcher) = Builder::new(8, || 0_u64)
///     .then(read("always here", |_: &u64, _| ()))
///     .start()?;
/// producer.publish(|event| *event = 1)?;
///
/// let members = dispatcher.membership();
/// let guest = members.attach(read("guest", |event: &u64, _| println!("{event}")), Start::Now)?;
/// assert_eq!(guest.first_sequence(), 1);
/// producer.publish(|event| *event = 2)?;
/// producer.publish(|event| *event = 3)?;
/// let report = guest.detach(Detach::Drained, Duration::from_secs(5))?;
/// assert_eq!((report.handled, report.left), (2, 0));
///
/// producer.publish(|event| *event = 4)?; // The guest does not see it.
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Membership<E> {
    ring: Arc<Ring<E>>,
    muster: Arc<Muster>,
}

impl<E> Clone for Membership<E> {
    fn clone(&self) -> Self {
        Self { ring: Arc::clone(&self.ring), muster: Arc::clone(&self.muster) }
    }
}

impl<E> fmt::Debug for Membership<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership").finish_non_exhaustive()
    }
}

impl<E> Membership<E> {
    pub(crate) fn new(ring: Arc<Ring<E>>, muster: Arc<Muster>) -> Self {
        Self { ring, muster }
    }
}

impl<E: Send + Sync> Membership<E> {
    /// Attaches a station with a thread, behind the last stations that the ring was built with.
    /// Returns when the thread is pinned, has made its state, has run its start hook, and has
    /// taken its place.
    ///
    /// # Errors
    /// See [`AttachError`]. Nothing has changed then.
    pub fn attach(
        &self,
        station: Station<E, Shared>,
        start: Start,
    ) -> Result<Member<E>, AttachError>
    where
        E: 'static,
    {
        self.attach_thread(&self.ring.circuit.last, station, start)
    }

    /// As [`attach`](Self::attach), behind the stations of these names; with no names at all it follows
    /// the producers themselves, out of band.
    ///
    /// # Errors
    /// See [`AttachError`]. `Unordered` if a station that changes events is not before it.
    pub fn attach_after<N: AsRef<str>>(
        &self,
        names: impl IntoIterator<Item = N>,
        station: Station<E, Shared>,
        start: Start,
    ) -> Result<Member<E>, AttachError>
    where
        E: 'static,
    {
        self.attach_thread(&indices(&self.ring.circuit, names)?, station, start)
    }

    /// Attaches a station that was declared with [`poller`](crate::poller), behind the last stations that
    /// the ring was built with. Its first event is at [`Poller::sequence`]. It is detached when it
    /// is dropped.
    ///
    /// # Errors
    /// See [`AttachError`]. Nothing has changed then.
    pub fn attach_poller(
        &self,
        station: Station<E, Shared, Within<'_>>,
        start: Start,
    ) -> Result<Poller<E>, AttachError> {
        self.attach_polled(&self.ring.circuit.last, station, start)
    }

    /// As [`attach_poller`](Self::attach_poller), behind the stations of these names; with no names at
    /// all it follows the producers themselves, out of band.
    ///
    /// # Errors
    /// See [`AttachError`]. `Unordered` if a station that changes events is not before it.
    pub fn attach_poller_after<N: AsRef<str>>(
        &self,
        names: impl IntoIterator<Item = N>,
        station: Station<E, Shared, Within<'_>>,
        start: Start,
    ) -> Result<Poller<E>, AttachError> {
        self.attach_polled(&indices(&self.ring.circuit, names)?, station, start)
    }

    fn attach_polled(
        &self,
        follows: &[usize],
        station: Station<E, Shared, Within<'_>>,
        start: Start,
    ) -> Result<Poller<E>, AttachError> {
        let (Entrant { who, manner, engine, .. }, reserved) = self.reserve(follows, station)?;
        let mut seat = Seat::new(Arc::clone(&self.ring), who, manner);
        if engine.is_some() {
            return Err(AttachError::NotPolled(seat.name.to_string()));
        }
        seat.arrive(start);
        reserved.keep();
        Ok(Poller::new(seat))
    }

    fn attach_thread(
        &self,
        follows: &[usize],
        station: Station<E, Shared>,
        start: Start,
    ) -> Result<Member<E>, AttachError>
    where
        E: 'static,
    {
        let (Entrant { who, manner, core, engine, .. }, reserved) =
            self.reserve(follows, station)?;
        let mut seat = Seat::new(Arc::clone(&self.ring), who, manner);
        let name = Arc::clone(&seat.name);
        let Some(engine) = engine else {
            return Err(AttachError::Polled(name.to_string()));
        };
        let card = Arc::new(Card::default());
        let tenancy =
            Arc::new(Tenancy { ring: Arc::clone(&self.ring), who, name: Arc::clone(&name) });
        seat.visit = Some(Visit { start, card: Arc::clone(&card), tenancy: Arc::clone(&tenancy) });
        let not_started = |failure: Failure| {
            let (station, cause) = (name.to_string(), failure.message);
            AttachError::Station(BuildError::NotStarted { station, cause })
        };
        let started =
            muster::start(&self.muster, seat, core, engine, thread::spawn).map_err(not_started)?;
        let (_, thread) = started.ok_or(AttachError::Closed)?;
        let first = card.await_arrival().map_err(not_started)?;
        reserved.keep();
        Ok(Member { tenancy, first, card, thread })
    }

    /// Checks what can be checked before anything starts, and reserves a seat.
    fn reserve<'a>(
        &self,
        follows: &[usize],
        station: Station<E, Shared, Within<'a>>,
    ) -> Result<(Entrant<'a, E>, Reserved<'_>), AttachError> {
        let circuit = &self.ring.circuit;
        if circuit.lifecycle.is_refusing() {
            return Err(AttachError::Closed);
        }
        let declared = Declared::from(station);
        if matches!(declared.crew, Crew::Team { .. }) {
            return Err(AttachError::Team(declared.name));
        }
        let teller = declared.options.teller.clone();
        let reserved = Reserved::new(circuit, &declared.name, follows, teller)?;
        let entrants =
            builder::entrants(reserved.index, declared, circuit.station_wait, circuit.capacity)?;
        let entrant = entrants.into_iter().next().expect("a station without a team is one");
        Ok((entrant, reserved))
    }
}

/// A seat that is given back unless it is kept.
struct Reserved<'a> {
    circuit: &'a Circuit,
    index: usize,
    /// `None`: it is somebody else's business.
    name: Option<Arc<str>>,
}

impl<'a> Reserved<'a> {
    fn new(
        circuit: &'a Circuit,
        name: &str,
        follows: &[usize],
        teller: Option<Teller>,
    ) -> Result<Self, BuildError> {
        let taken = || BuildError::DuplicateName(name.to_owned());
        if name.contains('\0') {
            return Err(BuildError::BadName(name.to_owned()));
        }
        if circuit.names.iter().any(|declared| **declared == *name) {
            return Err(taken());
        }
        let before = everybody_before(circuit, follows);
        let mutates = |index: &usize| circuit.posts[*index].mutates;
        if let Some(mutating) = (0..before.len()).filter(mutates).find(|index| !before[*index]) {
            let mutating = circuit.name(mutating).to_string();
            return Err(BuildError::Unordered { mutating, other: name.to_owned() });
        }
        let name: Arc<str> = Arc::from(name);
        let seat = circuit.guests.reserve(&name, follows, teller).map_err(|why| match why {
            NoSeat::NameTaken => taken(),
            NoSeat::AllTaken => {
                BuildError::TooManyStations { asked: MOST_STATIONS + 1, most: MOST_STATIONS }
            }
        })?;
        Ok(Self { circuit, index: circuit.posts.len() + seat, name: Some(name) })
    }

    fn keep(mut self) {
        self.name = None;
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            self.circuit.vacate(self.index, name);
        }
    }
}

/// A guest's seat, which its thread holds, and whoever may ask for its report: if both have let go of it and
/// the guest has left the ring, it is given back. One that stands there to the end is in the ring's report.
#[derive(Debug)]
pub(crate) struct Tenancy<E> {
    ring: Arc<Ring<E>>,
    who: Who,
    name: Arc<str>,
}

impl<E> Drop for Tenancy<E> {
    fn drop(&mut self) {
        let Self { ring, who, name } = self;
        // Only a glance: the count of those who hold this has ordered it behind what the thread did.
        if ring.circuit.post(who.station()).cursor.glance() == DETACHED {
            ring.circuit.vacate(who.station(), name);
        }
    }
}

/// For each station that the ring was built with, whether it is before somebody who follows these.
fn everybody_before(circuit: &Circuit, follows: &[usize]) -> Vec<bool> {
    let mut before = vec![false; circuit.posts.len()];
    let mut next = follows.to_vec();
    while let Some(index) = next.pop() {
        if !mem::replace(&mut before[index], true) {
            next.extend(&circuit.posts[index].follows);
        }
    }
    before
}

/// The stations of these names, as few as say it all.
fn indices<N: AsRef<str>>(
    circuit: &Circuit,
    names: impl IntoIterator<Item = N>,
) -> Result<Vec<usize>, AttachError> {
    let index = |name: N| {
        let name = name.as_ref();
        circuit.names.iter().position(|declared| **declared == *name).ok_or_else(|| {
            let known = circuit.names.iter().map(ToString::to_string).collect();
            BuildError::UnknownName { name: name.to_owned(), known }
        })
    };
    let mut follows: Vec<usize> = names.into_iter().map(index).collect::<Result<_, _>>()?;
    follows.sort_unstable();
    follows.dedup();
    let is_implied = |index: &usize| {
        let others = follows.iter().filter(|other| *other != index);
        others.clone().any(|other| everybody_before(circuit, &[*other])[*index])
    };
    Ok(follows.iter().copied().filter(|index| !is_implied(index)).collect())
}

/// How a station leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detach {
    /// When it has handled everything that was claimed by producers before the call.
    Drained,
    /// Behind the batch that it is in.
    AtOnce,
}

/// A station that was attached to a running ring, and has a thread.
///
/// Dropping this leaves the station where it is, until the ring ends. If the station leaves before that, by its
/// [lag limit](crate::LagPolicy::Detach) or because it was told to, its name is free again when its thread has ended, and
/// its account is lost.
pub struct Member<E> {
    tenancy: Arc<Tenancy<E>>,
    first: u64,
    card: Arc<Card>,
    thread: thread::JoinHandle<()>,
}

impl<E> fmt::Debug for Member<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("station", &self.name())
            .field("first", &self.first)
            .finish_non_exhaustive()
    }
}

impl<E> Member<E> {
    /// The station's name. It is free for another one when this one is detached.
    pub fn name(&self) -> &str {
        &self.tenancy.name
    }

    /// The sequence of the first event that the station sees. It sees every one from there on.
    pub fn first_sequence(&self) -> u64 {
        self.first
    }

    /// Has the station leave, and waits until its thread has ended, but no longer than `timeout`.
    /// Nobody is held back by it from the moment on that it leaves. Of a ring that has ended, as
    /// of a station that has failed, it just tells what was done.
    ///
    /// # Errors
    /// `StillThere` if the time was up, or if it would be for nothing to wait: because it is the station's own
    /// handler that makes the call, or that of one that the station follows and would have to be drained behind. It
    /// has been told to leave, and can be waited for again.
    ///
    /// # Deadlocks
    /// A write closure that makes the call, of one of many producers, waits for its own event with
    /// [`Detach::Drained`], until `timeout` has passed.
    pub fn detach(self, how: Detach, timeout: Duration) -> Result<StationReport, StillThere<E>> {
        let Tenancy { ring, who, name } = &*self.tenancy;
        let (circuit, index) = (&ring.circuit, who.station());
        circuit.dismiss(
            index,
            match how {
                Detach::Drained => circuit.claimed(),
                Detach::AtOnce => 0,
            },
        );
        // A timeout beyond the clock's range is none.
        let mut deadline = time::now().checked_add(timeout);
        let post = circuit.post(index);
        let before = everybody_before(circuit, &post.follows);
        if circuit.is_in_its_own_way(&before, post.figures.dismissed_at.get()) {
            deadline = Some(time::now());
        }
        if thread::is_current(&self.thread) || !self.card.await_end(deadline) {
            return Err(StillThere { member: self });
        }
        // Its panics were caught and reported; this one can only be a destructor's.
        let _ = self.thread.join();
        let report = report::guest_report(circuit, index, name);
        circuit.vacate(index, name);
        Ok(report)
    }
}

/// A station has been told to leave, and had not left when the time was up.
pub struct StillThere<E> {
    /// The station, to wait for it again.
    pub member: Member<E>,
}

impl<E> fmt::Debug for StillThere<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StillThere").field("member", &self.member).finish()
    }
}

impl<E> fmt::Display for StillThere<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.member.name();
        write!(f, "station `{name}` has been told to leave and is still in its handler: wait again")
    }
}

impl<E> std::error::Error for StillThere<E> {}

/// Why a station could not be attached.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttachError {
    /// The ring is closed, or halted.
    Closed,
    /// What is wrong with the station, as when a ring is built.
    Station(BuildError),
    /// The station is polled: use [`Membership::attach_poller`].
    Polled(String),
    /// The station has a thread: use [`Membership::attach`].
    NotPolled(String),
    /// Several threads would share the station; that is settled when the ring is built.
    Team(String),
}

impl From<BuildError> for AttachError {
    fn from(error: BuildError) -> Self {
        Self::Station(error)
    }
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the ring is closed: no station can join it any more"),
            Self::Station(error) => error.fmt(f),
            Self::Polled(name) => {
                write!(f, "station `{name}` is polled: attach it with `attach_poller`")
            }
            Self::NotPolled(name) => {
                write!(f, "station `{name}` has a thread: attach it with `attach`")
            }
            Self::Team(name) => write!(
                f,
                "station `{name}` is shared by several threads: declare it when the ring is built, or \
                 attach a station for each"
            ),
        }
    }
}

impl std::error::Error for AttachError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Station(error) => Some(error),
            Self::Closed | Self::Polled(_) | Self::NotPolled(_) | Self::Team(_) => None,
        }
    }
}

//! Guests: stations that come while the ring runs, and leave when they like.
//!
//! A guest has a post like any other station, and the producers follow it by one lap. But a producer
//! that looked at the gate before the guest came did not know of it, and may still write what lies
//! within a lap of what it saw. So a guest begins no earlier than where every producer can have seen
//! the gate:
//!
//! | guest, one at a time | producer that looks at the gate |
//! |---|---|
//! | stand where the gate is, or was | note how many have arrived |
//! | count the arrival | look at all cursors |
//! | **heavy fence** | **light fence** |
//! | look at the cursors of all others: begin there, or later | if more have arrived by now, look again |
//!
//! If the producer misses the arrival, its fence came before the guest's, and the guest finds every
//! cursor where the producer found it or further on. If it does not, it finds the guest's cursor, which is at first
//! behind where the guest will begin, and never ahead of that.
//!
//! A post that a guest has left is used again, by one that follows the same stations.

use crossbeam_utils::CachePadded;

use crate::{
    bell::Bell,
    cursor::{Cursor, DETACHED},
    figures::Figures,
    post::Post,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        fence::{self, Fences},
        lock::flow::Mutex,
    },
    told::Teller,
};

/// Beyond any number of arrivals.
const SYMMETRIC: u64 = 1 << 63;

/// Where a station that is attached to a running ring begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the first event that nobody has begun to publish yet: it sees every event whose publish
    /// call begins after it is attached.
    Now,
    /// With the oldest event that is still on the ring for certain: the first that the last stations
    /// had not passed.
    Oldest,
}

/// The posts of those that came later.
#[derive(Debug)]
pub(crate) struct Guests {
    /// Made when they are needed, from the first one on.
    posts: Box<[OnceLock<Box<Post>>]>,
    /// How many there are.
    made: AtomicUsize,
    /// How often somebody has come, and a sign where there is no asymmetric fence.
    arrivals: CachePadded<AtomicU64>,
    fences: Fences,
    /// Of the bells.
    first_number: usize,
    seats: Mutex<Seats>,
}

/// Who sits at each post that was made.
type Seats = Vec<Option<Sitting>>;

#[derive(Debug)]
struct Sitting {
    name: Arc<str>,
    teller: Option<Teller>,
    has_arrived: bool,
}

/// Why there is no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoSeat {
    /// Somebody of that name has one.
    NameTaken,
    AllTaken,
}

impl Guests {
    pub(crate) fn new(most: usize, first_number: usize, fences: Fences) -> Self {
        Self {
            posts: (0..most).map(|_| OnceLock::new()).collect(),
            made: AtomicUsize::new(0),
            arrivals: CachePadded::new(AtomicU64::new(if fences == Fences::Symmetric {
                SYMMETRIC
            } else {
                0
            })),
            fences,
            first_number,
            seats: Mutex::default(),
        }
    }

    /// The posts that were made.
    pub(crate) fn posts(&self) -> impl Iterator<Item = &Post> {
        // ORDERING(JOIN): Acquire, pairs with the Release in `reserve`: a post that is counted is made.
        let made = self.made.load(Ordering::Acquire);
        self.posts[..made].iter().filter_map(|post| post.get().map(|post| &**post))
    }

    /// The post of a guest.
    #[cold]
    pub(crate) fn post(&self, seat: usize) -> &Post {
        self.posts[seat].get().expect("a seat is given away when its post was made")
    }

    // ---- the gate ----

    /// Whether nobody has ever come, for somebody who has looked at the cursors of those that were here
    /// before; `false` also if this machine has no fence with which that can be told.
    #[inline]
    #[cfg_attr(loom, track_caller)]
    pub(crate) fn have_never_come(&self) -> bool {
        fence::light();
        // ORDERING(DEKKER): Relaxed: the light fence orders it; if that is not enough on this
        // machine, a sign says so.
        self.arrivals.load(Ordering::Relaxed) == 0
    }

    /// How often somebody has come; their cursors are found by whoever looks for them now.
    pub(crate) fn arrivals(&self) -> u64 {
        // ORDERING(JOIN): Acquire, pairs with the Release in `announce`: the cursors that have been
        // counted are seen.
        self.arrivals.load(Ordering::Acquire)
    }

    /// Whether nobody has come since so many had, for somebody who has looked at the cursors between.
    #[cfg_attr(loom, track_caller)]
    pub(crate) fn are_still(&self, arrivals: u64) -> bool {
        if self.fences == Fences::Symmetric {
            fence::full();
        } else {
            fence::light();
        }
        // ORDERING(DEKKER): Relaxed: the fence orders it.
        self.arrivals.load(Ordering::Relaxed) == arrivals
    }

    /// Counts an arrival, after the cursor was set. What the caller sees afterwards of the other
    /// cursors is at least what anybody has seen who has missed it.
    pub(crate) fn announce(&self) {
        // ORDERING(JOIN): Release, pairs with the Acquire in `arrivals`.
        self.arrivals.fetch_add(1, Ordering::Release);
        self.fences.heavy();
    }

    /// The first sequence that some guest has not passed, whom `but` leaves out.
    pub(crate) fn passed_by_all(&self, but: Option<usize>) -> u64 {
        let counted = |(seat, post): (usize, &Post)| {
            // One that has left is where nobody ever comes.
            if but == Some(seat) { DETACHED } else { post.cursor.passed() }
        };
        self.posts().enumerate().map(counted).min().unwrap_or(DETACHED)
    }

    /// The bell of a guest that has not passed `from`.
    #[cold]
    pub(crate) fn holder(&self, from: u64) -> Option<&Bell> {
        // Only a glance: see `Circuit::holder`.
        self.posts().find(|post| post.cursor.glance() <= from).map(|post| &post.bell)
    }

    // ---- seats ----

    /// Held by a guest that arrives: the others, if they are here, are where they say they are.
    pub(crate) fn one_at_a_time(&self, seat: usize) -> impl Sized + '_ {
        let mut seats = self.seats.lock();
        if let Some(sitting) = &mut seats[seat] {
            sitting.has_arrived = true;
        }
        seats
    }

    /// The seats of those that have arrived, what they are called, and who tells of them.
    pub(crate) fn present(&self) -> Vec<(usize, Arc<str>, Option<Teller>)> {
        let seats = self.seats.lock();
        let sitting = |(seat, sitting): (usize, &Option<Sitting>)| {
            let sitting = sitting.as_ref().filter(|sitting| sitting.has_arrived)?;
            Some((seat, Arc::clone(&sitting.name), sitting.teller.clone()))
        };
        seats.iter().enumerate().filter_map(sitting).collect()
    }

    /// Whether the guest that [`present`](Self::present) has told of has its seat still, and had it all the while: what
    /// was read there is its own.
    pub(crate) fn is_present(&self, seat: usize, name: &Arc<str>) -> bool {
        let seats = self.seats.lock();
        // By the address: another guest of that name has a name of its own.
        seats[seat].as_ref().is_some_and(|sitting| Arc::ptr_eq(&sitting.name, name))
    }

    /// Reserves a seat for somebody who follows these stations. It is not to be seen on the ring yet.
    pub(crate) fn reserve(
        &self,
        name: &Arc<str>,
        follows: &[usize],
        teller: Option<Teller>,
    ) -> Result<usize, NoSeat> {
        let mut seats = self.seats.lock();
        if seats.iter().flatten().any(|sitting| sitting.name == *name) {
            return Err(NoSeat::NameTaken);
        }
        let suits = |seat: &usize| seats[*seat].is_none() && *self.post(*seat).follows == *follows;
        let seat = match (0..seats.len()).find(suits) {
            Some(seat) => seat,
            None if seats.len() == self.posts.len() => return Err(NoSeat::AllTaken),
            None => {
                let post = Post {
                    mutates: false,
                    follows: follows.into(),
                    cursor: Cursor::new(DETACHED),
                    bell: Bell::new(self.fences, self.first_number + seats.len()),
                    figures: CachePadded::new(Figures::starting_at(0)),
                    team: None,
                };
                let new = seats.len();
                self.posts[new].get_or_init(|| Box::new(post));
                seats.push(None);
                // ORDERING(JOIN): Release, pairs with the Acquire in `posts`.
                self.made.store(seats.len(), Ordering::Release);
                new
            }
        };
        seats[seat] = Some(Sitting { name: Arc::clone(name), teller, has_arrived: false });
        Ok(seat)
    }

    /// Gives a seat back that nobody uses any more; of no effect if it was given back before, and may be somebody
    /// else's by now: `name` is the one that [`name`](Self::name) told.
    pub(crate) fn vacate(&self, seat: usize, name: &Arc<str>) {
        let mut seats = self.seats.lock();
        let left = seats[seat].take_if(|sitting| Arc::ptr_eq(&sitting.name, name));
        // What the teller has captured is somebody else's code.
        drop(seats);
        drop(left);
    }

    /// What the guest at a seat is called.
    pub(crate) fn name(&self, seat: usize) -> Arc<str> {
        let seats = self.seats.lock();
        seats[seat].as_ref().map_or_else(|| Arc::from(""), |sitting| Arc::clone(&sitting.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_a_seat_over_is_somebody_else_whatever_the_name() {
        let guests = Guests::new(2, 1, Fences::Symmetric);
        let arrive = || {
            let name = Arc::from("guest");
            let seat = guests.reserve(&name, &[], None).expect("there is one");
            assert!(guests.present().is_empty(), "it has not arrived");
            drop(guests.one_at_a_time(seat));
            (seat, name)
        };
        let (seat, name) = arrive();
        let present = guests.present();
        let present: Vec<_> = present.iter().map(|(seat, name, _)| (*seat, &**name)).collect();
        assert_eq!(present, [(seat, "guest")]);
        assert!(guests.is_present(seat, &name));
        guests.vacate(seat, &name);
        assert!(!guests.is_present(seat, &name));
        let (same_seat, other) = arrive();
        assert_eq!(same_seat, seat);
        // Whoever gives it back once more does not drive anybody away.
        guests.vacate(seat, &name);
        assert!(guests.is_present(seat, &other) && !guests.is_present(seat, &name));
    }
}

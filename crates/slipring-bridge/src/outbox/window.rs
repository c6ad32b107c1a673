//! What is on its way to the broker.

use std::{collections::VecDeque, sync::Arc};

use crate::{Parcel, Stamp};

/// How many bytes are read ahead, at most, and one parcel and what is read at once on top.
const MOST_BYTES: usize = 64 << 20;

/// The parcels that are read and not confirmed, in order: of these the first ones are on the link.
///
/// They are of two lanes: events as they stand in the store, and letters that were given back. Each parcel gets here what
/// it says of the one before it.
#[derive(Debug)]
pub(crate) struct Window {
    parcels: VecDeque<Parcel>,
    /// Beside each parcel.
    places: VecDeque<Place>,
    submitted: usize,
    most: usize,
    /// How many bytes they have, without what comes with each.
    bytes: usize,
    names: [Arc<str>; 2],
    /// The last one of each lane that was put in.
    last: [Option<u64>; 2],
    /// The last one of each lane that was confirmed.
    confirmed: [Option<u64>; 2],
    /// Everything before it was read.
    read_to: u64,
}

/// Which lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    Events = 0,
    Letters = 1,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    lane: Lane,
    position: u64,
}

/// What was taken out of a window.
#[derive(Debug)]
pub(crate) struct Out {
    pub lane: Lane,
    pub sequence: u64,
    /// Where its event stands.
    pub position: u64,
    pub parcel: Parcel,
}

impl Window {
    /// Room for so many; what was confirmed last of each lane, and where reading begins.
    pub fn new(most: usize, lane: &str, confirmed: [Option<u64>; 2], read_to: u64) -> Self {
        Self {
            parcels: VecDeque::new(),
            places: VecDeque::new(),
            submitted: 0,
            most: most.max(1),
            bytes: 0,
            names: [lane.into(), format!("{lane}!letters").into()],
            last: confirmed,
            confirmed,
            read_to,
        }
    }

    /// How many more it has room for: none if they are too large together.
    pub fn room(&self) -> usize {
        if self.bytes < MOST_BYTES { self.most.saturating_sub(self.parcels.len()) } else { 0 }
    }

    /// How many are not confirmed.
    pub fn len(&self) -> usize {
        self.parcels.len()
    }

    /// How many of these are on the link.
    pub fn submitted(&self) -> usize {
        self.submitted
    }

    /// What was confirmed last of each lane.
    pub fn confirmed(&self) -> [Option<u64>; 2] {
        self.confirmed
    }

    /// Every event before it is confirmed, or is not for this outbox.
    pub fn prefix(&self) -> u64 {
        let first = self.places.iter().find(|place| place.lane == Lane::Events);
        first.map_or(self.read_to, |place| place.position)
    }

    /// Puts one behind the others. What it had for a stamp does not matter.
    pub fn push(&mut self, lane: Lane, sequence: u64, position: u64, mut parcel: Parcel) {
        let (name, last) = (&self.names[lane as usize], &mut self.last[lane as usize]);
        parcel.stamp = Some(Stamp { lane: name.clone(), sequence, previous: *last });
        *last = Some(sequence);
        self.bytes += weight(&parcel);
        self.parcels.push_back(parcel);
        self.places.push_back(Place { lane, position });
    }

    /// Everything before that position was read.
    pub fn read_to(&mut self, position: u64) {
        self.read_to = self.read_to.max(position);
    }

    /// The next ones that are not on the link and may be, at most so many; perhaps not all that there are.
    pub fn unsubmitted(&self, most: usize) -> &[Parcel] {
        let most = most.min(self.most.saturating_sub(self.submitted));
        let (front, back) = self.parcels.as_slices();
        let rest = match self.submitted.checked_sub(front.len()) {
            None => &front[self.submitted..],
            Some(of_back) => &back[of_back..],
        };
        &rest[..rest.len().min(most)]
    }

    /// So many more are on the link.
    pub fn note_submitted(&mut self, parcels: usize) {
        self.submitted = (self.submitted + parcels).min(self.parcels.len());
    }

    /// The link is lost: all are to be submitted again.
    pub fn link_lost(&mut self) {
        self.submitted = 0;
    }

    /// The first ones are confirmed; no more than are on the link. Says which letters were among them.
    pub fn confirm(&mut self, parcels: usize) -> Vec<u64> {
        let (parcels, mut letters) = (parcels.min(self.submitted), Vec::new());
        self.submitted -= parcels;
        for (parcel, place) in self.parcels.drain(..parcels).zip(self.places.drain(..parcels)) {
            self.bytes = self.bytes.saturating_sub(weight(&parcel));
            let sequence = parcel.stamp.map(|stamp| stamp.sequence);
            self.confirmed[place.lane as usize] = sequence;
            letters.extend(sequence.filter(|_| place.lane == Lane::Letters));
        }
        letters
    }

    /// One that is not confirmed, by its sequence.
    pub fn find(&self, sequence: u64) -> Option<(usize, Out)> {
        let is_it = |parcel: &Parcel| sequence_of(parcel) == Some(sequence);
        let index = self.parcels.iter().position(is_it)?;
        let (Place { lane, position }, parcel) = (self.places[index], self.parcels[index].clone());
        Some((index, Out { lane, sequence, position, parcel }))
    }

    /// Takes one out: the next of its lane follows the one before it. All are to be submitted again.
    pub fn take_out(&mut self, index: usize) {
        let (Some(gone), Some(place)) = (self.parcels.remove(index), self.places.remove(index))
        else {
            return;
        };
        self.submitted = 0;
        self.bytes = self.bytes.saturating_sub(weight(&gone));
        let before = gone.stamp.and_then(|stamp| stamp.previous);
        let next = self.places.iter().skip(index).position(|other| other.lane == place.lane);
        match next.and_then(|next| self.parcels[index + next].stamp.as_mut()) {
            Some(stamp) => stamp.previous = before,
            None => self.last[place.lane as usize] = before,
        }
    }
}

/// What of it may be large.
fn weight(parcel: &Parcel) -> usize {
    let notes = parcel.metadata.iter().map(|(name, value)| name.len() + value.len());
    parcel.payload.len() + notes.sum::<usize>()
}

fn sequence_of(parcel: &Parcel) -> Option<u64> {
    parcel.stamp.as_ref().map(|stamp| stamp.sequence)
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;

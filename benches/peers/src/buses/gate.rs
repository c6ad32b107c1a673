//! What makes `tokio`'s broadcast channel lossless.
//!
//! It overwrites what slow receivers have not seen, so a sender sends no more than there is room for. To ask the
//! channel for its length is dear, and with several senders the answer is old at once. So a sender is granted all
//! the room that there is, up to its share of the channel, and asks again when it has used that up. What the
//! others were granted counts as taken, also what they have sent of it meanwhile: too little may be granted, but
//! never too much.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast::Sender;

/// A sender that overwrites nothing.
pub struct Gated<T> {
    sender: Sender<T>,
    /// Events that may be sent before the next look.
    room: usize,
    number: usize,
    gate: Arc<Gate>,
}

/// What the senders of a channel share.
struct Gate {
    capacity: usize,
    /// What each was granted last.
    granted: Mutex<Box<[usize]>>,
}

impl Gate {
    /// Room for sender `number`, which has used up what it had. Nobody is granted any between the look at what is
    /// taken of the channel and the answer.
    fn grant(&self, number: usize, taken: impl FnOnce() -> usize) -> usize {
        let mut granted = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
        granted[number] = 0;
        let share = self.capacity / granted.len();
        let others: usize = granted.iter().sum();
        let room = self.capacity.saturating_sub(taken() + others).min(share);
        granted[number] = room;
        room
    }
}

impl<T> Gated<T> {
    /// So many senders of a channel of this capacity, a power of two.
    pub fn all(sender: &Sender<T>, capacity: usize, count: usize) -> Vec<Self> {
        let gate = Arc::new(Gate { capacity, granted: Mutex::new(vec![0; count].into()) });
        let gated =
            |number| Self { sender: sender.clone(), room: 0, number, gate: Arc::clone(&gate) };
        (0..count).map(gated).collect()
    }

    /// Whether there is room for an event.
    #[inline]
    pub fn has_room(&mut self) -> bool {
        if self.room == 0 {
            self.room = self.gate.grant(self.number, || self.sender.len());
        }
        self.room > 0
    }

    /// Sends an event for which there [is room](Self::has_room).
    #[inline]
    pub fn send(&mut self, event: T) {
        self.room -= 1;
        assert!(self.sender.send(event).is_ok(), "the receivers are gone");
    }
}

/// Who is done wants no more room.
impl<T> Drop for Gated<T> {
    fn drop(&mut self) {
        self.gate.granted.lock().unwrap_or_else(PoisonError::into_inner)[self.number] = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(capacity: usize, senders: usize) -> Gate {
        Gate { capacity, granted: Mutex::new(vec![0; senders].into()) }
    }

    #[test]
    fn one_sender_is_granted_all_the_room() {
        let gate = gate(8, 1);
        assert_eq!([0, 5, 8, 0].map(|taken| gate.grant(0, || taken)), [8, 3, 0, 8]);
    }

    #[test]
    fn what_others_may_still_send_counts_as_taken() {
        let gate = gate(8, 2);
        assert_eq!(gate.grant(0, || 0), 4);
        assert_eq!(gate.grant(1, || 2), 2, "two are sent, and counted twice");
        assert_eq!(gate.grant(0, || 6), 0);
        assert_eq!(gate.grant(1, || 6), 2, "the first has nothing any more");
    }

    #[test]
    fn nobody_is_granted_room_during_the_look() {
        let gate = gate(8, 2);
        gate.grant(0, || {
            assert!(gate.granted.try_lock().is_err());
            0
        });
    }

    /// Receivers that never look: with a sender more, or an event more, something would be overwritten.
    #[test]
    fn nothing_is_overwritten_while_nobody_receives() {
        for senders in 1..=3 {
            let (sender, mut receiver) = tokio::sync::broadcast::channel(8);
            let mut gated = Gated::all(&sender, 8, senders);
            let mut sent = 0;
            // In turn, and then each as far as it goes.
            for turns in [1, 8] {
                for sender in &mut gated {
                    for _ in 0..turns {
                        if sender.has_room() {
                            sender.send(sent);
                            sent += 1;
                        }
                    }
                }
            }
            assert!(sent >= 8 / senders && sent <= 8, "{senders} have sent {sent}");
            drop((sender, gated));
            let seen = std::iter::from_fn(|| receiver.try_recv().ok());
            assert!(seen.eq(0..sent), "nothing is lost");
        }
    }

    #[test]
    fn who_is_done_gives_room_back() {
        let (sender, _receiver) = tokio::sync::broadcast::channel::<u64>(8);
        let mut gated = Gated::all(&sender, 8, 2);
        assert!(gated[0].has_room());
        let first = gated.remove(0);
        drop(first);
        assert_eq!(gated[0].gate.grant(1, || 4), 4);
    }
}

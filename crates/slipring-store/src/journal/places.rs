//! Which sequence of the ring has which position in the store.

use std::collections::VecDeque;

/// How many stretches are remembered: the oldest go.
const MOST: usize = 4_096;

/// Stretches of events that follow each other on the ring and in the store.
#[derive(Debug, Default)]
pub(crate) struct Places(VecDeque<Stretch>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    sequence: u64,
    position: u64,
    events: u64,
}

/// Why it is not known what was before a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// It is too long ago.
    Forgotten,
    /// There was no event.
    First,
}

impl Places {
    /// So many events from a sequence on have the positions from there on.
    pub(crate) fn add(&mut self, sequence: u64, position: u64, events: u64) {
        if events == 0 {
            return;
        }
        if let Some(last) = self.0.back_mut()
            && last.sequence + last.events == sequence
            && last.position + last.events == position
        {
            last.events += events;
            return;
        }
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(Stretch { sequence, position, events });
    }

    pub(crate) fn position_of(&self, sequence: u64) -> Option<u64> {
        let at = self.0.partition_point(|stretch| stretch.sequence <= sequence);
        let stretch = self.0.get(at.checked_sub(1)?)?;
        let into = sequence - stretch.sequence;
        (into < stretch.events).then(|| stretch.position + into)
    }

    /// The position of the first event at that sequence or behind it; `None` if there is none, or what was before it
    /// has been forgotten.
    pub(crate) fn position_from(&self, sequence: u64) -> Option<u64> {
        let behind = |stretch: &Stretch| stretch.sequence + stretch.events <= sequence;
        let at = self.0.partition_point(behind);
        let stretch = self.0.get(at)?;
        if at == 0 && sequence < stretch.sequence && self.0.len() == MOST {
            return None;
        }
        Some(stretch.position + sequence.saturating_sub(stretch.sequence))
    }

    /// The position behind the last event before that sequence. `Err` if there is none, or what was before it has been
    /// forgotten, which it says.
    pub(crate) fn position_before(&self, sequence: u64) -> Result<u64, Unknown> {
        let at = self.0.partition_point(|stretch| stretch.sequence < sequence);
        match at.checked_sub(1).and_then(|before| self.0.get(before)) {
            Some(before) => Ok(before.position + before.events.min(sequence - before.sequence)),
            None if self.0.len() == MOST => Err(Unknown::Forgotten),
            None => Err(Unknown::First),
        }
    }

    pub(crate) fn sequence_of(&self, position: u64) -> Option<u64> {
        let at = self.0.partition_point(|stretch| stretch.position <= position);
        let stretch = self.0.get(at.checked_sub(1)?)?;
        let into = position - stretch.position;
        (into < stretch.events).then(|| stretch.sequence + into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn what_follows_on_both_sides_is_one_stretch() {
        let mut places = Places::default();
        for sequence in 0..10_000 {
            places.add(sequence, sequence + 5, 1);
        }
        assert_eq!(places.0.len(), 1);
        assert_eq!((places.position_of(9_999), places.position_of(10_000)), (Some(10_004), None));
    }

    #[test]
    fn the_oldest_are_forgotten_and_said_to_be() {
        let mut places = Places::default();
        for number in 0..=MOST as u64 {
            places.add(number * 2, number, 1);
        }
        assert_eq!((places.0.len(), places.position_of(0)), (MOST, None));
        assert_eq!((places.position_from(0), places.position_from(3)), (None, Some(2)));
        let before = [2, 3].map(|sequence| places.position_before(sequence));
        assert_eq!(before, [Err(Unknown::Forgotten), Ok(2)]);
    }

    proptest! {
        #[test]
        fn it_says_what_a_table_says(
            stretches in prop::collection::vec((0_u64..3, 0_u64..3, 0_u64..4), 0..40),
        ) {
            let (mut places, mut table) = (Places::default(), BTreeMap::new());
            let (mut sequence, mut position) = (3, 8);
            for (holes, others, events) in stretches {
                sequence += holes;
                position += others;
                places.add(sequence, position, events);
                for event in 0..events {
                    table.insert(sequence + event, position + event);
                }
                sequence += events;
                position += events;
            }
            for sequence in 0..sequence + 2 {
                prop_assert_eq!(places.position_of(sequence), table.get(&sequence).copied());
                let from = table.range(sequence..).next().map(|(_, position)| *position);
                prop_assert_eq!(places.position_from(sequence), from);
                let before = table.range(..sequence).next_back();
                let before = before.map(|(_, position)| position + 1).ok_or(Unknown::First);
                prop_assert_eq!(places.position_before(sequence), before);
            }
            for (sequence, position) in &table {
                prop_assert_eq!(places.sequence_of(*position), Some(*sequence));
            }
            for position in 0..position + 2 {
                let known = table.values().any(|known| *known == position);
                prop_assert_eq!(places.sequence_of(position).is_some(), known);
            }
        }
    }
}

//! Which deliveries are open, and how they are acknowledged in few words.

use std::{cmp::Ordering, collections::VecDeque};

/// The deliveries of a channel that are not settled, in order, each with what is needed of it if it turns out to be dead.
#[derive(Debug)]
pub(super) struct Open<T>(VecDeque<(u64, T)>);

/// A word to the server: that delivery, and with `multiple` all that are open before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Acknowledgement {
    pub(super) tag: u64,
    pub(super) multiple: bool,
}

impl<T> Open<T> {
    pub(super) fn new() -> Self {
        Self(VecDeque::new())
    }

    /// One more. Their tags grow.
    pub(super) fn push(&mut self, tag: u64, value: T) {
        debug_assert!(self.0.back().is_none_or(|(last, _)| *last < tag), "tags grow");
        self.0.push_back((tag, value));
    }

    pub(super) fn get(&self, tag: u64) -> Option<&T> {
        let at = self.0.binary_search_by_key(&tag, |(tag, _)| *tag).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// One that is settled by a word of its own.
    pub(super) fn remove(&mut self, tag: u64) -> Option<T> {
        let at = self.0.binary_search_by_key(&tag, |(tag, _)| *tag).ok()?;
        self.0.remove(at).map(|(_, value)| value)
    }

    /// Those tags, sorted, are to be acknowledged: one word for all that are the oldest, and one for each of the others.
    /// Tags that are not open are left out.
    pub(super) fn acknowledge(&mut self, done: &[u64]) -> Vec<Acknowledgement> {
        debug_assert!(done.is_sorted(), "in order");
        let mut rest = done;
        let mut words = Vec::new();
        let mut first = None;
        while let (Some((tag, _)), Some((next, behind))) = (self.0.front(), rest.split_first()) {
            match next.cmp(tag) {
                Ordering::Less => {}
                Ordering::Equal => {
                    first = Some(*tag);
                    self.0.pop_front();
                }
                Ordering::Greater => break,
            }
            rest = behind;
        }
        words.extend(first.map(|tag| Acknowledgement { tag, multiple: true }));
        for tag in rest {
            if self.remove(*tag).is_some() {
                words.push(Acknowledgement { tag: *tag, multiple: false });
            }
        }
        words
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_oldest_take_one_word() {
        let mut open = Open::new();
        for tag in 1..=6 {
            open.push(tag, ());
        }
        let word = |tag, multiple| Acknowledgement { tag, multiple };
        assert_eq!(open.acknowledge(&[2, 3]), [word(2, false), word(3, false)]);
        assert_eq!(open.acknowledge(&[1, 4, 6]), [word(4, true), word(6, false)]);
        assert_eq!(open.acknowledge(&[5, 9]), [word(5, true)]);
        assert_eq!(open.len(), 0);
    }

    proptest! {
        /// Whatever is settled in whatever order: a server that does what the words say has done with exactly those.
        #[test]
        fn a_server_forgets_what_is_done_and_nothing_else(
            rounds in prop::collection::vec((0_u64..20, prop::collection::vec(any::<u16>(), 0..20), any::<bool>()), 1..20),
        ) {
            let (mut open, mut server, mut model) = (Open::new(), BTreeSet::new(), BTreeSet::new());
            let mut next = 1;
            for (more, picks, give_back) in rounds {
                for tag in next..next + more {
                    open.push(tag, tag);
                    server.insert(tag);
                    model.insert(tag);
                }
                next += more;
                let mut done = BTreeSet::new();
                for pick in picks {
                    let all: Vec<u64> = model.iter().copied().collect();
                    if !all.is_empty() {
                        let tag = all[usize::from(pick) % all.len()];
                        model.remove(&tag);
                        done.insert(tag);
                    }
                }
                if give_back && let Some(tag) = done.pop_last() {
                    prop_assert_eq!(open.get(tag), Some(&tag));
                    prop_assert_eq!(open.remove(tag), Some(tag));
                    server.remove(&tag);
                }
                let done: Vec<u64> = done.into_iter().collect();
                for Acknowledgement { tag, multiple } in open.acknowledge(&done) {
                    prop_assert!(server.contains(&tag), "the server would close the channel");
                    if multiple {
                        server.retain(|other| *other > tag);
                    } else {
                        server.remove(&tag);
                    }
                }
                prop_assert_eq!(&server, &model);
                prop_assert_eq!(open.len(), model.len());
            }
        }
    }
}

//! Leaving out what was there already, with memory for so much and no more.

use std::{
    collections::{HashSet, VecDeque},
    hash::Hash,
};

use super::Flow;

/// The last values that were new.
struct Memory<K> {
    most: usize,
    known: HashSet<K>,
    /// The same, the oldest first.
    in_order: VecDeque<K>,
}

impl<K: Clone + Eq + Hash> Memory<K> {
    /// Whether it is none of the last ones. If so, it is one of them from now on, and the oldest is forgotten.
    fn is_new(&mut self, key: K) -> bool {
        if self.known.contains(&key) {
            return false;
        }
        if self.most == 0 {
            return true;
        }
        if self.in_order.len() == self.most
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.known.insert(key.clone());
        self.in_order.push_back(key);
        true
    }
}

impl<T: Send + 'static> Flow<T> {
    /// Leaves out items that are equal to one of the last `most` that it has passed on. An item that has been
    /// forgotten is new again; with 0, all are.
    ///
    /// ```
    /// # use futures_util::stream;
    /// # use slipring_events::reactive::Flow;
    /// let flow = Flow::from_stream(stream::iter([1, 2, 1, 3, 2, 1])).distinct(2);
    /// assert_eq!(smol::block_on(flow.collect::<Vec<_>>()), [1, 2, 3, 1]);
    /// ```
    pub fn distinct(self, most: usize) -> Self
    where
        T: Clone + Eq + Hash,
    {
        self.distinct_by(most, T::clone)
    }

    /// As [`distinct`](Self::distinct), comparing a key of each item, which is all that is kept of it.
    ///
    /// ```
    /// # use futures_util::stream;
    /// # use slipring_events::reactive::Flow;
    /// let flow = Flow::from_stream(stream::iter([(7, "paid"), (8, "paid"), (7, "paid again")]));
    /// let once = flow.distinct_by(1_000, |(order, _)| *order).map(|(_, what)| what);
    /// assert_eq!(smol::block_on(once.collect::<Vec<_>>()), ["paid", "paid"]);
    /// ```
    pub fn distinct_by<K: Clone + Eq + Hash + Send + 'static>(
        self,
        most: usize,
        mut key: impl FnMut(&T) -> K + Send + 'static,
    ) -> Self {
        let mut memory = Memory { most, known: HashSet::new(), in_order: VecDeque::new() };
        self.filter(move |item| memory.is_new(key(item)))
    }

    /// Leaves out items that are equal to the one before.
    ///
    /// ```
    /// # use futures_util::stream;
    /// # use slipring_events::reactive::Flow;
    /// let flow = Flow::from_stream(stream::iter([1, 1, 2, 2, 1])).distinct_until_changed();
    /// assert_eq!(smol::block_on(flow.collect::<Vec<_>>()), [1, 2, 1]);
    /// ```
    pub fn distinct_until_changed(self) -> Self
    where
        T: Clone + PartialEq,
    {
        let mut last = None;
        self.filter(move |item| {
            let changed = last.as_ref() != Some(item);
            if changed {
                last = Some(item.clone());
            }
            changed
        })
    }
}

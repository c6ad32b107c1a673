//! What goes with an event without being part of it.

use std::collections::{BTreeMap, btree_map};

/// Names and their values, in the order of the names.
///
/// # Examples
/// ```
/// use slipring_events::Metadata;
///
/// let mut metadata = Metadata::default();
/// metadata.insert("trace", "4bf92f");
/// metadata.insert("attempt", "1");
/// assert_eq!(metadata.insert("attempt", "2"), Some("1".into()));
///
/// assert_eq!(metadata.get("attempt"), Some("2"));
/// assert_eq!(metadata.get("reason"), None);
/// assert_eq!(metadata.len(), 2);
/// let all: Vec<_> = metadata.iter().collect();
/// assert_eq!(all, [("attempt", "2"), ("trace", "4bf92f")]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Metadata(BTreeMap<String, String>);

impl Metadata {
    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Gives a name a value, and returns the one it had.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>) -> Option<String> {
        self.0.insert(name.into(), value.into())
    }

    /// Takes a name away, and returns its value.
    ///
    /// # Examples
    /// ```
    /// use slipring_events::Metadata;
    ///
    /// let mut metadata: Metadata = [("attempt", "1")].into_iter().collect();
    /// assert_eq!(metadata.remove("attempt"), Some("1".into()));
    /// assert!(metadata.is_empty());
    /// ```
    pub fn remove(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// Each name with its value.
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.0.iter())
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl<'a> IntoIterator for &'a Metadata {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Each name of some [`Metadata`] with its value.
///
/// # Examples
/// ```
/// use slipring_events::Metadata;
///
/// let metadata: Metadata = [("a", "1"), ("b", "2")].into_iter().collect();
/// for (name, value) in &metadata {
///     println!("{name}: {value}");
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Iter<'a>(btree_map::Iter<'a, String, String>);

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_in_their_order_however_they_went_in() {
        let one: Metadata = [("b", "2"), ("a", "1"), ("c", "3")].into_iter().collect();
        let other: Metadata =
            [("c", "3"), ("a", "0"), ("b", "2"), ("a", "1")].into_iter().collect();
        assert_eq!(one, other);
        assert_eq!(one.iter().len(), 3);
        assert!(one.iter().eq([("a", "1"), ("b", "2"), ("c", "3")]));
        assert!((&one).into_iter().eq(one.iter()));
    }
}

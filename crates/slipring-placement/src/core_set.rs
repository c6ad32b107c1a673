//! A set of cores, read and written as the kernel does: `0-3,8`.

use std::{collections::BTreeSet, fmt, str::FromStr};

/// No machine has so many; a list that names one is damaged.
const CORES_MAX: usize = 1 << 16;

/// Cores by their numbers, ascending.
///
/// ```
/// use slipring_placement::CoreSet;
///
/// let cores: CoreSet = "8,0-2".parse()?;
/// assert_eq!(cores.iter().collect::<Vec<_>>(), [0, 1, 2, 8]);
/// assert_eq!(cores.to_string(), "0-2,8");
/// # Ok::<(), slipring_placement::CoreSetError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CoreSet(BTreeSet<usize>);

impl CoreSet {
    /// Whether it has this core.
    pub fn contains(&self, core: usize) -> bool {
        self.0.contains(&core)
    }

    /// How many cores it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The smallest core.
    pub fn first(&self) -> Option<usize> {
        self.0.first().copied()
    }

    /// The cores, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().copied()
    }

    /// The cores that are in both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        self.0.intersection(&other.0).copied().collect()
    }

    /// The cores that are in either.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        self.0.union(&other.0).copied().collect()
    }

    /// The cores that are not in `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        self.0.difference(&other.0).copied().collect()
    }
}

impl FromIterator<usize> for CoreSet {
    fn from_iter<I: IntoIterator<Item = usize>>(cores: I) -> Self {
        Self(cores.into_iter().collect())
    }
}

impl FromStr for CoreSet {
    type Err = CoreSetError;

    /// Reads the kernel's form. An empty text, or `(null)`, is the empty set.
    fn from_str(text: &str) -> Result<Self, CoreSetError> {
        let text = text.trim();
        let error = || CoreSetError(text.to_owned());
        if text.is_empty() || text == "(null)" {
            return Ok(Self::default());
        }
        let mut cores = BTreeSet::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |text: &str| text.trim().parse::<usize>().map_err(|_| error());
            let (first, last) = (number(first)?, number(last)?);
            if first > last || last >= CORES_MAX {
                return Err(error());
            }
            cores.extend(first..=last);
        }
        Ok(Self(cores))
    }
}

impl fmt::Display for CoreSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for core in self.iter() {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == core => *last = core,
                _ => runs.push((core, core)),
            }
        }
        for (index, (first, last)) in runs.into_iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}-{last}")?;
            }
        }
        Ok(())
    }
}

/// A text that is no list of cores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreSetError(String);

impl fmt::Display for CoreSetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no list of cores: write for example 0-3,8", self.0)
    }
}

impl std::error::Error for CoreSetError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes_is_read_and_written_back() {
        for text in ["", "0", "0-3", "0,2-5,7", "0-1,64-127"] {
            let cores: CoreSet = text.parse().expect("the kernel writes this");
            assert_eq!(cores.to_string(), text);
        }
        assert_eq!("(null)\n".parse(), Ok(CoreSet::default()));
    }

    #[test]
    fn damaged_lists_are_refused() {
        for text in ["a", "3-1", "1-", ",", "0-99999999999", "-1", "0;1"] {
            let error = text.parse::<CoreSet>().expect_err(text);
            assert!(error.to_string().contains("0-3,8"), "{error}");
        }
    }
}

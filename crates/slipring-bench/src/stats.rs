//! Medians.

/// The middle and the ends of some figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The smallest.
    pub low: f64,
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The largest.
    pub high: f64,
}

impl Spread {
    /// The spread of `figures`; none for no figures.
    #[must_use]
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (&low, &high) = (sorted.first()?, sorted.last()?);
        let (below, above) = ((sorted.len() - 1) / 2, sorted.len() / 2);
        Some(Self { low, median: f64::midpoint(sorted[below], sorted[above]), high })
    }

    /// The spread of `numerator / denominator`, pair by pair: both of a pair were measured in the
    /// same round, so a disturbance that lasts for a round does not count.
    #[must_use]
    pub fn of_ratios(numerators: &[f64], denominators: &[f64]) -> Option<Self> {
        Self::of(
            numerators
                .iter()
                .zip(denominators)
                .map(|(numerator, denominator)| numerator / denominator),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_counts() {
        let odd = Spread::of([3.0, 1.0, 2.0]).expect("three figures");
        assert_eq!(odd, Spread { low: 1.0, median: 2.0, high: 3.0 });
        let even = Spread::of([4.0, 1.0, 2.0, 3.0]).expect("four figures");
        assert_eq!(even, Spread { low: 1.0, median: 2.5, high: 4.0 });
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn ratios_are_paired() {
        // A slow second round for both: every ratio is 2.
        let ratios = Spread::of_ratios(&[8.0, 2.0, 8.0], &[4.0, 1.0, 4.0]).expect("three pairs");
        assert_eq!(ratios, Spread { low: 2.0, median: 2.0, high: 2.0 });
    }
}

//! How a figure spreads over the rounds in which it was measured.
//!
//! On emulated processors one round says little. So no figure of the parallel half is a
//! number: it is the median of the rounds with all that was seen around it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The figure of several rounds, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Spread {
    pub(crate) lowest: f64,
    pub(crate) lower_quartile: f64,
    pub(crate) median: f64,
    pub(crate) upper_quartile: f64,
    pub(crate) highest: f64,
    /// Rounds in which there was such a figure.
    pub(crate) rounds: usize,
}

impl Spread {
    /// Of the figures of all rounds; none when a round had none that is a number, or there
    /// was no round.
    pub(crate) fn of(figures: impl IntoIterator<Item = Option<f64>>) -> Option<Self> {
        let mut sorted = figures
            .into_iter()
            .map(|figure| figure.filter(|figure| figure.is_finite()))
            .collect::<Option<Vec<f64>>>()?;
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            lowest: *sorted.first()?,
            lower_quartile: quantile(&sorted, 1)?,
            median: quantile(&sorted, 2)?,
            upper_quartile: quantile(&sorted, 3)?,
            highest: *sorted.last()?,
            rounds: sorted.len(),
        })
    }

    /// Whether the rounds agree that the figure is on one side of `value`.
    pub(crate) fn is_clear_of(&self, value: f64) -> bool {
        self.lowest > value || self.highest < value
    }

    /// As a percentage.
    pub(crate) const fn percent(self) -> Percent {
        Percent(self)
    }
}

/// The value that so many quarters of the sorted figures are below, between two figures in
/// proportion.
fn quantile(sorted: &[f64], quarters: usize) -> Option<f64> {
    let steps = (sorted.len().checked_sub(1)?) * quarters;
    let (below, rest) = (steps / 4, steps % 4);
    let low = *sorted.get(below)?;
    let high = *sorted.get(below + 1).unwrap_or(&low);
    let share = [0.0, 0.25, 0.5, 0.75].get(rest).copied()?;
    Some((high - low).mul_add(share, low))
}

impl fmt::Display for Spread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&format!(
            "{:.2} ({:.2}-{:.2})",
            self.median, self.lowest, self.highest
        ))
    }
}

/// A [`Spread`] of shares, shown as percentages.
pub(crate) struct Percent(Spread);

impl fmt::Display for Percent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, lowest, highest] =
            [self.0.median, self.0.lowest, self.0.highest].map(|share| 100.0 * share);
        formatter.pad(&format!("{median:.1} % ({lowest:.1}-{highest:.1})"))
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    fn spread(figures: &[f64]) -> Option<Spread> {
        Spread::of(figures.iter().copied().map(Some))
    }

    #[test]
    fn the_median_and_the_quartiles_lie_between_the_figures() {
        let five = spread(&[5.0, 1.0, 4.0, 2.0, 3.0]).unwrap();
        assert_eq!(
            (
                five.lowest,
                five.lower_quartile,
                five.median,
                five.upper_quartile,
                five.highest
            ),
            (1.0, 2.0, 3.0, 4.0, 5.0)
        );
        let four = spread(&[1.0, 2.0, 3.0, 4.0]).unwrap();
        assert_eq!(
            (four.lower_quartile, four.median, four.upper_quartile),
            (1.75, 2.5, 3.25)
        );
        let one = spread(&[7.0]).unwrap();
        assert_eq!((one.lowest, one.median, one.highest), (7.0, 7.0, 7.0));
    }

    #[test]
    fn one_wild_round_moves_the_range_and_not_the_median() {
        let spread = spread(&[1.0, 1.0, 1.0, 1.0, 90.0]).unwrap();
        assert_eq!((spread.median, spread.highest), (1.0, 90.0));
    }

    #[test]
    fn a_round_without_the_figure_leaves_none() {
        assert_eq!(Spread::of([Some(1.0), None]), None);
        assert_eq!(spread(&[1.0, f64::NAN]), None);
        assert_eq!(spread(&[1.0, f64::INFINITY]), None);
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn rounds_that_disagree_are_not_clear() {
        assert!(spread(&[1.1, 1.2]).unwrap().is_clear_of(1.0));
        assert!(spread(&[0.8, 0.9]).unwrap().is_clear_of(1.0));
        assert!(!spread(&[0.9, 1.2]).unwrap().is_clear_of(1.0));
    }

    #[test]
    fn people_see_the_median_and_the_range() {
        let spread = spread(&[0.5, 0.25, 1.0]).unwrap();
        assert_eq!(spread.to_string(), "0.50 (0.25-1.00)");
        assert_eq!(spread.percent().to_string(), "50.0 % (25.0-100.0)");
    }
}

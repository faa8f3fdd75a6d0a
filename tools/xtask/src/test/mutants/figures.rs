//! How many mutants of each crate were killed, and how many may survive.

use std::{collections::BTreeMap, fmt};

use super::outcome::{Fate, Outcome};

/// Of a hundred mutants that are Rust, fewer than these survive.
const PERCENT: usize = 5;

/// Figures of each crate.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Figures(BTreeMap<String, Count>);

/// Figures of one crate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    killed: usize,
    hung: usize,
    survived: usize,
    unviable: usize,
}

impl Count {
    const fn viable(self) -> usize {
        self.killed + self.hung + self.survived
    }
}

impl Figures {
    pub(super) fn of(outcomes: &[Outcome]) -> Self {
        let mut figures = Self::default();
        for outcome in outcomes {
            let count = figures.0.entry(outcome.mutant.package.clone()).or_default();
            *match outcome.fate {
                Fate::Killed => &mut count.killed,
                Fate::Hung => &mut count.hung,
                Fate::Survived => &mut count.survived,
                Fate::Unviable => &mut count.unviable,
            } += 1;
        }
        figures
    }

    /// A sentence if too many survive, argued away or not.
    ///
    /// Of all crates together: one that has thirty mutants is over any bound with two that
    /// no test can tell from the original.
    pub(super) fn over_the_bound(&self) -> Option<String> {
        let survived: usize = self.0.values().map(|count| count.survived).sum();
        let viable: usize = self.0.values().map(|count| count.viable()).sum();
        (survived > 0 && survived * 100 >= viable * PERCENT)
            .then(|| format!("{survived} of {viable} mutants survive; fewer than {PERCENT} % may"))
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (package, count) in &self.0 {
            writeln!(
                f,
                "mutants: {package:16} {:4} tried: {:4} killed, {:2} hung, {:2} survived, {:3} are \
                 no Rust",
                count.viable() + count.unviable,
                count.killed,
                count.hung,
                count.survived,
                count.unviable
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Count, Figures};

    const fn count(killed: usize, survived: usize) -> Count {
        Count {
            killed,
            survived,
            hung: 0,
            unviable: 1000,
        }
    }

    fn figures(killed: usize, survived: usize) -> Figures {
        Figures([("a".to_owned(), count(killed, survived))].into())
    }

    #[test]
    fn one_in_twenty_is_too_many() {
        assert!(figures(19, 1).over_the_bound().is_some());
        assert_eq!(figures(20, 1).over_the_bound(), None);
        assert_eq!(figures(0, 0).over_the_bound(), None);
        assert!(figures(0, 1).over_the_bound().is_some());
    }

    #[test]
    fn a_small_crate_is_bound_with_the_others() {
        let both = |killed| {
            let counts = [("a", count(9, 1)), ("b", count(killed, 0))];
            Figures(counts.map(|(name, count)| (name.to_owned(), count)).into())
        };
        assert_eq!(both(11).over_the_bound(), None);
        assert!(both(10).over_the_bound().is_some());
    }

    #[test]
    fn figures_are_of_each_crate() {
        let text = figures(19, 1).to_string();
        assert!(text.contains("1020 tried"), "{text}");
        assert!(text.contains("1 survived"), "{text}");
    }
}

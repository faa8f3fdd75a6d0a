//! How many mutants of each crate were killed, and how many may survive.

use std::{collections::BTreeMap, fmt};

use super::outcome::{Fate, Outcome};

/// Of a hundred mutants that are Rust, fewer than these survive.
const PERCENT: usize = 5;
/// From so many mutants on the bound is for a crate by itself: two that no test can tell from
/// the original are no five of a hundred then.
const MANY: usize = 100;

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

    /// A sentence for all crates, and for each that has many mutants, of which too many survive,
    /// argued away or not.
    pub(super) fn over_the_bound(&self) -> Vec<String> {
        let sum = |of: fn(Count) -> usize| self.0.values().map(|count| of(*count)).sum();
        let all = Count {
            killed: sum(|count| count.killed),
            hung: sum(|count| count.hung),
            survived: sum(|count| count.survived),
            unviable: 0,
        };
        let crates = self.0.iter().filter(|(_, count)| count.viable() >= MANY);
        crates
            .map(|(package, count)| (package.as_str(), *count))
            .chain([("all crates", all)])
            .filter(|(_, count)| count.survived > 0)
            .filter(|(_, count)| count.survived * 100 >= count.viable() * PERCENT)
            .map(|(of, count)| {
                format!(
                    "{} of {} mutants of {of} survive; fewer than {PERCENT} % may",
                    count.survived,
                    count.viable()
                )
            })
            .collect()
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
        assert_eq!(figures(19, 1).over_the_bound().len(), 1);
        assert_eq!(figures(20, 1).over_the_bound(), Vec::<String>::new());
        assert_eq!(figures(0, 0).over_the_bound(), Vec::<String>::new());
        assert_eq!(figures(0, 1).over_the_bound().len(), 1);
    }

    #[test]
    fn a_small_crate_is_bound_with_the_others() {
        let both = |killed| {
            let counts = [("a", count(9, 1)), ("b", count(killed, 0))];
            Figures(counts.map(|(name, count)| (name.to_owned(), count)).into())
        };
        assert_eq!(both(11).over_the_bound(), Vec::<String>::new());
        assert_eq!(both(10).over_the_bound().len(), 1);
    }

    #[test]
    fn a_large_crate_is_bound_by_itself() {
        let counts = [("a", count(95, 5)), ("b", count(1000, 0))];
        let both = Figures(counts.map(|(name, count)| (name.to_owned(), count)).into());
        let [only] = <[String; 1]>::try_from(both.over_the_bound()).expect("one is over");
        assert!(only.contains("5 of 100 mutants of a "), "{only}");
    }

    #[test]
    fn figures_are_of_each_crate() {
        let text = figures(19, 1).to_string();
        assert!(text.contains("1020 tried"), "{text}");
        assert!(text.contains("1 survived"), "{text}");
    }
}

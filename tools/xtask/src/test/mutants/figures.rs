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

    /// A sentence for each crate of which too many survive, argued away or not.
    pub(super) fn over_the_bound(&self) -> Vec<String> {
        self.0
            .iter()
            .filter(|(_, count)| count.survived * 100 >= count.viable() * PERCENT)
            .filter(|(_, count)| count.survived > 0)
            .map(|(package, count)| {
                format!(
                    "{} of {} mutants of {package} survive; fewer than {PERCENT} % may",
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

    fn figures(killed: usize, survived: usize) -> Figures {
        let count = Count {
            killed,
            survived,
            hung: 0,
            unviable: 1000,
        };
        Figures([("a".to_owned(), count)].into())
    }

    #[test]
    fn one_in_twenty_is_too_many() {
        assert_eq!(figures(19, 1).over_the_bound().len(), 1);
        assert_eq!(figures(20, 1).over_the_bound(), Vec::<String>::new());
        assert_eq!(figures(0, 0).over_the_bound(), Vec::<String>::new());
        assert_eq!(figures(0, 1).over_the_bound().len(), 1);
    }

    #[test]
    fn figures_are_of_each_crate() {
        let text = figures(19, 1).to_string();
        assert!(text.contains("1020 tried"), "{text}");
        assert!(text.contains("1 survived"), "{text}");
    }
}

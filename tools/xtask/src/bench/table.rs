//! The tables on the terminal.

use std::fmt::{self, Write as _};

use super::deterministic::Profiles;
use super::figures::{Bench, Goal, Line, Pair, Verdict};

/// Routines of a profile that are shown.
const ROUTINES: usize = 12;

/// A number with no more places than it needs.
fn number(value: f64) -> String {
    if (value - value.round()).abs() < 1e-9 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

fn ratio(ours: f64, c: f64) -> String {
    if c > 0.0 {
        format!("{:.2}", ours / c)
    } else {
        String::new()
    }
}

/// All of it, for a person.
pub(super) struct Table<'a>(pub(super) &'a Bench);

impl fmt::Display for Table<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(figures) = &self.0.deterministic {
            writeln!(
                formatter,
                "{:28} {:28} {:>9} {:>9} {:>6}",
                "of one request", "", "dirql", "C", "ratio"
            )?;
            for Line {
                name,
                unit,
                ours,
                c,
            } in figures.lines()
            {
                writeln!(
                    formatter,
                    "{name:28} {unit:28} {:>9} {:>9} {:>6}",
                    number(ours),
                    number(c),
                    ratio(ours, c)
                )?;
            }
            writeln!(formatter)?;
        }
        if let Some(parallel) = &self.0.parallel {
            writeln!(formatter, "{parallel}")?;
        }
        if self.0.goals.is_empty() {
            return Ok(());
        }
        writeln!(
            formatter,
            "{:68} {:>9} {:>9} {:>6}  {:20} verdict",
            "goal", "dirql", "C", "ratio", "bound"
        )?;
        for goal in &self.0.goals {
            writeln!(formatter, "{}", one(goal))?;
        }
        Ok(())
    }
}

fn one(goal: &Goal) -> String {
    let figure = |figure: Option<f64>| figure.map(number).unwrap_or_default();
    let verdict = match goal.verdict {
        Verdict::Met => "met",
        Verdict::Missed => "MISSED",
        Verdict::NotMeasured => "not measured",
    };
    let mut line = format!(
        "{:68} {:>9} {:>9} {:>6}  {:20} {verdict}",
        goal.name,
        figure(goal.ours),
        figure(goal.c),
        goal.ratio()
            .map(|ratio| format!("{ratio:.2}"))
            .unwrap_or_default(),
        goal.bound
    );
    if let Some(note) = &goal.note {
        line.push_str(": ");
        line.push_str(note);
    }
    line
}

/// In which routines the instructions of each request are.
pub(super) fn profiles(profiles: &Pair<Profiles>) -> String {
    let mut text = String::new();
    for (driver, kinds) in [("dirql", &profiles.ours), ("C", &profiles.c)] {
        for (kind, routines) in kinds {
            let mut routines: Vec<_> = routines.iter().collect();
            routines.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), name.as_str()));
            // Writing to a String cannot fail.
            let _written = writeln!(text, "{kind}, {driver}:");
            for (name, count) in routines.into_iter().take(ROUTINES) {
                let _written = writeln!(text, "{count:>8}  {name}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_that_was_not_measured_says_so() {
        let goal = Goal {
            name: "a goal".to_owned(),
            ours: None,
            c: None,
            bound: "at most 2".to_owned(),
            verdict: Verdict::NotMeasured,
            note: None,
        };
        assert!(one(&goal).ends_with("not measured"));
        let missed = Goal {
            ours: Some(3.0),
            c: Some(4.0),
            verdict: Verdict::Missed,
            note: Some("why".to_owned()),
            ..goal
        };
        assert!(one(&missed).ends_with("MISSED: why"));
        assert!(one(&missed).contains("0.75"));
    }
}

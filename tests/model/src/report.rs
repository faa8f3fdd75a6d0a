//! The tests of the model: a case each, and a mistake each. They run on all processors of the
//! host, for each is explored by one thread; what they found is printed in their order.

use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

use crate::{
    Case, Explored, Until,
    cases::{self, Bound, Mistaken},
    parallel::in_order,
    property_names,
};

/// Fewer states than these would say that something cannot happen any more.
const FEWEST_STATES: usize = 500;

/// One test.
#[derive(Clone, Debug)]
pub enum Test {
    /// Every property holds in every state of the case.
    Holds(Case),
    /// A mistake breaks its property.
    Finds(Mistaken),
    /// Every property is broken by a mistake.
    IsComplete(Vec<Mistaken>),
}

/// What became of a test.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Whether it passed.
    pub passed: bool,
    /// What was seen.
    pub found: String,
    /// The kinds of steps and ends that there were, in a case.
    pub happened: BTreeSet<String>,
}

impl Test {
    /// All of them, to this bound.
    #[must_use]
    pub fn all(bound: Bound) -> Vec<Self> {
        let mistaken = cases::mistaken();
        cases::all(bound)
            .into_iter()
            .map(Self::Holds)
            .chain(mistaken.clone().into_iter().map(Self::Finds))
            .chain([Self::IsComplete(mistaken)])
            .collect()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Holds(case) => format!("holds/{}", case.title()),
            Self::Finds(mistaken) => format!("finds/{:?}", mistaken.case.mistake),
            Self::IsComplete(_) => "finds/every property is broken by a mistake".to_owned(),
        }
    }

    /// Runs it.
    #[must_use]
    pub fn run(&self) -> Verdict {
        match self {
            Self::Holds(case) => holds(&case.explore(Until::AllIsSeen)),
            Self::Finds(mistaken) => finds(mistaken),
            Self::IsComplete(mistaken) => is_complete(mistaken),
        }
    }
}

/// Whether all properties held in what was explored.
fn holds(explored: &Explored) -> Verdict {
    let mut found = figures(explored);
    for (property, shown) in &explored.broken {
        write_line(&mut found, &format!("BROKEN: {property}: {}", shown.why));
        write_line(&mut found, &format!("after {:?}", shown.steps));
    }
    let are_many = explored.states >= FEWEST_STATES;
    if !are_many {
        write_line(
            &mut found,
            &format!("fewer than {FEWEST_STATES} states: something cannot happen any more"),
        );
    }
    Verdict {
        passed: explored.broken.is_empty() && are_many,
        found,
        happened: explored.happened.clone(),
    }
}

/// Whether a mistake breaks what it should.
fn finds(mistaken: &Mistaken) -> Verdict {
    let explored = mistaken.case.explore(Until::IsBroken(mistaken.breaks));
    let shown = explored
        .broken
        .iter()
        .find(|(property, _)| *property == mistaken.breaks);
    let case = mistaken.case.title();
    match shown {
        Some((property, shown)) => Verdict {
            passed: true,
            found: format!(
                "breaks \"{property}\" of {case} in {} steps: {}",
                shown.steps.len(),
                shown.why
            ),
            happened: BTreeSet::new(),
        },
        None => Verdict {
            passed: false,
            found: format!(
                "should break \"{}\" of {case}, and broke {:?} in {}",
                mistaken.breaks,
                explored.broken,
                figures(&explored)
            ),
            happened: BTreeSet::new(),
        },
    }
}

/// Whether each property has a mistake that breaks it: one without says nothing.
fn is_complete(mistaken: &[Mistaken]) -> Verdict {
    let properties = property_names();
    let unbroken: Vec<_> = properties
        .iter()
        .filter(|property| {
            mistaken
                .iter()
                .all(|mistaken| mistaken.breaks != **property)
        })
        .collect();
    Verdict {
        passed: unbroken.is_empty(),
        found: if unbroken.is_empty() {
            format!(
                "{} mistakes for {} properties",
                mistaken.len(),
                properties.len()
            )
        } else {
            format!("no mistake breaks {unbroken:?}")
        },
        happened: BTreeSet::new(),
    }
}

/// Whether everything happens that is to: what never happens is not proved.
#[must_use]
pub fn everything(happened: &BTreeSet<String>) -> Verdict {
    let never: Vec<_> = cases::HAPPENS
        .into_iter()
        .filter(|what| !happened.contains(*what))
        .collect();
    Verdict {
        passed: never.is_empty(),
        found: if never.is_empty() {
            format!("{} kinds of steps and ends", happened.len())
        } else {
            format!("this never happens: {never:?}")
        },
        happened: BTreeSet::new(),
    }
}

fn figures(explored: &Explored) -> String {
    format!(
        "{} states, depth {}, {}",
        explored.states,
        explored.depth,
        seconds(explored.time)
    )
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn write_line(text: &mut String, line: &str) {
    // A String takes all that is written to it.
    let _written = write!(text, "\n    {line}");
}

/// Runs the tests, prints them as Rust's test harness does; whether all passed. With
/// `are_all`, what has happened in them is looked at, too.
#[must_use]
pub fn run(tests: &[Test], are_all: bool) -> bool {
    let count = tests.len() + usize::from(are_all);
    println!("\nrunning {count} tests");
    let mut failed = 0_usize;
    let mut happened = BTreeSet::new();
    let mut show = |name: &str, verdict: &Verdict| {
        let word = if verdict.passed { "ok" } else { "FAILED" };
        println!("test {name} ... {word}");
        println!("    {}", verdict.found);
        failed += usize::from(!verdict.passed);
    };
    in_order(
        tests,
        |test| (test.name(), test.run()),
        |(name, mut verdict)| {
            happened.append(&mut verdict.happened);
            show(&name, &verdict);
        },
    );
    if are_all {
        show("holds/everything happens", &everything(&happened));
    }
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {} passed; {failed} failed; 0 ignored",
        count - failed
    );
    failed == 0
}

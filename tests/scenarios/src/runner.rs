//! Runs scenarios for a person: shows how far it is, says what failed and how to
//! repeat it, and ends with a table.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    artifacts::Artifacts,
    book::{Book, Run},
    cases::{SIDE_BY_SIDE, Scenario},
};

/// Slowest scenarios that the table names.
const SLOWEST: usize = 10;

/// A scenario that was run.
#[derive(Clone, Debug)]
pub(crate) struct Finished {
    /// Its name.
    pub(crate) name: String,
    /// How long it took.
    pub(crate) time: Duration,
    /// What it found, if it failed.
    pub(crate) error: Option<String>,
    /// The rigs that it ran.
    pub(crate) runs: Vec<Run>,
}

/// All that were run, and how long that took.
#[derive(Clone, Debug)]
pub(crate) struct Results {
    /// In the order in which they ended.
    pub(crate) finished: Vec<Finished>,
    /// From the first one's beginning to the last one's end.
    pub(crate) time: Duration,
}

/// The command that runs one scenario again.
pub(crate) fn repeat(name: &str) -> String {
    format!("cargo xtask rig --scenario {name}")
}

/// Runs scenarios, some at a time.
///
/// # Errors
/// When there is no progress to be shown; what the scenarios find is in the result.
pub(crate) fn run(artifacts: &Artifacts, scenarios: Vec<Scenario>) -> anyhow::Result<Results> {
    let progress = Progress::new(scenarios.len())?;
    let begin = Instant::now();
    let finished = run_all(artifacts, scenarios, &progress);
    progress.end();
    Ok(Results {
        finished,
        time: begin.elapsed(),
    })
}

fn run_all(artifacts: &Artifacts, scenarios: Vec<Scenario>, progress: &Progress) -> Vec<Finished> {
    let waiting = Mutex::new(VecDeque::from(scenarios));
    let finished = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some(scenario) = locked(&waiting).pop_front() {
                    let each = run_one(artifacts, scenario, progress);
                    locked(&finished).push(each);
                }
            });
        }
    });
    finished
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
}

fn run_one(artifacts: &Artifacts, scenario: Scenario, progress: &Progress) -> Finished {
    let name = scenario.name().to_owned();
    progress.begin(&name);
    // Each has a book of its own: several run at the same time.
    let book = artifacts.book().map(|_| Book::default());
    let artifacts = match &book {
        Some(book) => artifacts.clone().with_book(book),
        None => artifacts.clone(),
    };
    let begin = Instant::now();
    let outcome = scenario.run(&artifacts);
    let finished = Finished {
        name,
        time: begin.elapsed(),
        error: outcome.err().map(|error| format!("{error:#}")),
        runs: book.map(|book| book.take()).unwrap_or_default(),
    };
    progress.finish(&finished);
    finished
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A bar on a terminal, and a line for each scenario anywhere.
struct Progress {
    bar: ProgressBar,
    under_way: Mutex<Vec<String>>,
}

impl Progress {
    fn new(count: usize) -> anyhow::Result<Self> {
        let bar = ProgressBar::new(u64::try_from(count)?);
        let style = ProgressStyle::with_template("{elapsed} {bar:30} {pos}/{len} {wide_msg}")
            .context("the progress display cannot be set up")?;
        bar.set_style(style);
        bar.enable_steady_tick(Duration::from_millis(500));
        Ok(Self {
            bar,
            under_way: Mutex::default(),
        })
    }

    fn begin(&self, name: &str) {
        let mut under_way = locked(&self.under_way);
        under_way.push(name.to_owned());
        self.bar.set_message(under_way.join(", "));
    }

    fn finish(&self, finished: &Finished) {
        let mut under_way = locked(&self.under_way);
        under_way.retain(|name| *name != finished.name);
        self.bar.set_message(under_way.join(", "));
        drop(under_way);
        self.bar.inc(1);
        let seconds = finished.time.as_secs_f64();
        let line = match &finished.error {
            None => format!("ok     {seconds:>6.1} s  {}", finished.name),
            Some(error) => format!(
                "FAILED {seconds:>6.1} s  {}\n{error}\n    to repeat it: {}",
                finished.name,
                repeat(&finished.name)
            ),
        };
        self.bar.suspend(|| eprintln!("{line}"));
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}

impl Results {
    /// Those that failed.
    pub(crate) fn failed(&self) -> impl Iterator<Item = &Finished> {
        self.finished
            .iter()
            .filter(|finished| finished.error.is_some())
    }
}

/// A group's scenarios.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    passed: usize,
    failed: usize,
    time: Duration,
}

impl fmt::Display for Results {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut groups: BTreeMap<&str, Group> = BTreeMap::new();
        for finished in &self.finished {
            let name = finished.name.split('/').next().unwrap_or_default();
            let group = groups.entry(name).or_default();
            group.time += finished.time;
            if finished.error.is_some() {
                group.failed += 1;
            } else {
                group.passed += 1;
            }
        }
        writeln!(
            formatter,
            "{:<24}{:>8}{:>8}{:>10}",
            "group", "passed", "failed", "time"
        )?;
        for (name, group) in &groups {
            write_row(formatter, name, *group)?;
        }
        let failed = self.failed().count();
        let all = Group {
            passed: self.finished.len() - failed,
            failed,
            time: self.time,
        };
        write_row(formatter, "all, by the clock", all)?;
        if self.finished.len() > SLOWEST {
            let mut slowest: Vec<&Finished> = self.finished.iter().collect();
            slowest.sort_by_key(|finished| std::cmp::Reverse(finished.time));
            writeln!(formatter, "\nslowest:")?;
            for finished in slowest.into_iter().take(SLOWEST) {
                let seconds = finished.time.as_secs_f64();
                writeln!(formatter, "  {seconds:>6.1} s  {}", finished.name)?;
            }
        }
        for finished in self.failed() {
            writeln!(formatter, "\nFAILED: {}", finished.name)?;
            writeln!(formatter, "    to repeat it: {}", repeat(&finished.name))?;
        }
        Ok(())
    }
}

fn write_row(formatter: &mut fmt::Formatter<'_>, name: &str, group: Group) -> fmt::Result {
    writeln!(
        formatter,
        "{name:<24}{:>8}{:>8}{:>8.1} s",
        group.passed,
        group.failed,
        group.time.as_secs_f64()
    )
}

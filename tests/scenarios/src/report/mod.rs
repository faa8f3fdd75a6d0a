//! The report of what was run: `report.json` for programs, `report.html` for people.

mod page;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::Serialize;

use crate::{
    book::Run,
    rule::Rule,
    runner::{Finished, Results},
    statistics::Statistics,
};

/// What a report says.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Report {
    /// Everything passed.
    passed: bool,
    /// By the clock.
    seconds: f64,
    /// What was run.
    scenarios: Vec<ScenarioReport>,
    /// All runs together.
    total: Statistics,
    /// The rig's rules.
    rules: Vec<RuleReport>,
    /// Drivers by file name.
    drivers: BTreeMap<String, DriverReport>,
}

/// A scenario, or the one run of a rig that was asked for.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct ScenarioReport {
    name: String,
    passed: bool,
    seconds: f64,
    error: Option<String>,
    /// How to run it again.
    repeat: String,
    runs: Vec<Run>,
}

/// A rule of the rig's.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct RuleReport {
    id: &'static str,
    sentence: &'static str,
    /// How often it was checked.
    checks: u64,
    /// Runs that it stopped.
    stops: usize,
}

/// What was seen of a driver.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct DriverReport {
    runs: usize,
    /// How often each routine was called that it imports.
    imports: BTreeMap<String, u64>,
    /// Those that never were.
    never_called: BTreeSet<String>,
}

impl Report {
    /// Of scenarios.
    pub(crate) fn of(results: &Results) -> Self {
        let scenarios = results.finished.iter().map(ScenarioReport::of).collect();
        Self::new(scenarios, results.time.as_secs_f64())
    }

    /// Of a run that `command` began.
    pub(crate) fn of_run(command: &str, error: Option<String>, runs: Vec<Run>) -> Self {
        let seconds = runs.iter().map(|run| run.seconds).sum();
        let scenario = ScenarioReport {
            name: "one run".to_owned(),
            passed: error.is_none(),
            seconds,
            error,
            repeat: command.to_owned(),
            runs,
        };
        Self::new(vec![scenario], seconds)
    }

    fn new(scenarios: Vec<ScenarioReport>, seconds: f64) -> Self {
        let runs = || scenarios.iter().flat_map(|scenario| &scenario.runs);
        let mut total = Statistics::default();
        let mut drivers: BTreeMap<String, DriverReport> = BTreeMap::new();
        for run in runs() {
            let driver = drivers.entry(run.driver.clone()).or_default();
            driver.runs += 1;
            let Some(statistics) = &run.statistics else {
                continue;
            };
            total.add(statistics);
            for (name, calls) in &statistics.imports {
                *driver.imports.entry(name.clone()).or_default() += calls;
            }
        }
        for driver in drivers.values_mut() {
            driver.never_called = driver
                .imports
                .iter()
                .filter(|(_, calls)| **calls == 0)
                .map(|(name, _)| name.clone())
                .collect();
        }
        let rules = Rule::ALL
            .iter()
            .map(|rule| RuleReport {
                id: rule.id(),
                sentence: rule.sentence(),
                checks: total.checks.get(rule.id()).copied().unwrap_or_default(),
                stops: runs()
                    .filter(|run| run.stopped_by.as_deref() == Some(rule.id()))
                    .count(),
            })
            .collect();
        Self {
            passed: scenarios.iter().all(|scenario| scenario.passed),
            seconds,
            total,
            rules,
            drivers,
            scenarios,
        }
    }

    /// Writes both files into `folder`, which is made if it is not there; their paths.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<[PathBuf; 2]> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let json = serde_json::to_string_pretty(self).context("the report cannot be written")?;
        let files = [folder.join("report.json"), folder.join("report.html")];
        for (file, text) in files.iter().zip([json, page::page(self)]) {
            fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(files)
    }
}

impl ScenarioReport {
    fn of(finished: &Finished) -> Self {
        Self {
            name: finished.name.clone(),
            passed: finished.error.is_none(),
            seconds: finished.time.as_secs_f64(),
            error: finished.error.clone(),
            repeat: crate::runner::repeat(&finished.name),
            runs: finished.runs.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Report;
    use crate::{
        book::Run,
        runner::{Finished, Results},
        statistics::Statistics,
    };

    fn results() -> Results {
        let mut statistics = Statistics::default();
        statistics.checks.insert("IRP-01".to_owned(), 12);
        statistics
            .imports
            .insert("IofCompleteRequest".to_owned(), 9);
        statistics.imports.insert("KeCancelTimer".to_owned(), 0);
        let times = statistics.irql_times.entry(0).or_default();
        times.insert("0".to_owned(), 30_000);
        times.insert("2".to_owned(), 10_000);
        let run = Run {
            driver: "edu.sys".to_owned(),
            processors: 2,
            devices: 1,
            options: "irq=msi".to_owned(),
            seconds: 1.5,
            outcome: "the rig stopped: IRP-01 in <unknown>".to_owned(),
            stopped_by: Some("IRP-01".to_owned()),
            statistics: Some(statistics),
        };
        Results {
            finished: vec![Finished {
                name: "verify/one".to_owned(),
                time: Duration::from_secs(2),
                error: Some("a < b".to_owned()),
                runs: vec![run.clone(), run],
            }],
            time: Duration::from_secs(2),
        }
    }

    #[test]
    fn runs_are_added_up() {
        let report = Report::of(&results());
        assert!(!report.passed);
        let rule = report
            .rules
            .iter()
            .find(|rule| rule.id == "IRP-01")
            .unwrap();
        assert_eq!((rule.checks, rule.stops), (24, 2));
        let driver = &report.drivers["edu.sys"];
        assert_eq!(driver.runs, 2);
        assert_eq!(driver.imports["IofCompleteRequest"], 18);
        assert_eq!(
            driver.never_called.iter().collect::<Vec<_>>(),
            ["KeCancelTimer"]
        );
    }

    #[test]
    fn both_files_say_so() {
        let folder = tempfile::tempdir().unwrap();
        let [json, page] = Report::of(&results()).write(folder.path()).unwrap();
        let json: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
        assert_eq!(json["passed"], false);
        assert_eq!(json["total"]["checks"]["IRP-01"], 24);
        assert_eq!(json["total"]["irql-times"]["0"]["2"], 20_000);
        let page = std::fs::read_to_string(page).unwrap();
        assert!(page.contains("a &lt; b"), "{page}");
        assert!(
            page.contains("cargo xtask rig --scenario verify/one"),
            "{page}"
        );
        assert!(page.contains("KeCancelTimer"), "{page}");
    }
}

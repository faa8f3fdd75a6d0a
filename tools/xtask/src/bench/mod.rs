//! `cargo xtask bench`: this driver against the same in C (`tests/reference`), in the same rig.
//!
//! What is the same in every run is counted: instructions, register accesses, locks, calls.
//! What takes several processors is not, and so is told as ratios with their spread. Nobody's
//! time is a result.

mod account;
mod baseline;
mod deterministic;
mod figures;
mod goals;
mod parallel;
#[path = "../../../../tests/scenarios/src/measured/plan.rs"]
mod plan;
mod report;
mod table;
mod trace;
mod without_recorder;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};

use crate::{build, workspace, workspace::Workspace};
use figures::{Bench, Deterministic, Goal, Verdict};
use table::Table;

/// The picture of the README.
const PICTURE: &str = "tests/bench/mix.svg";

#[derive(Args, Debug)]
pub(crate) struct BenchArguments {
    /// Fewer repetitions
    #[arg(long)]
    quick: bool,
    /// Where the figures are written, instead of target/bench
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Only this half
    #[arg(long, value_enum)]
    only: Option<Half>,
    /// Make the deterministic figures those that later ones are compared with, and that the
    /// README's picture shows
    #[arg(long)]
    write_baseline: bool,
    /// Only draw the figures that are committed, as the README's picture shows them
    #[arg(long, value_name = "FILE", exclusive = true)]
    picture: Option<PathBuf>,
    /// Say in which of the drivers' routines the instructions are
    #[arg(long)]
    profile: bool,
}

/// The halves of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Half {
    /// What is the same in every run
    Deterministic,
    /// What takes several processors
    Parallel,
}

/// Measures, prints, and writes what `arguments` ask for.
pub(crate) fn run(arguments: &BenchArguments) -> anyhow::Result<()> {
    ensure!(
        arguments.only != Some(Half::Parallel) || !(arguments.write_baseline || arguments.profile),
        "--write-baseline and --profile are about what `--only parallel` leaves out: take one away"
    );
    let workspace = Workspace::current()?;
    if let Some(file) = &arguments.picture {
        return draw(&baseline::committed(&workspace)?, file);
    }
    build::for_the_bench()?;
    let out = match &arguments.out {
        Some(folder) => folder.clone(),
        None => folder(&workspace),
    };
    workspace::create_folder(&out)?;
    let mut bench = Bench::default();
    if arguments.only != Some(Half::Parallel) {
        count(arguments, &workspace, &out, &mut bench)?;
    }
    if arguments.only != Some(Half::Deterministic) {
        bench.parallel = Some(parallel::measure(&workspace, &out, arguments.quick)?);
    }
    print!("{}", Table(&bench));
    let file = out.join("bench.json");
    let mut json = serde_json::to_string_pretty(&bench).context("the figures cannot be written")?;
    json.push('\n');
    workspace::write_if_changed(&file, json.as_bytes())?;
    println!("{}", file.display());
    println!("{}", report::write(&bench, &out)?.display());
    match (&bench.parallel, bench.goals.as_slice()) {
        (Some(parallel), []) => println!("bench: {} loads compared", parallel.cells.len()),
        (_, goals) => println!("bench: {}", tally(goals)),
    }
    Ok(())
}

/// Measures what is the same in every run, and writes what is asked for of it.
fn count(
    arguments: &BenchArguments,
    workspace: &Workspace,
    out: &Path,
    bench: &mut Bench,
) -> anyhow::Result<()> {
    let outcome = deterministic::measure(workspace, out, arguments.quick)?;
    if arguments.profile {
        print!("{}", table::profiles(&outcome.profiles));
    }
    if arguments.write_baseline {
        let path = baseline::write(workspace, &outcome.figures)?;
        println!("{}", path.display());
        draw(&outcome.figures, &workspace.root().join(PICTURE))?;
    }
    bench.goals = goals::of(&outcome.figures);
    bench.deterministic = Some(outcome.figures);
    Ok(())
}

/// Draws the picture of these figures.
fn draw(figures: &Deterministic, file: &Path) -> anyhow::Result<()> {
    workspace::write_if_changed(file, report::picture(figures).as_bytes())?;
    println!("{}", file.display());
    Ok(())
}

/// Where figures are written that nobody wants elsewhere.
fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target().join("bench")
}

/// How many goals are met.
fn tally(goals: &[Goal]) -> String {
    let count = |verdict| goals.iter().filter(|goal| goal.verdict == verdict).count();
    format!(
        "{} goals met, {} missed, {} not measured",
        count(Verdict::Met),
        count(Verdict::Missed),
        count(Verdict::NotMeasured)
    )
}

/// What the deterministic figures are, compared with those that are committed.
#[derive(Clone, Debug)]
pub(crate) struct Regressions {
    /// Figures and goals that were compared.
    pub(crate) compared: u64,
    /// What is worse than it was, a sentence each.
    pub(crate) worse: Vec<String>,
    /// What there is to say.
    pub(crate) said: Vec<String>,
}

/// Measures what is the same in every run, and compares it with what is committed.
///
/// # Errors
/// When it cannot be measured.
pub(crate) fn regressions(workspace: &Workspace) -> anyhow::Result<Regressions> {
    let outcome = deterministic::measure(workspace, &folder(workspace), true)?;
    let comparison = baseline::compare(workspace, &outcome.figures)?;
    let mut said = vec![tally(&goals::of(&outcome.figures))];
    said.extend(comparison.note);
    said.extend(comparison.better.iter().map(|better| {
        format!("{better}; `cargo xtask bench --write-baseline` makes that what is expected")
    }));
    Ok(Regressions {
        compared: comparison.compared,
        worse: comparison.worse,
        said,
    })
}

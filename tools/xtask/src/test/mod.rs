//! `cargo xtask test`: every test there is, ending with `N passed, N failed`.
//!
//! Each part can be run by itself, and what fails is listed at the end with the
//! command that runs only that.

mod bugs;
mod counting;
mod fuzz;
mod model;
pub(crate) mod mutants;
mod parts;
mod wrappers;

use std::time::Instant;

use clap::{Args, ValueEnum};

use crate::workspace::Workspace;
use counting::Tally;

#[derive(Args, Debug)]
pub(crate) struct TestArguments {
    /// Only this part
    #[arg(value_enum)]
    part: Option<Part>,
    /// The long versions of what takes as long as it is given: larger bounds of the model, more
    /// random inputs, all mutants
    #[arg(long)]
    long: bool,
    /// Handed on to that part: a filter for the names of its tests
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// The parts, in the order in which they run: what fails soonest comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Tests that need nothing but Rust: `cargo test`
    Unit,
    /// Every interleaving of the driver's critical sections, up to a bound
    Model,
    /// The library's own concurrency, in every order up to a bound
    Wrappers,
    /// Arbitrary bytes for whatever takes bytes from somebody else
    Fuzz,
    /// Formatting, clippy and documentation
    Lint,
    /// Small changes to the code, each of which a unit test must notice: a few of them, or all
    Mutants,
    /// edu.sys, the rig and eductl can be built
    Build,
    /// The kernel's structures and constants are what three witnesses agree on, or why not
    Abi,
    /// edu.sys is a proper kernel image
    Image,
    /// edu.sys keeps its limits with interrupts held off, and its documentation says so
    Audit,
    /// The wrappers' code is no longer than hand-written C
    Cost,
    /// edu.sys takes no more of anything than when its figures were committed
    Bench,
    /// edu.sys comes out the same when it is built elsewhere
    Reproducible,
    /// The package that is installed on Windows, judged by programs that did not make it
    Package,
    /// edu.sys in the rig, and eductl.exe under Wine
    Scenarios,
    /// edu.sys with deliberate bugs, each of which a scenario must find
    Bugs,
}

impl Part {
    fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }

    fn run(self, workspace: &Workspace, arguments: &TestArguments) -> anyhow::Result<Tally> {
        match self {
            Self::Unit => parts::unit(workspace, &arguments.arguments),
            Self::Model => model::run(workspace, arguments),
            Self::Wrappers => wrappers::run(workspace, arguments),
            Self::Fuzz => fuzz::run(workspace, arguments),
            Self::Lint => parts::lint(),
            Self::Mutants => mutants::run(workspace, &arguments.arguments, arguments.long),
            Self::Build => parts::build(),
            Self::Abi => parts::abi(workspace),
            Self::Image => parts::image(workspace),
            Self::Audit => parts::audit(workspace, arguments.long),
            Self::Cost => parts::cost(workspace),
            Self::Bench => parts::bench(workspace),
            Self::Reproducible => parts::reproducible(workspace),
            Self::Package => parts::package(workspace),
            Self::Scenarios => parts::scenarios(workspace, &arguments.arguments),
            Self::Bugs => bugs::run(workspace, &arguments.arguments),
        }
    }

    /// Whether the part is about what [`Part::Build`] makes.
    const fn needs_build(self) -> bool {
        matches!(self, Self::Scenarios)
    }
}

/// Runs what `arguments` name; whether all of it passed.
pub(crate) fn run(arguments: &TestArguments) -> anyhow::Result<bool> {
    let workspace = Workspace::current()?;
    let chosen: Vec<Part> = match arguments.part {
        None => Part::value_variants().to_vec(),
        Some(part) if part.needs_build() => vec![Part::Build, part],
        Some(part) => vec![part],
    };
    let mut total = Tally::default();
    let mut built = true;
    for part in chosen {
        let name = part.name();
        eprintln!("\n=== {name}");
        let begin = Instant::now();
        let tally = if part.needs_build() && !built {
            Tally::failed_as_a_whole(&name, "not run, for the build failed")
        } else {
            part.run(&workspace, arguments)
                .unwrap_or_else(|error| Tally::failed_as_a_whole(&name, &format!("{error:#}")))
        };
        if part == Part::Build {
            built = tally.failures.is_empty();
        }
        eprintln!(
            "=== {name}: {} passed, {} failed, {:.0} s",
            tally.passed,
            tally.failures.len(),
            begin.elapsed().as_secs_f64()
        );
        total.add(tally);
    }
    for failure in &total.failures {
        println!(
            "FAILED: {}\n    to run only this: {}",
            failure.what, failure.rerun
        );
    }
    println!("{} passed, {} failed", total.passed, total.failures.len());
    Ok(total.failures.is_empty() && total.passed > 0)
}

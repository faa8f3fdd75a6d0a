//! Explores every case and every mistake, and prints what was seen, as Rust's test harness
//! does: `cargo xtask test model`.

use std::process::ExitCode;

use clap::Parser;
use model::{
    cases::Bound,
    report::{self, Test},
};

/// Explores every interleaving of the driver's critical sections, up to a bound.
#[derive(Parser, Debug)]
struct Arguments {
    /// The larger bound
    #[arg(long)]
    long: bool,
    /// Only tests whose names hold one of these
    words: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let bound = if arguments.long {
        Bound::Long
    } else {
        Bound::Everyday
    };
    let tests: Vec<Test> = Test::all(bound)
        .into_iter()
        .filter(|test| {
            let name = test.name();
            arguments.words.is_empty() || arguments.words.iter().any(|word| name.contains(word))
        })
        .collect();
    if tests.is_empty() {
        eprintln!(
            "model: no test's name holds {:?}; without a word all of them run",
            arguments.words
        );
        return ExitCode::FAILURE;
    }
    if report::run(&tests, arguments.words.is_empty()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

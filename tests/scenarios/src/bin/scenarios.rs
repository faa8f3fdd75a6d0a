//! Runs the scenarios: all, or those whose names hold a word.

use std::process::ExitCode;

use libtest_mimic::Arguments;
use scenarios::{Artifacts, cases};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let artifacts = match Artifacts::find() {
        Ok(artifacts) => artifacts,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    // One rig at a time: several would only make one another slow.
    arguments.test_threads.get_or_insert(1);
    libtest_mimic::run(&arguments, cases::all(&artifacts)).exit_code()
}

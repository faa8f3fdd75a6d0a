//! Runs the demonstration.

use std::process::ExitCode;

fn main() -> ExitCode {
    match scenarios::demo::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

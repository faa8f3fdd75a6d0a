//! Loads for `cargo xtask bench`. See the library's module.

use std::process::ExitCode;

#[cfg(unix)]
use scenarios::load::main as program;

#[cfg(not(unix))]
fn program() -> ExitCode {
    eprintln!("The rig is driven from Linux; on Windows, install the driver and run eductl.");
    ExitCode::FAILURE
}

fn main() -> ExitCode {
    program()
}

//! The companion program of edu.sys; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    eductl::cli::main()
}

//! `cargo xtask VERB`: one entry for every chore of this repository.
//!
//! The same executable also stands in for `rustc` and for the linker while a
//! build runs (see `rustc_wrapper` and `link_wrapper`): cargo starts it under
//! another name then, and the name says what it is to do.

#![forbid(unsafe_code)]

mod abi;
mod audit;
mod bench;
mod build;
mod c_driver;
mod command;
mod cost;
mod cross_cargo;
mod image_check;
mod link_staging;
mod link_wrapper;
mod lint;
mod needs;
mod package;
mod pe_checksum;
mod python;
mod reproducible;
mod rig;
mod rustc_wrapper;
mod setup;
mod source_copy;
mod test;
mod toolchain;
mod unsafe_ledger;
mod wdk_build_edits;
mod wdk_stand_in;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "One entry for every chore", version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Install what the other verbs need
    Setup,
    /// Build edu.sys, the rig and eductl into target/out
    Build(build::BuildArguments),
    /// Check formatting, clippy and documentation
    Lint(lint::LintArguments),
    /// Show edu.sys at work: boot the rig on 4 processors and drive the device
    Demo,
    /// Make the signed folder that is installed on Windows
    Package(package::PackageArguments),
    /// Boot the rig for a person; what follows `--` is for eductl
    Rig(rig::RigArguments),
    /// Compare the kernel's structures and constants in use with what others say of them
    Abi(abi::AbiArguments),
    /// What edu.sys does with interrupts held off: every ISR and critical section, measured
    Audit(audit::AuditArguments),
    /// Compare edu.sys with the same driver in C: instructions, register accesses, locks, calls
    Bench(bench::BenchArguments),
    /// Run every test there is, or one part of them
    Test(test::TestArguments),
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<ExitCode> {
    match workspace::invoked_as().as_deref() {
        Some(rustc_wrapper::INVOKED_AS) => return rustc_wrapper::run(),
        Some(link_wrapper::INVOKED_AS) => return link_wrapper::run(),
        _ => {}
    }
    let verb = Arguments::parse().verb;
    if !matches!(verb, Verb::Setup) {
        setup::ensure()?;
    }
    match verb {
        Verb::Setup => setup::run()?,
        Verb::Build(arguments) => build::run(&arguments)?,
        Verb::Lint(arguments) => lint::run(&arguments)?,
        Verb::Package(arguments) => package::run(&arguments)?,
        Verb::Abi(arguments) => abi::run(&arguments)?,
        Verb::Audit(arguments) => {
            if !audit::run(&arguments)? {
                return Ok(ExitCode::FAILURE);
            }
        }
        Verb::Bench(arguments) => bench::run(&arguments)?,
        Verb::Demo => return rig::demo(),
        Verb::Rig(arguments) => return rig::run(&arguments),
        Verb::Test(arguments) => {
            if !test::run(&arguments)? {
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Arguments;

    #[test]
    fn cargo_make_offers_every_verb() {
        let makefile = include_str!("../../../Makefile.toml");
        for verb in Arguments::command().get_subcommands() {
            let call = format!(r#"args = ["xtask", "{}""#, verb.get_name());
            assert!(makefile.contains(&call), "Makefile.toml has no {call}");
        }
    }
}

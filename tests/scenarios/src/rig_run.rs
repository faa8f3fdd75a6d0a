//! A rig for a person: runs one eductl command in it, or keeps it up for as long
//! as it is wanted.

use std::{
    io::{self, Write as _},
    process::{Command, ExitCode},
    time::Duration,
};

use anyhow::Context as _;
use clap::Parser;

use crate::{
    artifacts::Artifacts, cases, ended::Outcome, options::MachineOptions, rules, running::Running,
    summary::Summary,
};

/// Boot edu.sys in the rig
#[derive(Debug, Parser)]
#[command(name = "rig-run", bin_name = "cargo xtask rig")]
struct Arguments {
    #[command(flatten)]
    machine: MachineOptions,
    /// Print the kernel's rules and what proves that the rig enforces each, as a
    /// Markdown table
    #[arg(long, exclusive = true)]
    rules: bool,
    /// Print the names of all scenarios
    #[arg(long, exclusive = true)]
    list: bool,
    /// What to have eductl do; without this the rig stays up until Enter is pressed
    #[arg(last = true, value_name = "EDUCTL-ARGS")]
    eductl: Vec<String>,
}

/// The program `rig-run`.
#[must_use]
pub fn main() -> ExitCode {
    run(&Arguments::parse()).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if arguments.rules {
        rules::print()?;
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.list {
        for name in cases::names()? {
            writeln!(io::stdout().lock(), "{name}").context("cannot print the names")?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let artifacts = Artifacts::find()?;
    let mut machine = arguments.machine.machine(&artifacts);
    let stays = arguments.eductl.is_empty();
    if stays || arguments.machine.waits_for_debugger() {
        machine = machine.with_time_limit(Duration::ZERO);
    }
    let running = machine.start()?;
    if arguments.machine.waits_for_debugger() {
        eprintln!("The machine waits for a debugger: gdb -ex 'target remote localhost:1234'");
    }
    let (running, ready) = running.wait_ready()?;
    eprintln!(
        "The rig is ready after {:.1} s: {} processor(s), {} device(s), {}, driver {}.",
        running.age().as_secs_f64(),
        ready.processors,
        ready.devices,
        ready.irq,
        ready.driver
    );
    let code = if stays {
        keep_up(&artifacts, &running)?;
        0
    } else {
        eductl(&artifacts, &running, &arguments.eductl)?
    };
    let (report, ended) = running.shut_down()?;
    if let Some(report) = report {
        eprintln!("{}", Summary(&report));
    }
    if ended.outcome != Outcome::Success {
        eprintln!("error: {ended}");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::from(code))
}

/// Runs eductl and returns its exit code.
fn eductl(artifacts: &Artifacts, running: &Running, arguments: &[String]) -> anyhow::Result<u8> {
    // Ctrl-C is eductl's: the rig is to be taken down after it, not left behind.
    ctrlc::set_handler(|| ()).context("cannot leave Ctrl-C to eductl")?;
    let program = artifacts.eductl();
    let status = Command::new(&program)
        .arg("--rig")
        .arg(running.socket())
        .args(arguments)
        .status()
        .with_context(|| format!("cannot start {}", program.display()))?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1))
}

fn keep_up(artifacts: &Artifacts, running: &Running) -> anyhow::Result<()> {
    eprintln!(
        "Drive it from elsewhere with\n    {} --rig {} COMMAND\nand press Enter here to end it.",
        artifacts.eductl().display(),
        running.socket().display()
    );
    io::stdin()
        .read_line(&mut String::new())
        .context("cannot read from the terminal")?;
    Ok(())
}

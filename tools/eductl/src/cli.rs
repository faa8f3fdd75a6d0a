//! The command line: arguments in, text or JSON out, an exit code.

mod bugcheck;
mod interruption;
#[cfg(windows)]
mod package;
mod transfer;
mod watch;

#[cfg(unix)]
use std::path::PathBuf;
use std::{
    fmt,
    io::{self, IsTerminal as _, Write},
    num::ParseIntError,
    process::ExitCode,
};

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use edu_interface::{DEFAULT_TIMEOUT_MS, MAX_TIMEOUT_MS};
use serde::Serialize;

use crate::{
    commands::{CommandError, factorial, info, liveness, raise, stats, trace},
    device::{Device, DeviceError},
    stop::{Interruptible, Stop},
    stress,
    transport::{Open, System, TransportError},
    verify,
};

const EXIT_CODES: &str = "\
Exit codes:
  0    it worked, and every answer was right
  1    the device or the driver answered wrongly, or refused; or a file cannot be used
  2    the command line is wrong
  3    no device, or it cannot be reached
  130  interrupted with Ctrl-C; what was under way is cancelled";

const RIGHT: u8 = 0;
const WRONG: u8 = 1;
const USAGE: u8 = 2;
const UNREACHABLE: u8 = 3;
const INTERRUPTED: u8 = 130;

/// Drives the edu device through edu.sys.
#[derive(Debug, Parser)]
#[command(name = "eductl", version, about, after_help = EXIT_CODES)]
pub struct Arguments {
    /// The rig's command channel; `cargo xtask rig -- COMMAND` starts a rig and gives it
    #[cfg(unix)]
    #[arg(long, value_name = "SOCKET")]
    rig: Option<PathBuf>,

    /// Which device, if there are several, counted from 0
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    device: usize,

    /// Print one JSON object instead of text; `watch` prints one a line
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    OnDevice(DeviceCommand),
    /// Print a script that completes this program's command lines in a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Say why edu.sys stopped the machine, and where, of what Windows shows of a bug check;
    /// needs no device, and all numbers are hexadecimal, as WinDbg writes them
    Bugcheck(bugcheck::BugcheckArguments),
    /// Install the driver package; only an administrator may
    #[cfg(windows)]
    Install(package::PackageArguments),
    /// Take the driver off its devices and out of the driver store; only an
    /// administrator may
    #[cfg(windows)]
    Uninstall(package::PackageArguments),
    /// Check all of it against values computed here; resets the counters, leaves the
    /// recorder off, and nothing else may use the device meanwhile
    Verify {
        /// What chooses the random data; without it, every run has other data
        #[arg(long, value_name = "N")]
        seed: Option<u64>,
    },
    /// Do everything at once from several threads, cancel some of it at random, and check
    /// every answer; nothing else may use the device meanwhile
    Stress(stress::Options),
}

/// The commands that need one handle and no more.
#[derive(Debug, Subcommand)]
enum DeviceCommand {
    /// Show the device's revision, its interrupt and the processors
    Info,
    /// Write a value to the liveness register and expect its inverse
    Liveness {
        /// Decimal, or hexadecimal with 0x
        #[arg(value_parser = number, default_value = "0x12345678")]
        value: u32,
    },
    /// Have the device compute N! modulo 2^32
    Factorial {
        /// Decimal, or hexadecimal with 0x
        #[arg(value_parser = number)]
        n: u32,
        #[command(flatten)]
        time: TimeOut,
    },
    /// Have the device interrupt
    Raise {
        /// Interrupt status bits: decimal, or hexadecimal with 0x; not zero
        #[arg(value_parser = number)]
        mask: u32,
        /// How often each thread does so
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        times: u32,
        /// Threads that do so at the same time
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
        threads: u32,
        #[command(flatten)]
        time: TimeOut,
    },
    /// Read bytes from the device's buffer
    Read(transfer::ReadArguments),
    /// Write bytes to the device's buffer
    Write(transfer::WriteArguments),
    /// Show interrupts as they come, until Ctrl-C
    Watch(watch::WatchArguments),
    /// Show what the driver has counted
    Stats(stats::Options),
    /// Write what each processor did to a file: its interrupts, critical sections and DPCs
    Trace(trace::Options),
}

#[derive(Debug, clap::Args)]
struct TimeOut {
    /// Time-out in milliseconds; 0 is the driver's own
    #[arg(
        long = "timeout-ms",
        value_name = "MS",
        default_value_t = 0,
        help = format!(
            "Time-out in milliseconds, at most {MAX_TIMEOUT_MS}; 0 means {DEFAULT_TIMEOUT_MS}"
        )
    )]
    timeout_ms: u32,
}

/// Runs the program with the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    let stop = Stop::default();
    let (mut output, mut messages) = (io::stdout().lock(), io::stderr().lock());
    if let Err(error) = interruption::watch_for(stop.clone()) {
        // Without it the program still works, and Ctrl-C ends it at once.
        drop(writeln!(
            messages,
            "eductl: Ctrl-C cannot be watched for: {error}"
        ));
    }
    let mut console = Console {
        to_terminal: output.is_terminal(),
        output: &mut output,
        messages: &mut messages,
    };
    ExitCode::from(execute(&Arguments::parse(), &mut console, &stop))
}

/// Where results and messages go.
struct Console<'a> {
    output: &'a mut dyn Write,
    /// Whether `output` is a terminal.
    to_terminal: bool,
    messages: &'a mut dyn Write,
}

/// Runs one command, prints its result or its failure, and returns the exit code.
fn execute(arguments: &Arguments, console: &mut Console<'_>, stop: &Stop) -> u8 {
    let outcome = run(arguments, console, stop).unwrap_or_else(|error| {
        // Where messages cannot be written, the exit code must do.
        drop(writeln!(console.messages, "eductl: {error}"));
        let json = serde_json::json!({ "error": error.to_string() });
        Outcome {
            printed: arguments.json.then(|| with_line_end(json.to_string())),
            code: exit_code(&error),
        }
    });
    let Some(printed) = outcome.printed else {
        return outcome.code;
    };
    match console
        .output
        .write_all(&printed)
        .and_then(|()| console.output.flush())
    {
        Ok(()) => outcome.code,
        Err(error) => {
            drop(writeln!(
                console.messages,
                "eductl: {}",
                CommandError::output(error)
            ));
            WRONG
        }
    }
}

/// What is to be printed, if anything, and the exit code.
struct Outcome {
    printed: Option<Vec<u8>>,
    code: u8,
}

impl Outcome {
    fn of<R: fmt::Display + Serialize>(result: &R, right: bool, json: bool) -> Self {
        let text = if json {
            serde_json::to_value(result)
                .unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }))
                .to_string()
        } else {
            result.to_string()
        };
        Self {
            code: if right { RIGHT } else { WRONG },
            ..Self::text(text)
        }
    }

    fn text(text: String) -> Self {
        Self::bytes(with_line_end(text))
    }

    const fn bytes(bytes: Vec<u8>) -> Self {
        Self {
            printed: Some(bytes),
            code: RIGHT,
        }
    }

    /// This result, which is what there was when the user pressed Ctrl-C, if so.
    fn interrupted_if(self, interrupted: bool) -> Self {
        Self {
            code: if interrupted { INTERRUPTED } else { self.code },
            ..self
        }
    }
}

fn with_line_end(mut text: String) -> Vec<u8> {
    text.push('\n');
    text.into_bytes()
}

#[cfg(unix)]
fn connect(arguments: &Arguments) -> Result<Box<dyn System>, CommandError> {
    let socket = arguments.rig.as_deref().ok_or_else(|| {
        CommandError::Usage(
            "on this system the device is in a rig: `--rig SOCKET` says which. \
             `cargo xtask rig -- COMMAND` starts one and gives it."
                .to_owned(),
        )
    })?;
    let rig = crate::rig::Rig::connect(socket).map_err(DeviceError::from)?;
    Ok(Box::new(rig))
}

#[cfg(windows)]
#[expect(
    clippy::unnecessary_wraps,
    reason = "elsewhere a connection must be made, which can fail"
)]
fn connect(_arguments: &Arguments) -> Result<Box<dyn System>, CommandError> {
    Ok(Box::new(crate::windows::DeviceInterface))
}

fn run(
    arguments: &Arguments,
    console: &mut Console<'_>,
    stop: &Stop,
) -> Result<Outcome, CommandError> {
    let json = arguments.json;
    let connect = || connect(arguments).map(|system| Interruptible::new(system, stop.clone()));
    match &arguments.command {
        Command::Completions { shell } => Ok(completions(*shell)),
        Command::Bugcheck(arguments) => arguments.run(json),
        #[cfg(windows)]
        Command::Install(package) => package.install(json),
        #[cfg(windows)]
        Command::Uninstall(package) => package.uninstall(json),
        Command::Verify { seed } => {
            let (system, number) = (connect()?, arguments.device);
            let verification = match seed {
                Some(seed) => verify::run_with_seed(&system, number, *seed)?,
                None => verify::run(&system, number)?,
            };
            Ok(Outcome::of(&verification, verification.passed(), json))
        }
        Command::Stress(options) => {
            let mut bar = stress::Bar::new();
            let totals = stress::run(
                &connect()?,
                arguments.device,
                &options.plan(),
                &|| stop.requested(),
                &mut |progress| bar.show(progress),
            )?;
            drop(bar);
            let interrupted = totals.ended == stress::Ended::Interrupted;
            Ok(Outcome::of(&totals, totals.passed(), json).interrupted_if(interrupted))
        }
        Command::OnDevice(command) => {
            let handle = connect()?
                .open(&Open::read_write(arguments.device))
                .map_err(DeviceError::from)?;
            let device = Device::new(handle.as_ref());
            let outcome = run_on(&device, command, console, stop, json)?;
            handle.close().map_err(DeviceError::from)?;
            Ok(outcome)
        }
    }
}

fn completions(shell: Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "eductl", &mut script);
    Outcome::bytes(script)
}

fn run_on(
    device: &Device<'_>,
    command: &DeviceCommand,
    console: &mut Console<'_>,
    stop: &Stop,
    json: bool,
) -> Result<Outcome, CommandError> {
    Ok(match command {
        DeviceCommand::Info => Outcome::of(&info::run(device)?, true, json),
        DeviceCommand::Liveness { value } => {
            Outcome::of(&liveness::run(device, *value)?, true, json)
        }
        DeviceCommand::Factorial { n, time } => {
            Outcome::of(&factorial::run(device, *n, time.timeout_ms)?, true, json)
        }
        DeviceCommand::Raise {
            mask,
            times,
            threads,
            time,
        } => {
            let burst = raise::Burst {
                times: *times,
                threads: *threads,
            };
            let result = raise::run(device, *mask, time.timeout_ms, burst)?;
            Outcome::of(&result, true, json)
        }
        DeviceCommand::Read(arguments) => arguments.run(device, json, console.to_terminal)?,
        DeviceCommand::Write(arguments) => arguments.run(device, json)?,
        DeviceCommand::Watch(arguments) => arguments.run(device, json, console.output)?,
        DeviceCommand::Trace(options) => {
            Outcome::of(&trace::run(device, options, stop)?, true, json)
                .interrupted_if(stop.requested())
        }
        DeviceCommand::Stats(options) => {
            Outcome::of(&stats::run(device, options, stop)?, true, json)
                .interrupted_if(stop.requested())
        }
    })
}

fn exit_code(error: &CommandError) -> u8 {
    match error {
        CommandError::Device(DeviceError::Transport(
            TransportError::NoDevice(_) | TransportError::Lost { .. },
        )) => UNREACHABLE,
        CommandError::Device(DeviceError::Transport(TransportError::Interrupted(_))) => INTERRUPTED,
        CommandError::Usage(_) => USAGE,
        CommandError::Device(_)
        | CommandError::WrongAnswer(_)
        | CommandError::File { .. }
        | CommandError::NothingToShow(_)
        | CommandError::Output(_) => WRONG,
    }
}

/// A number as people write it: decimal, or hexadecimal with `0x`.
fn number(text: &str) -> Result<u32, ParseIntError> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    }
}

#[cfg(all(test, unix))]
mod tests;

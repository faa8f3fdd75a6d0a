//! The command line: arguments in, text or JSON out, an exit code.

#[cfg(unix)]
use std::path::PathBuf;
use std::{fmt, io::Write, num::ParseIntError, process::ExitCode};

use clap::{Parser, Subcommand};
use edu_interface::{DEFAULT_TIMEOUT_MS, MAX_TIMEOUT_MS};
use serde::Serialize;

use crate::{
    commands::{CommandError, factorial, info, liveness, raise, stats, trace},
    device::{Device, DeviceError},
    stop::Stop,
    transport::{Open, System, TransportError},
    verify,
};

const EXIT_CODES: &str = "\
Exit codes:
  0    it worked, and every answer was right
  1    the device or the driver answered wrongly, or refused
  2    the command line is wrong
  3    no device, or it cannot be reached
  130  interrupted with Ctrl-C";

const RIGHT: u8 = 0;
const WRONG: u8 = 1;
const UNREACHABLE: u8 = 3;
const INTERRUPTED: u8 = 130;

/// Drives the edu device through edu.sys.
#[derive(Debug, Parser)]
#[command(name = "eductl", version, about, after_help = EXIT_CODES)]
pub struct Arguments {
    /// The rig's command channel; `cargo xtask rig -- COMMAND` starts a rig and gives it
    #[cfg(unix)]
    #[arg(long, value_name = "SOCKET")]
    rig: PathBuf,

    /// Which device, if there are several, counted from 0
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    device: usize,

    /// Print one JSON object instead of text
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    OnDevice(DeviceCommand),
    /// Check all of it against values computed here; resets the counters, and
    /// nothing else may use the device meanwhile
    Verify,
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
    let (mut output, mut messages) = (std::io::stdout().lock(), std::io::stderr().lock());
    ExitCode::from(execute(&Arguments::parse(), &mut output, &mut messages))
}

/// Runs one command, prints its result or its failure, and returns the exit code.
fn execute(arguments: &Arguments, output: &mut dyn Write, messages: &mut dyn Write) -> u8 {
    let outcome = connect(arguments).and_then(|system| run(system.as_ref(), arguments));
    let (text, code) = match outcome {
        Ok(Outcome { text, right: true }) => (Some(text), RIGHT),
        Ok(Outcome { text, right: false }) => (Some(text), WRONG),
        Err(error) => {
            // Where messages cannot be written, the exit code must do.
            drop(writeln!(messages, "eductl: {error}"));
            let json = serde_json::json!({ "error": error.to_string() });
            (arguments.json.then(|| json.to_string()), exit_code(&error))
        }
    };
    let Some(text) = text else {
        return code;
    };
    match writeln!(output, "{text}").and_then(|()| output.flush()) {
        Ok(()) => code,
        Err(error) => {
            drop(writeln!(
                messages,
                "eductl: the result cannot be printed: {error}"
            ));
            WRONG
        }
    }
}

struct Outcome {
    text: String,
    right: bool,
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
        Self { text, right }
    }
}

#[cfg(unix)]
fn connect(arguments: &Arguments) -> Result<Box<dyn System>, CommandError> {
    let rig = crate::rig::Rig::connect(&arguments.rig).map_err(DeviceError::from)?;
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

fn run(system: &dyn System, arguments: &Arguments) -> Result<Outcome, CommandError> {
    let json = arguments.json;
    match &arguments.command {
        Command::Verify => {
            let verification = verify::run(system, arguments.device)?;
            Ok(Outcome::of(&verification, verification.passed(), json))
        }
        Command::OnDevice(command) => {
            let handle = system
                .open(&Open::read_write(arguments.device))
                .map_err(DeviceError::from)?;
            let outcome = run_on(
                &Device::new(handle.as_ref()),
                command,
                &Stop::default(),
                json,
            )?;
            handle.close().map_err(DeviceError::from)?;
            Ok(outcome)
        }
    }
}

fn run_on(
    device: &Device<'_>,
    command: &DeviceCommand,
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
        DeviceCommand::Trace(options) => {
            Outcome::of(&trace::run(device, options, stop)?, true, json)
        }
        DeviceCommand::Stats(options) => {
            Outcome::of(&stats::run(device, options, stop)?, true, json)
        }
    })
}

fn exit_code(error: &CommandError) -> u8 {
    match error {
        CommandError::Device(DeviceError::Transport(
            TransportError::NoDevice(_) | TransportError::Lost { .. },
        )) => UNREACHABLE,
        CommandError::Device(DeviceError::Transport(TransportError::Interrupted(_))) => INTERRUPTED,
        CommandError::Device(_)
        | CommandError::WrongAnswer(_)
        | CommandError::File { .. }
        | CommandError::NothingToShow(_) => WRONG,
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

//! A run of which each instruction of the driver's is written down, for `cargo xtask bench`.
//!
//! One processor, whose time is its instructions' (`-icount`), does a script of requests. QEMU
//! writes down each instruction that is executed where driver images are; the rig marks there
//! what it knows (`tests/rig/src/nt/measure.rs`). So nothing is added to what the driver
//! executes, and nothing has to be taken off again.

mod answers;
mod plan;
mod script;

use std::{collections::BTreeMap, fs, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, ensure};
use clap::Parser;

use crate::{
    artifacts::Artifacts,
    ended::{Ended, Outcome},
    machine::{Instructions, Machine},
    record::Record,
};
use plan::{Meaning, Measured};
use script::{Extent, Script};

/// Have QEMU write down each instruction of a driver's while it does fixed requests
#[derive(Debug, Parser)]
#[command(name = "rig-measure")]
struct Arguments {
    /// The driver
    #[arg(long, value_name = "FILE.sys")]
    driver: PathBuf,
    /// Where QEMU writes the instructions
    #[arg(long, value_name = "FILE")]
    instructions: PathBuf,
    /// With the processor's registers before each, which is much to write: one request of each
    /// kind, and nothing else
    #[arg(long, conflicts_with = "units")]
    registers: bool,
    /// Where it is written what the run did
    #[arg(long, value_name = "FILE")]
    plan: PathBuf,
    /// How often each kind of request is made
    #[arg(long, value_name = "N", default_value_t = 5,
          value_parser = clap::value_parser!(u32).range(1..=20))]
    units: u32,
}

/// The program `rig-measure`.
#[must_use]
pub fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut script = Script::new(if arguments.registers {
        Extent::Least
    } else {
        Extent::Everything {
            units: arguments.units,
        }
    });
    let ended = Machine::new(&Artifacts::find()?)
        .with_driver(&arguments.driver)
        .with_option("measure=on")
        .with_script(script.bytes()?)
        .writing_instructions(Instructions {
            file: arguments.instructions.clone(),
            has_registers: arguments.registers,
        })
        .start()?
        .wait_ended()?;
    ensure!(ended.outcome == Outcome::Success, "{ended}");
    answers::judge(&mut script, &ended.log)?;
    let measured = measured(script, &ended)?;
    let json = serde_json::to_string(&measured).context("the plan cannot be written")?;
    fs::write(&arguments.plan, json)
        .with_context(|| format!("cannot write {}", arguments.plan.display()))
}

/// What the run did, with what the rig said of it.
fn measured(script: Script, ended: &Ended) -> anyhow::Result<Measured> {
    let mut image = None;
    let mut marks = None;
    let mut names = BTreeMap::new();
    for line in &ended.log {
        match Record::parse(line)? {
            Some(Record::Module { name, base, size }) if name != "rig.efi" => {
                image = Some((base, size));
            }
            Some(Record::Marks {
                marks: at,
                known,
                instructions,
            }) => marks = Some((at, known, instructions)),
            Some(Record::Mark { code, what, name }) => {
                names.insert(code, Meaning { what, name });
            }
            _ => {}
        }
    }
    let (image, size) = image.context("the rig did not say where it has loaded the driver")?;
    let (marks, known, known_instructions) =
        marks.context("the rig did not say where its marks are")?;
    Ok(Measured {
        image,
        size,
        marks,
        known,
        known_instructions,
        names,
        phases: script.phases,
    })
}

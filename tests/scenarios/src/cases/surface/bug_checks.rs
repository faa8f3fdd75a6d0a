//! A driver stops the machine, and `eductl bugcheck` says why and where, of what the rig shows
//! as Windows does: the bug check's parameters, where the driver lies, the stack.

use std::{fs, path::Path};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use super::{List, Subject, machine};
use crate::{
    artifacts::Artifacts,
    cases::command_line::{eductl, exits_with, says},
    ended::{Ended, Outcome, Stop},
    log::records,
    record::Record,
};

/// The driver's checks that do not answer.
const DROPS_TOO_HIGH: u32 = 9;
const PANICS: u32 = 10;

const IMAGE: &str = "basics.sys";
/// Where they are, and where the library stops the machine.
const BROKEN: &str = "tests/drivers/basics/src/broken.rs";
const MAPPING: &str = "driver/dirql/src/io_mem/mod.rs";

pub(super) fn add(list: &mut List) {
    list.add("bugcheck/invariant", invariant);
    list.add("bugcheck/panic", panic);
}

fn invariant(artifacts: &Artifacts) -> anyhow::Result<()> {
    let (arguments, stop) = stopped(artifacts, DROPS_TOO_HIGH)?;
    ensure!(stop.code == "BUGCHECK-0x4452514c", "{stop}");
    let printed = explained(artifacts, &arguments)?;
    ensure!(
        printed["cause"] == "invariant"
            && printed["reason"] == 2
            && printed["name"] == "DroppedTooHigh",
        "{printed}"
    );
    for (file, words) in [
        (MAPPING, "stop(Reason::DroppedTooHigh"),
        (BROKEN, "*kept = None"),
    ] {
        let line = line_of(file, words)?;
        ensure!(
            functions(&printed)
                .any(|function| { function["file"] == file && function["line"] == line }),
            "no call is in {file}:{line}: {printed:#}"
        );
    }
    Ok(())
}

fn panic(artifacts: &Artifacts) -> anyhow::Result<()> {
    let (arguments, stop) = stopped(artifacts, PANICS)?;
    ensure!(stop.code == "BUGCHECK-RPNC", "{stop}");
    let printed = explained(artifacts, &arguments)?;
    let line = line_of(BROKEN, "panic!(")?;
    ensure!(
        printed["cause"] == "panic"
            && printed["file"] == BROKEN
            && printed["line"] == line
            && printed["column"] == 5,
        "the panic is in {BROKEN}:{line}:5, but: {printed}"
    );
    // The symbols of another driver are noticed.
    let others = artifacts.symbols("edu.sys");
    let others = others.to_str().context("the path is not UTF-8")?;
    let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let pdb = arguments
        .iter()
        .position(|argument| *argument == "--pdb")
        .context("the symbols are named")?;
    arguments[pdb + 1] = others;
    let output = eductl(artifacts, &arguments)?;
    exits_with(&output, 1, &arguments)?;
    says(&output, "another build")
}

/// Runs a check that stops the machine; what `eductl` is to be told of that.
fn stopped(artifacts: &Artifacts, check: u32) -> anyhow::Result<(Vec<String>, Stop)> {
    let machine = machine(artifacts, "basics", 1)?;
    let (running, _) = machine.start()?.wait_ready()?;
    let rig = running.connect()?;
    let answer = Subject::open(&rig, 0)?.start(check, &[7])?.wait();
    ensure!(answer.is_err(), "check {check} answered");
    let ended = running.wait_ended()?;
    ensure!(ended.outcome == Outcome::Violation, "{ended}");
    let stop = ended.stop.clone().context("the rig did not say why")?;
    let driver = artifacts.test_driver("basics")?;
    let pdb = artifacts.symbols(IMAGE);
    let base = base(&ended)?;
    let mut arguments = vec!["bugcheck".to_owned()];
    arguments.extend(parameters(&stop)?);
    arguments.push("--base".to_owned());
    // As WinDbg writes it.
    arguments.push(format!("{:08x}`{:08x}", base >> 32, base & 0xffff_ffff));
    for (option, path) in [("--image", &driver), ("--pdb", &pdb)] {
        let path = path.to_str().context("the path is not UTF-8")?;
        arguments.extend([option.to_owned(), path.to_owned()]);
    }
    for address in return_addresses(&stop, base) {
        arguments.extend(["--address".to_owned(), format!("{address:x}")]);
    }
    Ok((arguments, stop))
}

/// The code and the parameters, as the rig shows them.
fn parameters(stop: &Stop) -> anyhow::Result<Vec<String>> {
    let text = stop.text.join(" ");
    let (_, shown) = text
        .split_once("bug check ")
        .with_context(|| format!("there is no bug check: {stop}"))?;
    let numbers: Vec<String> = shown
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|word| word.starts_with("0x"))
        .map(str::to_owned)
        .collect();
    ensure!(numbers.len() == 5, "a code and four parameters: {shown}");
    Ok(numbers)
}

fn base(ended: &Ended) -> anyhow::Result<u64> {
    for record in records(&ended.log) {
        if let Record::Module { name, base, .. } = record
            && name == IMAGE
        {
            return Ok(base);
        }
    }
    bail!("the rig did not say where the driver is")
}

/// The driver's, of the stack that the rig shows, whose lines have the addresses of calls.
fn return_addresses(stop: &Stop, base: u64) -> Vec<u64> {
    let mut found: Vec<u64> = stop
        .frames
        .iter()
        .filter_map(|frame| {
            let offset = frame.strip_prefix(IMAGE)?.strip_prefix("+0x")?;
            let digits = offset.split_whitespace().next()?;
            Some(base + u64::from_str_radix(digits, 16).ok()? + 1)
        })
        .collect();
    found.dedup();
    found
}

/// What `eductl` prints.
fn explained(artifacts: &Artifacts, arguments: &[String]) -> anyhow::Result<Value> {
    let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    arguments.push("--json");
    let output = eductl(artifacts, &arguments)?;
    exits_with(&output, 0, &arguments)?;
    serde_json::from_slice(&output.stdout).context("eductl did not print JSON")
}

/// All functions of all calls.
fn functions(printed: &Value) -> impl Iterator<Item = &Value> {
    let calls = printed["calls"].as_array();
    calls
        .into_iter()
        .flatten()
        .filter_map(|call| call["functions"].as_array())
        .flatten()
}

/// The line of the source that has these words, counted from 1.
fn line_of(file: &str, words: &str) -> anyhow::Result<usize> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(file);
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines: Vec<usize> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains(words))
        .map(|(place, _)| place + 1)
        .collect();
    let [line] = lines.as_slice() else {
        bail!("{file} has {words:?} in {} lines", lines.len());
    };
    Ok(*line)
}

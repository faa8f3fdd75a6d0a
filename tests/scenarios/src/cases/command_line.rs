//! eductl as a program: what it prints, and its exit codes.

use std::process::{Command, Output};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::{List, support::take_down};
use crate::{artifacts::Artifacts, machine::Machine, running::Running};

pub(super) fn add(list: &mut List) {
    list.add("eductl/in-the-rig", in_the_rig);
    list.add("eductl/no-rig", no_rig);
}

fn in_the_rig(artifacts: &Artifacts) -> anyhow::Result<()> {
    let machine = Machine::new(artifacts).with_processors(2);
    let (running, _) = machine.start()?.wait_ready()?;
    let outcome = use_it(artifacts, &running);
    take_down(running, outcome)?;
    Ok(())
}

fn use_it(artifacts: &Artifacts, running: &Running) -> anyhow::Result<()> {
    let socket = running.socket();
    let socket = socket.to_str().context("the socket's path is not UTF-8")?;
    let eductl = |arguments: &[&str]| eductl(artifacts, &[&["--rig", socket], arguments].concat());
    let answers: [(&[&str], Value); 5] = [
        (
            &["--json", "liveness", "0xff"],
            json!({"value": 0xff_u32, "answer": !0xff_u32}),
        ),
        (
            &["factorial", "13", "--json"],
            json!({"n": 13, "value": 0x7328_cc00_u32, "wrapped": true}),
        ),
        (
            &["--json", "raise", "0x101", "--timeout-ms", "20000"],
            json!({"mask": 0x101, "causes": 0x101, "interrupts": 1, "threads": 1}),
        ),
        (
            &["--json", "raise", "2", "--times", "5", "--threads", "3"],
            json!({"mask": 2, "causes": 2, "interrupts": 15, "threads": 3}),
        ),
        (
            &["--json", "stats", "--reset"],
            json!({
                "interrupts_claimed": 17, "operations_started": 17, "operations_completed": 17,
                "liveness_checks": 1, "operations_timed_out": 0, "operations_aborted": 0,
            }),
        ),
    ];
    for (arguments, wanted) in answers {
        let output = eductl(arguments)?;
        exits_with(&output, 0, arguments)?;
        let printed: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("eductl {arguments:?} did not print JSON"))?;
        for (key, value) in wanted.as_object().context("an object")? {
            ensure!(
                printed.get(key) == Some(value),
                "eductl {arguments:?}: {key} should be {value}: {printed}"
            );
        }
    }
    let failures: [(&[&str], i32, &str); 6] = [
        (&["raise", "0"], 1, "STATUS_INVALID_PARAMETER"),
        (
            &["factorial", "5", "--timeout-ms", "60001"],
            1,
            "STATUS_INVALID_PARAMETER",
        ),
        (&["factorial", "many"], 2, "invalid value 'many'"),
        (&["--device", "1", "info"], 3, "there is no device 1"),
        (&["frobnicate"], 2, "unrecognized subcommand"),
        (&["raise", "1", "--threads", "65"], 2, "65"),
    ];
    for (arguments, code, words) in failures {
        let output = eductl(arguments)?;
        exits_with(&output, code, arguments)?;
        says(&output, words)?;
    }
    let output = eductl(&["info"])?;
    exits_with(&output, 0, &["info"])?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(text.contains("revision 1.0"), "eductl info printed: {text}");
    Ok(())
}

fn no_rig(artifacts: &Artifacts) -> anyhow::Result<()> {
    let arguments = ["--rig", "/nowhere/socket", "info"];
    let output = eductl(artifacts, &arguments)?;
    exits_with(&output, 3, &arguments)?;
    says(&output, "no rig listens at /nowhere/socket")?;
    let help = eductl(artifacts, &["--help"])?;
    exits_with(&help, 0, &["--help"])?;
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    for word in [
        "info",
        "liveness",
        "factorial",
        "raise",
        "stats",
        "trace",
        "verify",
        "Exit codes",
    ] {
        ensure!(
            text.contains(word),
            "the help does not mention {word}: {text}"
        );
    }
    Ok(())
}

pub(super) fn eductl(artifacts: &Artifacts, arguments: &[&str]) -> anyhow::Result<Output> {
    let program = artifacts.eductl();
    Command::new(&program)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot start {}", program.display()))
}

pub(super) fn exits_with(output: &Output, code: i32, arguments: &[&str]) -> anyhow::Result<()> {
    ensure!(
        output.status.code() == Some(code),
        "eductl {arguments:?} should exit with {code}, but: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

pub(super) fn says(output: &Output, words: &str) -> anyhow::Result<()> {
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(
        text.contains(words),
        "the message should say {words:?}: {text}"
    );
    Ok(())
}

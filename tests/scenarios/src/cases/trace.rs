//! `eductl trace`: the documentation's picture of the interrupt spin lock, out of a run on
//! four processors: an ISR, two critical sections of which one spins while the other
//! holds the lock, and a DPC on another processor. The rig delays processors that hold
//! locks, for critical sections are so short that they seldom meet by themselves, and
//! interrupts each processor in turn, for a DPC runs where it was asked for.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use roxmltree::{Document, Node};
use serde_json::Value;

use super::{
    List,
    command_line::{eductl, exits_with},
    support::take_down,
};
use crate::{
    artifacts::Artifacts,
    machine::{Interrupts, Machine},
    running::Running,
};

/// How long critical sections may take to meet. Most often it takes a second.
const LIMIT: Duration = Duration::from_mins(3);

pub(super) fn add(list: &mut List) {
    for interrupts in [Interrupts::Msi, Interrupts::Intx] {
        list.add(
            format!("trace/4-processors-{interrupts}"),
            move |artifacts| traced(artifacts, interrupts),
        );
    }
}

fn traced(artifacts: &Artifacts, interrupts: Interrupts) -> anyhow::Result<()> {
    let machine = Machine::new(artifacts)
        .with_processors(4)
        .with_interrupts(interrupts)
        .with_option("delays=1")
        .with_option("irq-target=rotate");
    let (running, _) = machine.start()?.wait_ready()?;
    let outcome = pictures(artifacts, &running);
    take_down(running, outcome)?;
    Ok(())
}

fn pictures(artifacts: &Artifacts, running: &Running) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("no folder for the pictures")?;
    let file = |name: &str| folder.path().join(name);
    let (svg, html, json) = (file("trace.svg"), file("trace.html"), file("trace.json"));
    let begin = Instant::now();
    let told = loop {
        let told = trace(artifacts, running, &[&svg, &html, &json])?;
        if told["scene"].is_object() {
            break told;
        }
        ensure!(
            begin.elapsed() < LIMIT,
            "no critical section spun near an ISR and a DPC: {told}"
        );
    };
    let scene = &told["scene"];
    let processor = |part: &str| scene[part]["processor"].as_u64();
    ensure!(
        processor("holds") != processor("spins") && processor("isr") != processor("dpc"),
        "the parts are to be on different processors: {told}"
    );
    ensure!(told["unusable"] == 0, "records make no sense: {told}");
    picture(&fs::read_to_string(&svg)?)?;
    let page = fs::read_to_string(&html)?;
    for words in ["<!DOCTYPE html>", "lock waited for", "</html>"] {
        ensure!(page.contains(words), "the page lacks {words}");
    }
    trace_events(&fs::read_to_string(&json)?)
}

/// Runs `eductl trace` and returns what it printed.
fn trace(artifacts: &Artifacts, running: &Running, files: &[&Path]) -> anyhow::Result<Value> {
    let socket = running.socket();
    let socket = socket.to_str().context("the socket's path is not UTF-8")?;
    let mut arguments = vec![
        "--rig",
        socket,
        "--json",
        "trace",
        "--seconds",
        "1",
        "--load",
    ];
    for file in files {
        arguments.extend(["-o", file.to_str().context("a file's path is not UTF-8")?]);
    }
    let output = eductl(artifacts, &arguments)?;
    exits_with(&output, 0, &arguments)?;
    serde_json::from_slice(&output.stdout).context("eductl trace did not print JSON")
}

/// The picture has all four parts, each pointed at and explained.
fn picture(text: &str) -> anyhow::Result<()> {
    let document = Document::parse(text).context("the picture is no XML")?;
    let of_class = |class: &str| {
        document
            .descendants()
            .filter(|node| node.attribute("class") == Some(class))
            .collect::<Vec<Node<'_, '_>>>()
    };
    // The timer's DPC has the colour of what no ISR asks for.
    for classes in [&["isr"][..], &["held"], &["spin"], &["dpc", "other"]] {
        let mut bars = classes.iter().flat_map(|class| of_class(class));
        ensure!(
            bars.any(|bar| bar.attribute("data-a").is_some()),
            "no bar of the picture is of class {classes:?}"
        );
    }
    let pointers = of_class("pointer").len();
    ensure!(pointers == 4, "{pointers} of 4 parts are pointed at");
    Ok(())
}

/// The trace events have what Perfetto needs to show the same.
fn trace_events(text: &str) -> anyhow::Result<()> {
    let file: Value = serde_json::from_str(text).context("the trace is no JSON")?;
    let events = file["traceEvents"].as_array().context("no events")?;
    let mut processors = BTreeSet::new();
    for event in events {
        let phase = event["ph"].as_str().context("an event without a phase")?;
        ensure!(
            event["ts"].is_f64() && event["pid"].is_u64() && event["tid"].is_u64(),
            "no time or track: {event}"
        );
        match phase {
            "X" => {
                ensure!(event["dur"].as_f64() >= Some(0.0), "no duration: {event}");
                processors.insert(event["args"]["processor"].as_u64());
            }
            "M" | "C" | "i" => {}
            _ => anyhow::bail!("phase {phase} means nothing here: {event}"),
        }
    }
    for name in [
        "ISR",
        "critical section",
        "StartIo",
        "DpcForIsr",
        "completion",
    ] {
        ensure!(
            events.iter().any(|event| event["cat"] == name),
            "nothing of the trace is of category {name}"
        );
    }
    ensure!(
        processors.len() > 1,
        "all of it happened on one processor: {processors:?}"
    );
    Ok(())
}

//! eductl as people use it: files into the device and out of it, and Ctrl-C.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{
    List,
    command_line::{exits_with, says},
    support::take_down,
};
use crate::{artifacts::Artifacts, machine::Machine};

/// What 128 and the number of SIGINT make, for a program that it ended.
const INTERRUPTED: i32 = 130;
/// How long eductl may take to be ready for Ctrl-C.
const READY_LIMIT: Duration = Duration::from_mins(1);
/// The device computes it for seconds.
const LARGE: &str = "2000000000";

pub(super) fn add(list: &mut List) {
    list.add("eductl/files", |artifacts| {
        with_program(artifacts, Program::files)
    });
    list.add("eductl/ctrl-c", |artifacts| {
        with_program(artifacts, Program::ctrl_c)
    });
    list.add("eductl/watch", |artifacts| {
        with_program(artifacts, Program::watch)
    });
}

fn with_program(
    artifacts: &Artifacts,
    case: impl FnOnce(&Program) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let machine = Machine::new(artifacts).with_processors(2);
    let (running, _) = machine.start()?.wait_ready()?;
    let outcome = case(&Program {
        path: artifacts.eductl(),
        socket: running.socket(),
    });
    take_down(running, outcome).map(drop)
}

/// eductl, for one rig.
struct Program {
    path: PathBuf,
    socket: PathBuf,
}

impl Program {
    fn start(&self, arguments: &[&str]) -> anyhow::Result<Child> {
        Command::new(&self.path)
            .arg("--rig")
            .arg(&self.socket)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", self.path.display()))
    }

    fn run(&self, arguments: &[&str], code: i32) -> anyhow::Result<Output> {
        let output = self.start(arguments)?.wait_with_output()?;
        exits_with(&output, code, arguments)?;
        Ok(output)
    }

    /// A file goes in and comes out again, as a file and through a pipe; bytes of the
    /// command line go in between.
    fn files(&self) -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let (original, copy) = (folder.path().join("original"), folder.path().join("copy"));
        let path = original.to_str().context("the path is not UTF-8")?;
        let copied = copy.to_str().context("the path is not UTF-8")?;
        let mut wanted: Vec<u8> = (0..4095_u32)
            .map(|n| (n * n / 8).to_le_bytes()[0])
            .collect();
        fs::write(&original, &wanted)?;
        self.run(&["write", "--input", path], 0)?;
        self.run(&["read", "--output", copied], 0)?;
        ensure!(fs::read(&copy)? == wanted, "another file came out");
        self.run(&["write", "--offset", "0x7fe", "00c0ffee", "00"], 0)?;
        wanted
            .get_mut(0x7fe..0x803)
            .context("it has 4095 bytes")?
            .copy_from_slice(&[0, 0xc0, 0xff, 0xee, 0]);
        let piped = self.run(&["read"], 0)?;
        ensure!(piped.stdout == wanted, "other bytes came through the pipe");
        let arguments = ["read", "--offset", "2047", "--length", "3", "--json"];
        let printed: Value = serde_json::from_slice(&self.run(&arguments, 0)?.stdout)?;
        ensure!(
            printed.get("data") == Some(&Value::from("c0ffee")),
            "{printed}"
        );
        let refused = self.run(&["read", "--offset", "4095"], 1)?;
        says(&refused, "STATUS_END_OF_FILE")?;
        let refused = self.run(&["write", "--offset", "4094", "0102"], 1)?;
        says(&refused, "STATUS_INVALID_PARAMETER")
    }

    /// Ctrl-C while the device works: the operation is taken back, and the device works
    /// again afterwards.
    fn ctrl_c(&self) -> anyhow::Result<()> {
        // The request needs some time to the device, and nobody can look meanwhile,
        // for the rig talks to one program at a time.
        for wait in [500, 1_000, 2_000, 4_000] {
            let arguments = ["factorial", LARGE, "--timeout-ms", "60000"];
            let child = self.start(&arguments)?;
            ready_for_signal(&child)?;
            thread::sleep(Duration::from_millis(wait));
            kill_process(Pid::from_child(&child), Signal::INT)?;
            let output = child.wait_with_output()?;
            let aborted = self.aborted()?;
            if aborted > 0 {
                exits_with(&output, INTERRUPTED, &arguments)?;
                says(&output, "FACTORIAL: interrupted")?;
                ensure!(aborted == 1, "{aborted} operations were taken back");
                // It waits for the device, which computes what nobody wants any more.
                self.run(&["factorial", "12", "--timeout-ms", "60000"], 0)?;
                return Ok(());
            }
        }
        anyhow::bail!("the device never had the request when Ctrl-C came")
    }

    /// `watch` shows what there was, and ends by itself, with its time, or with Ctrl-C.
    fn watch(&self) -> anyhow::Result<()> {
        self.run(&["raise", "0x102", "--times", "3"], 0)?;
        let watch = ["watch", "--json", "--from-oldest"];
        let counted = self.run(&[&watch[..], &["--count", "3"]].concat(), 0)?;
        shows(&counted, 3, "count")?;
        let timed = self.run(&[&watch[..], &["--seconds", "1"]].concat(), 0)?;
        shows(&timed, 3, "time")?;
        let child = self.start(&watch)?;
        ready_for_signal(&child)?;
        kill_process(Pid::from_child(&child), Signal::INT)?;
        let output = child.wait_with_output()?;
        exits_with(&output, INTERRUPTED, &watch)?;
        // The three interrupts may have been read before, or not.
        self.run(&["factorial", "5"], 0).map(drop)
    }

    fn aborted(&self) -> anyhow::Result<u64> {
        let output = self.run(&["stats", "--json"], 0)?;
        let printed: Value = serde_json::from_slice(&output.stdout)?;
        printed
            .get("operations_aborted")
            .and_then(Value::as_u64)
            .with_context(|| format!("no operations_aborted: {printed}"))
    }
}

/// Fails unless `count` interrupts were shown, in order, and then why it ended.
fn shows(output: &Output, count: u64, end: &str) -> anyhow::Result<()> {
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines().map(serde_json::from_str::<Value>);
    for sequence in 0..count {
        let line = lines.next().context("too few lines")??;
        ensure!(
            line.get("sequence") == Some(&Value::from(sequence))
                && line.get("causes") == Some(&Value::from(0x102)),
            "interrupt {sequence} is shown as {line}"
        );
    }
    let summary = lines.next().context("no summary")??;
    ensure!(
        summary.pointer("/summary/interrupts") == Some(&Value::from(count))
            && summary.pointer("/summary/end") == Some(&Value::from(end)),
        "{summary}"
    );
    ensure!(lines.next().is_none(), "too many lines: {text}");
    Ok(())
}

/// Waits until a program has a handler for SIGINT, which would end it before.
fn ready_for_signal(child: &Child) -> anyhow::Result<()> {
    const SIGINT: u32 = 2;
    let began = Instant::now();
    let path = format!("/proc/{}/status", child.id());
    loop {
        let status = fs::read_to_string(&path)?;
        let caught = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:"))
            .context("/proc tells no caught signals")?;
        if u64::from_str_radix(caught.trim(), 16)? >> (SIGINT - 1) & 1 != 0 {
            return Ok(());
        }
        ensure!(began.elapsed() < READY_LIMIT, "eductl never catches SIGINT");
        thread::sleep(Duration::from_millis(10));
    }
}

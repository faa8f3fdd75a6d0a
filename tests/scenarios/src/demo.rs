//! The demonstration: the shipped driver at work, told to somebody who has never
//! seen one.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Instant,
};

use anyhow::{Context as _, bail, ensure};
use edu_interface::Statistics;
use eductl::{Device, Open, System as _};
use rig_protocol::Report;
use serde_json::Value;

use crate::{
    artifacts::Artifacts,
    ended::Outcome,
    machine::{Interrupts, Machine},
    running::Running,
    summary::Summary,
};

const PROCESSORS: u32 = 4;

const THREADS: u64 = 4;

const RAISES_OF_EACH_THREAD: u64 = 25;

/// The factorial of 34 is the first that is 0 modulo 2^32.
const LAST_OPERAND: u64 = 34;

/// The program `rig-demo`.
#[must_use]
pub fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Recordings that are made until one shows all that there is to see.
const ATTEMPTS: u32 = 20;

/// Factorials beside one another, and their width.
const COLUMNS: usize = 3;
const WIDTH: usize = 31;

/// Runs it. The last line that it prints is its figure, and only if all went as
/// it should.
fn run() -> anyhow::Result<()> {
    let artifacts = Artifacts::find()?;
    let eductl = Eductl {
        program: artifacts.eductl(),
        socket: PathBuf::new(),
    };
    introduce(&artifacts)?;
    let (running, eductl) = boot(&artifacts, eductl)?;
    let outcome = drive(&eductl).and_then(|()| {
        let counted = statistics(&running)?;
        judge(&counted)?;
        timeline(&artifacts, &eductl)?;
        statistics(&running)
    });
    let statistics = match outcome {
        Ok(statistics) => statistics,
        Err(error) => {
            // The rig's own reason, if it has one, explains the failure.
            let (_, ended) = running.shut_down().with_context(|| format!("{error:#}"))?;
            return Err(error.context(format!("the demonstration broke off; {ended}")));
        }
    };
    let report = take_down(running)?;
    agree(&statistics, &report)
}

/// eductl, as a person would call it.
struct Eductl {
    program: PathBuf,
    socket: PathBuf,
}

impl Eductl {
    /// Runs it with `arguments` and returns what it printed.
    fn run(&self, arguments: &str) -> anyhow::Result<String> {
        let output = Command::new(&self.program)
            .arg("--rig")
            .arg(&self.socket)
            .args(arguments.split_whitespace())
            .output()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        let printed = String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned();
        ensure!(
            output.status.success(),
            "`eductl {arguments}` failed ({}): {printed} {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
        Ok(printed)
    }

    /// Runs it and shows the command and what it printed.
    fn show(&self, arguments: &str) -> anyhow::Result<()> {
        let printed = self.run(arguments)?;
        println!("   $ eductl {arguments}");
        for line in printed.lines() {
            println!("   {line}");
        }
        Ok(())
    }
}

fn introduce(artifacts: &Artifacts) -> anyhow::Result<()> {
    let driver = artifacts.driver();
    let length = fs::metadata(&driver)
        .with_context(|| format!("cannot read {}", driver.display()))?
        .len();
    println!(
        "edu.sys is a Windows kernel driver written in Rust ({length} bytes). You are about to see\n\
         the very file that is installed on Windows take interrupts from a PCI device, here,\n\
         without Windows: a small NT executive, the rig, boots in QEMU and runs it.\n"
    );
    Ok(())
}

fn boot(artifacts: &Artifacts, mut eductl: Eductl) -> anyhow::Result<(Running, Eductl)> {
    println!("1. Booting a machine with {PROCESSORS} processors and QEMU's `edu` device.");
    let running = Machine::new(artifacts)
        .with_processors(PROCESSORS)
        .with_interrupts(Interrupts::Msi)
        .start()?;
    let (running, ready) = running.wait_ready()?;
    ensure!(
        (ready.processors, ready.devices) == (PROCESSORS, 1),
        "the rig found {} processors and {} devices",
        ready.processors,
        ready.devices
    );
    println!(
        "   Ready after {:.1} s. The rig found the device on the PCI bus, loaded edu.sys and\n   \
         called it as the Windows kernel would: DriverEntry, AddDevice, IRP_MN_START_DEVICE.\n   \
         The driver has mapped the device's registers and connected its interrupt.\n",
        running.age().as_secs_f64()
    );
    eductl.socket = running.socket();
    Ok((running, eductl))
}

fn drive(eductl: &Eductl) -> anyhow::Result<()> {
    println!(
        "2. Who is there? eductl, the companion program, asks the driver, which read this from the\n   \
         device when it was started."
    );
    eductl.show("info")?;
    println!(
        "\n3. Is the device alive? It answers each number with its bitwise inverse. No interrupt is\n   \
         needed for that."
    );
    eductl.show("liveness")?;
    factorials(eductl)?;
    burst(eductl)?;
    println!(
        "\n6. What has the driver counted? All of this is of one moment: it is copied in one\n   \
              critical section, while the device cannot interrupt."
    );
    eductl.show("stats")
}

/// Has the driver record what it does, until the picture is the documentation's.
fn timeline(artifacts: &Artifacts, eductl: &Eductl) -> anyhow::Result<()> {
    println!(
        "\n7. Who holds the interrupt spin lock, and who spins for it? The driver's flight recorder\n   \
         knows. eductl has the device work on all processors, reads it meanwhile, and draws the\n   \
         stretch that shows most: the example of the Windows documentation, as it really happened."
    );
    let files = [artifacts.demo_picture(), artifacts.demo_page()];
    let mut arguments = String::from("trace --load");
    for file in &files {
        arguments.push_str(" -o ");
        arguments.push_str(file.to_str().context("the file's path is not UTF-8")?);
    }
    for _ in 0..ATTEMPTS {
        let told = eductl.run(&format!("--json {arguments}"))?;
        let told: Value = serde_json::from_str(&told).context("eductl did not print JSON")?;
        let scene = &told["scene"];
        if scene.is_null() {
            // On a busy host the processors may not have met.
            continue;
        }
        let processor = |part: &str| &scene[part]["processor"];
        println!(
            "   $ eductl trace --load -o demo-timeline.svg -o demo-timeline.html\n   \
             {} records, {} lost. In the picture: the ISR on processor {}; a critical section on\n   \
             processor {} that holds the lock; one on processor {} that spins for it; a DPC on\n   \
             processor {}. Open it:",
            told["records"],
            told["lost"],
            processor("isr"),
            processor("holds"),
            processor("spins"),
            processor("dpc")
        );
        for file in &files {
            println!("     {}", shown(file).display());
        }
        return Ok(());
    }
    bail!("in {ATTEMPTS} recordings no critical section spun near an ISR and a DPC")
}

/// A path as it is shown: from here, if it lies below.
fn shown(file: &Path) -> &Path {
    let here = std::env::current_dir().ok();
    here.and_then(|here| file.strip_prefix(here).ok())
        .unwrap_or(file)
}

fn factorials(eductl: &Eductl) -> anyhow::Result<()> {
    println!(
        "\n4. Factorials. The device computes n! in a thread of its own and interrupts when it is\n   \
         done; the driver's interrupt routine takes the result, and a DPC completes the request.\n   \
         The device counts modulo 2^32, so from 13! on the values wrap, and from 34! on they are\n   \
         0. eductl compares each with its own computation."
    );
    let begin = Instant::now();
    println!("   $ eductl factorial N          for N = 0 to {LAST_OPERAND}");
    let mut results = Vec::new();
    for n in 0..=LAST_OPERAND {
        results.push(eductl.run(&format!("factorial {n}"))?);
    }
    for line in results.chunks(COLUMNS) {
        let cells: Vec<String> = line.iter().map(|cell| format!("{cell:<WIDTH$}")).collect();
        println!("   {}", cells.concat().trim_end());
    }
    println!(
        "   {} factorials, all right, in {:.1} s.",
        results.len(),
        begin.elapsed().as_secs_f64()
    );
    Ok(())
}

fn burst(eductl: &Eductl) -> anyhow::Result<()> {
    println!(
        "\n5. A burst. {THREADS} threads ask for interrupts at the same time, {RAISES_OF_EACH_THREAD} each. Their requests run in\n   \
         parallel on {PROCESSORS} processors until they meet in the driver's critical sections, where one\n   \
         waits for the other. Each request must get its own interrupt, and none may be lost."
    );
    let begin = Instant::now();
    eductl.show(&format!(
        "raise 0x2 --times {RAISES_OF_EACH_THREAD} --threads {THREADS}"
    ))?;
    println!("   That took {:.1} s.", begin.elapsed().as_secs_f64());
    Ok(())
}

fn statistics(running: &Running) -> anyhow::Result<Statistics> {
    let rig = running.connect()?;
    let handle = rig.open(&Open::read_write(0))?;
    let statistics = Device::new(handle.as_ref()).statistics()?;
    handle.close()?;
    Ok(statistics)
}

fn take_down(running: Running) -> anyhow::Result<Report> {
    println!(
        "\n8. The end. The device is removed and the driver unloaded; the rig checks that it left\n   \
         nothing behind: no memory, no interrupt, no timer, no request."
    );
    let (report, ended) = running.shut_down()?;
    ensure!(ended.outcome == Outcome::Success, "{ended}");
    let report = report.context("the rig ended without a report")?;
    println!(
        "   {}\n",
        Summary(&report).to_string().replace('\n', "\n   ")
    );
    Ok(report)
}

/// Compares what the driver counted with what was asked for.
fn judge(statistics: &Statistics) -> anyhow::Result<()> {
    let asked = LAST_OPERAND + 1 + THREADS * RAISES_OF_EACH_THREAD;
    for (what, count) in [
        ("operations started", statistics.operations_started),
        ("operations completed", statistics.operations_completed),
        ("interrupts claimed", statistics.interrupts_claimed),
    ] {
        ensure!(
            count == asked,
            "{what}: the driver counted {count}, but {asked} operations were asked for"
        );
    }
    Ok(())
}

/// Compares what the driver and the rig counted in the end, which goes by time.
fn agree(statistics: &Statistics, report: &Report) -> anyhow::Result<()> {
    for (what, one, other) in [
        (
            "operations started and completed",
            statistics.operations_started,
            statistics.operations_completed,
        ),
        (
            "transfers started and completed",
            statistics.dma_started,
            statistics.dma_completed,
        ),
        (
            "interrupts that the driver and the rig saw claimed",
            statistics.interrupts_claimed,
            report.isr_claimed,
        ),
    ] {
        ensure!(one == other, "{what}: {one} and {other}");
    }
    println!(
        "demo: {} operations, {} transfers, {} interrupts, {} critical sections, {} violations",
        statistics.operations_completed,
        statistics.dma_completed,
        report.isr_claimed,
        report.critical_sections,
        report.violations
    );
    Ok(())
}

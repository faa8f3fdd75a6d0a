//! The debugger extension sees what the driver says of itself: a machine is stopped in the middle
//! of its work, and `tools/windbg/edu.js` reads its memory.

use std::{fs, path::Path};

use anyhow::{Context as _, ensure};
use edu_interface::{FACTORIAL, FROM_NOW, Record, RecordKind, Section, WAIT_EVENTS};
use eductl::{
    Device, Open, Transport as _,
    commands::{info, stats},
};
use serde_json::{Value, json};

use super::{
    List,
    pending::{start_factorial, start_factorial_within, started},
    support::take_down,
};
use crate::{
    artifacts::Artifacts,
    machine::Machine,
    running::Running,
    windbg::{self, natvis, types},
};

/// Keeps the device busy for longer than the test looks at it.
const HUGE: u32 = u32::MAX;
const HUGE_MS: u32 = 60_000;
/// Factorials that wait behind it.
const BEHIND: usize = 3;

pub(super) fn add(list: &mut List) {
    list.add("windbg/extension", extension);
    list.add("windbg/natvis", natvis);
}

fn extension(artifacts: &Artifacts) -> anyhow::Result<()> {
    let machine = Machine::new(artifacts).with_processors(2).with_unplugging();
    let (running, _) = machine.start()?.wait_ready()?;
    let outcome = look(artifacts, &running);
    take_down(running, outcome)?;
    Ok(())
}

fn look(artifacts: &Artifacts, running: &Running) -> anyhow::Result<()> {
    let rig = running.connect()?;
    let handle = rig.open_handle(&Open::read_write(0))?;
    let device = Device::new(&handle);
    device.switch_recorder(true)?;
    device.factorial(12, 0)?;
    device.raise(0x11, 0)?;
    device.write(16, &[7; 100])?;
    let before = device.statistics()?.operations_started;
    let hung = start_factorial_within(&handle, HUGE, HUGE_MS)?;
    started(&device, before + 1)?;
    let behind: Vec<_> = (0..BEHIND)
        .map(|_| start_factorial(&handle, 5))
        .collect::<anyhow::Result<_>>()?;
    let waiting = device.start_wait_events(FROM_NOW)?;

    let folder = tempfile::tempdir().context("no folder for the memory")?;
    let told = Told::of(&device)?;
    windbg::snapshot(running, &artifacts.symbols("edu.sys"), folder.path())?;
    // Nothing but the watchdog's ticks has come meanwhile.
    let later = told.counters == counters(&device)?;
    let seen = windbg::run(folder.path());
    drop((hung, behind, waiting));
    Box::new(handle).close()?;
    ensure!(
        later,
        "the counters went on while the machine was looked at"
    );
    told.compare(&seen?)
}

/// The PDB has both files, as they are, and they fit its types.
fn natvis(artifacts: &Artifacts) -> anyhow::Result<()> {
    let pdb = artifacts.symbols("edu.sys");
    let embedded = natvis::embedded(&pdb)?;
    let types = types::read(&pdb)?;
    for name in ["dirql.natvis", "edu.natvis"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../tools/windbg")
            .join(name);
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        ensure!(
            embedded.values().any(|one| *one == text),
            "{} does not have {name}, but {:?}",
            pdb.display(),
            embedded.keys()
        );
        let checked = natvis::check(&text, &types).with_context(|| name.to_owned())?;
        ensure!(checked.expressions >= 8, "{name}: {checked:?}");
    }
    Ok(())
}

/// What the driver says of itself.
struct Told {
    info: info::Info,
    counters: Value,
    records: Vec<Record>,
}

impl Told {
    fn of(device: &Device<'_>) -> anyhow::Result<Self> {
        Ok(Self {
            info: info::run(device)?,
            records: device.read_records(0)?.records,
            counters: counters(device)?,
        })
    }

    fn compare(&self, seen: &Value) -> anyhow::Result<()> {
        let told = &seen["told"];
        for (what, words) in [
            ("panic", "driver/edu/src/bar.rs:7:12"),
            ("invariant", "DroppedTooHigh"),
            ("another", "!analyze"),
            ("unreadable", "not in the dump"),
            ("loop", "it loops"),
            ("nowhere", "cannot be read"),
            ("no object", "neither a device object nor a driver object"),
        ] {
            let shown = told[what].as_str().unwrap_or_default();
            ensure!(shown.contains(words), "{what}: no {words:?} in {shown:?}");
        }
        let answers = &seen["answers"];
        let edu = &answers["edu"];
        let interrupt = edu["interrupt"].as_str().context("an interrupt")?;
        for words in [
            format!("vector: {}", self.info.vector),
            format!("synchronize_irql: {}", self.info.synchronize_irql),
        ] {
            ensure!(interrupt.contains(&words), "no {words:?} in {interrupt:?}");
        }
        for (field, words) in [
            ("pnp", "Started"),
            ("power", "awake"),
            ("stage", "connected"),
            ("engine", "Factorial { n: 4294967295 }"),
            ("dma", "None"),
            ("begun", "the last StartIo was record"),
        ] {
            let shown = edu[field].as_str().unwrap_or_default();
            ensure!(shown.contains(words), "{field}: no {words:?} in {shown:?}");
        }
        self.same_counters(&answers["edustats"])?;
        same_requests(&answers["eduirp"])?;
        self.same_records(&answers["eduring"])?;
        let protected = answers["dirql"].as_array().context("a list")?;
        ensure!(
            protected.len() >= 6 && protected.iter().all(|one| one["lock"] != "held"),
            "{protected:?}"
        );
        Ok(())
    }

    fn same_counters(&self, seen: &Value) -> anyhow::Result<()> {
        let wanted = self.counters.as_object().context("counters")?;
        let mut compared = 0;
        for (name, value) in wanted {
            let Some(shown) = seen.get(name) else {
                continue;
            };
            ensure!(
                shown.as_str() == Some(&value.to_string()),
                "{name} is {value}, and the debugger shows {shown}"
            );
            compared += 1;
        }
        ensure!(compared >= 15, "only {compared} counters are the same");
        Ok(())
    }

    /// Each record that the driver gave is in the debugger's table.
    fn same_records(&self, seen: &Value) -> anyhow::Result<()> {
        let table = seen.as_array().context("a table")?;
        ensure!(self.records.len() > 10, "{} records", self.records.len());
        for record in &self.records {
            let kind = RecordKind::from_value(record.kind).context("a kind")?;
            let section = Section::from_value(record.section)
                .map(|section| format!("{section:?}"))
                .unwrap_or_default();
            let wanted = json!({
                "number": record.sequence.to_string(),
                "start": record.start.to_string(),
                "waited": record.waited,
                "duration": record.duration,
                "processor": record.processor,
                "kind": format!("{kind:?}"),
                "section": section,
                "detail": format!("{:#x}", record.detail),
            });
            ensure!(table.contains(&wanted), "no {wanted} in the table");
        }
        Ok(())
    }
}

fn counters(device: &Device<'_>) -> anyhow::Result<Value> {
    let statistics = device.statistics()?;
    Ok(serde_json::to_value(stats::Counters::from(statistics))?)
}

/// The request under way, those behind it, and the one that waits for events.
fn same_requests(seen: &Value) -> anyhow::Result<()> {
    let irps = seen.as_array().context("a list")?;
    let count = |place: &str, code: u32| {
        let request = format!("DEVICE_CONTROL {code:#x}");
        irps.iter()
            .filter(|irp| irp["where"] == place && irp["request"] == request.as_str())
            .count()
    };
    let found = (
        count("StartIo's current", FACTORIAL.value()),
        count("StartIo's queue", FACTORIAL.value()),
        count("waits for events", WAIT_EVENTS.value()),
        irps.len(),
    );
    ensure!(
        found == (1, BEHIND, 1, BEHIND + 2),
        "one under way, {BEHIND} behind it, one that waits for events: {found:?}, {seen}"
    );
    Ok(())
}

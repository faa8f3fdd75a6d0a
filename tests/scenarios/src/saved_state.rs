//! The machine behind its firmware, saved once and used for every run.
//!
//! Emulated firmware takes seconds to decide what it decides the same way each time,
//! longer than most runs take altogether. So it runs once for each kind of machine and
//! each build of the rig, up to where the rig waits for the host; QEMU saves the machine
//! there (its documentation: "Migration"), and runs begin in that state.

use std::{
    ffi::OsString,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use anyhow::Context as _;

use crate::{firmware, machine::Machine, qemu};

/// Ending of a saved state's name.
const ENDING: &str = "state";

/// Scenarios that run side by side make a state once.
static MAKING: Mutex<()> = Mutex::new(());

/// The state in which `machine` begins; made if it is not there.
///
/// # Errors
/// When it cannot be made: QEMU or its firmware is missing or fails.
pub(crate) fn of(machine: &Machine) -> anyhow::Result<PathBuf> {
    let machine = &machine.clone().writing_nothing();
    let _one_at_a_time = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let kind = kind(machine);
    let folder = machine.artifacts().states();
    let file = folder.join(format!("{kind}-{:016x}.{ENDING}", fingerprint(machine)?));
    if !file.is_file() {
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        make(machine, &file).context("cannot save the state of a machine behind its firmware")?;
        remove_outdated(&folder, &kind, &file)?;
    }
    Ok(file)
}

/// Runs the firmware and saves what follows it.
fn make(machine: &Machine, file: &Path) -> anyhow::Result<()> {
    // Other programs may make the same state now; whole files take each other's place.
    let unfinished = file.with_extension(process::id().to_string());
    let machine = machine.clone().with_time_limit(Machine::TIME_LIMIT);
    let held = machine.start_held()?.wait_held()?;
    held.monitor()?.save(&unfinished)?;
    fs::rename(&unfinished, file).with_context(|| format!("cannot rename {}", unfinished.display()))
}

/// States of the same kind of machine that another rig or another QEMU left.
fn remove_outdated(folder: &Path, kind: &str, current: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let is_outdated = path != current
            && path.extension().is_some_and(|ending| ending == ENDING)
            && name
                .and_then(|name| name.rsplit_once('-'))
                .is_some_and(|(its_kind, _)| its_kind == kind);
        if is_outdated {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// What people call this kind of machine.
fn kind(machine: &Machine) -> String {
    let slots = if machine.can_unplug() {
        "-in-slots"
    } else {
        ""
    };
    let neighbour = if machine.has_neighbour() {
        "-and-a-neighbour"
    } else {
        ""
    };
    let counted = if machine.counts_instructions() {
        "-counted"
    } else {
        ""
    };
    format!(
        "{}-processors-{}-devices{slots}{neighbour}{counted}",
        machine.processors(),
        machine.devices()
    )
}

/// Changes with everything that the state depends on.
fn fingerprint(machine: &Machine) -> anyhow::Result<u64> {
    let mut hasher = DefaultHasher::new();
    let arguments: Vec<OsString> = qemu::hardware(machine)?;
    arguments.hash(&mut hasher);
    let rig = machine.artifacts().rig();
    fs::read(&rig)
        .with_context(|| format!("cannot read {}", rig.display()))?
        .hash(&mut hasher);
    let installed = firmware::ovmf()?;
    for file in [firmware::qemu()?, installed.code, installed.variables] {
        let metadata =
            fs::metadata(&file).with_context(|| format!("cannot look at {}", file.display()))?;
        let changed = metadata
            .modified()?
            .duration_since(SystemTime::UNIX_EPOCH)?;
        (file, metadata.len(), changed).hash(&mut hasher);
    }
    Ok(hasher.finish())
}

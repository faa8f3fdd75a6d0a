//! A start that fails, wherever it does, leaves nothing behind, and the next one succeeds.
//!
//! The rig checks after each failure that no mapping, no connection and no adapter is
//! left, removes the device, and checks again.

use anyhow::{Context as _, ensure};
use eductl::{
    Device, NtStatus, Open, System as _, Transport as _,
    rig::{PendingControl, Rig, RigHandle},
    verify,
};
use rig_protocol::{Action, Calls, Resources};

use super::{
    List,
    faults::fail_call,
    pending::{LONG_MS, start_factorial, start_raise},
    support::{computes, fails_with, in_rig, passed},
};
use crate::{
    artifacts::Artifacts,
    machine::{Interrupts, Machine},
};

/// More calls than a start can make.
const MANY: u32 = 200;
/// What opening a device answers that is not there.
const NOT_THERE: [NtStatus; 2] = [NtStatus::NO_SUCH_DEVICE, NtStatus::DELETE_PENDING];
/// What a request ends with whose device is gone.
const GONE: [NtStatus; 1] = [NtStatus::DELETE_PENDING];

/// STATUS_DEVICE_CONFIGURATION_ERROR: resources are missing that the device has.
const CONFIGURATION_ERROR: NtStatus = NtStatus(0xc000_0182);

/// Calls that every start makes, and that this test must therefore have seen fail. The
/// bus driver's is the start of the device below.
const BY_EACH_START: [&str; 5] = [
    "IoForwardIrpSynchronously",
    "pci.sys",
    "MmMapIoSpaceEx",
    "IoGetDmaAdapter",
    "IoConnectInterruptEx",
];
/// Those that the first one makes besides, and that add the device.
const BY_EACH_FIRST_START: [&str; 4] = [
    "IoCreateDevice",
    "IoAttachDeviceToDeviceStack",
    "IoRegisterDeviceInterface",
    "IoSetDeviceInterfaceState",
];

/// What goes before the start that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// The device was removed, and is added anew.
    Removal,
    /// The device was stopped; requests are held.
    Stop,
}

pub(super) fn add(list: &mut List) {
    for interrupts in [Interrupts::Msi, Interrupts::Intx] {
        list.add(
            format!("start/fails-anywhere-{interrupts}"),
            move |artifacts| fails_anywhere(&machine(artifacts, interrupts)),
        );
    }
}

fn machine(artifacts: &Artifacts, interrupts: Interrupts) -> Machine {
    Machine::new(artifacts)
        .with_processors(2)
        .with_interrupts(interrupts)
}

fn fails_anywhere(machine: &Machine) -> anyhow::Result<()> {
    in_rig(machine, |rig| {
        for before in [Before::Removal, Before::Stop] {
            each_call_fails(rig, before)?;
            bad_resources(rig, before)?;
        }
        passed(&verify::run(rig, 0)?)
    })?;
    Ok(())
}

/// Has each call of a start fail that can, one start after the other.
fn each_call_fails(rig: &Rig, before: Before) -> anyhow::Result<()> {
    let mut failed = Vec::new();
    for call in 1..MANY {
        match try_start(rig, before, call)? {
            Some(routine) => failed.push(routine),
            None => break,
        }
    }
    let first = match before {
        Before::Removal => &BY_EACH_FIRST_START[..],
        Before::Stop => &[],
    };
    for routine in BY_EACH_START.iter().chain(first) {
        ensure!(
            failed.iter().any(|each| each == routine),
            "after a {before:?}, no call of {routine} has failed, but of {failed:?}"
        );
    }
    Ok(())
}

/// Starts the device with one call failing; the routine, if there were so many calls.
/// Afterwards the device works.
fn try_start(rig: &Rig, before: Before, call: u32) -> anyhow::Result<Option<String>> {
    let handle = begin(rig, before)?;
    let held = handle.as_ref().map(hold).transpose()?.unwrap_or_default();
    ensure!(fail_call(rig, call, Calls::OfStart)?.is_empty());
    let started = rig.pnp(0, Action::Start);
    let routine = fail_call(rig, 0, Calls::OfStart)?;
    ensure!(
        started.is_ok() || !routine.is_empty(),
        "no call failed, and yet the start did: {started:?}"
    );
    finish(rig, handle, held, started.is_ok())
        .with_context(|| format!("call {call} of a start failed, of {routine}"))?;
    Ok((!routine.is_empty()).then_some(routine))
}

/// Brings the device to where it can be started. A handle, if there can be one then.
fn begin(rig: &Rig, before: Before) -> anyhow::Result<Option<RigHandle>> {
    match before {
        Before::Removal => {
            rig.pnp(0, Action::Remove)?;
            Ok(None)
        }
        Before::Stop => {
            let handle = rig.open_handle(&Open::read_write(0))?;
            rig.pnp(0, Action::Stop)?;
            Ok(Some(handle))
        }
    }
}

/// Requests to a device that is stopped.
fn hold(handle: &RigHandle) -> anyhow::Result<Vec<PendingControl>> {
    Ok(vec![start_factorial(handle, 9)?, start_raise(handle, 2)?])
}

/// What was held is done, or has failed, and the device works, if need be after another
/// start.
fn finish(
    rig: &Rig,
    handle: Option<RigHandle>,
    held: Vec<PendingControl>,
    is_started: bool,
) -> anyhow::Result<()> {
    for pending in held {
        if is_started {
            pending.wait()?;
        } else {
            fails_with("a request that was held", pending.wait(), &GONE)?;
        }
    }
    if let Some(handle) = handle {
        if !is_started {
            fails_with("a new request", Device::new(&handle).raise(4, 0), &GONE)?;
        }
        Box::new(handle).close()?;
    }
    if !is_started {
        fails_with("opening it", rig.open(&Open::read_write(0)), &NOT_THERE)?;
        rig.pnp(0, Action::Start)?;
    }
    let handle = rig.open(&Open::read_write(0))?;
    computes(&Device::new(handle.as_ref()), 6, LONG_MS)?;
    handle.close()?;
    Ok(())
}

/// Resources that are missing, too short, or those of something that does not answer: the
/// start fails with the status that says so.
fn bad_resources(rig: &Rig, before: Before) -> anyhow::Result<()> {
    const BAD: [(Resources, NtStatus); 4] = [
        (Resources::NoMemory, CONFIGURATION_ERROR),
        (Resources::NoInterrupt, CONFIGURATION_ERROR),
        (Resources::ShortMemory, CONFIGURATION_ERROR),
        (Resources::Unanswered, NtStatus::NO_SUCH_DEVICE),
    ];
    for (resources, status) in BAD {
        let handle = begin(rig, before)?;
        let held = handle.as_ref().map(hold).transpose()?.unwrap_or_default();
        let started = rig.pnp(0, Action::StartWith(resources));
        fails_with(&format!("a start with {resources:?}"), started, &[status])?;
        finish(rig, handle, held, false).with_context(|| format!("{resources:?}"))?;
    }
    Ok(())
}

//! edu.sys on a machine that sleeps and wakes: nothing that was asked for is lost.
//!
//! The rig makes a device that leaves D0 forget what it was told, and closes its pages:
//! an access before it is back in D0 ends the run.

use std::time::Duration;

use anyhow::ensure;
use eductl::{Device, NtStatus, Open, Transport as _, rig::Rig, verify};
use rig_protocol::Action;

use super::{
    List,
    load::Load,
    pending::{LONG_MS, expect_factorial, start_factorial, start_raise, started},
    support::{computes, fails_with, in_rig, passed, remove},
};
use crate::{
    artifacts::Artifacts,
    machine::{Interrupts, Machine},
};

/// Keeps the device busy for longer than edu.sys waits before it lets it sleep.
const BUSY: u32 = 800_000_000;
/// Long enough for an answer that must not come.
const A_WHILE: Duration = Duration::from_millis(700);
/// What a device that is gone or going answers.
const GONE: [NtStatus; 1] = [NtStatus::DELETE_PENDING];

/// The ways in which a device comes to sleep and wakes up again.
const WAYS: [(Action, Action); 2] = [
    (Action::Sleep, Action::Wake),
    (Action::DeviceSleep, Action::DeviceWake),
];

pub(super) fn add(list: &mut List) {
    for interrupts in [Interrupts::Msi, Interrupts::Intx] {
        list.add(
            format!("power/requests-while-asleep-{interrupts}"),
            move |artifacts| requests_while_asleep(&machine(artifacts, interrupts)),
        );
    }
    list.add("power/requests-at-dispatch-level", |artifacts| {
        let machine = machine(artifacts, Interrupts::Msi);
        requests_while_asleep(&machine.with_option("power-irql=dispatch"))
    });
    for processors in [1, 4] {
        list.add(
            format!("power/again-and-again-under-load-{processors}"),
            move |artifacts| under_load(artifacts, processors),
        );
    }
    list.add("power/two-devices", two_devices);
    list.add("power/surprise-removal-while-asleep", surprise_removal);
    list.add("power/removal-while-asleep", removal);
}

fn machine(artifacts: &Artifacts, interrupts: Interrupts) -> Machine {
    Machine::new(artifacts)
        .with_processors(2)
        .with_interrupts(interrupts)
}

/// What is under way, queued, or comes while the device sleeps is done when it is awake;
/// what needs no device is answered meanwhile.
fn requests_while_asleep(machine: &Machine) -> anyhow::Result<()> {
    in_rig(machine, |rig| {
        let handle = rig.open_handle(&Open::read_write(0))?;
        let device = Device::new(&handle);
        computes(&device, 5, 0)?;
        for (sleep, wake) in WAYS {
            let before = device.statistics()?.operations_started;
            let under_way = start_factorial(&handle, BUSY)?;
            // Or the device might sleep before a processor of the rig's comes to it.
            started(&device, before + 1)?;
            let queued = start_factorial(&handle, 13)?;
            rig.pnp(0, sleep)?;
            let mut held = start_factorial(&handle, 12)?;
            let raised = start_raise(&handle, 0x40)?;
            ensure!(
                !held.answers_within(A_WHILE),
                "12! was computed by a device that sleeps"
            );
            asleep(&device)?;
            rig.pnp(0, wake)?;
            expect_factorial(under_way, BUSY)?;
            expect_factorial(queued, 13)?;
            expect_factorial(held, 12)?;
            raised.wait()?;
            let counted = device.statistics()?.liveness_checks;
            ensure!(counted == 0, "the counters were reset and say {counted}");
            ensure!(
                device.liveness(0x55aa)? == !0x55aa,
                "the device is not alive"
            );
        }
        passed(&verify::run(rig, 0)?)
    })?;
    Ok(())
}

/// What edu.sys answers while its device sleeps.
fn asleep(device: &Device<'_>) -> anyhow::Result<()> {
    let identity = device.identify()?;
    ensure!(
        identity.identification & 0xffff == 0x00ed,
        "it identifies as {:#x}",
        identity.identification
    );
    let counted = device.statistics()?;
    ensure!(
        counted.operations_completed >= 1 && counted.operations_aborted >= 1,
        "one operation was completed and one taken back, but: {counted:?}"
    );
    device.reset_statistics()?;
    ensure!(
        device.statistics()?.operations_completed == 0,
        "the counters were reset and count still"
    );
    Ok(())
}

/// Sleeps and wakes up while other threads go on asking.
fn under_load(artifacts: &Artifacts, processors: u32) -> anyhow::Result<()> {
    const ROUNDS: usize = 6;
    let machine = Machine::new(artifacts).with_processors(processors);
    in_rig(&machine, |rig| {
        let handle = rig.open_handle(&Open::read_write(0))?;
        let load = Load::new(&handle, LONG_MS, &[]);
        load.during(|| {
            for (sleep, wake) in WAYS.into_iter().cycle().take(ROUNDS) {
                rig.pnp(0, sleep)?;
                rig.pnp(0, Action::Ask)?;
                rig.pnp(0, wake)?;
                load.goes_on()?;
            }
            Ok(())
        })?;
        Box::new(handle).close()?;
        passed(&verify::run(rig, 0)?)
    })?;
    Ok(())
}

/// The machine sleeps with all its devices; one device sleeps alone.
fn two_devices(artifacts: &Artifacts) -> anyhow::Result<()> {
    let machine = machine(artifacts, Interrupts::Msi).with_devices(2);
    in_rig(&machine, |rig: &Rig| {
        let handles = [
            rig.open_handle(&Open::read_write(0))?,
            rig.open_handle(&Open::read_write(1))?,
        ];
        rig.pnp(0, Action::Sleep)?;
        let held = [
            start_factorial(&handles[0], 10)?,
            start_factorial(&handles[1], 11)?,
        ];
        rig.pnp(0, Action::Wake)?;
        for (pending, n) in held.into_iter().zip([10, 11]) {
            expect_factorial(pending, n)?;
        }
        rig.pnp(0, Action::DeviceSleep)?;
        computes(&Device::new(&handles[1]), 12, LONG_MS)?;
        rig.pnp(0, Action::DeviceWake)?;
        computes(&Device::new(&handles[0]), 12, LONG_MS)
    })?;
    Ok(())
}

/// The device goes while it sleeps: each request ends once, as one of a device that is gone.
fn surprise_removal(artifacts: &Artifacts) -> anyhow::Result<()> {
    in_rig(&machine(artifacts, Interrupts::Intx), |rig| {
        let handle = rig.open_handle(&Open::read_write(0))?;
        let mut pending = vec![start_factorial(&handle, BUSY)?];
        rig.pnp(0, Action::Sleep)?;
        for bit in 0..5 {
            pending.push(start_raise(&handle, 1 << bit)?);
        }
        rig.pnp(0, Action::SurpriseRemoval)?;
        for pending in pending {
            fails_with("a request that was held", pending.wait(), &GONE)?;
        }
        rig.pnp(0, Action::Wake)?;
        Box::new(handle).close()?;
        Ok(())
    })?;
    Ok(())
}

/// The device is removed in good order while it sleeps.
fn removal(artifacts: &Artifacts) -> anyhow::Result<()> {
    in_rig(&machine(artifacts, Interrupts::Msi), |rig| {
        passed(&verify::run(rig, 0)?)?;
        rig.pnp(0, Action::Sleep)?;
        rig.pnp(0, Action::QueryRemoveAndCancel)?;
        remove(rig, 0)?;
        rig.pnp(0, Action::Wake)?;
        Ok(())
    })?;
    Ok(())
}

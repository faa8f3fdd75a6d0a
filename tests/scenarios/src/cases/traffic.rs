//! Good work: everything that `eductl verify` checks, on one to eight
//! processors, with messages and with a line, on one device and on two.

use std::thread;

use anyhow::{Context as _, ensure};
use edu_interface::InterruptKind;
use eductl::{
    Device, NtStatus, Open, System as _,
    rig::Rig,
    verify::{self, Verification},
};

use super::{
    List,
    support::{computes, fails_with, in_rig, passed, same_interrupts, verified},
};
use crate::{
    artifacts::Artifacts,
    machine::{Interrupts, Machine},
};

const PROCESSORS: [u32; 4] = [1, 2, 4, 8];

pub(super) fn add(list: &mut List) {
    for interrupts in [Interrupts::Msi, Interrupts::Intx] {
        for processors in PROCESSORS {
            list.add(
                format!("verify/{processors}-processors-{interrupts}"),
                move |artifacts| verify_everything(artifacts, processors, interrupts),
            );
        }
    }
    for interrupts in [Interrupts::Msi, Interrupts::Intx] {
        list.add(format!("two-devices/{interrupts}"), move |artifacts| {
            two_devices(artifacts, interrupts)
        });
    }
    list.add("connect/fully-specified", |artifacts| {
        verify_connected(
            artifacts,
            "connect=fully-specified",
            InterruptKind::FullySpecified,
        )
    });
    list.add("connect/interrupt-while-connecting", |artifacts| {
        verify_connected(artifacts, "early-isr=on", InterruptKind::Message)
    });
    list.add("watchdog", watchdog);
}

fn verify_everything(
    artifacts: &Artifacts,
    processors: u32,
    interrupts: Interrupts,
) -> anyhow::Result<()> {
    let machine = Machine::new(artifacts)
        .with_processors(processors)
        .with_interrupts(interrupts);
    in_rig(&machine, |rig| {
        let (before, verification, after) = verified(rig)?;
        let sections = after.critical_sections - before.critical_sections;
        // StartIo and DpcForIsr need one each.
        ensure!(
            sections > verification.operations,
            "{sections} critical sections cannot have served {} operations",
            verification.operations
        );
        let kind = match interrupts {
            Interrupts::Msi => InterruptKind::Message,
            Interrupts::Intx => InterruptKind::Line,
        };
        as_configured(rig, processors, kind)
    })?;
    Ok(())
}

/// A platform that offers less, or that interrupts at the worst moment.
fn verify_connected(
    artifacts: &Artifacts,
    option: &str,
    kind: InterruptKind,
) -> anyhow::Result<()> {
    let machine = Machine::new(artifacts)
        .with_processors(2)
        .with_option(option);
    in_rig(&machine, |rig| {
        passed(&verify::run(rig, 0)?)?;
        as_configured(rig, 2, kind)
    })?;
    Ok(())
}

/// The driver must have found what the machine is.
fn as_configured(rig: &Rig, processors: u32, kind: InterruptKind) -> anyhow::Result<()> {
    let handle = rig.open(&Open::read_write(0))?;
    let identity = Device::new(handle.as_ref()).identify()?;
    handle.close()?;
    ensure!(
        (rig.hello().processors, identity.processors) == (processors, processors),
        "of {processors} processors the rig counts {} and the driver {}",
        rig.hello().processors,
        identity.processors
    );
    ensure!(
        InterruptKind::from_value(identity.interrupt_kind) == Some(kind),
        "the interrupt is of kind {} instead of {kind:?}",
        identity.interrupt_kind
    );
    Ok(())
}

/// Both devices work at the same time, each with its own interrupt and counters.
fn two_devices(artifacts: &Artifacts, interrupts: Interrupts) -> anyhow::Result<()> {
    let machine = Machine::new(artifacts)
        .with_processors(4)
        .with_interrupts(interrupts)
        .with_devices(2);
    in_rig(&machine, |rig| {
        ensure!(
            rig.hello().devices == 2,
            "the rig found {} devices",
            rig.hello().devices
        );
        let before = rig.report()?;
        let verifications: Vec<Verification> = thread::scope(|scope| {
            let workers = [0, 1].map(|number| scope.spawn(move || verify::run(rig, number)));
            workers
                .into_iter()
                .map(|worker| {
                    worker
                        .join()
                        .ok()
                        .context("a thread panicked")?
                        .map_err(Into::into)
                })
                .collect::<anyhow::Result<_>>()
        })?;
        for verification in &verifications {
            passed(verification)?;
        }
        let counters: Vec<_> = verifications
            .iter()
            .flat_map(|each| [&each.counters_before, &each.counters])
            .collect();
        same_interrupts(&before, &rig.report()?, &counters)
    })?;
    Ok(())
}

/// An operation that passes its deadline fails, and the device works again when
/// it has finished what it still does.
fn watchdog(artifacts: &Artifacts) -> anyhow::Result<()> {
    // Keeps the device busy for seconds.
    const LARGE: u32 = u32::MAX;
    const SHORT_MS: u32 = 50;
    const LONG_MS: u32 = 60_000;
    let machine = Machine::new(artifacts).with_processors(2);
    in_rig(&machine, |rig| {
        let handle = rig.open(&Open::read_write(0))?;
        let device = Device::new(handle.as_ref());
        fails_with(
            "a long factorial within a short time",
            device.factorial(LARGE, SHORT_MS),
            &[NtStatus::IO_TIMEOUT],
        )?;
        computes(&device, 5, LONG_MS)?;
        computes(&device, 13, LONG_MS)?;
        let statistics = device.statistics()?;
        ensure!(
            (
                statistics.operations_timed_out,
                statistics.operations_completed
            ) == (1, 2),
            "one operation timed out and two completed, but: {statistics:?}"
        );
        handle.close()?;
        passed(&verify::run(rig, 0)?)
    })?;
    Ok(())
}

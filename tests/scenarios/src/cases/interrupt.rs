//! Interrupts as a machine may send them: in every form in which they can be connected, to
//! whatever processor, on a line with another device that storms, merged, and for nothing.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::ensure;
use edu_interface::InterruptKind;
use eductl::{Device, Open, System as _, rig::Rig, verify};
use rig_protocol::{Action, Report};

use super::{
    List,
    load::Load,
    support::{in_rig, passed, verified},
};
use crate::{
    artifacts::Artifacts,
    machine::{Interrupts, Machine},
};

/// A way in which a platform offers a device its interrupt.
struct Profile {
    name: &'static str,
    interrupts: Interrupts,
    options: &'static [&'static str],
    kind: InterruptKind,
}

/// All of them. One message, and messages refused for the line, are `verify/`'s, on one to
/// eight processors.
const PROFILES: &[Profile] = &[
    Profile {
        name: "several-messages",
        interrupts: Interrupts::Msi,
        options: &["messages=4"],
        kind: InterruptKind::Message,
    },
    Profile {
        name: "more-messages-than-asked-for",
        interrupts: Interrupts::Msi,
        options: &["messages=8", "early-isr=on"],
        kind: InterruptKind::Message,
    },
    Profile {
        name: "line-while-connecting",
        interrupts: Interrupts::Intx,
        options: &["early-isr=on"],
        kind: InterruptKind::Line,
    },
    Profile {
        name: "line-fully-specified",
        interrupts: Interrupts::Intx,
        options: &["connect=fully-specified", "early-isr=on"],
        kind: InterruptKind::FullySpecified,
    },
    Profile {
        name: "message-fully-specified",
        interrupts: Interrupts::Msi,
        options: &["connect=fully-specified", "early-isr=on"],
        kind: InterruptKind::FullySpecified,
    },
];

/// Between two looks.
const POLL: Duration = Duration::from_millis(10);
/// Processors of the runs.
const PROCESSORS: [u32; 2] = [1, 4];

pub(super) fn add(list: &mut List) {
    for profile in PROFILES {
        for processors in PROCESSORS {
            list.add(
                format!("interrupt/{}-{processors}", profile.name),
                move |artifacts| connected(artifacts, profile, processors),
            );
        }
    }
    for interrupts in [Interrupts::Msi, Interrupts::Intx] {
        list.add(
            format!("interrupt/any-processor-{interrupts}"),
            move |artifacts| any_processor(artifacts, interrupts),
        );
    }
    for processors in PROCESSORS {
        list.add(
            format!("interrupt/storming-neighbour-{processors}"),
            move |artifacts| storming_neighbour(artifacts, processors),
        );
        list.add(
            format!("interrupt/merged-and-spurious-messages-{processors}"),
            move |artifacts| merged_and_spurious(artifacts, processors),
        );
    }
}

/// The driver takes what it is offered, says so, and keeps every promise.
fn connected(artifacts: &Artifacts, profile: &Profile, processors: u32) -> anyhow::Result<()> {
    let mut machine = Machine::new(artifacts)
        .with_processors(processors)
        .with_interrupts(profile.interrupts);
    for option in profile.options {
        machine = machine.with_option(option);
    }
    in_rig(&machine, |rig| {
        verified(rig)?;
        is_connected_as(rig, profile.kind)
    })?;
    Ok(())
}

/// Interrupts go to all processors, to one while another may still be in the ISR.
fn any_processor(artifacts: &Artifacts, interrupts: Interrupts) -> anyhow::Result<()> {
    const PROCESSORS: usize = 4;
    let machine = Machine::new(artifacts)
        .with_processors(4)
        .with_interrupts(interrupts)
        .with_option("irq-target=rotate");
    in_rig(&machine, |rig| {
        let (_, _, report) = verified(rig)?;
        let calls = &report.isr_calls_by_processor[..PROCESSORS];
        ensure!(
            calls.iter().all(|calls| *calls > 0),
            "interrupts came in on some processors only: {calls:?}"
        );
        Ok(())
    })?;
    Ok(())
}

/// Another device on the line interrupts all the time: the driver's ISR is called for each of
/// its interrupts, says so, and the driver does its work. The device is stopped and started
/// meanwhile, so the line is asserted already when its interrupt is connected.
fn storming_neighbour(artifacts: &Artifacts, processors: u32) -> anyhow::Result<()> {
    let machine = Machine::new(artifacts)
        .with_processors(processors)
        .with_interrupts(Interrupts::Intx)
        .with_neighbour(1)
        .with_option("irq-target=2")
        .with_option("early-isr=on");
    in_rig(&machine, |rig| {
        verified(rig)?;
        rig.pnp(0, Action::Stop)?;
        rig.pnp(0, Action::Start)?;
        passed(&verify::run(rig, 0)?)?;
        not_ours(rig)
    })?;
    Ok(())
}

/// Messages that come late and in one, and messages that no device has sent, to any
/// processor: each operation ends, and nothing is claimed that was not there.
fn merged_and_spurious(artifacts: &Artifacts, processors: u32) -> anyhow::Result<()> {
    let machine = Machine::new(artifacts)
        .with_processors(processors)
        .with_option("merge-messages=8")
        .with_option("spurious=3")
        .with_option("irq-target=4");
    in_rig(&machine, |rig| {
        let handle = rig.open_handle(&Open::read_write(0))?;
        let load = Load::new(&handle, TIMEOUT_MS, &[]);
        load.during(|| {
            not_ours(rig)?;
            let end = Instant::now() + LIMIT;
            while rig.report()?.messages_merged < MERGED {
                ensure!(Instant::now() < end, "hardly any messages were merged");
                load.goes_on()?;
            }
            Ok(())
        })
    })?;
    Ok(())
}

/// Messages for which a scenario waits that were merged into others.
const MERGED: u64 = 5;
/// The time-out of requests that are to be done.
const TIMEOUT_MS: u32 = 60_000;

/// Interrupts that are not the driver's for which a scenario waits.
const FOREIGN: u64 = 100;
/// How long it may take until so many have come.
const LIMIT: Duration = Duration::from_mins(1);
/// Calls of the ISR that the rig has counted, and does not know yet how they end.
const UNDER_WAY: u64 = 8;

/// The calls of the ISR that found nothing, as the driver counted them, and what the rig had
/// counted before and after.
struct NotOurs {
    driver: u64,
    rig: (u64, u64),
}

impl NotOurs {
    fn now(rig: &Rig, device: &Device<'_>) -> anyhow::Result<Self> {
        let unclaimed = |report: Report| report.isr_calls - report.isr_claimed;
        let before = unclaimed(rig.report()?);
        let driver = device.statistics()?.interrupts_not_ours;
        let after = unclaimed(rig.report()?);
        Ok(Self {
            driver,
            rig: (before, after),
        })
    }
}

/// Waits until some interrupts more were not the driver's; fails unless it counts each call
/// of its ISR that found nothing.
fn not_ours(rig: &Rig) -> anyhow::Result<()> {
    let handle = rig.open(&Open::read_write(0))?;
    let device = Device::new(handle.as_ref());
    let begin = NotOurs::now(rig, &device)?;
    let deadline = Instant::now() + LIMIT;
    let end = loop {
        let now = NotOurs::now(rig, &device)?;
        if now.driver >= begin.driver + FOREIGN {
            break now;
        }
        ensure!(
            Instant::now() < deadline,
            "only {} interrupts were not the driver's",
            now.driver - begin.driver
        );
        thread::sleep(POLL);
    };
    handle.close()?;
    let counted = end.driver - begin.driver;
    let fewest = end.rig.0.saturating_sub(begin.rig.1 + UNDER_WAY);
    let most = end.rig.1 + UNDER_WAY - begin.rig.0;
    ensure!(
        (fewest..=most).contains(&counted),
        "the driver counted {counted} interrupts that were not its own, and the rig {fewest} to {most}"
    );
    Ok(())
}

/// Fails unless the driver has connected its interrupt so.
fn is_connected_as(rig: &Rig, kind: InterruptKind) -> anyhow::Result<()> {
    let handle = rig.open(&Open::read_write(0))?;
    let identity = Device::new(handle.as_ref()).identify()?;
    handle.close()?;
    ensure!(
        InterruptKind::from_value(identity.interrupt_kind) == Some(kind),
        "the interrupt is of kind {} instead of {kind:?}",
        identity.interrupt_kind
    );
    Ok(())
}

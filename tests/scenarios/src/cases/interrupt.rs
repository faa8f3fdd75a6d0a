//! Interrupts as a machine may send them: in every form in which they can be connected, to
//! whatever processor.

use anyhow::ensure;
use edu_interface::InterruptKind;
use eductl::{Device, Open, System as _, rig::Rig};

use super::{
    List,
    support::{in_rig, verified},
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

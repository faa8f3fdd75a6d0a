//! Row 8: timers of all kinds, and the IoTimer's time-out.

use anyhow::ensure;
use rig_protocol::Action;

use super::{List, machine, on_1_and_4, with_device};
use crate::artifacts::Artifacts;

pub(super) fn add(list: &mut List) {
    on_1_and_4(list, "08-timer", kinds);
    on_1_and_4(list, "08-io-timer", time_out);
    on_1_and_4(list, "08-timer-removal", |artifacts, processors| {
        removal(artifacts, processors, None)
    });
    on_1_and_4(
        list,
        "08-timer-surprise-removal",
        |artifacts, processors| removal(artifacts, processors, Some(Action::SurpriseRemoval)),
    );
}

fn kinds(artifacts: &Artifacts, processors: u32) -> anyhow::Result<()> {
    let machine = machine(artifacts, "timers", processors)?;
    with_device(&machine, |_, subject| {
        subject.check(1, &[])?;
        subject.check(2, &[])?;
        subject.check(3, &[])?;
        subject.check(4, &[])?;
        subject.check(5, &[25])?;
        subject.check(8, &[])?;
        Ok(())
    })
}

/// An operation whose interrupt comes; one whose is lost, which a reset saves; one that
/// nothing saves.
fn time_out(artifacts: &Artifacts, processors: u32) -> anyhow::Result<()> {
    let machine = machine(artifacts, "timers", processors)?;
    with_device(&machine, |_, subject| {
        subject.check(6, &[0])?;
        let [ticks, ..] = subject.check(6, &[1])?;
        ensure!(ticks >= 2, "an operation was given up after {ticks} ticks");
        let [ticks, ..] = subject.check(6, &[2])?;
        ensure!(ticks >= 3, "a reset was given up after {ticks} ticks");
        subject.check(7, &[])?;
        Ok(())
    })
}

/// The device stops and starts, and goes, while every timer is pending: by this
/// action, or as it is removed in the end.
fn removal(artifacts: &Artifacts, processors: u32, action: Option<Action>) -> anyhow::Result<()> {
    let machine = machine(artifacts, "timers", processors)?;
    with_device(&machine, |rig, subject| {
        subject.check(9, &[])?;
        rig.pnp(0, Action::Stop)?;
        rig.pnp(0, Action::Start)?;
        subject.check(9, &[])?;
        if let Some(action) = action {
            rig.pnp(0, action)?;
        }
        Ok(())
    })
}

//! Row 4: custom and threaded DPCs.

use anyhow::ensure;
use rig_protocol::Action;

use super::{List, machine, on_1_and_4, with_device};
use crate::artifacts::Artifacts;

/// How often the DPCs that are left queued queue themselves again: more often than a
/// removal takes.
const LINKS: u64 = 100_000;

pub(super) fn add(list: &mut List) {
    on_1_and_4(list, "04-custom-dpc", custom);
    on_1_and_4(list, "04-threaded-dpc", |artifacts, processors| {
        threaded(artifacts, processors, true)
    });
    on_1_and_4(list, "04-threaded-dpc-off", |artifacts, processors| {
        threaded(artifacts, processors, false)
    });
    on_1_and_4(list, "04-dpc-removal", |artifacts, processors| {
        removal(artifacts, processors, None)
    });
    on_1_and_4(list, "04-dpc-surprise-removal", |artifacts, processors| {
        removal(artifacts, processors, Some(Action::SurpriseRemoval))
    });
}

fn custom(artifacts: &Artifacts, processors: u32) -> anyhow::Result<()> {
    let machine = machine(artifacts, "dpc", processors)?;
    with_device(&machine, |_, subject| {
        for _ in 0..5 {
            subject.check(1, &[])?;
        }
        let [seen, ..] = subject.check(2, &[])?;
        ensure!(
            seen == u64::from(processors),
            "DPCs were sent to {seen} processors, and there are {processors}"
        );
        subject.check(3, &[])?;
        subject.check(4, &[])?;
        subject.check(6, &[50])?;
        subject.check(7, &[])?;
        Ok(())
    })
}

/// In threads, and with the threads disabled.
fn threaded(artifacts: &Artifacts, processors: u32, in_threads: bool) -> anyhow::Result<()> {
    let option = if in_threads { "on" } else { "off" };
    let machine =
        machine(artifacts, "dpc", processors)?.with_option(&format!("threaded-dpcs={option}"));
    with_device(&machine, |_, subject| {
        subject.check(5, &[u64::from(in_threads)])?;
        subject.check(7, &[])?;
        Ok(())
    })
}

/// The device stops and starts, and goes, while DPCs are queued and queue themselves: by
/// this action, or as it is removed in the end.
fn removal(artifacts: &Artifacts, processors: u32, action: Option<Action>) -> anyhow::Result<()> {
    let machine = machine(artifacts, "dpc", processors)?;
    with_device(&machine, |rig, subject| {
        subject.check(8, &[500])?;
        rig.pnp(0, Action::Stop)?;
        rig.pnp(0, Action::Start)?;
        subject.check(3, &[])?;
        subject.check(8, &[LINKS])?;
        if let Some(action) = action {
            rig.pnp(0, action)?;
        }
        Ok(())
    })
}

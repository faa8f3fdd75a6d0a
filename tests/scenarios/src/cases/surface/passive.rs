//! Row 11: passive-level interrupts, whose critical sections wait.

use anyhow::ensure;
use rig_protocol::Action;

use super::{List, Subject, machine, on_1_and_4, with_device};
use crate::{artifacts::Artifacts, machine::Machine};

// The checks of the driver, see its `checks` module.
const ONE_AT_A_TIME: u32 = 1;
const SECTIONS: u32 = 2;
const WAIT_INSIDE: u32 = 3;
const RESULTS: u32 = 4;
const INTERRUPTS_WHILE_INSIDE: u32 = 5;

pub(super) fn add(list: &mut List) {
    on_1_and_4(list, "11-passive-interrupt", sections);
    on_1_and_4(list, "11-passive-stop-under-load", stop_under_load);
    on_1_and_4(list, "11-passive-two-devices", two_devices);
}

fn passive(artifacts: &Artifacts, processors: u32) -> anyhow::Result<Machine> {
    Ok(machine(artifacts, "passive", processors)?.with_option("irq=passive"))
}

/// ISR, work item, critical sections of several threads that wait inside.
fn sections(artifacts: &Artifacts, processors: u32) -> anyhow::Result<()> {
    with_device(&passive(artifacts, processors)?, |rig, subject| {
        let before = rig.report()?;
        subject.check(ONE_AT_A_TIME, &[20])?;
        let after = rig.report()?;
        ensure!(
            after.isr_claimed - before.isr_claimed == 20,
            "the ISR claimed {} interrupts instead of 20",
            after.isr_claimed - before.isr_claimed
        );
        let side_by_side: Vec<_> = (0..3)
            .map(|_| subject.start(SECTIONS, &[20]))
            .collect::<Result<_, _>>()?;
        for running in side_by_side {
            running.wait()?;
        }
        subject.check(WAIT_INSIDE, &[])?;
        subject.check(RESULTS, &[])?;
        subject.check(INTERRUPTS_WHILE_INSIDE, &[])?;
        Ok(())
    })
}

/// Stopping waits for sections and the ISR that wait inside; started again, all works.
fn stop_under_load(artifacts: &Artifacts, processors: u32) -> anyhow::Result<()> {
    with_device(&passive(artifacts, processors)?, |rig, subject| {
        for _ in 0..3 {
            let running = subject.start(SECTIONS, &[10_000])?;
            subject.check(RESULTS, &[])?;
            rig.pnp(0, Action::Stop)?;
            // Its next section found the interrupt disconnected.
            ensure!(
                running.wait().is_err(),
                "sections went on while the device was stopped"
            );
            rig.pnp(0, Action::Start)?;
            subject.check(ONE_AT_A_TIME, &[5])?;
        }
        Ok(())
    })
}

/// Two devices on one line: each ISR is called for the other's interrupts too, and does
/// not claim them.
fn two_devices(artifacts: &Artifacts, processors: u32) -> anyhow::Result<()> {
    let machine = passive(artifacts, processors)?.with_devices(2);
    with_device(&machine, |rig, first| {
        let second = Subject::open(rig, 1)?;
        let running = [
            first.start(ONE_AT_A_TIME, &[10])?,
            second.start(ONE_AT_A_TIME, &[10])?,
        ];
        for running in running {
            running.wait()?;
        }
        second.close()
    })
}

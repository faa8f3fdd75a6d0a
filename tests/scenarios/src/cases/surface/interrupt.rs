//! Rows 1, 3 and 5: the ISR, DpcForIsr, dispatch routines.

use anyhow::ensure;

use super::{List, machine, on_1_and_4, with_device};
use crate::{artifacts::Artifacts, machine::Interrupts};

pub(super) fn add(list: &mut List) {
    on_1_and_4(list, "01-isr-message", |artifacts, processors| {
        isr(artifacts, processors, Interrupts::Msi)
    });
    on_1_and_4(list, "01-isr-line", |artifacts, processors| {
        isr(artifacts, processors, Interrupts::Intx)
    });
}

fn isr(artifacts: &Artifacts, processors: u32, interrupts: Interrupts) -> anyhow::Result<()> {
    const MANY: u64 = 200;
    let machine = machine(artifacts, "interrupt", processors)?.with_interrupts(interrupts);
    with_device(&machine, |_, subject| {
        subject.check(1, &[50])?;
        let [count, runs, ..] = subject.check(2, &[MANY])?;
        ensure!(count == MANY, "{count} interrupts instead of {MANY}");
        // On one processor the DPC cannot run before all of them have come.
        ensure!(
            processors > 1 || runs == 1,
            "one DPC run should have drained {MANY} interrupts, and {runs} did"
        );
        subject.check(3, &[])?;
        subject.check(4, &[])?;
        let [other, for_isr, ..] = subject.check(5, &[25])?;
        ensure!(
            (other, for_isr) == (50, 25),
            "the other DPC drained {other} interrupts and DpcForIsr {for_isr}"
        );
        subject.check(6, &[50])?;
        Ok(())
    })
}

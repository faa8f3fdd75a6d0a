//! Row 7: ControllerControl, in a driver without PnP whose two device objects share one
//! controller object.

use anyhow::ensure;

use super::{List, Subject, machine, on_1_and_4};
use crate::{
    artifacts::Artifacts,
    cases::support::{in_rig, refused},
    machine::Interrupts,
};

const FACTORIAL: u32 = 1;
const COMPLEMENT: u32 = 2;
const RECORD: u32 = 3;

/// Requests of each kind, for each device object.
const MANY: u32 = 40;

pub(super) fn add(list: &mut List) {
    on_1_and_4(list, "07-controller-control", serialised);
    on_1_and_4(list, "07-driver-entry-fails", driver_entry_fails);
}

/// A driver whose hardware fails at the end of DriverEntry has given everything back, and
/// is not loaded.
fn driver_entry_fails(artifacts: &Artifacts, processors: u32) -> anyhow::Result<()> {
    let machine = machine(artifacts, "controller", processors)?
        .with_interrupts(Interrupts::Intx)
        .with_option("model=legacy")
        .with_option("parameter=FailStart:dword:1");
    // STATUS_DEVICE_CONFIGURATION_ERROR
    refused(&machine, &["DriverEntry", "0xc0000182"])
}

/// Requests for both devices at once: each has its turn, and no two at a time.
fn serialised(artifacts: &Artifacts, processors: u32) -> anyhow::Result<()> {
    let machine = machine(artifacts, "controller", processors)?
        .with_interrupts(Interrupts::Intx)
        .with_option("model=legacy");
    in_rig(&machine, |rig| {
        let units = [Subject::open(rig, 0)?, Subject::open(rig, 1)?];
        let mut running = Vec::new();
        for number in 0..MANY {
            for (unit, subject) in (0_u64..).zip(&units) {
                let n = number % 13;
                let factorial = (1..=u64::from(n)).product::<u64>();
                let asked = subject.start(FACTORIAL, &[n.into()])?;
                running.push((asked, factorial, unit));
                let asked = subject.start(COMPLEMENT, &[number.into()])?;
                running.push((asked, u64::from(!number), unit));
            }
        }
        for (asked, wanted, unit) in running {
            let [answer, answered_by, ..] = asked.wait()?;
            ensure!(
                (answer, answered_by) == (wanted, unit),
                "unit {answered_by} answered {answer}, and unit {unit} was to answer {wanted}"
            );
        }
        let [first, second] = &units;
        let [turns_of_first, turns_of_second, overlaps, results, ..] = first.check(RECORD, &[])?;
        let each = u64::from(2 * MANY);
        ensure!(
            (turns_of_first, turns_of_second) == (each, each),
            "{turns_of_first} and {turns_of_second} turns instead of {each} each"
        );
        ensure!(overlaps == 0, "{overlaps} turns began during another");
        ensure!(results == each, "{results} results instead of {each}");
        ensure!(
            second.check(RECORD, &[])? == [each, each, 0, each, 0, 0, 0, 0],
            "the two devices do not share their controller"
        );
        units.into_iter().try_for_each(Subject::close)
    })?;
    Ok(())
}

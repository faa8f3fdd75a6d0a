//! The device's registers: how often the driver touches them, and what it does when the
//! device does not answer any more, or may not access memory.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use eductl::{
    Device, NtStatus, Open, Transport as _,
    rig::{PendingControl, Rig, RigHandle},
    verify,
};
use rig_protocol::{Action, Reply, Request};

use super::{
    List,
    pending::{LONG_MS, expect_factorial, start_factorial, start_factorial_within},
    support::{computes, fails_with, in_rig, passed},
    transfers::{self, pattern},
};
use crate::{
    artifacts::Artifacts,
    machine::{Interrupts, Machine},
};

const LIMIT: Duration = Duration::from_secs(30);

/// Requests of one kind whose accesses are counted.
const REQUESTS: u64 = 50;
/// Reads and writes of registers that one request takes, the interrupt's included.
const BY_RAISE: (u64, u64) = (1, 2);
const BY_FACTORIAL: (u64, u64) = (2, 2);
const BY_TRANSFER: (u64, u64) = (1, 5);

/// Up to so many accesses the device goes at each of them. Further on are those that a stop
/// makes while it waits for a transfer, one like the other: there it goes at ever fewer.
const EACH_ACCESS: u32 = 20;
/// More accesses than one round makes, by far.
const MANY_ACCESSES: u32 = 2_000;
/// More reports than can be disturbed by an interrupt that was under way.
const MANY_REPORTS: u32 = 100;
/// The time-out of requests to a device that does not answer.
const SHORT_MS: u32 = 100;
const LENGTH: usize = 512;

/// What a transfer ends with whose device is seen to be gone.
const GONE: [NtStatus; 1] = [NtStatus::DELETE_PENDING];

/// What ends a round in which the device has stopped answering.
const WAYS: [Way; 3] = [Way::Surprise, Way::Stop, Way::Sleep];

#[derive(Clone, Copy, Debug)]
enum Way {
    /// It is removed by surprise, and comes back.
    Surprise,
    /// It is stopped, answers again, and is started.
    Stop,
    /// It goes to sleep and answers again when it wakes up.
    Sleep,
}

pub(super) fn add(list: &mut List) {
    for (processors, interrupts) in [(1, Interrupts::Msi), (4, Interrupts::Intx)] {
        let machine = move |artifacts: &Artifacts| {
            Machine::new(artifacts)
                .with_processors(processors)
                .with_interrupts(interrupts)
        };
        list.add(
            format!("mmio/accesses-counted-{processors}-{interrupts}"),
            move |artifacts| accesses_counted(&machine(artifacts)),
        );
        list.add(
            format!("mmio/stops-answering-anywhere-{processors}-{interrupts}"),
            move |artifacts| stops_answering(&machine(artifacts)),
        );
    }
    list.add("mmio/no-bus-mastering", |artifacts| {
        no_bus_mastering(&Machine::new(artifacts).with_processors(2))
    });
}

/// Each request takes the register accesses that it cannot do without, and no others.
fn accesses_counted(machine: &Machine) -> anyhow::Result<()> {
    in_rig(machine, |rig| {
        let handle = rig.open_handle(&Open::read_write(0))?;
        let device = Device::new(&handle);
        counted(rig, "raise", BY_RAISE, || {
            device.raise(2, LONG_MS)?;
            Ok(())
        })?;
        counted(rig, "factorial", BY_FACTORIAL, || {
            computes(&device, 12, LONG_MS)
        })?;
        let data = pattern(7, LENGTH);
        counted(rig, "write", BY_TRANSFER, || {
            transfers::write(&handle, 0, &data)
        })
    })?;
    Ok(())
}

/// Sends requests of one kind, each of which takes so many reads and writes.
fn counted(
    rig: &Rig,
    what: &str,
    (reads, writes): (u64, u64),
    request: impl Fn() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    // The first one may find something left to be done from before.
    request()?;
    let before = settled(rig)?;
    for _ in 0..REQUESTS {
        request()?;
    }
    let after = settled(rig)?;
    let counted = (
        after.register_reads - before.register_reads,
        after.register_writes - before.register_writes,
    );
    // On a line the ISR may be called once more than there were interrupts, and reads the
    // status for that.
    let spurious = (after.isr_calls - after.isr_claimed) - (before.isr_calls - before.isr_claimed);
    let wanted = (REQUESTS * reads + spurious, REQUESTS * writes);
    ensure!(
        counted == wanted,
        "{REQUESTS} times a {what} took (reads, writes) {counted:?} in place of {wanted:?}"
    );
    Ok(())
}

/// A report during which no ISR was being called: two in a row say the same.
fn settled(rig: &Rig) -> anyhow::Result<rig_protocol::Report> {
    let figures = |report: &rig_protocol::Report| {
        [
            report.isr_calls,
            report.isr_claimed,
            report.register_reads,
            report.register_writes,
        ]
    };
    let mut last = rig.report()?;
    for _ in 0..MANY_REPORTS {
        let next = rig.report()?;
        if figures(&next) == figures(&last) {
            return Ok(next);
        }
        last = next;
    }
    anyhow::bail!("of {MANY_REPORTS} reports no two in a row agree; the last is {last:?}")
}

/// Has the device stop answering after so many accesses, or answer again.
fn absent(rig: &Rig, after: Option<u32>) -> anyhow::Result<()> {
    match rig.send(Request::Absence { after })?.wait(LIMIT)? {
        Reply::Completed { .. } => Ok(()),
        other => anyhow::bail!("the rig answered with {other:?}"),
    }
}

/// Wherever among its accesses the device stops answering, the driver neither hangs nor
/// makes up an answer, and works when the device is back.
fn stops_answering(machine: &Machine) -> anyhow::Result<()> {
    in_rig(machine, |rig| {
        let mut after = 0;
        // Until it does not come to that any more.
        loop {
            let mut has_left = false;
            for way in WAYS {
                has_left |= round(rig, after, way)
                    .with_context(|| format!("silent after {after} accesses, then {way:?}"))?;
            }
            if !has_left {
                break;
            }
            after += if after < EACH_ACCESS { 1 } else { after / 4 };
            ensure!(
                after < MANY_ACCESSES,
                "rounds take {after} accesses and more"
            );
        }
        passed(&verify::run(rig, 0)?)
    })?;
    Ok(())
}

/// Accesses to registers since the rig booted.
fn accesses(rig: &Rig) -> anyhow::Result<u64> {
    let report = rig.report()?;
    Ok(report.register_reads + report.register_writes)
}

/// One round: requests, during which the device stops answering; whether it came to that.
fn round(rig: &Rig, after: u32, way: Way) -> anyhow::Result<bool> {
    let handle = rig.open_handle(&Open::read_write(0))?;
    absent(rig, Some(after))?;
    let before = accesses(rig)?;
    let returns = || {
        let made = accesses(rig)? - before;
        absent(rig, None)?;
        anyhow::Ok(made >= u64::from(after))
    };
    let factorial = start_factorial_within(&handle, 12, SHORT_MS)?;
    let transfer = handle.start_write(0, &pattern(after, LENGTH))?;
    let raised = Device::new(&handle).raise(2, SHORT_MS);
    if let Err(error) = raised {
        fails_with("a raise", Err::<u32, _>(error), &[NtStatus::IO_TIMEOUT])?;
    }
    right_or_late(factorial)?;
    let last = start_factorial(&handle, 5)?;
    match way {
        Way::Surprise => {
            rig.pnp(0, Action::SurpriseRemoval)?;
            // Either may have been done before.
            let _written = transfer.wait_transfer();
            let _last = last.wait();
            Box::new(handle).close()?;
            let has_left = returns()?;
            rig.pnp(0, Action::Start)?;
            works(&rig.open_handle(&Open::read_write(0))?)?;
            Ok(has_left)
        }
        Way::Stop => {
            rig.pnp(0, Action::Stop)?;
            let has_left = returns()?;
            rig.pnp(0, Action::Start)?;
            goes_on(&handle, transfer, last)?;
            Ok(has_left)
        }
        Way::Sleep => {
            rig.pnp(0, Action::DeviceSleep)?;
            let has_left = returns()?;
            rig.pnp(0, Action::DeviceWake)?;
            goes_on(&handle, transfer, last)?;
            Ok(has_left)
        }
    }
}

/// A factorial of 12 that is right, or has come too late.
fn right_or_late(pending: PendingControl) -> anyhow::Result<()> {
    match pending.wait() {
        Ok(answer) => {
            let wanted = [12_u32.to_le_bytes(), 479_001_600_u32.to_le_bytes()].concat();
            ensure!(answer == wanted, "12! came back as {answer:?}");
            Ok(())
        }
        Err(error) => fails_with("a factorial", Err::<(), _>(error), &[NtStatus::IO_TIMEOUT]),
    }
}

/// What was under way is done when the device answers again, unless the driver has seen
/// that it was gone. It works again.
fn goes_on(
    handle: &RigHandle,
    transfer: PendingControl,
    last: PendingControl,
) -> anyhow::Result<()> {
    match transfer.wait_transfer() {
        Ok((written, _)) => ensure!(written == LENGTH as u64, "{written} bytes were written"),
        Err(error) => fails_with("a write", Err::<(), _>(error), &GONE)?,
    }
    expect_factorial(last, 5)?;
    works(handle)
}

/// The device works.
fn works(handle: &RigHandle) -> anyhow::Result<()> {
    let device = Device::new(handle);
    computes(&device, 9, LONG_MS)?;
    let data = pattern(1, LENGTH);
    transfers::write(handle, 0, &data)?;
    ensure!(
        transfers::read(handle, 0, LENGTH)? == data,
        "the device's buffer holds something else than was written"
    );
    Ok(())
}

/// A device that may not access memory sends no messages either: whatever waits for its
/// interrupt times out, and nothing else is wrong.
fn no_bus_mastering(machine: &Machine) -> anyhow::Result<()> {
    let machine = machine.clone().with_option("bus-master=off");
    in_rig(&machine, |rig| {
        let handle = rig.open_handle(&Open::read_write(0))?;
        let device = Device::new(&handle);
        let transfer = handle.start_write(0, &pattern(3, LENGTH))?;
        fails_with(
            "a raise",
            device.raise(2, SHORT_MS),
            &[NtStatus::IO_TIMEOUT],
        )?;
        fails_with(
            "a factorial",
            device.factorial(12, SHORT_MS),
            &[NtStatus::IO_TIMEOUT],
        )?;
        fails_with("a write", transfer.wait_transfer(), &[NtStatus::IO_TIMEOUT])?;
        let asked = device.liveness(0x1234_5678)?;
        ensure!(asked == !0x1234_5678, "the device says {asked:#x}");
        let counted = device.statistics()?;
        ensure!(
            counted.interrupts_claimed == 0,
            "there were interrupts: {counted:?}"
        );
        Box::new(handle).close()?;
        Ok(())
    })?;
    Ok(())
}

//! A device that hangs: a factorial of which nobody knows when it will be done.
//!
//! The operation fails at its deadline, the device works again when it is done with what
//! nobody waits for any more, and nothing else is lost meanwhile.

use std::time::{Duration, Instant};

use anyhow::ensure;
use eductl::{
    Device, NtStatus, Open, Transport as _,
    rig::{PendingControl, RigHandle},
    verify,
};
use rig_protocol::Action;

use super::{
    List,
    load::Load,
    pending::{LONG_MS, expect_factorial, start_factorial, start_factorial_within, started},
    support::{computes, fails_with, in_rig, passed, remove},
};
use crate::machine::{Interrupts, Machine};

/// Keeps the device busy for 7 s on an idle host, and the time-out of that.
const HUGE: u32 = u32::MAX;
const DEADLINE: Duration = Duration::from_secs(1);
const DEADLINE_MS: u32 = 1_000;
/// The same where the device is waited for several times: 2 s.
const LARGE: u32 = 1_000_000_000;
const SHORT_MS: u32 = 300;
/// Factorials that wait behind the one that hangs.
const BEHIND: [u32; 3] = [5, 12, 13];
/// What a request ends with whose device is gone.
const GONE: [NtStatus; 1] = [NtStatus::DELETE_PENDING];

pub(super) fn add(list: &mut List) {
    for (processors, interrupts) in [(1, Interrupts::Intx), (4, Interrupts::Msi)] {
        list.add(
            format!("hung/deadline-under-load-{processors}-{interrupts}"),
            move |artifacts| {
                let machine = Machine::new(artifacts)
                    .with_processors(processors)
                    .with_interrupts(interrupts);
                deadline_under_load(&machine)
            },
        );
    }
    list.add("hung/stopped-asleep-removed", |artifacts| {
        whatever_happens(&Machine::new(artifacts).with_processors(2))
    });
}

/// The deadline is kept, and the device was still at it then, while several threads go
/// on asking; those are answered when the device is done.
fn deadline_under_load(machine: &Machine) -> anyhow::Result<()> {
    in_rig(machine, |rig| {
        let handle = rig.open_handle(&Open::read_write(0))?;
        let device = Device::new(&handle);
        let load = Load::new(&handle, LONG_MS, &[]);
        load.during(|| {
            let began = Instant::now();
            let hung = start_factorial_within(&handle, HUGE, DEADLINE_MS)?;
            fails_with("it hangs", hung.wait(), &[NtStatus::IO_TIMEOUT])?;
            let elapsed = began.elapsed();
            let at_deadline = device.statistics()?;
            ensure!(elapsed >= DEADLINE, "it failed after {elapsed:?} already");
            ensure!(
                (
                    at_deadline.operations_timed_out,
                    at_deadline.interrupts_unasked
                ) == (1, 0),
                "the factorial was to time out before the device is done with it, but: \
                 {at_deadline:?}"
            );
            load.goes_on()?;
            let later = device.statistics()?;
            ensure!(
                (later.operations_timed_out, later.interrupts_unasked) == (1, 1),
                "the device's one late interrupt should have been counted, but: {later:?}"
            );
            Ok(())
        })?;
        Box::new(handle).close()?;
        passed(&verify::run(rig, 0)?)
    })?;
    Ok(())
}

/// A device that hangs is stopped and started, sent to sleep, removed in good order and
/// by surprise, with other requests waiting.
fn whatever_happens(machine: &Machine) -> anyhow::Result<()> {
    const WAYS: [[Action; 2]; 3] = [
        [Action::Stop, Action::Start],
        [Action::DeviceSleep, Action::DeviceWake],
        [Action::Sleep, Action::Wake],
    ];
    in_rig(machine, |rig| {
        let handle = rig.open_handle(&Open::read_write(0))?;
        for way in WAYS {
            let (hung, behind) = hang(&handle)?;
            for action in way {
                rig.pnp(0, action)?;
            }
            // It is begun again, and hangs again.
            fails_with("it hangs", hung.wait(), &[NtStatus::IO_TIMEOUT])?;
            for (pending, n) in behind {
                expect_factorial(pending, n)?;
            }
        }
        let (hung, behind) = hang(&handle)?;
        rig.pnp(0, Action::SurpriseRemoval)?;
        fails_with("it is gone", hung.wait(), &GONE)?;
        for (pending, _) in behind {
            fails_with("one behind it", pending.wait(), &GONE)?;
        }
        Box::new(handle).close()?;
        rig.pnp(0, Action::Start)?;

        let handle = rig.open_handle(&Open::read_write(0))?;
        let (hung, behind) = hang(&handle)?;
        Box::new(handle).close()?;
        fails_with("its handle is closed", hung.wait(), &[NtStatus::CANCELLED])?;
        for (pending, _) in behind {
            fails_with("one behind it", pending.wait(), &[NtStatus::CANCELLED])?;
        }
        remove(rig, 0)?;
        rig.pnp(0, Action::Start)?;
        let handle = rig.open_handle(&Open::read_write(0))?;
        computes(&Device::new(&handle), 10, LONG_MS)?;
        Box::new(handle).close()?;
        passed(&verify::run(rig, 0)?)
    })?;
    Ok(())
}

/// Has the device hang, and others wait behind that.
fn hang(handle: &RigHandle) -> anyhow::Result<(PendingControl, Vec<(PendingControl, u32)>)> {
    let device = Device::new(handle);
    let before = device.statistics()?.operations_started;
    let hung = start_factorial_within(handle, LARGE, SHORT_MS)?;
    started(&device, before + 1)?;
    let behind = BEHIND
        .into_iter()
        .map(|n| Ok((start_factorial(handle, n)?, n)))
        .collect::<anyhow::Result<_>>()?;
    Ok((hung, behind))
}

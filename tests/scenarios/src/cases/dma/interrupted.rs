//! Reads and writes that something comes in between of: they end once, rightly or not at all,
//! and the device works on.
//!
//! There is one map register, so a read or a write of the whole buffer takes two transfers,
//! and what happens in the first is seen before the second.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use eductl::{
    Device, DeviceError, NtStatus, Open, Transport as _,
    rig::{PendingControl, Rig, RigHandle},
};
use rig_protocol::{Action, Request};

use super::{
    super::{
        List,
        pending::LONG_MS,
        support::{computes, fails_with, in_rig},
        transfers::{finish_read, finish_write, pattern, read, started, write},
    },
    WHOLE,
};
use crate::{
    artifacts::Artifacts,
    machine::{Interrupts, Machine},
};

const LIMIT: Duration = Duration::from_secs(20);
/// Long enough for an answer that must not come.
const A_WHILE: Duration = Duration::from_millis(500);
/// How often something is tried that has to come at the right moment.
const ATTEMPTS: u32 = 300;
/// What a device that is gone or going answers.
const GONE: NtStatus = NtStatus::DELETE_PENDING;

/// The ways in which a device stops working for a while.
const WAYS: [(Action, Action); 3] = [
    (Action::Stop, Action::Start),
    (Action::Sleep, Action::Wake),
    (Action::DeviceSleep, Action::DeviceWake),
];

pub(super) fn add(list: &mut List) {
    for processors in [1, 4] {
        list.add(
            format!("dma/cancelled-closed-stopped-asleep/{processors}"),
            move |artifacts| interrupted(&machine(artifacts, processors, Interrupts::Msi)),
        );
    }
    for (processors, interrupts) in [(1, Interrupts::Msi), (4, Interrupts::Intx)] {
        list.add(
            format!("dma/again-and-again-under-load/{processors}-processors-{interrupts}"),
            move |artifacts| under_load(&machine(artifacts, processors, interrupts)),
        );
    }
    list.add("dma/surprise-removal-under-load", |artifacts| {
        surprise_removal(&machine(artifacts, 4, Interrupts::Msi))
    });
}

fn machine(artifacts: &Artifacts, processors: u32, interrupts: Interrupts) -> Machine {
    Machine::new(artifacts)
        .with_processors(processors)
        .with_interrupts(interrupts)
        .with_option("dma-map-registers=1")
}

fn interrupted(machine: &Machine) -> anyhow::Result<()> {
    in_rig(machine, |rig| {
        let handle = rig.open_handle(&Open::read_write(0))?;
        cancelled_under_way(rig, &handle)?;
        closed(rig, &handle)?;
        for (leave, come_back) in WAYS {
            finished_first(rig, &handle, leave, come_back)?;
            held(rig, &handle, machine.processors(), leave, come_back)?;
        }
        works(&handle)
    })?;
    Ok(())
}

/// A transfer of everything comes back.
fn works(handle: &RigHandle) -> anyhow::Result<()> {
    let data = pattern(9_999, WHOLE);
    write(handle, 0, &data)?;
    ensure!(
        read(handle, 0, WHOLE)? == data,
        "the device gave back something else than was written to it"
    );
    Ok(())
}

/// Sends a write of everything, and waits until the device is at it.
fn write_under_way(handle: &RigHandle, seed: u32) -> anyhow::Result<PendingControl> {
    let device = Device::new(handle);
    let before = device.statistics()?.dma_started;
    let writing = handle.start_write(0, &pattern(seed, WHOLE))?;
    started(&device, before + 1)?;
    Ok(writing)
}

fn cancel(rig: &Rig, pending: &PendingControl) -> anyhow::Result<()> {
    let number = pending.number();
    rig.send(Request::Cancel { number })?.wait(LIMIT)?;
    Ok(())
}

/// Whether a request was done; what was not must have ended with `status`.
fn is_done(pending: PendingControl, status: NtStatus) -> anyhow::Result<bool> {
    match pending.wait_transfer() {
        Ok(_) => Ok(true),
        Err(error) => {
            let ended = Err::<(), _>(DeviceError::from(error));
            fails_with("a request that was interrupted", ended, &[status])?;
            Ok(false)
        }
    }
}

/// Waits until the driver was sent `count` IRPs.
fn arrived(rig: &Rig, count: u64) -> anyhow::Result<()> {
    let began = Instant::now();
    while rig.report()?.irps_sent < count {
        ensure!(began.elapsed() < LIMIT, "IRP {count} is never sent");
    }
    Ok(())
}

/// A write that is cancelled while the device is at its first transfer gets no second one.
fn cancelled_under_way(rig: &Rig, handle: &RigHandle) -> anyhow::Result<()> {
    let device = Device::new(handle);
    for attempt in 0..ATTEMPTS {
        let before = device.statistics()?.dma_started;
        let under_way = write_under_way(handle, attempt)?;
        let behind = handle.start_read(0, 1)?;
        let last = handle.start_write(100, &pattern(attempt, 1000))?;
        cancel(rig, &last)?;
        cancel(rig, &under_way)?;
        let (done, last_done) = (
            is_done(under_way, NtStatus::CANCELLED)?,
            is_done(last, NtStatus::CANCELLED)?,
        );
        finish_read(behind, 1)?;
        let transfers = device.statistics()?.dma_started - before;
        if !done && !last_done && transfers == 2 {
            return works(handle);
        }
    }
    anyhow::bail!("no write in {ATTEMPTS} was cancelled during its first transfer")
}

/// Closing a handle ends its requests, the one under way too, and no others.
fn closed(rig: &Rig, handle: &RigHandle) -> anyhow::Result<()> {
    const REQUESTS: u32 = 4;
    for attempt in 0..ATTEMPTS {
        let other = rig.open_handle(&Open::read_write(0))?;
        let mut others = vec![write_under_way(&other, attempt)?];
        let sent = rig.report()?.irps_sent;
        for seed in 1..REQUESTS {
            others.push(other.start_write(0, &pattern(attempt + seed, WHOLE))?);
        }
        let kept = handle.start_read(7, 30)?;
        // None of them may come after the close.
        arrived(rig, sent + u64::from(REQUESTS))?;
        Box::new(other).close()?;
        let mut done = 0;
        for pending in others {
            done += u32::from(is_done(pending, NtStatus::CANCELLED)?);
        }
        finish_read(kept, 30)?;
        if done == 0 {
            return works(handle);
        }
    }
    anyhow::bail!("no handle in {ATTEMPTS} was closed while its first request was under way")
}

/// A write that the device is at when it is to stop comes to its end before that.
fn finished_first(
    rig: &Rig,
    handle: &RigHandle,
    leave: Action,
    come_back: Action,
) -> anyhow::Result<()> {
    let device = Device::new(handle);
    let before = device.statistics()?.dma_started;
    let mut writing = write_under_way(handle, 1_000)?;
    rig.pnp(0, leave)?;
    ensure!(
        writing.answers_within(LIMIT),
        "{leave:?}: the write that was under way does not end"
    );
    finish_write(writing, WHOLE)?;
    rig.pnp(0, come_back)?;
    let transfers = device.statistics()?.dma_started - before;
    ensure!(transfers == 2, "the write took {transfers} transfers");
    ensure!(
        read(handle, 0, WHOLE)? == pattern(1_000, WHOLE),
        "the device gave back something else than was written to it"
    );
    Ok(())
}

/// What comes while the device does not work is held, can be cancelled, and is done
/// afterwards, in order.
fn held(
    rig: &Rig,
    handle: &RigHandle,
    processors: u32,
    leave: Action,
    come_back: Action,
) -> anyhow::Result<()> {
    let under_way = write_under_way(handle, 1)?;
    rig.pnp(0, leave)?;
    let mut held = Vec::new();
    for seed in 2..5 {
        held.push(handle.start_write(0, &pattern(seed, WHOLE))?);
    }
    let unwanted = handle.start_write(5, &pattern(6, 1000))?;
    let mut reading = handle.start_read(0, WHOLE)?;
    ensure!(
        !reading.answers_within(A_WHILE),
        "{leave:?}: a read was done by a device that does not work"
    );
    fails_with(
        "a read behind the end of a device that does not work",
        handle.start_read(WHOLE as u64, 1)?.wait_transfer(),
        &[NtStatus::END_OF_FILE],
    )?;
    cancel(rig, &unwanted)?;
    fails_with(
        "a write that was held and cancelled",
        unwanted.wait_transfer(),
        &[NtStatus::CANCELLED],
    )?;
    rig.pnp(0, come_back)?;
    finish_write(under_way, WHOLE)?;
    for writing in held {
        finish_write(writing, WHOLE)?;
    }
    let seen = finish_read(reading, WHOLE)?;
    // Several processors give requests that come together to the driver in any order.
    ensure!(
        processors > 1 || seen == pattern(4, WHOLE),
        "{leave:?}: what was held was not done in the order in which it came"
    );
    Ok(())
}

/// The device stops and sleeps again and again, while others read, write and compute.
fn under_load(machine: &Machine) -> anyhow::Result<()> {
    const WORKERS: usize = 3;
    const PART: usize = WHOLE / WORKERS;
    const ROUNDS: u32 = 4;
    in_rig(machine, |rig| {
        let handle = rig.open_handle(&Open::read_write(0))?;
        let device = Device::new(&handle);
        thread::scope(|scope| {
            let copies: Vec<_> = (0..WORKERS)
                .map(|worker| {
                    let handle = &handle;
                    scope.spawn(move || {
                        for round in 0..ROUNDS {
                            let offset = worker * PART;
                            let data = pattern(round * 10 + u32::try_from(worker)?, PART);
                            write(handle, offset as u64, &data)?;
                            ensure!(
                                read(handle, offset as u64, PART)? == data,
                                "worker {worker}: what it read is not what it wrote"
                            );
                        }
                        anyhow::Ok(())
                    })
                })
                .collect();
            let operations = scope.spawn(|| {
                (0..100).try_for_each(|n| {
                    computes(&device, n % 40, LONG_MS)?;
                    device.raise(0x100 | n, LONG_MS)?;
                    anyhow::Ok(())
                })
            });
            let mut ways = WAYS.into_iter().cycle();
            while copies.iter().any(|worker| !worker.is_finished()) {
                let (leave, come_back) = ways.next().context("they go on for ever")?;
                rig.pnp(0, leave)?;
                rig.pnp(0, come_back)?;
            }
            for worker in copies.into_iter().chain([operations]) {
                worker.join().ok().context("a thread panicked")??;
            }
            anyhow::Ok(())
        })?;
        let counted = device.statistics()?;
        ensure!(
            counted.dma_started
                == counted.dma_completed + counted.dma_aborted + counted.dma_timed_out
                && counted.dma_timed_out == 0,
            "each transfer that was started has ended, but: {counted:?}"
        );
        works(&handle)
    })?;
    Ok(())
}

/// The device goes with one request under way and many behind it.
fn surprise_removal(machine: &Machine) -> anyhow::Result<()> {
    const REQUESTS: u32 = 40;
    in_rig(machine, |rig| {
        let handle = rig.open_handle(&Open::read_write(0))?;
        let mut pending = vec![write_under_way(&handle, 1)?];
        for seed in 0..REQUESTS {
            pending.push(handle.start_write(0, &pattern(seed, WHOLE))?);
            pending.push(handle.start_read(0, WHOLE)?);
        }
        rig.pnp(0, Action::SurpriseRemoval)?;
        let mut gone = 0;
        for pending in pending {
            gone += u32::from(!is_done(pending, GONE)?);
        }
        ensure!(gone > 0, "everything was done before the device went");
        for refused in [handle.start_read(0, 1)?, handle.start_write(0, &[1])?] {
            fails_with("afterwards", refused.wait_transfer(), &[GONE])?;
        }
        Box::new(handle).close()?;
        Ok(())
    })?;
    Ok(())
}

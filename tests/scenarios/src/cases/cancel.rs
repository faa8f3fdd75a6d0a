//! Requests to edu.sys that are not wanted any more: cancelled, or their handle closed.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use eductl::{
    Device, DeviceError, NtStatus, Open, Transport as _,
    rig::{PendingControl, Rig},
    verify,
};
use rig_protocol::{Action, Request};

use super::{
    List,
    pending::{LONG_MS, start_factorial, start_raise, started},
    support::{computes, fails_with, in_rig, passed},
};
use crate::{artifacts::Artifacts, machine::Machine};

/// Keeps the device busy for seconds.
const LARGE: u32 = u32::MAX;
const LIMIT: Duration = Duration::from_secs(20);
/// What a cancelled request may take: much less than what the device computes.
const PROMPT: Duration = Duration::from_secs(3);

pub(super) fn add(list: &mut List) {
    list.add("cancel/queued-held-and-under-way", anywhere);
    list.add("cancel/closing-one-of-two-handles", one_of_two_handles);
    for processors in [1, 4] {
        list.add(
            format!("cancel/process-exit/{processors}"),
            move |artifacts| process_exit(&Machine::new(artifacts).with_processors(processors)),
        );
        list.add(format!("cancel/storm/{processors}"), move |artifacts| {
            storm(artifacts, processors)
        });
    }
}

/// Cancels a request, which must end soon, as a cancelled one.
fn cancel(rig: &Rig, what: &str, mut pending: PendingControl) -> anyhow::Result<()> {
    let number = pending.number();
    rig.send(Request::Cancel { number })?.wait(LIMIT)?;
    ensure!(pending.answers_within(PROMPT), "{what}: it does not end");
    fails_with(what, pending.wait(), &[NtStatus::CANCELLED])
}

fn anywhere(artifacts: &Artifacts) -> anyhow::Result<()> {
    in_rig(&Machine::new(artifacts).with_processors(2), |rig| {
        let handle = rig.open_handle(&Open::read_write(0))?;
        let device = Device::new(&handle);
        let under_way = start_factorial(&handle, LARGE)?;
        started(&device, 1)?;
        let queued = start_factorial(&handle, 5)?;
        let kept = start_factorial(&handle, 6)?;
        cancel(rig, "a queued request", queued)?;
        cancel(rig, "the one that the device works on", under_way)?;
        // It waits for the device, which computes what nobody wants any more.
        let mut kept = kept;
        ensure!(kept.answers_within(LIMIT), "the one behind never ends");
        ensure!(kept.wait()? == [6_u32.to_le_bytes(), 720_u32.to_le_bytes()].concat());
        let statistics = device.statistics()?;
        ensure!(
            (
                statistics.operations_aborted,
                statistics.operations_completed
            ) == (1, 1),
            "one operation was taken back and one completed, but: {statistics:?}"
        );

        let held = start_factorial(&handle, LARGE)?;
        started(&device, 3)?;
        let behind = start_factorial(&handle, 7)?;
        rig.pnp(0, Action::Stop)?;
        cancel(rig, "the request that is held", held)?;
        cancel(rig, "the one behind it", behind)?;
        rig.pnp(0, Action::Start)?;
        computes(&device, 8, LONG_MS)?;
        passed(&verify::run(rig, 0)?)
    })?;
    Ok(())
}

/// Closing a handle ends its requests at once, and no others.
fn one_of_two_handles(artifacts: &Artifacts) -> anyhow::Result<()> {
    in_rig(&Machine::new(artifacts).with_processors(2), |rig| {
        let handle = rig.open_handle(&Open::read_write(0))?;
        let device = Device::new(&handle);
        let other = rig.open_handle(&Open::read_write(0))?;
        let mut ended = vec![start_factorial(&other, LARGE)?];
        started(&device, 1)?;
        let kept = start_factorial(&handle, 9)?;
        for _ in 0..5 {
            ended.push(start_factorial(&other, LARGE)?);
        }
        let kept_last = start_factorial(&handle, 10)?;
        // Requests may be handled by several processors; none may come after the close.
        device.liveness(1)?;
        thread::sleep(Duration::from_millis(200));
        let began = Instant::now();
        Box::new(other).close()?;
        ensure!(began.elapsed() < PROMPT, "the handle does not close");
        for mut pending in ended {
            ensure!(pending.answers_within(PROMPT), "it does not end");
            fails_with("a closed handle's", pending.wait(), &[NtStatus::CANCELLED])?;
        }
        for (mut pending, n, value) in [(kept, 9_u32, 362_880_u32), (kept_last, 10, 3_628_800)] {
            ensure!(pending.answers_within(LIMIT), "{n}! never ends");
            ensure!(pending.wait()? == [n.to_le_bytes(), value.to_le_bytes()].concat());
        }
        passed(&verify::run(rig, 0)?)
    })?;
    Ok(())
}

/// Hundreds of requests, of which many are cancelled, by the client and by the rig
/// between any two steps of the driver's: each ends once, done or cancelled.
fn storm(artifacts: &Artifacts, processors: u32) -> anyhow::Result<()> {
    const WORKERS: u32 = 4;
    const ROUNDS: u32 = 10;
    const AT_ONCE: u32 = 10;
    let machine = Machine::new(artifacts)
        .with_processors(processors)
        .with_option("cancel-storm=7");
    in_rig(&machine, |rig| {
        let handle = rig.open_handle(&Open::read_write(0))?;
        let (done, gone) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            let workers: Vec<_> = (0..WORKERS)
                .map(|worker| {
                    let (handle, done, gone) = (&handle, &done, &gone);
                    scope.spawn(move || {
                        for round in 0..ROUNDS {
                            let mut pending = Vec::new();
                            for number in 0..AT_ONCE {
                                let request = if (worker + number).is_multiple_of(2) {
                                    start_raise(handle, 1 << (number % 8 + 1))?
                                } else {
                                    start_factorial(handle, round * AT_ONCE + number)?
                                };
                                if (round + number).is_multiple_of(3) {
                                    let number = request.number();
                                    rig.send(Request::Cancel { number })?.wait(LIMIT)?;
                                }
                                pending.push(request);
                            }
                            for request in pending {
                                match request.wait() {
                                    Ok(_) => done.fetch_add(1, Ordering::Relaxed),
                                    Err(error) => {
                                        fails_with::<(), _>(
                                            "a request in the storm",
                                            Err(DeviceError::from(error)),
                                            &[NtStatus::CANCELLED],
                                        )?;
                                        gone.fetch_add(1, Ordering::Relaxed)
                                    }
                                };
                            }
                        }
                        anyhow::Ok(())
                    })
                })
                .collect();
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().ok().context("a thread panicked")?)
        })?;
        let (done, gone) = (done.into_inner(), gone.into_inner());
        let statistics = Device::new(&handle).statistics()?;
        ensure!(
            done + gone == u64::from(WORKERS * ROUNDS * AT_ONCE)
                && done == statistics.operations_completed,
            "{done} requests were done and {gone} cancelled; the driver says {statistics:?}"
        );
        ensure!(done > 0 && gone > 0, "{done} done and {gone} cancelled");
        Ok(())
    })?;
    Ok(())
}

/// How a request of a closed handle ends: cancelled, or refused, if one of the rig's
/// processors came to it only then (STATUS_INVALID_HANDLE).
const ENDED: [NtStatus; 2] = [NtStatus::CANCELLED, NtStatus(0xc000_0008)];

/// All handles of a program are closed at once, with requests of every kind pending on
/// each: every one of them ends, and the device goes on.
fn process_exit(machine: &Machine) -> anyhow::Result<()> {
    const HANDLES: usize = 4;
    in_rig(machine, |rig| {
        let kept = rig.open_handle(&Open::read_write(0))?;
        let first = start_factorial(&kept, LARGE)?;
        started(&Device::new(&kept), 1)?;
        let mut handles = Vec::new();
        let mut pending = Vec::new();
        for _ in 0..HANDLES {
            let handle = rig.open_handle(&Open::read_write(0))?;
            for _ in 0..3 {
                pending.push(start_factorial(&handle, 7)?);
                pending.push(start_raise(&handle, 4)?);
                pending.push(handle.start_read(0, 512)?);
                pending.push(handle.start_write(2048, &[7; 512])?);
            }
            // It is answered when those before it have been taken up.
            Device::new(&handle).liveness(1)?;
            handles.push(handle);
        }
        handles.push(kept);
        pending.push(first);
        thread::scope(|scope| {
            let closers: Vec<_> = handles
                .into_iter()
                .map(|handle| scope.spawn(move || Box::new(handle).close()))
                .collect();
            for closer in closers {
                closer.join().ok().context("a thread panicked")??;
            }
            anyhow::Ok(())
        })?;
        let mut cancelled = 0;
        for request in pending {
            match request.wait_transfer() {
                Ok(_) => {}
                Err(error) => {
                    fails_with::<(), _>("a closed handle's", Err(error), &ENDED)?;
                    cancelled += 1;
                }
            }
        }
        // The operation that takes long and all those behind it, at least.
        ensure!(
            cancelled > 6 * HANDLES,
            "only {cancelled} requests were cancelled"
        );
        // It still computes what nobody waits for.
        let handle = rig.open_handle(&Open::read_write(0))?;
        computes(&Device::new(&handle), 5, LONG_MS)?;
        Box::new(handle).close()?;
        passed(&verify::run(rig, 0)?)
    })?;
    Ok(())
}

//! A cancellation, and a surprise removal, at each call that the driver makes: between any
//! two steps of it.

use std::{env, num::NonZeroUsize, time::Duration};

use anyhow::{Context as _, ensure};
use eductl::{
    Device, DeviceError, NtStatus, Open, Transport as _,
    rig::{PendingControl, Rig, RigHandle},
    verify,
};
use rig_protocol::{Action, Event, Reply, Request};

use super::life::{if_possible, is_well};
use crate::{
    cases::{
        pending::{start_factorial, start_raise},
        support::{fails_with, in_rig, passed},
        transfers::pattern,
    },
    machine::Machine,
};

const LIMIT: Duration = Duration::from_secs(30);
/// More calls than one request makes, or several, until they have ended.
const MANY: u32 = 2_000;
/// Bytes of a transfer: over the end of a page.
const LENGTH: usize = 3_000;
/// From one call at which the device goes to the next that is tried.
const STRIDE: NonZeroUsize = NonZeroUsize::new(13).unwrap();
/// The environment variable that says another.
const STRIDE_VARIABLE: &str = "RIG_STRIDE";

/// A request that is sent again and again, and cancelled at another call each time.
type Start = fn(&RigHandle) -> anyhow::Result<PendingControl>;

const KINDS: [(&str, Start); 4] = [
    ("factorial", |handle| start_factorial(handle, 10)),
    ("raised interrupt", |handle| start_raise(handle, 4)),
    ("write", |handle| {
        Ok(handle.start_write(8, &pattern(1, LENGTH))?)
    }),
    ("read", |handle| Ok(handle.start_read(8, LENGTH)?)),
];

/// Has an event happen at a call of the driver's from now on; the routine in whose call the
/// one before has happened.
pub(in crate::cases) fn at_call(rig: &Rig, call: u32, event: Event) -> anyhow::Result<String> {
    match rig.send(Request::AtCall { call, event })?.wait(LIMIT)? {
        Reply::Completed { output, .. } => Ok(String::from_utf8(output)?),
        other => anyhow::bail!("the rig answered with {other:?}"),
    }
}

/// Each request ends once, done or cancelled, at whichever call it is cancelled; and the one
/// after it is done.
pub(super) fn cancelled(machine: &Machine) -> anyhow::Result<()> {
    in_rig(machine, |rig| {
        let handle = rig.open_handle(&Open::read_write(0))?;
        // A read and a write go the same way.
        for (kind, start) in KINDS.into_iter().take(3) {
            let mut ended = (0, 0);
            for call in 1.. {
                ensure!(call < MANY, "a {kind} makes {MANY} calls, or more");
                let routine = cancel_at(rig, &handle, start, call, &mut ended)
                    .with_context(|| format!("a {kind}, cancelled at call {call}"))?;
                if routine.is_empty() {
                    break;
                }
            }
            println!("{kind}: {} done, {} cancelled", ended.0, ended.1);
            ensure!(
                ended.0 > 0 && ended.1 > 0,
                "of the {kind}s, {} were done and {} cancelled",
                ended.0,
                ended.1
            );
        }
        Box::new(handle).close()?;
        passed(&verify::run(rig, 0)?)
    })?;
    Ok(())
}

/// Sends a request that is cancelled at this call; the call's routine, if there was one.
fn cancel_at(
    rig: &Rig,
    handle: &RigHandle,
    start: Start,
    call: u32,
    (done, cancelled): &mut (u32, u32),
) -> anyhow::Result<String> {
    at_call(rig, call, Event::Cancel)?;
    let mut pending = start(handle)?;
    ensure!(pending.answers_within(LIMIT), "it does not end");
    let answer = pending.wait_transfer();
    let routine = at_call(rig, 0, Event::Nothing)?;
    match answer {
        Ok(_) => *done += 1,
        Err(error) => {
            fails_with::<(), _>("the request", Err(error), &[NtStatus::CANCELLED])?;
            *cancelled += 1;
        }
    }
    Ok(routine)
}

/// What a request ends with whose device is gone.
const GONE: [NtStatus; 2] = [NtStatus::DELETE_PENDING, NtStatus::NO_SUCH_DEVICE];
/// What a request ends with that was let in before its device went, and looks for the
/// counters while the driver lets go of it.
const GOING: [NtStatus; 3] = [GONE[0], GONE[1], NtStatus::DEVICE_NOT_READY];

/// Each request ends, done or failed, at whichever call the device goes; the driver lets it
/// go, and is added again.
pub(super) fn removed(machine: &Machine) -> anyhow::Result<()> {
    let stride = match env::var(STRIDE_VARIABLE) {
        Ok(text) => text
            .parse()
            .with_context(|| format!("{STRIDE_VARIABLE} is {text:?}"))?,
        Err(_) => STRIDE,
    };
    in_rig(machine, |rig| {
        let mut routines = Vec::new();
        for call in (1..).step_by(stride.get()) {
            ensure!(call < MANY, "the requests make {MANY} calls, or more");
            let routine =
                remove_at(rig, call).with_context(|| format!("the device goes at call {call}"))?;
            if routine.is_empty() {
                break;
            }
            routines.push(routine);
        }
        println!("the device has gone at {} calls", routines.len());
        ensure!(
            routines.len() > 5,
            "the device has gone in calls of {routines:?} only"
        );
        is_well(rig)?;
        passed(&verify::run(rig, 0)?)
    })?;
    Ok(())
}

/// Sends requests to a device that goes at this call; the call's routine, if there was one.
fn remove_at(rig: &Rig, call: u32) -> anyhow::Result<String> {
    is_well(rig)?;
    let handle = rig.open_handle(&Open::read_write(0))?;
    at_call(rig, call, Event::SurpriseRemoval { device: 0 })?;
    let mut pending = Vec::new();
    for (_, start) in KINDS {
        pending.push(start(&handle)?);
    }
    for mut pending in pending {
        ensure!(pending.answers_within(LIMIT), "a request does not end");
        let answer = pending.wait_transfer().map(drop);
        may_be_gone("a request", answer, &GONE)?;
    }
    let statistics = Device::new(&handle).statistics().map(drop);
    may_be_gone("STATISTICS", statistics, &GOING)?;
    Box::new(handle).close()?;
    let routine = at_call(rig, 0, Event::Nothing)?;
    if !routine.is_empty() {
        // The removal may still be to come: what the PnP manager is asked for comes after it.
        if_possible(rig, Action::Start)?;
    }
    Ok(routine)
}

fn may_be_gone<E: Into<DeviceError>>(
    what: &str,
    answer: Result<(), E>,
    statuses: &[NtStatus],
) -> anyhow::Result<()> {
    match answer {
        Ok(()) => Ok(()),
        Err(error) => fails_with::<(), _>(what, Err(error.into()), statuses),
    }
}

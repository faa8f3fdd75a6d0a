//! Events: whoever waits for interrupts sees every one, once and in order.

use std::{thread, time::Duration};

use edu_interface::{Event, FROM_NOW};

use super::{Bench, Check};
use crate::{
    commands::CommandError,
    device::{Device, DeviceError, PendingEvents},
    status::NtStatus,
    stress::{Follower, contains, latest},
    transport::{Open, Transport},
};

/// Those who wait at the same time.
const WAITERS: usize = 2;

/// Interrupts that they wait for.
const RAISES: usize = 24;

/// How long an event may take that has happened.
const LIMIT: Duration = Duration::from_secs(30);

/// How often an interrupt is raised for one who waits for those from now on. When its
/// request arrives, nobody can tell.
const TRIES: u32 = 1_000;

/// Each of two sees each interrupt, whether it waits or is late.
pub(super) fn every_waiter(bench: &Bench<'_>, check: &mut Check) -> Result<(), CommandError> {
    let mut random = bench.random();
    let masks: Vec<u32> = (0..RAISES).map(|_| random.u32(1..)).collect();
    bench.raise(1, check)?;
    let from = latest(&bench.device)?;
    let handles: Vec<Box<dyn Transport>> = (0..WAITERS)
        .map(|_| bench.system.open(&Open::read_write(bench.number)))
        .collect::<Result<_, _>>()
        .map_err(DeviceError::from)?;
    let (raised, seen) = thread::scope(|scope| {
        let waiters: Vec<_> = handles
            .iter()
            .map(|handle| scope.spawn(move || follow(&Device::new(handle.as_ref()), from)))
            .collect();
        let raised = masks.iter().try_for_each(|mask| bench.raise(*mask, check));
        let seen: Vec<_> = waiters
            .into_iter()
            .map(|waiter| {
                waiter.join().unwrap_or_else(|_| {
                    let error = "a thread of this program panicked".to_owned();
                    Err(CommandError::WrongAnswer(error))
                })
            })
            .collect();
        (raised, seen)
    });
    raised?;
    for events in seen {
        compare(&masks, &events?, check);
    }
    // One who comes late is told all at once.
    let late = bench.device.wait_events(from.after())?;
    compare(&masks, &late.events, check);
    for handle in handles {
        handle.close().map_err(DeviceError::from)?;
    }
    Ok(())
}

/// Follows the events until all that are due have come.
fn follow(device: &Device<'_>, mut follower: Follower) -> Result<Vec<Event>, CommandError> {
    let mut events = Vec::new();
    while events.len() < RAISES {
        let reply = within_limit(device.start_wait_events(follower.after())?)?;
        follower.take(&reply).map_err(CommandError::WrongAnswer)?;
        events.extend(reply.events);
    }
    Ok(events)
}

/// Waits for events that must come.
fn within_limit(mut pending: PendingEvents<'_>) -> Result<crate::device::Events, CommandError> {
    if !pending.ends_within(LIMIT) {
        pending.cancel()?;
    }
    Ok(pending.wait()?)
}

fn compare(masks: &[u32], events: &[Event], check: &mut Check) {
    check.equal("events for the interrupts", &events.len(), &masks.len());
    for (mask, event) in masks.iter().zip(events) {
        check.record(contains(*mask, event.causes));
    }
}

/// What can be asked for besides: all that there are, those from now on, and nothing
/// any more.
pub(super) fn other_waits(bench: &Bench<'_>, check: &mut Check) -> Result<(), CommandError> {
    let device = &bench.device;
    let next = latest(device)?.after();
    let mut unwanted = device.start_wait_events(next)?;
    check.record(if unwanted.ends_within(Duration::from_millis(50)) {
        Err("a wait for events ended before there was one".to_owned())
    } else {
        Ok(())
    });
    unwanted.cancel()?;
    check.refused(
        "a wait that was cancelled",
        unwanted.wait(),
        NtStatus::CANCELLED,
    )?;

    let mut from_now = device.start_wait_events(FROM_NOW)?;
    let mut tries = 0;
    while tries < TRIES && !from_now.ends_within(Duration::from_millis(20)) {
        bench.raise(0x10, check)?;
        tries += 1;
    }
    let mut follower = Follower::default();
    let reply = within_limit(from_now)?;
    check.record(follower.take(&reply));
    check.record(match reply.events.first() {
        Some(event) if event.sequence >= next => Ok(()),
        other => Err(format!("of events from {next} on the first is {other:?}")),
    });

    // None is asked for that is not there: those that are gone are counted.
    let mut all = Follower::at(0);
    check.record(all.take(&device.wait_events(0)?));
    let next = latest(device)?.after();
    check.refused(
        "a wait for events after the next",
        device.wait_events(next + 1),
        NtStatus::INVALID_PARAMETER,
    )?;
    Ok(())
}

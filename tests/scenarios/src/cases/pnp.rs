//! What the PnP manager does to a device, with requests before, during and after.

use std::time::Duration;

use anyhow::ensure;
use eductl::{
    Device, NtStatus, Open, System as _, Transport as _,
    rig::{Rig, RigHandle},
    verify,
};
use rig_protocol::{Action, Resources};

use super::{
    List,
    load::Load,
    pending::{LONG_MS, expect_factorial, start_factorial, start_raise, started},
    support::{DEVICE_BUSY, computes, fails_with, in_rig, passed, remove},
};
use crate::{
    artifacts::Artifacts,
    machine::{Interrupts, Machine},
};

/// Keeps the device busy for about half a second.
const BUSY: u32 = 200_000_000;

/// Keeps it busy for longer than it takes to get there: some four seconds.
const STUCK: u32 = 2_000_000_000;

/// Long enough for an answer that must not come.
const A_WHILE: Duration = Duration::from_millis(700);

/// What a device that is gone or going answers.
const GONE: [NtStatus; 1] = [NtStatus::DELETE_PENDING];

/// What opening a device answers that is not there.
const NOT_THERE: [NtStatus; 2] = [NtStatus::NO_SUCH_DEVICE, NtStatus::DELETE_PENDING];

pub(super) fn add(list: &mut List) {
    list.add("pnp/requests-while-stopped", requests_while_stopped);
    list.add("pnp/held-requests-in-their-order", held_in_order);
    list.add("pnp/stop-with-an-operation-under-way", stop_under_way);
    list.add("pnp/queries-that-are-cancelled", cancelled_queries);
    list.add("pnp/requests-after-removal", after_removal);
    for interrupts in [Interrupts::Msi, Interrupts::Intx] {
        list.add(
            format!("pnp/surprise-removal-under-load-{interrupts}"),
            move |artifacts| surprise_removal(artifacts, interrupts),
        );
        list.add(
            format!("pnp/stop-and-start-again-and-elsewhere-{interrupts}"),
            move |artifacts| stop_and_start(artifacts, interrupts),
        );
    }
    list.add("pnp/one-of-two-devices-removed", one_of_two);
    for processors in [1, 4] {
        list.add(
            format!("pnp/every-state-under-load-{processors}"),
            move |artifacts| every_state(&Machine::new(artifacts).with_processors(processors)),
        );
    }
}

fn machine(artifacts: &Artifacts) -> Machine {
    Machine::new(artifacts).with_processors(2)
}

/// Requests that need the device are held while it is stopped, and done when it is
/// started; those that need it at once are refused.
fn requests_while_stopped(artifacts: &Artifacts) -> anyhow::Result<()> {
    in_rig(&machine(artifacts), |rig| {
        let handle = rig.open_handle(&Open::read_write(0))?;
        let device = Device::new(&handle);
        computes(&device, 5, 0)?;
        rig.pnp(0, Action::Stop)?;
        fails_with("IDENTIFY", device.identify(), &[NtStatus::DEVICE_NOT_READY])?;
        fails_with(
            "STATISTICS",
            device.statistics(),
            &[NtStatus::DEVICE_NOT_READY],
        )?;
        let mut held = Vec::new();
        for n in [3, 12, 13, 20] {
            held.push((n, start_factorial(&handle, n)?));
        }
        for (n, pending) in &mut held {
            ensure!(
                !pending.answers_within(A_WHILE),
                "{n}! was answered while the device was stopped"
            );
        }
        rig.pnp(0, Action::Start)?;
        for (n, pending) in held {
            expect_factorial(pending, n)?;
        }
        passed(&verify::run(rig, 0)?)
    })?;
    Ok(())
}

/// Requests that are held are done in the order in which they came. On one processor they
/// come in the order in which they were sent; the interrupts tell in which they are done.
fn held_in_order(artifacts: &Artifacts) -> anyhow::Result<()> {
    let masks = [0x40, 0x02, 0x800, 0x10, 0x04, 0x2000, 0x08, 0x20];
    in_rig(&Machine::new(artifacts), |rig| {
        let handle = rig.open_handle(&Open::read_write(0))?;
        rig.pnp(0, Action::Stop)?;
        let held = masks
            .iter()
            .map(|mask| start_raise(&handle, *mask))
            .collect::<anyhow::Result<Vec<_>>>()?;
        rig.pnp(0, Action::Start)?;
        for pending in held {
            pending.wait()?;
        }
        let events = Device::new(&handle).wait_events(0)?.events;
        let causes: Vec<u32> = events.iter().map(|event| event.causes).collect();
        ensure!(
            causes == masks,
            "{masks:x?} were held, and done as {causes:x?}"
        );
        Ok(())
    })?;
    Ok(())
}

/// An operation that the device works on is done anew after the restart.
fn stop_under_way(artifacts: &Artifacts) -> anyhow::Result<()> {
    in_rig(&machine(artifacts), |rig| {
        let handle = rig.open_handle(&Open::read_write(0))?;
        let under_way = start_factorial(&handle, BUSY)?;
        let queued = start_factorial(&handle, 13)?;
        rig.pnp(0, Action::Stop)?;
        rig.pnp(0, Action::Start)?;
        expect_factorial(under_way, BUSY)?;
        expect_factorial(queued, 13)?;
        passed(&verify::run(rig, 0)?)
    })?;
    Ok(())
}

/// Stop and start take all resources away and give them back, or others, while several
/// threads go on asking.
fn stop_and_start(artifacts: &Artifacts, interrupts: Interrupts) -> anyhow::Result<()> {
    const ROUNDS: u32 = 5;
    let machine = Machine::new(artifacts)
        .with_processors(4)
        .with_interrupts(interrupts);
    in_rig(&machine, |rig| {
        let handle = rig.open_handle(&Open::read_write(0))?;
        let device = Device::new(&handle);
        let load = Load::new(&handle, LONG_MS, &[]);
        load.during(|| {
            for _ in 0..ROUNDS {
                rig.pnp(0, Action::Stop)?;
                rig.pnp(0, Action::Start)?;
                load.goes_on()?;
                let vector = device.identify()?.vector;
                rig.pnp(0, Action::Stop)?;
                rig.pnp(0, Action::StartWith(Resources::Moved))?;
                load.goes_on()?;
                let moved = device.identify()?.vector;
                ensure!(
                    moved != vector,
                    "the driver had vector {vector:#x} before it was assigned another"
                );
            }
            Ok(())
        })?;
        Box::new(handle).close()?;
        passed(&verify::run(rig, 0)?)
    })?;
    Ok(())
}

/// A query that is cancelled changes nothing.
fn cancelled_queries(artifacts: &Artifacts) -> anyhow::Result<()> {
    in_rig(&machine(artifacts), |rig| {
        let handle = rig.open_handle(&Open::read_write(0))?;
        let under_way = start_factorial(&handle, BUSY)?;
        rig.pnp(0, Action::QueryStopAndCancel)?;
        expect_factorial(under_way, BUSY)?;
        let under_way = start_factorial(&handle, BUSY)?;
        rig.pnp(0, Action::QueryRemoveAndCancel)?;
        expect_factorial(under_way, BUSY)?;
        passed(&verify::run(rig, 0)?)
    })?;
    Ok(())
}

/// An orderly removal: afterwards there is nothing to open.
fn after_removal(artifacts: &Artifacts) -> anyhow::Result<()> {
    in_rig(&machine(artifacts), |rig| {
        passed(&verify::run(rig, 0)?)?;
        remove(rig, 0)?;
        fails_with("opening it", rig.open(&Open::read_write(0)), &NOT_THERE)
    })?;
    Ok(())
}

/// The device goes while operations are under way and queued: each request ends
/// once, with the status of a device that is gone, and so do new ones.
fn surprise_removal(artifacts: &Artifacts, interrupts: Interrupts) -> anyhow::Result<()> {
    let machine = Machine::new(artifacts)
        .with_processors(4)
        .with_interrupts(interrupts);
    in_rig(&machine, |rig| {
        let handle = rig.open_handle(&Open::read_write(0))?;
        let device = Device::new(&handle);
        computes(&device, 10, 0)?;
        let mut under_way = vec![start_factorial(&handle, STUCK)?];
        // The rig's processors take requests as they come: none may overtake this one.
        started(&device, 2)?;
        for bit in 0..20 {
            under_way.push(start_raise(&handle, 1 << bit)?);
        }
        rig.pnp(0, Action::SurpriseRemoval)?;
        for pending in under_way {
            fails_with("a request under way", pending.wait(), &GONE)?;
        }
        fails_with("a factorial afterwards", device.factorial(5, 0), &GONE)?;
        fails_with("a raise afterwards", device.raise(1, 0), &GONE)?;
        fails_with("IDENTIFY afterwards", device.identify(), &GONE)?;
        fails_with("STATISTICS afterwards", device.statistics(), &GONE)?;
        fails_with("LIVENESS afterwards", device.liveness(1), &GONE)?;
        Box::new(handle).close()?;
        fails_with("opening it", rig.open(&Open::read_write(0)), &NOT_THERE)
    })?;
    Ok(())
}

/// The removal of one device leaves the other one as it is.
fn one_of_two(artifacts: &Artifacts) -> anyhow::Result<()> {
    let machine = machine(artifacts).with_devices(2);
    in_rig(&machine, |rig: &Rig| {
        let other = rig.open_handle(&Open::read_write(1))?;
        let under_way = start_factorial(&other, BUSY)?;
        rig.pnp(0, Action::Remove)?;
        expect_factorial(under_way, BUSY)?;
        Box::new(other).close()?;
        passed(&verify::run(rig, 1)?)
    })?;
    Ok(())
}

/// Each query is held, cancelled and followed, with several threads asking; in each state
/// every question is asked that changes none.
pub(super) fn every_state(machine: &Machine) -> anyhow::Result<()> {
    in_rig(machine, |rig| {
        let handle = rig.open_handle(&Open::read_write(0))?;
        let load = Load::new(&handle, LONG_MS, &[]);
        load.during(|| {
            stop_pending(rig, &handle)?;
            load.goes_on()?;
            rig.pnp(0, Action::QueryStop)?;
            rig.pnp(0, Action::Stop)?;
            rig.pnp(0, Action::Ask)?;
            rig.pnp(0, Action::Start)?;
            load.goes_on()?;
            rig.pnp(0, Action::QueryRemove)?;
            rig.pnp(0, Action::Ask)?;
            fails_with("opening it", rig.open(&Open::read_write(0)), &GONE)?;
            load.goes_on()?;
            rig.pnp(0, Action::CancelRemove)?;
            rig.open(&Open::read_write(0))?.close()?;
            // A device whose files are open is not removed.
            fails_with("its removal", rig.pnp(0, Action::Remove), &[DEVICE_BUSY])?;
            load.goes_on()
        })?;
        Box::new(handle).close()?;
        for query in [Action::QueryStop, Action::QueryRemove] {
            gone_while_pending(rig, query)?;
        }
        passed(&verify::run(rig, 0)?)
    })?;
    Ok(())
}

/// What comes between the query and its cancellation is held.
fn stop_pending(rig: &Rig, handle: &RigHandle) -> anyhow::Result<()> {
    rig.pnp(0, Action::QueryStop)?;
    let mut held = start_factorial(handle, 13)?;
    rig.pnp(0, Action::Ask)?;
    ensure!(
        !held.answers_within(A_WHILE),
        "13! was computed by a device that is to stop"
    );
    rig.pnp(0, Action::CancelStop)?;
    expect_factorial(held, 13)
}

/// The device goes by surprise while it is to be stopped or removed.
fn gone_while_pending(rig: &Rig, query: Action) -> anyhow::Result<()> {
    let handle = rig.open_handle(&Open::read_write(0))?;
    let device = Device::new(&handle);
    let before = device.statistics()?.operations_started;
    let under_way = start_factorial(&handle, STUCK)?;
    started(&device, before + 1)?;
    let behind = start_factorial(&handle, 5)?;
    rig.pnp(0, query)?;
    rig.pnp(0, Action::SurpriseRemoval)?;
    fails_with("the one under way", under_way.wait(), &GONE)?;
    fails_with("the one behind", behind.wait(), &GONE)?;
    Box::new(handle).close()?;
    rig.pnp(0, Action::Start)?;
    Ok(())
}

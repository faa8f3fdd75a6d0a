//! Row 10: a device that sleeps. Requests are held, registers restored, and nobody touches
//! them in between: the rig has closed their pages and made the device forget.

use std::{thread, time::Duration};

use anyhow::{Context as _, ensure};
use eductl::{NtStatus, TransportError, commands::factorial::wrapping_factorial, rig::Rig};
use rig_protocol::Action;

use super::{List, Subject, machine, on_1_and_4, with_device};
use crate::{
    artifacts::Artifacts,
    cases::support::{fails_with, in_rig},
    machine::{Interrupts, Machine},
};

const WRITE: u32 = 1;
const READ: u32 = 2;
const FACTORIAL: u32 = 3;
const ASLEEP: u32 = 4;
const ASLEEP_CHANGE: u32 = 5;
const COUNTS: u32 = 6;
const REFUSE: u32 = 7;
const FAIL: u32 = 8;

/// Keeps the device busy for some hundred milliseconds.
const BUSY: u32 = 100_000_000;
/// Long enough for an answer that must not come.
const A_WHILE: Duration = Duration::from_millis(500);
/// What the liveness register is given.
const MARK: u64 = 0x5afe_c0de;

pub(super) fn add(list: &mut List) {
    on_1_and_4(list, "10-power-message", |artifacts, processors| {
        sleeps(&machine(artifacts, "power", processors)?)
    });
    on_1_and_4(list, "10-power-line", |artifacts, processors| {
        sleeps(&machine(artifacts, "power", processors)?.with_interrupts(Interrupts::Intx))
    });
    // Power IRPs at DISPATCH_LEVEL: the driver's part moves to a work item.
    on_1_and_4(list, "10-power-at-dispatch", |artifacts, processors| {
        sleeps(&machine(artifacts, "power", processors)?.with_option("power-irql=dispatch"))
    });
    on_1_and_4(list, "10-power-under-load", under_load);
    on_1_and_4(list, "10-power-refusals", refusals);
    on_1_and_4(list, "10-removal-while-asleep", removal);
    on_1_and_4(list, "10-surprise-while-asleep", surprise);
    for number in 1..=3 {
        list.add(
            format!("surface/10-power-request-{number}-finds-no-memory"),
            move |artifacts| no_memory(artifacts, number),
        );
    }
}

/// The whole machine sleeps and wakes, and so does the device alone.
fn sleeps(machine: &Machine) -> anyhow::Result<()> {
    with_device(machine, |rig, subject| {
        remembers(subject, WRITE, MARK)?;
        for (sleep, wake) in [
            (Action::Sleep, Action::Wake),
            (Action::DeviceSleep, Action::DeviceWake),
        ] {
            let under_way = subject.start(FACTORIAL, &[u64::from(BUSY)])?;
            let queued = subject.start(FACTORIAL, &[13])?;
            rig.pnp(0, sleep)?;
            ensure!(
                subject.check(ASLEEP, &[])?[0] == MARK,
                "something else was saved"
            );
            let mut held = subject.start(FACTORIAL, &[12])?;
            ensure!(
                !held.answers_within(A_WHILE),
                "a factorial was computed by a device that sleeps"
            );
            rig.pnp(0, wake)?;
            for (pending, n) in [(under_way, BUSY), (queued, 13), (held, 12)] {
                let [value, ..] = pending.wait()?;
                ensure!(
                    value == u64::from(wrapping_factorial(n)),
                    "{n}! is not {value}"
                );
            }
            remembers(subject, READ, MARK)?;
        }
        // What was saved is what is restored.
        rig.pnp(0, Action::DeviceSleep)?;
        subject.check(ASLEEP_CHANGE, &[MARK + 1])?;
        rig.pnp(0, Action::DeviceWake)?;
        remembers(subject, READ, MARK + 1)?;
        // In D0 already: the device keeps what it has.
        rig.pnp(0, Action::DeviceWake)?;
        remembers(subject, READ, MARK + 1)?;
        // In D3 already, asked for the other way.
        rig.pnp(0, Action::DeviceSleep)?;
        rig.pnp(0, Action::Sleep)?;
        rig.pnp(0, Action::QueryRemoveAndCancel)?;
        rig.pnp(0, Action::Wake)?;
        remembers(subject, READ, MARK + 1)?;
        let [downs, ups, ..] = subject.check(COUNTS, &[])?;
        ensure!(
            (downs, ups) == (4, 4),
            "{downs} times down and {ups} times up"
        );
        // A stopped device has no state to save, and START implies D0.
        rig.pnp(0, Action::DeviceSleep)?;
        rig.pnp(0, Action::Stop)?;
        rig.pnp(0, Action::Start)?;
        computes(subject, 10)
    })
}

/// Sleeps and wakes again and again while other threads go on asking.
fn under_load(artifacts: &Artifacts, processors: u32) -> anyhow::Result<()> {
    const ROUNDS: u32 = 12;
    const WORKERS: u32 = 3;
    const REQUESTS: u32 = 25;
    with_device(&machine(artifacts, "power", processors)?, |rig, subject| {
        remembers(subject, WRITE, MARK)?;
        thread::scope(|scope| {
            let workers: Vec<_> = (0..WORKERS)
                .map(|worker| {
                    scope.spawn(move || {
                        (0..REQUESTS).try_for_each(|n| computes(subject, worker * REQUESTS + n))
                    })
                })
                .collect();
            for round in 0..ROUNDS {
                let (sleep, wake) = if round.is_multiple_of(2) {
                    (Action::Sleep, Action::Wake)
                } else {
                    (Action::DeviceSleep, Action::DeviceWake)
                };
                rig.pnp(0, sleep)?;
                rig.pnp(0, wake)?;
            }
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().ok().context("a thread panicked")?)
        })?;
        remembers(subject, READ, MARK)?;
        let [downs, ups, ..] = subject.check(COUNTS, &[])?;
        ensure!(
            (downs, ups) == (u64::from(ROUNDS), u64::from(ROUNDS)),
            "{downs} times down and {ups} times up in {ROUNDS} rounds"
        );
        Ok(())
    })
}

/// A driver that refuses keeps the machine awake; one that fails to wake its device up
/// fails the requests that were held, and can be woken another time.
fn refusals(artifacts: &Artifacts, processors: u32) -> anyhow::Result<()> {
    with_device(&machine(artifacts, "power", processors)?, |rig, subject| {
        remembers(subject, WRITE, MARK)?;
        subject.check(REFUSE, &[])?;
        fails_with(
            "a sleep that the driver refuses",
            rig.pnp(0, Action::Sleep),
            &[NtStatus::DEVICE_NOT_READY],
        )?;
        computes(subject, 11)?;
        rig.pnp(0, Action::Sleep)?;
        rig.pnp(0, Action::Wake)?;
        subject.check(FAIL, &[])?;
        rig.pnp(0, Action::DeviceSleep)?;
        let held = subject.start(FACTORIAL, &[7])?;
        rig.pnp(0, Action::DeviceWake)?;
        ensure!(held.wait().is_err(), "a device that does not work computed");
        ensure!(subject.check(FACTORIAL, &[7]).is_err(), "as above");
        rig.pnp(0, Action::DeviceSleep)?;
        rig.pnp(0, Action::DeviceWake)?;
        computes(subject, 7)?;
        remembers(subject, READ, MARK)
    })
}

/// An orderly removal while the machine sleeps: nothing touches the device any more.
fn removal(artifacts: &Artifacts, processors: u32) -> anyhow::Result<()> {
    in_rig(&machine(artifacts, "power", processors)?, |rig| {
        let subject = Subject::open(rig, 0)?;
        computes(&subject, 5)?;
        subject.close()?;
        rig.pnp(0, Action::Sleep)?;
        rig.pnp(0, Action::Remove)?;
        rig.pnp(0, Action::Wake)?;
        Ok(())
    })?;
    Ok(())
}

/// The device goes while it sleeps and requests are held: each ends once, as gone.
fn surprise(artifacts: &Artifacts, processors: u32) -> anyhow::Result<()> {
    in_rig(&machine(artifacts, "power", processors)?, |rig| {
        let subject = Subject::open(rig, 0)?;
        let under_way = subject.start(FACTORIAL, &[u64::from(BUSY)])?;
        rig.pnp(0, Action::Sleep)?;
        let held = subject.start(FACTORIAL, &[12])?;
        rig.pnp(0, Action::SurpriseRemoval)?;
        for pending in [under_way, held] {
            ensure!(pending.wait().is_err(), "a device that is gone computed");
        }
        // Its driver is told of the wake-up, and leaves the device alone.
        rig.pnp(0, Action::Wake)?;
        subject.close()
    })?;
    Ok(())
}

/// PoRequestPowerIrp finds no memory: the first time for the question, then for sleeping,
/// then for waking. The machine's part ends in each case, and nothing hangs.
fn no_memory(artifacts: &Artifacts, number: u32) -> anyhow::Result<()> {
    let option = format!("fail-power-request={number}");
    let machine = machine(artifacts, "power", 2)?.with_option(&option);
    with_device(&machine, |rig: &Rig, subject| {
        let slept: Result<(), TransportError> = rig.pnp(0, Action::Sleep);
        if number == 1 {
            fails_with("the question", slept, &[NtStatus::INSUFFICIENT_RESOURCES])?;
        } else {
            slept?;
            rig.pnp(0, Action::Wake)?;
        }
        // Where waking failed the device sleeps on, until it is asked for again.
        rig.pnp(0, Action::DeviceWake)?;
        computes(subject, 9)
    })
}

fn remembers(subject: &Subject, check: u32, value: u64) -> anyhow::Result<()> {
    let [found, ..] = subject.check(check, &[value])?;
    ensure!(
        found == value,
        "the device remembers {found:#x} in place of {value:#x}"
    );
    Ok(())
}

fn computes(subject: &Subject, n: u32) -> anyhow::Result<()> {
    let [value, ..] = subject.check(FACTORIAL, &[u64::from(n)])?;
    ensure!(
        value == u64::from(wrapping_factorial(n)),
        "{n}! is not {value}"
    );
    Ok(())
}

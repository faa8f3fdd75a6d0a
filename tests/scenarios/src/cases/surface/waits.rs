//! Events and waits, work items, devices that are held.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::ensure;
use rig_protocol::Action;

use super::{List, Running, Subject, machine, on_1_and_4};
use crate::{artifacts::Artifacts, cases::support::in_rig};

// The checks of the driver, see its `checks` module.
const FOR_INTERRUPTS: u32 = 1;
const STATES: u32 = 2;
const PASS_DOOR: u32 = 3;
const PASS_GATE: u32 = 4;
const OPEN_DOOR: u32 = 5;
const OPEN_GATE: u32 = 6;
const COUNTS: u32 = 7;
const QUEUE: u32 = 8;
const HOLD: u32 = 9;
const STOPPED: u32 = 10;

/// Requests that wait at once.
const WAITING: u64 = 5;
const LIMIT: Duration = Duration::from_secs(20);
/// Long enough for something that must not happen.
const A_WHILE: Duration = Duration::from_millis(150);
/// How long the driver holds its device at least, a little less for the clocks.
const HELD: Duration = Duration::from_millis(350);

pub(super) fn add(list: &mut List) {
    on_1_and_4(list, "events", events);
    on_1_and_4(list, "work-items", work_items);
    on_1_and_4(list, "held-device", held);
}

fn with_driver(
    artifacts: &Artifacts,
    processors: u32,
    case: impl FnOnce(&eductl::rig::Rig, Subject) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    in_rig(&machine(artifacts, "waits", processors)?, |rig| {
        case(rig, Subject::open(rig, 0)?)
    })?;
    Ok(())
}

/// Waits until so many requests have come to a door and passed it.
fn until_counts(subject: &Subject, wanted: [u64; 2]) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        let [came, passed, ..] = subject.check(COUNTS, &[])?;
        if [came, passed] == wanted {
            return Ok(());
        }
        ensure!(
            started.elapsed() < LIMIT,
            "{came} came and {passed} passed, and it should have been {wanted:?}"
        );
        thread::sleep(Duration::from_millis(5));
    }
}

fn start_waiting(subject: &Subject, check: u32) -> anyhow::Result<Vec<Running>> {
    (0..WAITING).map(|_| subject.start(check, &[])).collect()
}

/// Threads that wait for events: one at a time, and all at once.
fn events(artifacts: &Artifacts, processors: u32) -> anyhow::Result<()> {
    with_driver(artifacts, processors, |_, subject| {
        subject.check(FOR_INTERRUPTS, &[30])?;
        subject.check(STATES, &[])?;
        let waiting = start_waiting(&subject, PASS_DOOR)?;
        until_counts(&subject, [WAITING, 0])?;
        for passed in 1..=WAITING {
            subject.check(OPEN_DOOR, &[])?;
            until_counts(&subject, [WAITING, passed])?;
            thread::sleep(A_WHILE / 5);
            // One, and no more than one.
            until_counts(&subject, [WAITING, passed])?;
        }
        for running in waiting {
            running.wait()?;
        }
        let waiting = start_waiting(&subject, PASS_GATE)?;
        until_counts(&subject, [2 * WAITING, WAITING])?;
        thread::sleep(A_WHILE);
        until_counts(&subject, [2 * WAITING, WAITING])?;
        subject.check(OPEN_GATE, &[])?;
        for running in waiting {
            running.wait()?;
        }
        until_counts(&subject, [2 * WAITING, 2 * WAITING])?;
        subject.close()
    })
}

/// Work items run once for each time that they were not queued already.
fn work_items(artifacts: &Artifacts, processors: u32) -> anyhow::Result<()> {
    with_driver(artifacts, processors, |_, subject| {
        let [now, already, ..] = subject.check(QUEUE, &[10])?;
        // On one processor no thread can take it out of the queue meanwhile.
        ensure!(
            processors > 1 || (now, already) == (1, 9),
            "ten requests at DISPATCH_LEVEL found the work item queued {already} times"
        );
        for _ in 0..10 {
            subject.check(QUEUE, &[1])?;
        }
        subject.check(STOPPED, &[])?;
        subject.close()
    })
}

/// The removal of a device waits for whoever holds it.
fn held(artifacts: &Artifacts, processors: u32) -> anyhow::Result<()> {
    with_driver(artifacts, processors, |rig, subject| {
        let started = Instant::now();
        subject.check(HOLD, &[])?;
        subject.close()?;
        rig.pnp(0, Action::Remove)?;
        ensure!(
            started.elapsed() >= HELD,
            "the device was removed after {:?}, while it was held",
            started.elapsed()
        );
        Ok(())
    })
}

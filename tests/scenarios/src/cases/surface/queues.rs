//! Rows 2 and 9: StartIo and its device queue, cancel-safe queues; and what ends
//! requests that wait in them: cancellation, the last close, the device's end.

mod storm;

use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use eductl::{NtStatus, rig::Rig};
use rig_protocol::{Action, Reply, Request};

use super::{List, Running, Subject, machine, on_1_and_4, with_device};
use crate::{artifacts::Artifacts, cases::support::fails_with};

// The checks of the driver, see its `requests` module.
const START: u32 = 1;
const START_BY_KEY: u32 = 2;
const START_AND_END: u32 = 3;
const FINISH: u32 = 4;
const FINISH_BY_KEY: u32 = 5;
const COUNTS: u32 = 7;
const QUEUE: u32 = 10;
const QUEUE_WITH_CONTEXT: u32 = 11;
const WAIT_IN_SLOT: u32 = 12;
const TAKE_NEXT: u32 = 13;
const TAKE_OWN: u32 = 14;
const TAKE_BY_CONTEXT: u32 = 15;
const TAKE_FROM_SLOT: u32 = 16;

const DEVICE_BUSY: NtStatus = NtStatus(0x8000_0011);
const NOT_FOUND: NtStatus = NtStatus(0xc000_0225);

/// Long enough for an answer that must not come.
const A_WHILE: Duration = Duration::from_millis(150);
const LIMIT: Duration = Duration::from_secs(20);

pub(super) fn add(list: &mut List) {
    on_1_and_4(list, "02-start-io", start_io);
    on_1_and_4(list, "02-cancel-storm", |artifacts, processors| {
        storm::run(artifacts, processors, START)
    });
    on_1_and_4(list, "09-irp-queue", irp_queue);
    on_1_and_4(list, "09-cancel-storm", |artifacts, processors| {
        storm::run(artifacts, processors, QUEUE)
    });
    on_1_and_4(list, "09-teardown", teardown);
}

/// The driver's counts.
struct Counts {
    arrived: u64,
    ended: u64,
    taken_back: u64,
}

fn counts(subject: &Subject) -> anyhow::Result<Counts> {
    let [arrived, _started, ended, taken_back, ..] = subject.check(COUNTS, &[])?;
    Ok(Counts {
        arrived,
        ended,
        taken_back,
    })
}

/// Starts a request that waits, and waits until it is where it waits: requests that are
/// sent one after the other may be handled by several processors at once.
fn wait_in_line(subject: &Subject, number: u32, arguments: &[u64]) -> anyhow::Result<Running> {
    let before = counts(subject)?.arrived;
    let running = subject.start(number, arguments)?;
    let began = Instant::now();
    while counts(subject)?.arrived == before {
        ensure!(began.elapsed() < LIMIT, "request {number} never arrived");
    }
    Ok(running)
}

/// Cancels a request; whether the driver had a cancel routine for it.
fn cancel(rig: &Rig, running: &Running) -> anyhow::Result<bool> {
    let number = running.request.number();
    match rig.send(Request::Cancel { number })?.wait(LIMIT)? {
        Reply::Completed {
            status: 0,
            information,
            ..
        } => Ok(information != 0),
        other => bail!("cancelling request {number}: {other:?}"),
    }
}

fn cancelled(what: &str, running: Running) -> anyhow::Result<()> {
    fails_with(what, running.request.wait(), &[NtStatus::CANCELLED])
}

/// Waits for requests, which must end with these tags in this order.
fn in_order(running: impl IntoIterator<Item = Running>, tags: &[u64]) -> anyhow::Result<()> {
    let mut found: Vec<(u64, u64)> = Vec::new();
    for running in running {
        let [tag, number, ..] = running.wait()?;
        found.push((number, tag));
    }
    found.sort_unstable();
    let found: Vec<u64> = found.into_iter().map(|(_, tag)| tag).collect();
    ensure!(found == tags, "the order was {found:?} instead of {tags:?}");
    Ok(())
}

fn finish(subject: &Subject) -> anyhow::Result<()> {
    let [was_busy, ..] = subject.check(FINISH, &[])?;
    ensure!(was_busy == 1, "the device worked on nothing");
    Ok(())
}

/// Finishes packet after packet, `count` of them.
fn finish_all(subject: &Subject, count: u64) -> anyhow::Result<()> {
    let wanted = counts(subject)?.ended + count;
    let began = Instant::now();
    while counts(subject)?.ended < wanted {
        subject.check(FINISH, &[])?;
        ensure!(began.elapsed() < LIMIT, "the packets do not end");
    }
    Ok(())
}

fn start_io(artifacts: &Artifacts, processors: u32) -> anyhow::Result<()> {
    let machine = machine(artifacts, "queues", processors)?;
    with_device(&machine, |rig, subject| {
        by_arrival(subject)?;
        by_key(subject)?;
        cancelled_anywhere(rig, subject)?;
        cancelled_while_stopped(rig, subject)?;
        one_of_two_files(rig, subject)?;
        finished_nevertheless(rig, subject)
    })
}

/// Packets are started in the order in which they came. Some end inside StartIo, which
/// is not called from inside itself for the next.
fn by_arrival(subject: &Subject) -> anyhow::Result<()> {
    let mut running = vec![wait_in_line(subject, START, &[1])?];
    for tag in 2..=20 {
        let number = if tag % 4 == 0 { START } else { START_AND_END };
        running.push(wait_in_line(subject, number, &[tag])?);
    }
    finish_all(subject, 20)?;
    let tags: Vec<u64> = (1..=20).collect();
    in_order(running, &tags)
}

/// Packets wait by their key; the next is the first from a key on, when one is given.
fn by_key(subject: &Subject) -> anyhow::Result<()> {
    let mut running = vec![wait_in_line(subject, START, &[0])?];
    for (tag, key) in [(30, 30), (10, 10), (20, 20), (11, 10), (40, 40)] {
        running.push(wait_in_line(subject, START_BY_KEY, &[tag, key])?);
    }
    // From 15 on: 20. From 41 on there is none, so the first: 10.
    for key in [15, 41] {
        let before = counts(subject)?.ended;
        let [was_busy, ..] = subject.check(FINISH_BY_KEY, &[key])?;
        ensure!(was_busy == 1, "the device worked on nothing");
        let began = Instant::now();
        while counts(subject)?.ended == before {
            ensure!(began.elapsed() < LIMIT, "the packet does not end");
        }
    }
    finish_all(subject, 4)?;
    in_order(running, &[0, 20, 10, 11, 30, 40])
}

/// A packet is cancelled in the queue and in the device's hands; the others go on.
fn cancelled_anywhere(rig: &Rig, subject: &Subject) -> anyhow::Result<()> {
    let taken_before = counts(subject)?.taken_back;
    let first = wait_in_line(subject, START, &[1])?;
    let second = wait_in_line(subject, START, &[2])?;
    let third = wait_in_line(subject, START, &[3])?;
    let fourth = wait_in_line(subject, START, &[4])?;
    ensure!(
        cancel(rig, &third)?,
        "a queued packet has no cancel routine"
    );
    cancelled("a queued packet", third)?;
    ensure!(
        counts(subject)?.taken_back == taken_before,
        "not in the device"
    );
    ensure!(
        cancel(rig, &first)?,
        "a started packet has no cancel routine"
    );
    cancelled("the packet in the device's hands", first)?;
    ensure!(
        counts(subject)?.taken_back == taken_before + 1,
        "the device had it"
    );
    finish_all(subject, 2)?;
    in_order([second, fourth], &[2, 4])
}

/// While the device is stopped, the packet that it worked on is held, and the others
/// wait behind it: each can be cancelled. The rest is done after the restart.
fn cancelled_while_stopped(rig: &Rig, subject: &Subject) -> anyhow::Result<()> {
    let first = wait_in_line(subject, START, &[1])?;
    let second = wait_in_line(subject, START, &[2])?;
    let third = wait_in_line(subject, START, &[3])?;
    rig.pnp(0, Action::Stop)?;
    ensure!(
        cancel(rig, &first)?,
        "the held packet has no cancel routine"
    );
    cancelled("the held packet", first)?;
    // The next one is held now.
    ensure!(
        cancel(rig, &second)?,
        "the held packet has no cancel routine"
    );
    cancelled("the one that was held after it", second)?;
    rig.pnp(0, Action::Start)?;
    finish_all(subject, 1)?;
    in_order([third], &[3])
}

/// Closing one of two files ends its packets, wherever they are, and no others.
fn one_of_two_files(rig: &Rig, subject: &Subject) -> anyhow::Result<()> {
    let other = Subject::open(rig, 0)?;
    let under_way = wait_in_line(&other, START, &[1])?;
    let kept = wait_in_line(subject, START, &[2])?;
    let waiting = wait_in_line(&other, START, &[3])?;
    let mut kept_last = wait_in_line(subject, START, &[4])?;
    let last = wait_in_line(&other, START, &[5])?;
    other.close()?;
    cancelled(
        "what the device worked on for a file that was closed",
        under_way,
    )?;
    cancelled("what waited for a file that was closed", waiting)?;
    cancelled("what waited last for a file that was closed", last)?;
    ensure!(
        !kept_last.request.answers_within(A_WHILE),
        "a request of the other file was ended"
    );
    finish_all(subject, 2)?;
    in_order([kept, kept_last], &[2, 4])
}

/// A request that is cancelled when it has ended is what it was.
fn finished_nevertheless(rig: &Rig, subject: &Subject) -> anyhow::Result<()> {
    let running = wait_in_line(subject, START, &[9])?;
    finish(subject)?;
    let number = running.request.number();
    in_order([running], &[9])?;
    let reply = rig.send(Request::Cancel { number })?.wait(LIMIT)?;
    ensure!(
        matches!(reply, Reply::Completed { status, .. } if NtStatus(status) == NOT_FOUND),
        "cancelling a request that has ended: {reply:?}"
    );
    Ok(())
}

fn irp_queue(artifacts: &Artifacts, processors: u32) -> anyhow::Result<()> {
    let machine = machine(artifacts, "queues", processors)?;
    with_device(&machine, |rig, subject| {
        in_and_out(rig, subject)?;
        by_context(rig, subject)?;
        slot(rig, subject)?;
        by_file(rig, subject)?;
        stays_while_stopped(rig, subject)
    })
}

fn take(subject: &Subject, number: u32) -> anyhow::Result<Option<u64>> {
    let [found, tag, ..] = subject.check(number, &[])?;
    Ok((found == 1).then_some(tag))
}

fn takes(subject: &Subject, number: u32, wanted: Option<u64>) -> anyhow::Result<()> {
    let found = take(subject, number)?;
    ensure!(
        found == wanted,
        "check {number} took {found:?} instead of {wanted:?}"
    );
    Ok(())
}

/// First in, first out; what is cancelled is not there any more.
fn in_and_out(rig: &Rig, subject: &Subject) -> anyhow::Result<()> {
    takes(subject, TAKE_NEXT, None)?;
    let mut running = Vec::new();
    for tag in 1..=5 {
        running.push(wait_in_line(subject, QUEUE, &[tag])?);
    }
    let third = running.remove(2);
    ensure!(cancel(rig, &third)?, "a queued IRP has no cancel routine");
    cancelled("a queued IRP", third)?;
    for tag in [1, 2, 4, 5] {
        takes(subject, TAKE_NEXT, Some(tag))?;
    }
    takes(subject, TAKE_NEXT, None)?;
    in_order(running, &[1, 2, 4, 5])
}

/// One particular IRP is taken out of the middle, once; its context is then free.
fn by_context(rig: &Rig, subject: &Subject) -> anyhow::Result<()> {
    takes(subject, TAKE_BY_CONTEXT, None)?;
    let first = wait_in_line(subject, QUEUE, &[1])?;
    let picked = wait_in_line(subject, QUEUE_WITH_CONTEXT, &[2])?;
    let last = wait_in_line(subject, QUEUE, &[3])?;
    fails_with(
        "a second IRP with the same context",
        wait_in_line(subject, QUEUE_WITH_CONTEXT, &[4])?
            .request
            .wait(),
        &[DEVICE_BUSY],
    )?;
    takes(subject, TAKE_BY_CONTEXT, Some(2))?;
    takes(subject, TAKE_BY_CONTEXT, None)?;
    in_order([picked], &[2])?;

    let picked = wait_in_line(subject, QUEUE_WITH_CONTEXT, &[5])?;
    ensure!(cancel(rig, &picked)?, "a queued IRP has no cancel routine");
    cancelled("an IRP with a context", picked)?;
    takes(subject, TAKE_BY_CONTEXT, None)?;
    let picked = wait_in_line(subject, QUEUE_WITH_CONTEXT, &[6])?;
    for tag in [1, 3, 6] {
        takes(subject, TAKE_NEXT, Some(tag))?;
    }
    takes(subject, TAKE_BY_CONTEXT, None)?;
    in_order([first, last, picked], &[1, 3, 6])
}

/// The slot takes one IRP at a time.
fn slot(rig: &Rig, subject: &Subject) -> anyhow::Result<()> {
    takes(subject, TAKE_FROM_SLOT, None)?;
    let first = wait_in_line(subject, WAIT_IN_SLOT, &[1])?;
    fails_with(
        "a second IRP in the slot",
        wait_in_line(subject, WAIT_IN_SLOT, &[2])?.request.wait(),
        &[DEVICE_BUSY],
    )?;
    takes(subject, TAKE_FROM_SLOT, Some(1))?;
    in_order([first], &[1])?;
    let second = wait_in_line(subject, WAIT_IN_SLOT, &[3])?;
    ensure!(
        cancel(rig, &second)?,
        "an IRP in a slot has no cancel routine"
    );
    cancelled("an IRP in a slot", second)?;
    takes(subject, TAKE_FROM_SLOT, None)
}

/// A file's IRPs are found among others, and ended when it is closed.
fn by_file(rig: &Rig, subject: &Subject) -> anyhow::Result<()> {
    let other = Subject::open(rig, 0)?;
    let kept = wait_in_line(subject, QUEUE, &[1])?;
    let taken = wait_in_line(&other, QUEUE, &[2])?;
    let left = wait_in_line(&other, QUEUE_WITH_CONTEXT, &[3])?;
    let in_slot = wait_in_line(&other, WAIT_IN_SLOT, &[4])?;
    takes(&other, TAKE_OWN, Some(2))?;
    in_order([taken], &[2])?;
    other.close()?;
    cancelled("an IRP of a file that was closed", left)?;
    cancelled("an IRP in a slot, of a file that was closed", in_slot)?;
    takes(subject, TAKE_BY_CONTEXT, None)?;
    takes(subject, TAKE_OWN, Some(1))?;
    takes(subject, TAKE_OWN, None)?;
    in_order([kept], &[1])
}

/// A device that is stopped keeps its queues, and its requests can be cancelled.
fn stays_while_stopped(rig: &Rig, subject: &Subject) -> anyhow::Result<()> {
    let first = wait_in_line(subject, QUEUE, &[1])?;
    let second = wait_in_line(subject, QUEUE, &[2])?;
    rig.pnp(0, Action::Stop)?;
    ensure!(cancel(rig, &first)?, "a queued IRP has no cancel routine");
    cancelled("an IRP of a stopped device", first)?;
    rig.pnp(0, Action::Start)?;
    takes(subject, TAKE_NEXT, Some(2))?;
    in_order([second], &[2])
}

/// The device goes while requests wait everywhere: each ends once, as on a device that
/// is gone, and removal waits for none.
fn teardown(artifacts: &Artifacts, processors: u32) -> anyhow::Result<()> {
    let machine = machine(artifacts, "queues", processors)?;
    with_device(&machine, |rig, subject| {
        let mut running = Vec::new();
        for number in [
            START,
            START,
            START_BY_KEY,
            QUEUE,
            QUEUE_WITH_CONTEXT,
            QUEUE,
            WAIT_IN_SLOT,
        ] {
            running.push(wait_in_line(subject, number, &[7, 7])?);
        }
        rig.pnp(0, Action::SurpriseRemoval)?;
        for running in running {
            fails_with(
                "a request of a device that is gone",
                running.request.wait(),
                &[NtStatus::DELETE_PENDING],
            )?;
        }
        fails_with(
            "a request to a device that is gone",
            subject.start(QUEUE, &[1])?.request.wait(),
            &[NtStatus::DELETE_PENDING],
        )
    })
}

//! The checks.

use core::pin::{Pin, pin};

use dirql::{
    device::Device,
    event::{Event, Kind, Waited},
    irql::{Passive, UpToDispatch, at_dispatch},
    status::NtError,
    time::Due,
    wait,
    work_item::Queued,
};
use test_driver::{Failed, Outcome, check, figures, until};

use crate::Waits;

/// Longer than any wait that is to end.
const LONG: Option<Due> = Some(Due::after_ms(20_000));
/// Short, for waits that are not to end before.
const SHORT: Option<Due> = Some(Due::after_ms(10));

pub(crate) fn run(
    device: &Device<Waits>,
    irql: &mut UpToDispatch,
    number: u32,
    arguments: [u64; 4],
) -> Outcome {
    let mut passive = irql.try_passive().ok_or(Failed::here())?;
    let irql = passive.token();
    let own = device.pinned().project_ref();
    let [first, ..] = arguments;
    match number {
        1 => for_interrupts(device, irql, first),
        2 => states(irql),
        3 => pass(device, irql, own.door),
        4 => pass(device, irql, own.gate),
        5 => Ok(open(irql, own.door)),
        6 => Ok(open(irql, own.gate)),
        7 => Ok(figures([
            device.counts.came.get(),
            device.counts.passed.get(),
        ])),
        8 => queue(device, irql, first),
        9 => hold(device, irql),
        10 => stopped(device, irql),
        _ => Err(NtError::STATUS_INVALID_DEVICE_REQUEST.into()),
    }
}

/// Raises `count` interrupts and waits, after each, for the event that its DPC sets.
fn for_interrupts(device: &Device<Waits>, irql: &mut Passive, count: u64) -> Outcome {
    let came = device.pinned().project_ref().came;
    for _ in 0..count {
        let raised = device
            .interrupt
            .synchronize(irql, |_, shared| shared.raise());
        check!(raised.is_some());
        check!(came.wait(irql, LONG) == Waited::Signalled);
    }
    check!(came.wait(irql, SHORT) == Waited::TimedOut);
    Ok(figures([count]))
}

/// What the two kinds of events remember, on this thread's own stack.
fn states(irql: &mut Passive) -> Outcome {
    let one = pin!(Event::new(Kind::Synchronization));
    let one = one.as_ref();
    check!(!one.set(irql) && one.set(irql));
    check!(one.wait(irql, None) == Waited::Signalled);
    check!(one.wait(irql, SHORT) == Waited::TimedOut);
    check!(!one.set(irql) && one.is_set(irql) && one.clear(irql));
    let all = pin!(Event::new(Kind::Notification));
    let all = all.as_ref();
    check!(all.wait(irql, SHORT) == Waited::TimedOut);
    at_dispatch(irql, |irql| all.set(irql));
    check!(all.wait(irql, None) == Waited::Signalled);
    check!(all.wait(irql, None) == Waited::Signalled);
    check!(all.clear(irql) && !all.clear(irql));
    check!(all.wait(irql, Some(Due::after_ms(0))) == Waited::TimedOut);
    Ok(figures([]))
}

/// Waits until the door is opened.
fn pass(device: &Device<Waits>, irql: &mut Passive, door: Pin<&Event>) -> Outcome {
    device.counts.came.add();
    check!(door.wait(irql, LONG) == Waited::Signalled);
    device.counts.passed.add();
    Ok(figures([]))
}

/// Opens the door; whether it was open.
fn open(irql: &mut Passive, door: Pin<&Event>) -> [u64; 8] {
    figures([u64::from(door.set(irql))])
}

/// Queues the work item `count` times at DISPATCH_LEVEL; it runs once for each time that it
/// was not queued already.
fn queue(device: &Device<Waits>, irql: &mut Passive, count: u64) -> Outcome {
    let before = device.counts.runs.get();
    let mut now: u64 = 0;
    let mut already: u64 = 0;
    at_dispatch(irql, |irql| {
        for _ in 0..count {
            match device.count_runs.queue(irql)? {
                Queued::Now => now = now.wrapping_add(1),
                Queued::Already => already = already.wrapping_add(1),
            }
        }
        Ok::<(), Failed>(())
    })?;
    check!(now.wrapping_add(already) == count);
    let wanted = before.wrapping_add(now);
    until(irql, |_| device.counts.runs.get() == wanted)?;
    wait::delay(irql, 20);
    check!(device.counts.runs.get() == wanted);
    Ok(figures([now, already]))
}

/// Holds the device from now on; a work item lets go of it after a while.
fn hold(device: &Device<Waits>, irql: &mut Passive) -> Outcome {
    let held = device.hold(irql)?;
    // It is the device: the one that the request came to.
    check!(core::ptr::eq(
        &raw const held.counts,
        &raw const device.counts
    ));
    let before = device.held.with(irql, |_, kept| kept.replace(held));
    check!(before.is_none());
    check!(device.let_go.queue(irql)? == Queued::Now);
    Ok(figures([]))
}

/// A work item that was stopped is not queued, and one that is made ready anew is.
fn stopped(device: &Device<Waits>, irql: &mut Passive) -> Outcome {
    let work = device.pinned().project_ref().count_runs;
    let before = device.counts.runs.get();
    check!(work.queue(irql)? == Queued::Now);
    work.stop(irql);
    // Stopping has waited for the run.
    check!(device.counts.runs.get() == before.wrapping_add(1));
    check!(work.queue(irql) == Err(NtError::STATUS_DEVICE_NOT_READY));
    work.initialize(device, irql)?;
    check!(work.queue(irql)? == Queued::Now);
    let wanted = before.wrapping_add(2);
    until(irql, |_| device.counts.runs.get() == wanted)?;
    Ok(figures([]))
}

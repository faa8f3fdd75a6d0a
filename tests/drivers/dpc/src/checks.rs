//! The checks.

use core::sync::atomic::Ordering;

use dirql::{
    device::Device,
    dpc::{Placement, Queued, Target, WasQueued},
    irql::{AtMostDispatch, Passive, UpToDispatch, at_dispatch},
    processor,
    status::NtError,
    wait,
};
use test_driver::{Failed, Outcome, check, figures, until};

use crate::{
    Dpcs,
    shared::{Ran, Runs, Shared},
};

/// Long enough for a DPC that should not run to run.
const A_WHILE_MS: u32 = 20;

pub(crate) fn run(
    device: &Device<Dpcs>,
    irql: &mut UpToDispatch,
    number: u32,
    arguments: [u64; 4],
) -> Outcome {
    let mut passive = irql.try_passive().ok_or(Failed::here())?;
    let irql = passive.token();
    let [argument, ..] = arguments;
    shared(device, irql, Shared::take_runs)?;
    match number {
        1 => in_order_of_importance(device, irql),
        2 => on_each_processor(device, irql),
        3 => queued_once(device, irql),
        4 => cancelled(device, irql),
        5 => threaded(device, irql, argument != 0),
        6 => from_the_isr(device, irql, argument),
        7 => stopped(device, irql),
        8 => leave_queued(device, argument),
        _ => Err(NtError::STATUS_INVALID_DEVICE_REQUEST.into()),
    }
}

/// At DISPATCH_LEVEL none can run on this processor; when it comes down, the one of high
/// importance goes first, and the others follow in the order in which they were queued.
fn in_order_of_importance(device: &Device<Dpcs>, irql: &mut Passive) -> Outcome {
    at_dispatch(irql, |_| {
        check!(device.first.queue() == Some(Queued::Now));
        check!(device.second.queue() == Some(Queued::Now));
        check!(device.low.queue() == Some(Queued::Now));
        check!(device.high.queue() == Some(Queued::Now));
        Ok(())
    })?;
    ran(device, irql, 4)?;
    let runs = shared(device, irql, Shared::take_runs)?;
    check!(runs.are(&[Ran::High, Ran::First, Ran::Second, Ran::Low]));
    Ok(figures([]))
}

/// A DPC runs on the processor that it was told to, and is told of no other.
fn on_each_processor(device: &Device<Dpcs>, irql: &mut Passive) -> Outcome {
    let targeted = device.pinned().project_ref().targeted;
    let count = processor::active_count();
    for processor in 0..count {
        let placement = Placement::new().with_target(Target::Index(processor));
        targeted.initialize(device, irql, placement)?;
        for _ in 0..3 {
            check!(targeted.queue() == Some(Queued::Now));
            ran(device, irql, 1)?;
            check!(shared(device, irql, |shared| shared.processor())? == processor);
            shared(device, irql, Shared::take_runs)?;
        }
    }
    let nowhere = Placement::new().with_target(Target::Index(count));
    let refused = targeted.initialize(device, irql, nowhere);
    check!(refused == Err(NtError::STATUS_INVALID_PARAMETER));
    check!(targeted.queue().is_none());
    targeted.initialize(device, irql, Placement::new())?;
    Ok(figures([u64::from(count)]))
}

/// A DPC that is queued is not queued again, and runs once for both. Queueing works in a
/// critical section too.
fn queued_once(device: &Device<Dpcs>, irql: &mut Passive) -> Outcome {
    at_dispatch(irql, |irql| {
        check!(device.second.queue() == Some(Queued::Now));
        check!(device.second.queue() == Some(Queued::Already));
        let at_dirql = device
            .interrupt
            .synchronize(irql, |_, _| (device.second.queue(), device.first.queue()));
        check!(at_dirql == Some((Some(Queued::Already), Some(Queued::Now))));
        Ok(())
    })?;
    ran(device, irql, 2)?;
    wait::delay(irql, A_WHILE_MS);
    let runs = shared(device, irql, Shared::take_runs)?;
    check!(runs.are(&[Ran::Second, Ran::First]));
    Ok(figures([]))
}

/// A DPC that is taken out of its queue does not run, and can be queued again.
fn cancelled(device: &Device<Dpcs>, irql: &mut Passive) -> Outcome {
    check!(device.second.cancel() == WasQueued::No);
    at_dispatch(irql, |irql| {
        check!(device.second.queue() == Some(Queued::Now));
        check!(device.second.cancel() == WasQueued::Yes);
        check!(device.second.cancel() == WasQueued::No);
        check!(device.second.queue() == Some(Queued::Now));
        let at_dirql = device
            .interrupt
            .synchronize(irql, |_, _| device.second.cancel());
        check!(at_dirql == Some(WasQueued::Yes));
        check!(device.first.queue() == Some(Queued::Now));
        Ok(())
    })?;
    ran(device, irql, 1)?;
    wait::delay(irql, A_WHILE_MS);
    let runs = shared(device, irql, Shared::take_runs)?;
    check!(runs.are(&[Ran::First]));
    Ok(figures([]))
}

/// A threaded DPC runs in a thread, where an ordinary one preempts it, or, where threaded
/// DPCs are disabled, as an ordinary one, which nothing does.
fn threaded(device: &Device<Dpcs>, irql: &mut Passive, in_thread: bool) -> Outcome {
    let order = if in_thread {
        [Ran::Targeted, Ran::Preempted]
    } else {
        [Ran::Preempted, Ran::Targeted]
    };
    for _ in 0..5 {
        let before = device.plain.with(irql, |_, plain| *plain);
        check!(device.preempted.queue() == Some(Queued::Now));
        ran(device, irql, 2)?;
        let runs = shared(device, irql, Shared::take_runs)?;
        check!(shared(device, irql, |shared| shared.was_preempted())? == in_thread);
        check!(runs.are(&order));
        let after = device.plain.with(irql, |_, plain| *plain);
        check!(after == before.wrapping_add(2));
    }
    Ok(figures([]))
}

/// Interrupts reach a custom DPC by way of DpcForIsr, and none is lost.
fn from_the_isr(device: &Device<Dpcs>, irql: &mut Passive, count: u64) -> Outcome {
    let mut wanted = shared(device, irql, |shared| shared.drained())?;
    for _ in 0..count {
        wanted = wanted.wrapping_add(1);
        shared(device, irql, |shared| shared.raise(1))?;
        until(irql, |irql| {
            shared(device, irql, |shared| shared.drained()) == Ok(wanted)
        })?;
    }
    Ok(figures([count]))
}

/// A DPC that was stopped is refused, does not run, and comes back when initialised.
fn stopped(device: &Device<Dpcs>, irql: &mut Passive) -> Outcome {
    let pinned = device.pinned().project_ref();
    let usual = Placement::new();
    for _ in 0..20 {
        // Nobody knows whether these have begun to run when they are stopped.
        device.targeted.queue();
        device.preempted.queue();
        device.targeted.stop(irql);
        device.preempted.stop(irql);
        check!(device.targeted.queue().is_none());
        check!(device.preempted.queue().is_none());
        check!(device.targeted.cancel() == WasQueued::No);
        check!(device.preempted.cancel() == WasQueued::No);
        check!(pinned.targeted.ready().is_none());
        let before = shared(device, irql, Shared::take_runs)?;
        // The threaded one queues the other once more.
        check!(before.count <= 3);
        wait::delay(irql, 2);
        check!(shared(device, irql, Shared::take_runs)?.count == 0);
        pinned.targeted.initialize(device, irql, usual)?;
        pinned.preempted.initialize(device, irql, usual)?;
        check!(pinned.targeted.ready().is_some());
    }
    check!(device.targeted.queue() == Some(Queued::Now));
    ran(device, irql, 1)?;
    Ok(figures([]))
}

/// From now on, stopping the device queues DPCs, two of which queue themselves again.
fn leave_queued(device: &Device<Dpcs>, links: u64) -> Outcome {
    let links = u32::try_from(links).map_err(|_| Failed::here())?;
    device.links.store(links, Ordering::Relaxed);
    Ok(figures([]))
}

/// Waits until so many DPCs have run since the runs were last taken.
fn ran(device: &Device<Dpcs>, irql: &mut Passive, count: usize) -> Result<(), Failed> {
    until(irql, |irql| {
        shared(device, irql, |shared| shared.runs()).is_ok_and(|runs: Runs| runs.count >= count)
    })
}

fn shared<I: AtMostDispatch, R>(
    device: &Device<Dpcs>,
    irql: &mut I,
    section: impl FnOnce(&mut Shared) -> R,
) -> Result<R, Failed> {
    device
        .interrupt
        .synchronize(irql, |_, shared| section(shared))
        .ok_or(Failed::here())
}

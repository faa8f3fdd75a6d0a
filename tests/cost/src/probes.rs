//! The code that is compared: each function with the routine of `reference.c` whose
//! name it has.
//!
//! The thunks that are compared too, of the ISR and of DpcForIsr, are `dirql`'s own
//! with this driver's routines inside.

use core::sync::atomic::Ordering;

use dirql::irql::{Dispatch, UpToDispatch};

use crate::Cost;

/// A critical section with an argument, as StartIo has it.
#[inline(never)]
pub(crate) fn program(cost: &Cost, irql: &mut Dispatch, causes: u32) {
    let _none_if_disconnected = cost
        .interrupt
        .synchronize(irql, move |_, controller| controller.raise(causes));
}

/// A critical section of a dispatch routine, which can be preempted.
#[inline(never)]
pub(crate) fn acknowledge(cost: &Cost, irql: &mut UpToDispatch, causes: u32) {
    let _none_if_disconnected = cost
        .interrupt
        .synchronize(irql, move |_, controller| controller.acknowledge(causes));
}

/// A critical section with a result, as a DPC has it.
#[inline(never)]
pub(crate) fn drain(cost: &Cost, irql: &mut Dispatch) {
    let pending = cost
        .interrupt
        .synchronize(irql, |_, controller| controller.drain());
    if let Some(pending) = pending {
        cost.drained.store(pending, Ordering::Relaxed);
    }
}

/// A spin lock, raising and lowering.
#[inline(never)]
pub(crate) fn count_below_dispatch(cost: &Cost, irql: &mut UpToDispatch) {
    cost.statistics.with(irql, |_, statistics| {
        statistics.packets = statistics.packets.wrapping_add(1);
    });
}

/// A spin lock in its DISPATCH_LEVEL form.
#[inline(never)]
pub(crate) fn count_at_dispatch(cost: &Cost, irql: &mut Dispatch) {
    cost.statistics.with(irql, |_, statistics| {
        statistics.packets = statistics.packets.wrapping_add(1);
    });
}

/// An in-stack queued spin lock, raising and lowering.
#[inline(never)]
pub(crate) fn count_queued(cost: &Cost, irql: &mut UpToDispatch) {
    cost.queued.with(irql, |_, statistics| {
        statistics.packets = statistics.packets.wrapping_add(1);
    });
}

/// An in-stack queued spin lock in its DISPATCH_LEVEL form.
#[inline(never)]
pub(crate) fn count_queued_at_dispatch(cost: &Cost, irql: &mut Dispatch) {
    cost.queued.with(irql, |_, statistics| {
        statistics.packets = statistics.packets.wrapping_add(1);
    });
}

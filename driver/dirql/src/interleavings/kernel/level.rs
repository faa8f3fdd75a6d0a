//! IRQL, and what it keeps from happening on a processor.

use std::{boxed::Box, cell::Cell, rc::Rc};

use super::current;
use crate::sys::{BOOLEAN, CCHAR, IRP, LARGE_INTEGER, NTSTATUS};

pub(super) const PASSIVE_LEVEL: u8 = 0;
pub(super) const DISPATCH_LEVEL: u8 = 2;
/// Of every interrupt.
pub(in crate::interleavings) const DIRQL: u8 = 5;

/// Where a thread of the model is.
struct Here {
    irql: Cell<u8>,
    processor: Cell<usize>,
    /// A store that a mistake makes this thread's later than it should be.
    later: Cell<Option<Box<dyn FnOnce()>>>,
    /// The IRP whose cancel routine has not released the cancel spin lock.
    cancels: Cell<Option<*mut IRP>>,
}

loom::thread_local! {
    static HERE: Rc<Here> = Rc::new(Here { irql: Cell::new(PASSIVE_LEVEL), processor: Cell::new(0), cancels: Cell::new(None), later: Cell::new(None) });
}

fn here() -> Rc<Here> {
    HERE.with(Rc::clone)
}

pub(super) fn get() -> u8 {
    here().irql.get()
}

/// The processor that this thread is on.
pub(super) fn processor() -> usize {
    here().processor.get()
}

/// Keeps a store for later.
pub(in crate::interleavings) fn later(store: Box<dyn FnOnce()>) {
    here().later.set(Some(store));
}

/// The store that was kept.
pub(in crate::interleavings) fn take_later() -> Option<Box<dyn FnOnce()>> {
    here().later.take()
}

/// Notes the IRP whose cancel routine this thread is about to call, or that it has none any more;
/// what was noted before.
pub(super) fn cancelling(irp: Option<*mut IRP>) -> Option<*mut IRP> {
    here().cancels.replace(irp)
}

/// Puts this thread onto a processor.
pub(super) fn be_on(processor: usize) {
    let here = here();
    assert!(here.irql.get() < DISPATCH_LEVEL, "it would not move");
    here.processor.set(processor);
}

pub(super) fn raise(new: u8) -> u8 {
    let here = here();
    let old = here.irql.get();
    assert!(old <= new, "KeRaiseIrql to a lower IRQL");
    if old < DISPATCH_LEVEL && new >= DISPATCH_LEVEL {
        current().processors[here.processor.get()].acquire();
    }
    here.irql.set(new);
    old
}

pub(super) fn lower(new: u8) {
    let here = here();
    let old = here.irql.get();
    assert!(new <= old, "KeLowerIrql to a higher IRQL");
    here.irql.set(new);
    if old >= DISPATCH_LEVEL && new < DISPATCH_LEVEL {
        current().processors[here.processor.get()].release();
    }
}

/// Runs `routine` at DIRQL, upon whatever the processor does.
pub(super) fn interrupting<R>(routine: impl FnOnce() -> R) -> R {
    let here = here();
    let old = here.irql.replace(DIRQL);
    assert!(old < DIRQL, "an ISR of this level runs here");
    let result = routine();
    here.irql.set(old);
    result
}

pub(crate) unsafe fn KeGetCurrentIrql() -> u8 {
    get()
}

pub(crate) unsafe fn KfRaiseIrql(new: u8) -> u8 {
    raise(new)
}

pub(crate) unsafe fn KeLowerIrql(new: u8) {
    lower(new);
}

/// Time passes when others run.
pub(crate) unsafe fn KeDelayExecutionThread(
    _: CCHAR,
    _: BOOLEAN,
    _: *mut LARGE_INTEGER,
) -> NTSTATUS {
    assert_eq!(get(), PASSIVE_LEVEL, "waited at a raised level");
    loom::thread::yield_now();
    0
}

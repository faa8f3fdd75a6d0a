//! Cancellation: the system's cancel spin lock, and `IoCancelIrp`.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use std::sync::atomic::Ordering;

use loom::sync::atomic::AtomicUsize;

use super::{atomic, current, level, lock::Lock};
use crate::{
    interleavings::mistake::{self, Mistake},
    sync::field,
    sys::{CancelRoutine, IRP, current_location},
};

/// What cancels.
pub(super) struct Cancel {
    lock: Lock,
    /// The fields that several change at a time, by address.
    fields: RefCell<BTreeMap<usize, Rc<AtomicUsize>>>,
}

impl Cancel {
    pub(super) fn new() -> Self {
        Self {
            lock: Lock::new(),
            fields: RefCell::new(BTreeMap::new()),
        }
    }

    fn acquire(&self) -> u8 {
        let old = level::raise(level::DISPATCH_LEVEL);
        if !mistake::is_made(Mistake::NoCancelLock) {
            self.lock.acquire();
        }
        old
    }

    fn release(&self, old: u8) {
        if !mistake::is_made(Mistake::NoCancelLock) {
            self.lock.release();
        }
        level::lower(old);
    }
}

/// The value of the field at this address, which is zero to begin with.
pub(in crate::interleavings) fn field(field: usize) -> Rc<AtomicUsize> {
    let kernel = current();
    let known = kernel.cancel.fields.borrow().get(&field).map(Rc::clone);
    known.unwrap_or_else(|| {
        let new = atomic();
        kernel
            .cancel
            .fields
            .borrow_mut()
            .insert(field, Rc::clone(&new));
        new
    })
}

/// Takes the cancel routine away; it is the caller's to call.
pub(super) fn take_routine(irp: *mut IRP) -> Option<CancelRoutine> {
    // SAFETY: (Pointer) the caller's IRP is alive, fact 4.
    let place = unsafe { &raw mut (*irp).CancelRoutine };
    // SAFETY: (Pointer) as `IoSetCancelRoutine` does, fact 12.
    let field = unsafe { field::AtomicPtr::<()>::from_ptr(place.cast()) };
    let routine = field.swap(core::ptr::null_mut(), Ordering::AcqRel);
    // SAFETY: (Ready) an optional function pointer, NULL for none, fact 12.
    unsafe { core::mem::transmute::<*mut (), Option<CancelRoutine>>(routine) }
}

impl super::Kernel {
    /// `IoCancelIrp`.
    pub(in crate::interleavings) fn cancel(&self, irp: *mut IRP) {
        let old = self.cancel.acquire();
        // SAFETY: (Pointer) the flow keeps its IRPs until the run is over, fact 4.
        let cancel = unsafe { &raw mut (*irp).Cancel };
        // SAFETY: (Pointer) a byte of it, fact 12.
        unsafe { field::AtomicU8::from_ptr(cancel) }.store(1, Ordering::Release);
        let Some(routine) = take_routine(irp) else {
            self.cancel.release(old);
            return;
        };
        // SAFETY: (Pointer) as above; written before the routine reads it, fact 4.
        unsafe { (*irp).CancelIrql = old };
        // SAFETY: (Pointer) as above, fact 4.
        let location = unsafe { current_location(irp) };
        // SAFETY: (Pointer) a location of that IRP, fact 4.
        let device = unsafe { (*location).DeviceObject };
        let _none = level::cancelling(Some(irp));
        // SAFETY: (Caller) with the cancel lock held, which the routine releases, fact 10.
        unsafe { routine(device, irp) };
    }
}

pub(crate) unsafe fn IoAcquireCancelSpinLock(irql: *mut u8) {
    assert!(level::get() <= level::DISPATCH_LEVEL);
    let old = current().cancel.acquire();
    // SAFETY: the caller's variable, fact 10.
    unsafe { irql.write(old) };
}

pub(crate) unsafe fn IoReleaseCancelSpinLock(irql: u8) {
    let kernel = current();
    // Up to here its cancel routine may look at an IRP, whoever completes it.
    if let Some(irp) = level::cancelling(None) {
        kernel.look_at(irp);
    }
    kernel.cancel.release(irql);
}

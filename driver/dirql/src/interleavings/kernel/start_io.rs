//! The device queue and StartIo, whose re-entry is deferred as this crate asks for.

use std::{cell::Cell, collections::VecDeque};

use loom::sync::{Mutex, MutexGuard};

use super::{cancel, current, level};
use crate::sys::{
    BOOLEAN, CancelRoutine, DEVICE_OBJECT, IRP, IoAcquireCancelSpinLock, IoReleaseCancelSpinLock,
    KDEVICE_QUEUE, KDEVICE_QUEUE_ENTRY, device_queue_entry, is_cancelled, set_cancel_routine,
};

type StartIo = unsafe extern "C" fn(*mut DEVICE_OBJECT, *mut IRP);

/// What the queue's lock protects.
#[derive(Default)]
struct State {
    is_busy: bool,
    waiting: VecDeque<*mut IRP>,
    /// StartIo is being called.
    is_starting: bool,
    /// `IoStartNextPacket` was called meanwhile.
    is_deferred: bool,
}

/// The device queue of the one device, and its driver's StartIo routine.
pub(super) struct DeviceQueue {
    state: Mutex<State>,
    routine: Cell<Option<StartIo>>,
}

impl DeviceQueue {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State::default()),
            routine: Cell::new(None),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics with it")
    }

    /// Calls StartIo, again for what was to be started meanwhile.
    fn call(&self, device: *mut DEVICE_OBJECT, irp: *mut IRP) {
        let routine = self.routine.get().expect("a driver with StartIo");
        let mut next = irp;
        while !next.is_null() {
            self.state().is_starting = true;
            // SAFETY: (Caller) as the I/O manager calls StartIo, at DISPATCH_LEVEL, fact 10.
            unsafe { routine(device, next) };
            let is_deferred = {
                let mut state = self.state();
                state.is_starting = false;
                core::mem::take(&mut state.is_deferred)
            };
            next = if is_deferred {
                self.next(device)
            } else {
                core::ptr::null_mut()
            };
        }
    }

    /// Makes the next packet the current one; NULL if none waits.
    fn next(&self, device: *mut DEVICE_OBJECT) -> *mut IRP {
        let mut old = 0;
        // SAFETY: (Pointer) a local variable, fact 11.
        unsafe { IoAcquireCancelSpinLock(&raw mut old) };
        let next = {
            let mut state = self.state();
            let next = state.waiting.pop_front();
            state.is_busy = next.is_some();
            next.unwrap_or(core::ptr::null_mut())
        };
        // SAFETY: (Aliasing) under the cancel lock, facts 10 and 31.
        unsafe { (*device).CurrentIrp = next };
        // SAFETY: (Caller) acquired above, fact 10.
        unsafe { IoReleaseCancelSpinLock(old) };
        next
    }
}

impl super::Kernel {
    /// The loader has read the driver object.
    pub(in crate::interleavings) fn has_start_io(&self, routine: Option<StartIo>) {
        self.device_queue.routine.set(routine);
    }
}

pub(crate) unsafe fn IoStartPacket(
    device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    _: *mut u32,
    cancel_routine: Option<CancelRoutine>,
) {
    let kernel = current();
    let queue = &kernel.device_queue;
    let old = level::raise(level::DISPATCH_LEVEL);
    let mut inner = 0;
    // SAFETY: (Pointer) a local variable, fact 11.
    unsafe { IoAcquireCancelSpinLock(&raw mut inner) };
    // SAFETY: (Pointer) the queue's IRP, fact 4.
    unsafe { set_cancel_routine(irp, cancel_routine) };
    let is_first = {
        let mut state = queue.state();
        let is_first = !state.is_busy;
        state.is_busy = true;
        if !is_first {
            state.waiting.push_back(irp);
        }
        is_first
    };
    if is_first {
        // SAFETY: (Aliasing) under the cancel lock, facts 10 and 31.
        unsafe { (*device).CurrentIrp = irp };
        // SAFETY: (Caller) acquired above, fact 10.
        unsafe { IoReleaseCancelSpinLock(inner) };
        queue.call(device, irp);
        level::lower(old);
        return;
    }
    // SAFETY: (Pointer) as above, fact 4.
    let routine = if unsafe { is_cancelled(irp) } {
        cancel::take_routine(irp)
    } else {
        None
    };
    if let Some(routine) = routine {
        // SAFETY: (Pointer) as above; written before the routine reads it, fact 4.
        unsafe { (*irp).CancelIrql = inner };
        let _none = level::cancelling(Some(irp));
        // SAFETY: (Caller) with the cancel lock held, which the routine releases, fact 10.
        unsafe { routine(device, irp) };
    } else {
        // SAFETY: (Caller) acquired above, fact 10.
        unsafe { IoReleaseCancelSpinLock(inner) };
    }
    level::lower(old);
}

pub(crate) unsafe fn IoStartNextPacket(device: *mut DEVICE_OBJECT, _: BOOLEAN) {
    assert_eq!(level::get(), level::DISPATCH_LEVEL);
    let kernel = current();
    let queue = &kernel.device_queue;
    {
        let mut state = queue.state();
        if state.is_starting {
            assert!(!state.is_deferred, "it is called once for each packet");
            state.is_deferred = true;
            return;
        }
    }
    let next = queue.next(device);
    queue.call(device, next);
}

pub(crate) unsafe fn KeRemoveEntryDeviceQueue(
    _: *mut KDEVICE_QUEUE,
    entry: *mut KDEVICE_QUEUE_ENTRY,
) -> BOOLEAN {
    let kernel = current();
    let mut state = kernel.device_queue.state();
    let before = state.waiting.len();
    // SAFETY: (Pointer) what waits is alive, fact 4.
    state
        .waiting
        .retain(|irp| unsafe { device_queue_entry(*irp) } != entry);
    (state.waiting.len() != before).into()
}

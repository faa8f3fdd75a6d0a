//! The self-test driver's cancel-safe queue: a list that is linked through the IRPs, and
//! IRP_MJ_CLEANUP, which empties it.
//!
//! Soundness: facts 1 and 2 of [`self_test`](super). The queue's lock is held in
//! every callback but the one that completes, so the list is one processor's.

use core::ptr;

use wdk_sys::{IO_CSQ, KIRQL, NTSTATUS, PDEVICE_OBJECT, PIO_CSQ, PIRP, PVOID};

use crate::nt::csq::{io_csq_initialize, io_csq_insert_irp, io_csq_remove_next_irp};
use crate::nt::self_test::driver::complete;
use crate::nt::self_test::extension::own;
use crate::nt::self_test::faults::{Hook, happen};
use crate::nt::spin_lock::{ke_acquire_spin_lock_raise_to_dpc, ke_release_spin_lock};
use crate::nt::status::{STATUS_CANCELLED, STATUS_SUCCESS};

/// IRPs that the queue can hold; a test sends one at a time.
pub(super) const CAPACITY: usize = 4;

/// The queue, as a field of the extension. The callbacks are given its address.
#[repr(C)]
pub(super) struct Queue {
    csq: IO_CSQ,
    device: PDEVICE_OBJECT,
    irps: [PIRP; CAPACITY],
}

/// Makes the queue ready, in AddDevice.
pub(super) fn initialize(device: PDEVICE_OBJECT) {
    // SAFETY: Fact 2; nobody else knows the device object yet.
    unsafe { (*own(device).at_queue()).device = device };
    // SAFETY: Facts 1 and 2.
    let _status = unsafe {
        io_csq_initialize(
            own(device).at_queue().cast(),
            Some(csq_insert),
            Some(csq_remove),
            Some(csq_peek_next),
            Some(csq_acquire_lock),
            Some(csq_release_lock),
            Some(csq_complete_canceled),
        )
    };
}

/// Has a request wait in the queue.
pub(super) fn insert(device: PDEVICE_OBJECT, irp: PIRP) {
    // SAFETY: Facts 1 and 2.
    unsafe { io_csq_insert_irp(own(device).at_queue().cast(), irp, ptr::null_mut()) };
    let _status = happen(Hook::Queued, device, irp);
}

/// IRP_MJ_CLEANUP. This driver is used through one file.
pub(super) unsafe extern "C" fn dispatch_cleanup(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    if happen(Hook::Cleanup, device, irp).is_none() {
        loop {
            // SAFETY: Facts 1 and 2.
            let queued =
                unsafe { io_csq_remove_next_irp(own(device).at_queue().cast(), ptr::null_mut()) };
            if queued.is_null() {
                break;
            }
            complete(queued, STATUS_CANCELLED);
        }
    }
    complete(irp, STATUS_SUCCESS)
}

/// The device and the list of a queue.
fn parts(csq: PIO_CSQ) -> (PDEVICE_OBJECT, *mut [PIRP; CAPACITY]) {
    let queue: *mut Queue = csq.cast();
    // SAFETY: Fact 2: the queue begins with what the callbacks are given.
    let device = unsafe { (*queue).device };
    // SAFETY: Fact 2.
    (device, unsafe { &raw mut (*queue).irps })
}

/// The list.
fn list(csq: PIO_CSQ) -> [PIRP; CAPACITY] {
    // SAFETY: Fact 2.
    unsafe { parts(csq).1.read() }
}

/// Writes the list.
fn set_list(csq: PIO_CSQ, irps: [PIRP; CAPACITY]) {
    // SAFETY: Fact 2; the lock is held.
    unsafe { parts(csq).1.write(irps) };
}

/// CsqInsertIrp.
unsafe extern "C" fn csq_insert(csq: PIO_CSQ, irp: PIRP) {
    let mut irps = list(csq);
    if let Some(free) = irps.iter_mut().find(|slot| slot.is_null()) {
        *free = irp;
    }
    set_list(csq, irps);
}

/// CsqRemoveIrp.
unsafe extern "C" fn csq_remove(csq: PIO_CSQ, irp: PIRP) {
    if happen(Hook::Unlink, parts(csq).0, irp).is_some() {
        return;
    }
    let mut irps = list(csq);
    irps.iter_mut()
        .filter(|slot| **slot == irp)
        .for_each(|slot| *slot = ptr::null_mut());
    set_list(csq, irps);
}

/// CsqPeekNextIrp.
unsafe extern "C" fn csq_peek_next(csq: PIO_CSQ, irp: PIRP, _peek_context: PVOID) -> PIRP {
    let irps = list(csq);
    let begin = if irp.is_null() {
        0
    } else {
        irps.iter()
            .position(|other| *other == irp)
            .map_or(CAPACITY, |position| position + 1)
    };
    let next = irps.iter().skip(begin).find(|slot| !slot.is_null());
    next.copied().unwrap_or(ptr::null_mut())
}

/// CsqAcquireLock.
unsafe extern "C" fn csq_acquire_lock(csq: PIO_CSQ, irql: *mut KIRQL) {
    let lock = own(parts(csq).0).at_queue_lock();
    // SAFETY: Facts 1 and 2.
    let old = unsafe { ke_acquire_spin_lock_raise_to_dpc(lock) };
    // SAFETY: The executive's variable.
    unsafe { irql.write(old) };
}

/// CsqReleaseLock.
unsafe extern "C" fn csq_release_lock(csq: PIO_CSQ, irql: KIRQL) {
    let lock = own(parts(csq).0).at_queue_lock();
    // SAFETY: Facts 1 and 2.
    unsafe { ke_release_spin_lock(lock, irql) };
}

/// CsqCompleteCanceledIrp.
unsafe extern "C" fn csq_complete_canceled(_csq: PIO_CSQ, irp: PIRP) {
    complete(irp, STATUS_CANCELLED);
}

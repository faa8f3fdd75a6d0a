//! What packets are cancelled by, and where StartIo's thunk meets it.
//!
//! Follows "Cancel Routines in Drivers with StartIo Routines" and "Synchronizing
//! Cancellation in Driver Routines that Process IRPs".

use super::{Packet, PacketId};
use crate::{
    cancel_lock,
    device::{Device, Header},
    driver::Driver,
    irp::PendingIrp,
    irql::{Dispatch, UpToDispatch},
    status::NtError,
    sys::{self, CancelRoutine},
};

/// What StartIo's thunk was called with.
pub(crate) enum Beginning {
    /// The IRP is the device's no more; it must not be looked at.
    Gone,
    /// A packet whose turn it is.
    Packet(Packet),
    /// A packet that was cancelled, or whose file was closed, on its way here.
    Cancelled(Packet),
}

/// Whether the IRP is the device's CurrentIrp. The cancel lock is held, under which the
/// I/O manager changes it.
pub(super) fn is_current(object: *mut sys::DEVICE_OBJECT, irp: *mut sys::IRP) -> bool {
    // SAFETY: (Pointer) the callers' device is alive: an IRP of it is, facts 1 and 4.
    unsafe { (*object).CurrentIrp == irp }
}

/// Makes a packet of the IRP that StartIo was called with. `cancel_routine` is what it
/// is cancelled by from now on, if it can be.
///
/// # Safety
/// StartIo's thunk, with what it was given, once.
pub(crate) unsafe fn begin(
    header: &Header,
    irql: &mut Dispatch,
    irp: *mut sys::IRP,
    cancel_routine: Option<CancelRoutine>,
) -> Beginning {
    cancel_lock::with(irql, |irql| {
        if !is_current(header.object(), irp) {
            return Beginning::Gone;
        }
        // SAFETY: (Pointer) the current IRP of the device is alive and StartIo's, facts 4
        // and 30.
        let is_cancelled = unsafe { sys::is_cancelled(irp) };
        // SAFETY: (Pointer) as above; `start` put it into the list, fact 32. The cancel
        // lock is held.
        let begun = unsafe { header.packets().waiting().begin(irql, irp) };
        let ends = is_cancelled || begun.is_doomed;
        let cancel_routine = cancel_routine.filter(|_| !ends);
        let PacketId(number) = begun.id;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "64 bits both, on the machines that drivers are built for"
        )]
        let number = number as usize;
        // SAFETY: (Aliasing) the IRP is StartIo's, and out of the device queue. Before the
        // cancel routine is set, which reads it, fact 31.
        unsafe { sys::set_word(irp, core::ptr::without_provenance_mut(number)) };
        // SAFETY: (Pointer) as above. Fact 31: the cancel lock is held.
        let _was_cancelable = unsafe { sys::set_cancel_routine(irp, cancel_routine) };
        // SAFETY: (Caller) StartIo owns the current IRP, and this is called once for it,
        // facts 4 and 30.
        let packet = unsafe { Packet::from_raw(irp) };
        if ends {
            Beginning::Cancelled(packet)
        } else {
            Beginning::Packet(packet)
        }
    })
}

/// The cancel routine of a packet that waits.
pub(super) unsafe extern "C" fn cancel_waiting(
    object: *mut sys::DEVICE_OBJECT,
    irp: *mut sys::IRP,
) {
    // SAFETY: (Caller) IoCancelIrp or IoStartPacket; only `start` hands this out. (Pointer)
    // the IRP holds the remove lock of its device, fact 4, and is not completed before
    // the cancel lock is released below, fact 31.
    let header = unsafe { Header::of(object) };
    // SAFETY: (IRQL) cancel routines are called at DISPATCH_LEVEL, with the cancel lock,
    // facts 5, 10 and 31.
    let mut irql = unsafe { Dispatch::assume() };
    // One that is not in the queue is StartIo's, which sees that it was cancelled. The queue
    // says so, not CurrentIrp: that is stale from the completion of a packet to the start of
    // the next, and this IRP may have the memory of the one that was completed.
    let was_queued = take_out(header, irp);
    if was_queued {
        // SAFETY: (Pointer) it was in the queue, so it is in the list, fact 32. The
        // cancel lock is held.
        unsafe { header.packets().waiting().remove(&mut irql, irp) };
    }
    // SAFETY: (Caller) this is the IRP's cancel routine, and the lock is held, fact 31.
    let old = unsafe { sys::cancel_irql(irp) };
    // SAFETY: (IRQL) at DISPATCH_LEVEL; the lock was acquired for this call, at `old`,
    // facts 5, 10 and 31.
    unsafe { sys::IoReleaseCancelSpinLock(old) };
    if was_queued {
        // SAFETY: (IRQL) IoCancelIrp is called at DISPATCH_LEVEL or below, where the line
        // above has gone back to, facts 5, 10 and 31.
        let mut irql = unsafe { UpToDispatch::assume() };
        // SAFETY: (Caller) taken out of queue and list above, so it is this routine's,
        // facts 4 and 32.
        let irp = unsafe { PendingIrp::from_raw(irp) };
        irp.complete(&mut irql, Err(NtError::STATUS_CANCELLED));
    }
}

/// Takes an IRP out of the device queue, if it is there. The cancel lock is held.
fn take_out(header: &Header, irp: *mut sys::IRP) -> bool {
    // SAFETY: (Pointer) its cancel routine runs, so it is alive, fact 31.
    let entry = unsafe { sys::device_queue_entry(irp) };
    // SAFETY: (IRQL) DISPATCH_LEVEL. (Pointer) the device's own queue, and the entry of an
    // IRP that is alive, facts 5, 10 and 32.
    unsafe { sys::KeRemoveEntryDeviceQueue(header.device_queue(), entry) != 0 }
}

/// The cancel routine of a packet that is held or in the device's hands.
pub(crate) unsafe extern "C" fn cancel_started<E: Driver>(
    object: *mut sys::DEVICE_OBJECT,
    irp: *mut sys::IRP,
) {
    // SAFETY: (Caller) IoCancelIrp; only `begin` and `hold` hand this out, for devices
    // whose extension is `E`. (Pointer) as in `cancel_waiting`, and from the release of the
    // cancel lock on by the remove lock that is acquired here, fact 31.
    let device = unsafe { Device::<E>::of(object) };
    let remove_lock = device.header().remove_lock();
    let kept = remove_lock.acquire(object.cast());
    // SAFETY: (Ready) `begin` wrote it; a packet is in no queue. (Pointer) fact 31.
    let number = unsafe { sys::word(irp) }.addr();
    // SAFETY: as in `cancel_waiting`, fact 31.
    let old = unsafe { sys::cancel_irql(irp) };
    // SAFETY: as in `cancel_waiting`, facts 10 and 31.
    unsafe { sys::IoReleaseCancelSpinLock(old) };
    // The device is being removed: its driver has given back what it had, and REMOVE
    // waits for those who complete it.
    if kept.is_err() {
        return;
    }
    // SAFETY: as in `cancel_waiting`, facts 10 and 31.
    let mut irql = unsafe { UpToDispatch::assume() };
    device.give_up_packet(&mut irql, PacketId(number as u64));
    remove_lock.release(object.cast());
}

//! The self-test driver's packets: control requests, StartIo, the DPC that ends them, and
//! the cancel routines in between.
//!
//! Soundness: facts 1 and 2 of [`driver`](super::driver).

use core::ptr;

use wdk_sys::{BOOLEAN, KDPC, NTSTATUS, PDEVICE_OBJECT, PIRP, PVOID, ULONG};

use crate::nt::address;
use crate::nt::cancel;
use crate::nt::device_queue::ke_remove_entry_device_queue;
use crate::nt::dpc::ke_insert_queue_dpc;
use crate::nt::interrupt::synchronize::ke_synchronize_execution;
use crate::nt::irql::DISPATCH_LEVEL;
use crate::nt::self_test::driver::{
    INTERRUPT_STATUS, complete, handle, mark_pending, read_register,
};
use crate::nt::self_test::extension::own;
use crate::nt::self_test::faults::{Hook, happen};
use crate::nt::self_test::{held, queue, traced};
use crate::nt::start_io::{entry_of, io_start_next_packet, io_start_packet};
use crate::nt::status::{
    STATUS_CANCELLED, STATUS_INVALID_DEVICE_REQUEST, STATUS_PENDING, STATUS_SUCCESS,
};

/// Control codes: FILE_ANY_ACCESS, METHOD_BUFFERED.
pub(super) const START_PACKET: ULONG = 0x8000_2000;
pub(super) const PEND_UNTIL_CANCELLED: ULONG = 0x8000_2004;
pub(super) const QUEUE: ULONG = 0x8000_2008;

/// IRP_MJ_DEVICE_CONTROL.
pub(super) unsafe extern "C" fn dispatch_control(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let packet = handle(irp);
    match packet.first_location().control_code() {
        START_PACKET => {
            if let Some(status) = happen(Hook::Control, device, irp) {
                return status;
            }
            if let Some(status) = held::hold_or_refuse(device, irp) {
                return status;
            }
            mark_pending(&packet);
            // SAFETY: Fact 1.
            unsafe { io_start_packet(device, irp, ptr::null_mut(), Some(cancel_packet)) };
        }
        QUEUE => queue::insert(device, irp),
        PEND_UNTIL_CANCELLED => {
            if let Some(status) = happen(Hook::Pend, device, irp) {
                return status;
            }
            mark_pending(&packet);
            cancel::set_routine(&packet, cancel_routine);
        }
        _ => {
            return happen(Hook::OtherCode, device, irp).unwrap_or_else(|| refuse(irp));
        }
    }
    STATUS_PENDING
}

/// Completes a request that the driver does not know.
pub(super) fn refuse(irp: PIRP) -> NTSTATUS {
    complete(irp, STATUS_INVALID_DEVICE_REQUEST)
}

/// The cancel routine of a request that just waits.
unsafe extern "C" fn cancel_routine(device: PDEVICE_OBJECT, irp: PIRP) {
    if happen(Hook::Cancel, device, irp).is_none() {
        cancel::io_release_cancel_spin_lock(handle(irp).cancel_irql());
        complete(irp, STATUS_CANCELLED);
    }
}

/// The cancel routine of a packet.
pub(super) unsafe extern "C" fn cancel_packet(device: PDEVICE_OBJECT, irp: PIRP) {
    let packet = handle(irp);
    // SAFETY: Fact 1.
    let was_queued = unsafe { (*device).CurrentIrp } != irp && {
        // SAFETY: Fact 1.
        let queue = unsafe { &raw mut (*device).DeviceQueue };
        ke_remove_entry_device_queue(queue, address::to_pointer(entry_of(&packet))) != 0
    };
    cancel::io_release_cancel_spin_lock(packet.cancel_irql());
    if was_queued {
        complete(irp, STATUS_CANCELLED);
    }
}

/// StartIo.
pub(super) unsafe extern "C" fn start_io(device: PDEVICE_OBJECT, irp: PIRP) {
    if happen(Hook::StartIo, device, irp).is_some() {
        return;
    }
    let packet = handle(irp);
    let mut irql = DISPATCH_LEVEL;
    // SAFETY: The variable is this function's own.
    unsafe { cancel::io_acquire_cancel_spin_lock(&raw mut irql) };
    let _routine = cancel::take_routine(&packet);
    let is_cancelled = packet.cancel() != 0;
    cancel::io_release_cancel_spin_lock(irql);
    if is_cancelled {
        // SAFETY: Fact 1.
        unsafe { io_start_next_packet(device, 1) };
        complete(irp, STATUS_CANCELLED);
        return;
    }
    traced::note();
    // SAFETY: Facts 1 and 2.
    unsafe {
        ke_synchronize_execution(
            own(device).interrupt(),
            Some(critical_section),
            device.cast(),
        );
    };
    // SAFETY: Facts 1 and 2.
    unsafe { ke_insert_queue_dpc(own(device).at_dpc(), irp.cast(), ptr::null_mut()) };
}

/// The critical section: looks at the device.
unsafe extern "C" fn critical_section(device: PVOID) -> BOOLEAN {
    traced::note();
    let _status = happen(Hook::Critical, device.cast(), ptr::null_mut());
    read_register(device.cast(), INTERRUPT_STATUS);
    1
}

/// The DPC: completes the packet and starts the next.
pub(super) unsafe extern "C" fn packet_done(
    _dpc: *mut KDPC,
    device: PVOID,
    irp: PVOID,
    _argument2: PVOID,
) {
    complete(irp.cast(), STATUS_SUCCESS);
    if happen(Hook::Done, device.cast(), ptr::null_mut()).is_none() {
        // SAFETY: Fact 1.
        unsafe { io_start_next_packet(device.cast(), 1) };
    }
}

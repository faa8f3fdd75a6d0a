//! Faults in the handling of IRPs and packets.

use core::ptr;

use wdk_sys::{LARGE_INTEGER, NTSTATUS};

use crate::nt::cancel;
use crate::nt::dispatcher::ke_wait_for_single_object;
use crate::nt::event::ke_initialize_event;
use crate::nt::irp::call::iof_call_driver;
use crate::nt::irql::{DISPATCH_LEVEL, ke_lower_irql, kf_raise_irql};
use crate::nt::rule::Rule;
use crate::nt::self_test::driver::{complete, handle, mark_pending, skip};
use crate::nt::self_test::extension::own;
use crate::nt::self_test::faults::{Fault, Hook, Place};
use crate::nt::spin_lock::ke_acquire_spin_lock_raise_to_dpc;
use crate::nt::start_io::{io_start_next_packet, io_start_packet};
use crate::nt::status::{STATUS_DEVICE_BUSY, STATUS_PENDING, STATUS_SUCCESS};

/// The faults. Exports are called on the driver's own objects, which its place
/// vouches for (facts 1 and 2 of [`driver`](super::driver)).
pub(super) const FAULTS: &[Fault] = &[
    Fault {
        rule: Rule::Irql03,
        hook: Hook::Control,
        act: return_raised,
    },
    Fault {
        rule: Rule::Irql05,
        hook: Hook::StartIo,
        act: wait_at_dispatch,
    },
    Fault {
        rule: Rule::Irp01,
        hook: Hook::Control,
        act: complete_twice,
    },
    Fault {
        rule: Rule::Irp02,
        hook: Hook::Control,
        act: write_after_completion,
    },
    Fault {
        rule: Rule::Irp03,
        hook: Hook::Control,
        act: pend_without_mark,
    },
    Fault {
        rule: Rule::Irp04,
        hook: Hook::Control,
        act: return_other_status,
    },
    Fault {
        rule: Rule::Irp05,
        hook: Hook::Control,
        act: complete_as_pending,
    },
    Fault {
        rule: Rule::Irp06,
        hook: Hook::Control,
        act: complete_under_lock,
    },
    Fault {
        rule: Rule::Irp07,
        hook: Hook::Unknown,
        act: forward_under_lock,
    },
    Fault {
        rule: Rule::Irp10,
        hook: Hook::Control,
        act: forward_without_location,
    },
    Fault {
        rule: Rule::Irp13,
        hook: Hook::Control,
        act: lose,
    },
    Fault {
        rule: Rule::Irp14,
        hook: Hook::Control,
        act: claim_more_than_written,
    },
    Fault {
        rule: Rule::Can01,
        hook: Hook::Cancel,
        act: keep_cancel_lock,
    },
    Fault {
        rule: Rule::Can04,
        hook: Hook::Pend,
        act: complete_with_cancel_routine,
    },
    Fault {
        rule: Rule::Sio01,
        hook: Hook::StartIoSlot,
        act: leave_out,
    },
    Fault {
        rule: Rule::Sio02,
        hook: Hook::Control,
        act: start_next_when_idle,
    },
    Fault {
        rule: Rule::Sio06,
        hook: Hook::Control,
        act: write_current_irp,
    },
];

fn leave_out(_place: Place) -> NTSTATUS {
    STATUS_SUCCESS
}

fn return_raised(place: Place) -> NTSTATUS {
    let status = complete(place.irp, STATUS_SUCCESS);
    kf_raise_irql(DISPATCH_LEVEL);
    status
}

fn wait_at_dispatch(_place: Place) -> NTSTATUS {
    let mut event = wdk_sys::KEVENT::default();
    // SAFETY: The event is this function's own.
    unsafe { ke_initialize_event(&raw mut event, 0, 0) };
    let mut timeout = LARGE_INTEGER { QuadPart: -10_000 };
    // SAFETY: As above.
    unsafe { ke_wait_for_single_object((&raw mut event).cast(), 0, 0, 0, &raw mut timeout) }
}

fn complete_twice(place: Place) -> NTSTATUS {
    complete(place.irp, STATUS_SUCCESS);
    // SAFETY: That the IRP is gone is the fault; the executive looks it up first.
    unsafe { crate::nt::irp::complete::iof_complete_request(place.irp, 0) };
    STATUS_SUCCESS
}

fn write_after_completion(place: Place) -> NTSTATUS {
    let packet = handle(place.irp);
    let status = complete(place.irp, STATUS_SUCCESS);
    // The handle keeps the memory; to write there is the fault.
    packet.set_information(1);
    status
}

fn pend_without_mark(place: Place) -> NTSTATUS {
    complete(place.irp, STATUS_SUCCESS);
    STATUS_PENDING
}

fn return_other_status(place: Place) -> NTSTATUS {
    complete(place.irp, STATUS_SUCCESS);
    STATUS_DEVICE_BUSY
}

fn complete_as_pending(place: Place) -> NTSTATUS {
    complete(place.irp, STATUS_PENDING)
}

fn complete_under_lock(place: Place) -> NTSTATUS {
    // SAFETY: The lock lies in the device extension.
    unsafe { ke_acquire_spin_lock_raise_to_dpc(own(place.device).at_spin_lock()) };
    complete(place.irp, STATUS_SUCCESS)
}

fn forward_under_lock(place: Place) -> NTSTATUS {
    // SAFETY: The lock lies in the device extension.
    unsafe { ke_acquire_spin_lock_raise_to_dpc(own(place.device).at_spin_lock()) };
    skip(place.irp);
    // SAFETY: The driver's own lower device and IRP.
    unsafe { iof_call_driver(own(place.device).lower(), place.irp) }
}

/// Sends the IRP to its own device again and again.
fn forward_without_location(place: Place) -> NTSTATUS {
    let packet = handle(place.irp);
    if let Some(below) = packet.current().checked_sub(1).filter(|index| *index > 0) {
        let current = packet.location(packet.current()).read();
        packet.location(below).write(current);
    }
    // SAFETY: The driver's own device and IRP.
    unsafe { iof_call_driver(place.device, place.irp) }
}

fn lose(_place: Place) -> NTSTATUS {
    STATUS_SUCCESS
}

fn claim_more_than_written(place: Place) -> NTSTATUS {
    let packet = handle(place.irp);
    packet.set_status(STATUS_SUCCESS);
    packet.set_information(4096);
    // SAFETY: The driver's own IRP.
    unsafe { crate::nt::irp::complete::iof_complete_request(place.irp, 0) };
    STATUS_SUCCESS
}

fn keep_cancel_lock(_place: Place) -> NTSTATUS {
    STATUS_SUCCESS
}

fn complete_with_cancel_routine(place: Place) -> NTSTATUS {
    /// Never called.
    unsafe extern "C" fn cancel_routine(_device: wdk_sys::PDEVICE_OBJECT, _irp: wdk_sys::PIRP) {}
    let packet = handle(place.irp);
    mark_pending(&packet);
    cancel::set_routine(&packet, cancel_routine);
    complete(place.irp, STATUS_SUCCESS);
    STATUS_PENDING
}

fn start_next_when_idle(place: Place) -> NTSTATUS {
    let old = kf_raise_irql(DISPATCH_LEVEL);
    // SAFETY: The driver's own device.
    unsafe { io_start_next_packet(place.device, 0) };
    ke_lower_irql(old);
    complete(place.irp, STATUS_SUCCESS)
}

fn write_current_irp(place: Place) -> NTSTATUS {
    mark_pending(&handle(place.irp));
    // SAFETY: The driver's own device; that it writes the field is the fault.
    unsafe { (*place.device).CurrentIrp = place.irp };
    // SAFETY: The driver's own device and IRP.
    unsafe { io_start_packet(place.device, place.irp, ptr::null_mut(), None) };
    STATUS_PENDING
}

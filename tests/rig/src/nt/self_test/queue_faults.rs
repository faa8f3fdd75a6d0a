//! Faults in queues and in cancellation.

use core::ptr;

use wdk_sys::{NTSTATUS, PDEVICE_OBJECT, PIRP};

use crate::nt::cancel::{self, io_cancel_irp};
use crate::nt::csq::io_csq_remove_next_irp;
use crate::nt::irp::complete::iof_complete_request;
use crate::nt::irql::DISPATCH_LEVEL;
use crate::nt::rule::Rule;
use crate::nt::self_test::driver::{complete, handle, mark_pending};
use crate::nt::self_test::extension::own;
use crate::nt::self_test::faults::{Fault, Hook, Place};
use crate::nt::spin_lock::ke_acquire_spin_lock_at_dpc_level;
use crate::nt::start_io::{io_set_start_io_attributes, io_start_next_packet};
use crate::nt::status::{STATUS_CANCELLED, STATUS_PENDING, STATUS_SUCCESS};

/// The faults. Exports are called on the driver's own objects, which its place
/// vouches for (facts 1 and 2 of [`driver`](super::driver)).
pub(super) const FAULTS: &[Fault] = &[
    Fault {
        rule: Rule::Sio03,
        hook: Hook::Done,
        act: say_not_cancelable,
    },
    Fault {
        rule: Rule::Sio04,
        hook: Hook::StartIo,
        act: start_next_inside,
    },
    Fault {
        rule: Rule::Sio05,
        hook: Hook::Done,
        act: leave_out,
    },
    Fault {
        rule: Rule::Can02,
        hook: Hook::Cancel,
        act: cancel_with_success,
    },
    Fault {
        rule: Rule::Can03,
        hook: Hook::StartIo,
        act: have_the_current_cancelled,
    },
    Fault {
        rule: Rule::Can05,
        hook: Hook::StartIo,
        act: clear_without_lock,
    },
    Fault {
        rule: Rule::Can06,
        hook: Hook::Cancel,
        act: complete_what_is_cancelled,
    },
    Fault {
        rule: Rule::Can07,
        hook: Hook::Cancel,
        act: release_and_forget,
    },
    Fault {
        rule: Rule::Can08,
        hook: Hook::Control,
        act: cancel_anothers,
    },
    Fault {
        rule: Rule::Csq01,
        hook: Hook::Unlink,
        act: lock_in_remove,
    },
    Fault {
        rule: Rule::Csq02,
        hook: Hook::Unlink,
        act: leave_out,
    },
    Fault {
        rule: Rule::Csq03,
        hook: Hook::Queued,
        act: clear_while_queued,
    },
    Fault {
        rule: Rule::Irp16,
        hook: Hook::Cleanup,
        act: leave_out,
    },
];

fn leave_out(_place: Place) -> NTSTATUS {
    STATUS_SUCCESS
}

fn say_not_cancelable(place: Place) -> NTSTATUS {
    // SAFETY: See `FAULTS`.
    unsafe { io_start_next_packet(place.device, 0) };
    STATUS_SUCCESS
}

fn start_next_inside(place: Place) -> NTSTATUS {
    // SAFETY: See `FAULTS`.
    unsafe { io_set_start_io_attributes(place.device, 0, 0) };
    // SAFETY: See `FAULTS`.
    unsafe { io_start_next_packet(place.device, 1) };
    STATUS_SUCCESS
}

fn cancel_with_success(place: Place) -> NTSTATUS {
    cancel::io_release_cancel_spin_lock(handle(place.irp).cancel_irql());
    complete(place.irp, STATUS_SUCCESS)
}

fn have_the_current_cancelled(place: Place) -> NTSTATUS {
    /// A cancel routine that does not look whose the IRP is.
    unsafe extern "C" fn cancel_current(_device: PDEVICE_OBJECT, irp: PIRP) {
        cancel::io_release_cancel_spin_lock(handle(irp).cancel_irql());
        complete(irp, STATUS_CANCELLED);
    }
    let mut irql = DISPATCH_LEVEL;
    // SAFETY: The variable is this function's own.
    unsafe { cancel::io_acquire_cancel_spin_lock(&raw mut irql) };
    cancel::set_routine(&handle(place.irp), cancel_current);
    cancel::io_release_cancel_spin_lock(irql);
    STATUS_SUCCESS
}

fn clear_without_lock(place: Place) -> NTSTATUS {
    let _routine = cancel::take_routine(&handle(place.irp));
    // SAFETY: See `FAULTS`.
    unsafe { io_start_next_packet(place.device, 1) };
    STATUS_SUCCESS
}

fn complete_what_is_cancelled(place: Place) -> NTSTATUS {
    cancel::io_release_cancel_spin_lock(handle(place.irp).cancel_irql());
    complete(place.irp, STATUS_CANCELLED);
    // SAFETY: That the IRP is gone is the fault; the executive looks it up first.
    unsafe { iof_complete_request(place.irp, 0) };
    STATUS_SUCCESS
}

fn release_and_forget(place: Place) -> NTSTATUS {
    cancel::io_release_cancel_spin_lock(handle(place.irp).cancel_irql());
    STATUS_SUCCESS
}

fn cancel_anothers(place: Place) -> NTSTATUS {
    mark_pending(&handle(place.irp));
    // SAFETY: See `FAULTS`.
    let _called = unsafe { io_cancel_irp(place.irp) };
    STATUS_PENDING
}

fn lock_in_remove(place: Place) -> NTSTATUS {
    // SAFETY: See `FAULTS`.
    unsafe { ke_acquire_spin_lock_at_dpc_level(own(place.device).at_spin_lock()) };
    STATUS_SUCCESS
}

fn clear_while_queued(place: Place) -> NTSTATUS {
    let _routine = cancel::take_routine(&handle(place.irp));
    // SAFETY: See `FAULTS`.
    unsafe { io_csq_remove_next_irp(own(place.device).at_queue().cast(), ptr::null_mut()) };
    STATUS_SUCCESS
}

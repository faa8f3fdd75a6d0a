//! Faults in Plug and Play, remove locks and the making of device objects.

use wdk_sys::NTSTATUS;

use crate::nt::device::{io_delete_device, io_detach_device};
use crate::nt::interface::io_set_device_interface_state;
use crate::nt::remove_lock::{
    io_acquire_remove_lock_ex, io_initialize_remove_lock_ex, io_release_remove_lock_and_wait_ex,
    io_release_remove_lock_ex,
};
use crate::nt::rule::Rule;
use crate::nt::self_test::driver::{complete, forward, handle, start};
use crate::nt::self_test::extension::own;
use crate::nt::self_test::faults::{Fault, Hook, Place};
use crate::nt::self_test::held;
use crate::nt::status::{STATUS_DEVICE_BUSY, STATUS_NOT_SUPPORTED, STATUS_SUCCESS};

/// The faults; see [`irp_faults`](super::irp_faults) for what vouches for their calls.
pub(super) const FAULTS: &[Fault] = &[
    Fault {
        rule: Rule::Pnp01,
        hook: Hook::Initialized,
        act: leave_out,
    },
    Fault {
        rule: Rule::Pnp03,
        hook: Hook::Start,
        act: start_at_once,
    },
    Fault {
        rule: Rule::Pnp09,
        hook: Hook::Replay,
        act: replay_backwards,
    },
    Fault {
        rule: Rule::Pnp14,
        hook: Hook::Spurious,
        act: fail_stop,
    },
    Fault {
        rule: Rule::Pnp10,
        hook: Hook::Gone,
        act: succeed_gone,
    },
    Fault {
        rule: Rule::Pnp04,
        hook: Hook::QueryStop,
        act: leave_status,
    },
    Fault {
        rule: Rule::Pnp05,
        hook: Hook::Stop,
        act: fail_stop,
    },
    Fault {
        rule: Rule::Pnp06,
        hook: Hook::Unknown,
        act: succeed_unknown,
    },
    Fault {
        rule: Rule::Pnp07,
        hook: Hook::QueryStop,
        act: forward_failure,
    },
    Fault {
        rule: Rule::Pnp11,
        hook: Hook::Surprise,
        act: detach_early,
    },
    Fault {
        rule: Rule::Pnp12,
        hook: Hook::Remove,
        act: delete_attached,
    },
    Fault {
        rule: Rule::Pnp13,
        hook: Hook::Surprise,
        act: disable_again,
    },
    Fault {
        rule: Rule::Rml01,
        hook: Hook::Connected,
        act: release_with_other_tag,
    },
    Fault {
        rule: Rule::Rml02,
        hook: Hook::Connected,
        act: release_and_wait_early,
    },
    Fault {
        rule: Rule::Rml03,
        hook: Hook::Connected,
        act: initialize_again,
    },
];

fn leave_out(_place: Place) -> NTSTATUS {
    STATUS_SUCCESS
}

fn start_at_once(place: Place) -> NTSTATUS {
    let status = forward(place.device, place.irp);
    let _started = start(place.device);
    status
}

fn replay_backwards(place: Place) -> NTSTATUS {
    for irp in held::take(place.device).into_iter().rev() {
        held::begin(place.device, irp);
    }
    STATUS_SUCCESS
}

fn succeed_gone(place: Place) -> NTSTATUS {
    complete(place.irp, STATUS_SUCCESS)
}

fn leave_status(_place: Place) -> NTSTATUS {
    STATUS_NOT_SUPPORTED
}

fn forward_failure(_place: Place) -> NTSTATUS {
    STATUS_DEVICE_BUSY.wrapping_add(0x4000_0000)
}

fn fail_stop(place: Place) -> NTSTATUS {
    complete(place.irp, crate::nt::status::STATUS_INSUFFICIENT_RESOURCES)
}

fn succeed_unknown(place: Place) -> NTSTATUS {
    handle(place.irp).set_status(STATUS_SUCCESS);
    STATUS_SUCCESS
}

fn detach_early(place: Place) -> NTSTATUS {
    // SAFETY: The driver's own lower device.
    unsafe { io_detach_device(own(place.device).lower()) };
    STATUS_SUCCESS
}

fn delete_attached(place: Place) -> NTSTATUS {
    // SAFETY: The driver's own device; that it is attached is the fault.
    unsafe { io_delete_device(place.device) };
    STATUS_SUCCESS
}

fn disable_again(place: Place) -> NTSTATUS {
    // SAFETY: The driver's own interface, which was disabled just before.
    unsafe { io_set_device_interface_state(own(place.device).at_link(), 0) }
}

fn release_with_other_tag(place: Place) -> NTSTATUS {
    let lock = own(place.device).at_remove_lock();
    let tag = place.device.cast();
    // SAFETY: The driver's own remove lock.
    let status = unsafe { io_acquire_remove_lock_ex(lock, tag, core::ptr::null(), 0, 0) };
    // SAFETY: As above.
    unsafe { io_release_remove_lock_ex(lock, lock.cast(), 0) };
    status
}

fn release_and_wait_early(place: Place) -> NTSTATUS {
    let lock = own(place.device).at_remove_lock();
    // SAFETY: The driver's own remove lock.
    unsafe { io_release_remove_lock_and_wait_ex(lock, lock.cast(), 0) };
    STATUS_SUCCESS
}

fn initialize_again(place: Place) -> NTSTATUS {
    // SAFETY: The driver's own remove lock; that it is in use is the fault.
    unsafe { io_initialize_remove_lock_ex(own(place.device).at_remove_lock(), 1, 0, 0, 0) };
    STATUS_SUCCESS
}

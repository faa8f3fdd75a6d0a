//! Faults with controller objects.
//!
//! The self-test driver has an AddDevice routine, so that it creates one is a fault
//! itself; the others begin with one that it was given.

use core::ptr;

use wdk_sys::{IO_ALLOCATION_ACTION, NTSTATUS, PCONTROLLER_OBJECT, PDEVICE_OBJECT, PIRP, PVOID};

use crate::nt::irql::{DISPATCH_LEVEL, ke_lower_irql, kf_raise_irql};
use crate::nt::legacy::controller::{
    create, io_allocate_controller, io_create_controller, io_delete_controller, io_free_controller,
};
use crate::nt::rule::Rule;
use crate::nt::self_test::faults::{Fault, Hook, Place};
use crate::nt::status::STATUS_SUCCESS;

/// The faults; see [`irp_faults`](super::irp_faults) for what vouches for their calls.
pub(super) const FAULTS: &[Fault] = &[
    Fault {
        rule: Rule::Ctl01,
        hook: Hook::Connected,
        act: create_with_add_device,
    },
    Fault {
        rule: Rule::Ctl02,
        hook: Hook::Connected,
        act: free_twice,
    },
    Fault {
        rule: Rule::Ctl03,
        hook: Hook::Connected,
        act: wait_twice,
    },
    Fault {
        rule: Rule::Ctl04,
        hook: Hook::Connected,
        act: delete_allocated,
    },
];

/// ControllerControl that keeps the controller.
unsafe extern "C" fn keep(
    _device: PDEVICE_OBJECT,
    _irp: PIRP,
    _map_registers: PVOID,
    _context: PVOID,
) -> IO_ALLOCATION_ACTION {
    1
}

/// Allocates a controller at DISPATCH_LEVEL, and goes on there.
fn at_dispatch(place: Place, go_on: impl FnOnce(PCONTROLLER_OBJECT)) -> NTSTATUS {
    let controller = create(16);
    let old = kf_raise_irql(DISPATCH_LEVEL);
    allocate(controller, place);
    go_on(controller);
    ke_lower_irql(old);
    STATUS_SUCCESS
}

fn allocate(controller: PCONTROLLER_OBJECT, place: Place) {
    // SAFETY: The controller is one that exists, the device object the driver's own.
    unsafe { io_allocate_controller(controller, place.device, Some(keep), ptr::null_mut()) };
}

fn create_with_add_device(_place: Place) -> NTSTATUS {
    io_create_controller(16);
    STATUS_SUCCESS
}

fn free_twice(place: Place) -> NTSTATUS {
    at_dispatch(place, |controller| {
        // SAFETY: As in `allocate`.
        unsafe { io_free_controller(controller) };
        // SAFETY: As in `allocate`; that nobody has it is the fault.
        unsafe { io_free_controller(controller) };
    })
}

fn wait_twice(place: Place) -> NTSTATUS {
    at_dispatch(place, |controller| {
        allocate(controller, place);
        allocate(controller, place);
    })
}

fn delete_allocated(place: Place) -> NTSTATUS {
    let controller = create(16);
    let old = kf_raise_irql(DISPATCH_LEVEL);
    allocate(controller, place);
    ke_lower_irql(old);
    // SAFETY: As in `allocate`; that it is allocated is the fault.
    unsafe { io_delete_controller(controller) };
    STATUS_SUCCESS
}

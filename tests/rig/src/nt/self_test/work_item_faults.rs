//! Faults with work items.

use core::ptr;

use wdk_sys::{NTSTATUS, PDEVICE_OBJECT, PIO_WORKITEM, PVOID};

use crate::nt::irql::{DISPATCH_LEVEL, kf_raise_irql};
use crate::nt::rule::Rule;
use crate::nt::self_test::faults::{Fault, Hook, Place};
use crate::nt::status::STATUS_SUCCESS;
use crate::nt::work_item::{io_allocate_work_item, io_free_work_item, io_queue_work_item};

/// `DelayedWorkQueue`.
const DELAYED_WORK_QUEUE: i32 = 1;

/// The faults; see [`irp_faults`](super::irp_faults) for what vouches for their calls.
pub(super) const FAULTS: &[Fault] = &[
    Fault {
        rule: Rule::Wki01,
        hook: Hook::Connected,
        act: queue_twice,
    },
    Fault {
        rule: Rule::Wki02,
        hook: Hook::Connected,
        act: free_queued,
    },
];

/// A routine that does nothing.
unsafe extern "C" fn nothing(_device: PDEVICE_OBJECT, _context: PVOID) {}

/// A work item that is queued and stays so: no thread runs before the IRQL comes down.
fn queued(device: PDEVICE_OBJECT) -> PIO_WORKITEM {
    kf_raise_irql(DISPATCH_LEVEL);
    // SAFETY: The driver's own device object.
    let item = unsafe { io_allocate_work_item(device) };
    queue(item);
    item
}

fn queue(item: PIO_WORKITEM) {
    // SAFETY: The work item was just allocated, and its routine needs no context.
    unsafe { io_queue_work_item(item, Some(nothing), DELAYED_WORK_QUEUE, ptr::null_mut()) };
}

fn queue_twice(place: Place) -> NTSTATUS {
    queue(queued(place.device));
    STATUS_SUCCESS
}

fn free_queued(place: Place) -> NTSTATUS {
    let item = queued(place.device);
    // SAFETY: That the work item is queued is the fault; the executive looks first.
    unsafe { io_free_work_item(item) };
    STATUS_SUCCESS
}

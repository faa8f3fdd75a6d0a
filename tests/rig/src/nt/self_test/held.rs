//! Packets that the self-test driver holds while its device is stopped, and refuses when
//! it is gone.
//!
//! Soundness: facts 1 and 2 of [`driver`](super::driver). One thread sends everything
//! here, so the list needs no lock.

use core::ptr;

use alloc::vec::Vec;

use wdk_sys::{NTSTATUS, PDEVICE_OBJECT, PIRP};

use crate::nt::self_test::driver::{complete, handle, mark_pending};
use crate::nt::self_test::extension::own;
use crate::nt::self_test::faults::{Hook, happen};
use crate::nt::self_test::packets::cancel_packet;
use crate::nt::start_io::io_start_packet;
use crate::nt::status::{STATUS_DELETE_PENDING, STATUS_INSUFFICIENT_RESOURCES, STATUS_PENDING};

/// Holds a packet of a device that is stopped, refuses that of one that is gone; none if
/// it may be started.
pub(super) fn hold_or_refuse(device: PDEVICE_OBJECT, irp: PIRP) -> Option<NTSTATUS> {
    if own(device).is_gone() {
        let happened = happen(Hook::Gone, device, irp);
        return Some(happened.unwrap_or_else(|| complete(irp, STATUS_DELETE_PENDING)));
    }
    if !own(device).registers().is_null() {
        return None;
    }
    let mut held = own(device).held();
    let count = own(device).held_count();
    let Some(place) = held.get_mut(count) else {
        return Some(complete(irp, STATUS_INSUFFICIENT_RESOURCES));
    };
    *place = irp;
    mark_pending(&handle(irp));
    own(device).set_held(held);
    own(device).set_held_count(count + 1);
    Some(STATUS_PENDING)
}

/// Starts what was held, in its order.
pub(super) fn replay(device: PDEVICE_OBJECT) {
    if happen(Hook::Replay, device, ptr::null_mut()).is_none() {
        for irp in take(device) {
            begin(device, irp);
        }
    }
}

/// Takes what is held, the first first.
pub(super) fn take(device: PDEVICE_OBJECT) -> Vec<PIRP> {
    let count = own(device).held_count();
    own(device).set_held_count(0);
    own(device).held().into_iter().take(count).collect()
}

/// Starts a packet that was pended.
pub(super) fn begin(device: PDEVICE_OBJECT, irp: PIRP) {
    // SAFETY: Fact 1.
    unsafe { io_start_packet(device, irp, ptr::null_mut(), Some(cancel_packet)) };
}

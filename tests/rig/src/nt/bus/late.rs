//! PnP IRPs that the bus driver pends, and completes from a thread of its own, at
//! PASSIVE_LEVEL and at DISPATCH_LEVEL by turns.
//!
//! That is `bus=late`: what a bus with a slow controller does. REMOVE_DEVICE is not
//! among them: the driver above deletes its device object as soon as the bus driver's
//! dispatch routine has returned.

use alloc::collections::VecDeque;
use core::sync::atomic::{AtomicUsize, Ordering};

use wdk_sys::NTSTATUS;

use crate::machine::sync::IrqLock;
use crate::machine::time::{TICKS_PER_SECOND, system_time_100ns};
use crate::nt::dispatcher::wait_until;
use crate::nt::irp::Irp;
use crate::nt::irql::{DISPATCH_LEVEL, raised};
use crate::nt::status::STATUS_PENDING;
use crate::nt::thread::{self, WaitQueue};

/// How late: 4 ms.
const DELAY: u64 = TICKS_PER_SECOND / 250;

/// What is to be completed, and how.
static QUEUE: IrqLock<VecDeque<(Irp, NTSTATUS)>> = IrqLock::new(VecDeque::new());
/// The thread, while it has nothing to do.
static IDLE: WaitQueue = WaitQueue::new();
/// IRPs that it has completed.
static TURN: AtomicUsize = AtomicUsize::new(0);

/// Begins the thread. Once.
pub(super) fn start() {
    thread::spawn("bus driver", thread::NORMAL_PRIORITY, None, || {
        loop {
            let (irp, status) = IDLE.wait_for("a PnP IRP", take);
            let until = system_time_100ns() + DELAY;
            // The wait is for the time alone.
            let _nothing: bool = wait_until("a slow bus", Some(until), || false);
            complete(&irp, status);
        }
    });
}

/// Pends an IRP; the thread completes it with `status`.
pub(super) fn pend(irp: &Irp, status: NTSTATUS) -> NTSTATUS {
    irp.location(irp.current()).mark_pending();
    QUEUE.with(|queue| queue.push_back((irp.clone(), status)));
    IDLE.tell_one();
    STATUS_PENDING
}

fn take() -> Option<(Irp, NTSTATUS)> {
    QUEUE.with(VecDeque::pop_front)
}

fn complete(irp: &Irp, status: NTSTATUS) {
    if TURN.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
        super::complete(irp, status);
    } else {
        raised(DISPATCH_LEVEL, || super::complete(irp, status));
    }
}

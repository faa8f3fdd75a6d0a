//! Power IRPs that wait to be sent, and those that their bus driver completes later.
//!
//! Threads of their own take from here, and so does the power manager while it waits for
//! an IRP of its own.

use alloc::collections::VecDeque;

use wdk_sys::DO_POWER_PAGABLE;

use crate::machine::sync::IrqLock;
use crate::nt::device::Device;
use crate::nt::dispatcher::{wait_until, wake_waiters};
use crate::nt::irp::{Irp, call};
use crate::nt::irql::{DISPATCH_LEVEL, raised};
use crate::nt::power::bus;
use crate::nt::thread::WaitQueue;

/// Something that the power manager has still to do.
pub(super) enum Item {
    /// Send an IRP to the top of this device's stack.
    Send(Device, Irp),
    /// Complete an IRP for the bus driver, which has pended it.
    Complete(Irp),
}

static QUEUE: IrqLock<VecDeque<Item>> = IrqLock::new(VecDeque::new());
/// Threads that have nothing to do.
static WORKERS: WaitQueue = WaitQueue::new();

/// Adds something to do. Any IRQL.
pub(super) fn push(item: Item) {
    QUEUE.with(|queue| queue.push_back(item));
    WORKERS.tell_one();
    wake_waiters();
}

/// Whether there is something to do.
fn has_work() -> bool {
    QUEUE.with(|queue| !queue.is_empty())
}

/// Does what there is to do, for good. PASSIVE_LEVEL.
pub(crate) fn run() {
    loop {
        act(WORKERS.wait_for("a power IRP", take));
    }
}

/// Takes something to do.
fn take() -> Option<Item> {
    QUEUE.with(VecDeque::pop_front)
}

/// Does one thing.
fn act(item: Item) {
    match item {
        Item::Send(device, irp) => send(device, &irp),
        Item::Complete(irp) => bus::complete(&irp),
    }
}

/// Sends a power IRP to the top of a stack, at the IRQL that the stack asks for.
/// PASSIVE_LEVEL.
pub(super) fn send(device: Device, irp: &Irp) {
    let top = device.top_of_stack();
    if top.flags() & DO_POWER_PAGABLE != 0 {
        let _returned = call::send(top, irp);
    } else {
        raised(DISPATCH_LEVEL, || {
            let _returned = call::send(top, irp);
        });
    }
}

/// Does what there is to do until `ready` says so. PASSIVE_LEVEL.
pub(super) fn work_until(what: &'static str, ready: impl Fn() -> bool) {
    while !ready() {
        match take() {
            Some(item) => act(item),
            None => {
                // Without a deadline the wait ends in one way only.
                let _ready: bool = wait_until(what, None, || ready() || has_work());
            }
        }
    }
}

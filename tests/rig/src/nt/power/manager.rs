//! The machine goes to sleep and wakes up, and single devices do.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use wdk_sys::{DEVICE_POWER_STATE, NTSTATUS};

use crate::nt::fault;
use crate::nt::irp::Irp;
use crate::nt::node::{self, NodeRef};
use crate::nt::power::queue::{send, work_until};
use crate::nt::power::{PowerAsk, SLEEPING3, Target, WORKING, exports, make, minor, rules};
use crate::nt::status::{STATUS_SUCCESS, is_success};

/// The machine sleeps.
static IS_ASLEEP: AtomicBool = AtomicBool::new(false);

/// Whether the machine sleeps.
pub(crate) fn is_asleep() -> bool {
    IS_ASLEEP.load(Ordering::Acquire)
}

/// Asks every driver whether the machine may sleep, and has it sleep (S3). The status of
/// a driver that refused, and then everything is as before.
pub(crate) fn sleep() -> NTSTATUS {
    let nodes = stacks();
    for (index, node) in nodes.iter().enumerate() {
        let status = ask_system(node, minor::QUERY_POWER, Target::System(SLEEPING3));
        if !is_success(status) {
            // Those that have agreed are told that the machine goes on working.
            nodes.iter().take(index).for_each(wake_stack);
            settle(&nodes);
            return status;
        }
    }
    IS_ASLEEP.store(true, Ordering::Release);
    for node in &nodes {
        let _status = ask_system(node, minor::SET_POWER, Target::System(SLEEPING3));
    }
    settle(&nodes);
    STATUS_SUCCESS
}

/// Wakes the machine up, and waits until its devices are awake too.
pub(crate) fn wake() -> NTSTATUS {
    let nodes = stacks();
    nodes.iter().for_each(wake_stack);
    settle(&nodes);
    IS_ASLEEP.store(false, Ordering::Release);
    STATUS_SUCCESS
}

/// Has one device change its power state, as a driver in its stack may ask for.
pub(crate) fn set_device(node: &NodeRef, state: DEVICE_POWER_STATE) -> NTSTATUS {
    let ask = PowerAsk::new(node, minor::SET_POWER, Target::Device(state));
    wait(&exports::request(ask))
}

/// The devices that have a driver.
fn stacks() -> Vec<NodeRef> {
    let mut nodes = node::all();
    nodes.retain(|node| !node.pdo().attached().is_null());
    nodes
}

fn wake_stack(node: &NodeRef) {
    let _status = ask_system(node, minor::SET_POWER, Target::System(WORKING));
}

/// Sends a system power IRP to a device's stack, and waits for its end.
fn ask_system(node: &NodeRef, code: u8, target: Target) -> NTSTATUS {
    let irp = make(PowerAsk::new(node, code, target));
    let asked = node.power().requested();
    let refused = fault::power_refusals();
    send(node.pdo(), &irp);
    let status = wait(&irp);
    if code == minor::SET_POWER {
        rules::assert_system_set(&irp, node, target, status, asked, refused);
    }
    status
}

/// Waits for an IRP's end.
fn wait(irp: &Irp) -> NTSTATUS {
    work_until("a power IRP", || irp.outcome().is_some());
    irp.outcome()
        .map_or(STATUS_SUCCESS, |outcome| outcome.status)
}

/// Waits until no device changes its power state any more.
fn settle(nodes: &[NodeRef]) {
    work_until("the end of the device power IRPs", || {
        !nodes.iter().any(|node| node.power().is_busy())
    });
}

//! What the PnP manager may send although nobody would expect it: cancellations of what
//! was never asked, and removals of devices that were never started.

use rig_protocol::Action;
use wdk_sys::NTSTATUS;

use crate::nt::callout::Callback;
use crate::nt::irp::Function;
use crate::nt::node::{Node, NodeRef};
use crate::nt::pnp::{State, add, major, minor, remove_now, send, surprise_remove};
use crate::nt::status::{STATUS_SUCCESS, is_success};
use crate::nt::violation::check;
use crate::nt::{fault, load};

/// The cancellations that take nothing back in a device's state. A stop that was done is
/// not cancelled.
fn spurious(state: State) -> &'static [u8] {
    match state {
        State::Started => &[minor::CANCEL_STOP_DEVICE, minor::CANCEL_REMOVE_DEVICE],
        State::StopPending | State::Stopped => &[minor::CANCEL_REMOVE_DEVICE],
        State::RemovePending => &[minor::CANCEL_STOP_DEVICE],
        _ => &[],
    }
}

/// Sends them, where there are any.
pub(super) fn cancel_nothing(node: &Node) -> Option<NTSTATUS> {
    let codes = spurious(node.state());
    for code in codes {
        let status = send(node, *code, |_| {}).status;
        check!(
            Pnp14,
            Callback::Dispatch,
            is_success(status),
            "{} took nothing back and ended with status {status:#010x}.",
            Function(major(), *code)
        );
    }
    (!codes.is_empty()).then_some(STATUS_SUCCESS)
}

/// Adds a device that was removed and is there still, and takes it away before it was
/// started.
pub(super) fn add_and_take_away(node: &NodeRef, action: Action) -> Option<NTSTATUS> {
    if !node.function().is_there() {
        return None;
    }
    let driver = load::driver()?;
    if let Err(status) = fault::counted(|| add(node, driver)) {
        return Some(status);
    }
    if action == Action::AddAndLose {
        surprise_remove(node);
    } else {
        remove_now(node);
    }
    Some(STATUS_SUCCESS)
}

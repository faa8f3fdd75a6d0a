//! What becomes of a driver whose form of IoConnectInterruptEx the platform does not have.
//!
//! The call has then failed with the version rewritten to CONNECT_FULLY_SPECIFIED, and the
//! driver is to try that one ("Using IoConnectInterruptEx Prior to Windows Vista").

use alloc::collections::BTreeSet;

use wdk_sys::PDEVICE_OBJECT;

use crate::machine::sync::IrqLock;
use crate::nt::node::{self, Node};
use crate::nt::routine::Routine;
use crate::nt::violation::check;

/// Devices whose driver was refused and has not tried the other form since, by number.
static REFUSED: IrqLock<BTreeSet<u32>> = IrqLock::new(BTreeSet::new());

/// The driver of the device with this PDO asks for its interrupt, in a form that the
/// platform has or has not.
pub(super) fn note(pdo: PDEVICE_OBJECT, is_refused: bool) {
    let Some(node) = node::of_pdo(pdo) else {
        return;
    };
    REFUSED.with(|refused| {
        if is_refused {
            refused.insert(node.index())
        } else {
            refused.remove(&node.index())
        }
    });
}

/// Checks, when START_DEVICE is over, that a refusal was answered.
pub(crate) fn assert_followed(node: &Node) {
    let is_open = REFUSED.with(|refused| refused.remove(&node.index()));
    check!(
        Int02,
        Routine::IoConnectInterruptEx,
        !is_open,
        "START_DEVICE of device {} is over, and its driver has not tried CONNECT_FULLY_SPECIFIED, to which Version was set when the call failed.",
        node.index()
    );
}

//! A device that stops answering: from some access on, every read gives all ones, writes
//! go nowhere, and it neither interrupts nor transfers. Nobody is told.
//!
//! So a driver sees a device that was pulled out, or has died, before the PnP manager
//! knows; and it can happen between any two of its accesses.

use crate::machine::configuration_space;
use crate::machine::log::log;
use crate::machine::sync::IrqLock;
use crate::nt::node::{self, Node};

/// Accesses that the first device still answers; `None` counts none. It is held while an
/// access is made that is counted, and until the device is silent after the last one: an
/// ISR that finds all ones must not be called again for a line that the device holds yet.
static REMAINING: IrqLock<Option<u64>> = IrqLock::new(None);

/// The device that this is about: the first.
const DEVICE: u32 = 0;

/// The device answers so many accesses more; of `None`, all of them, and it is back if it
/// was absent. It may not be started then. PASSIVE_LEVEL.
pub(crate) fn begin_after(accesses: Option<u64>) {
    let node = node::by_index(DEVICE);
    REMAINING.with(|remaining| {
        *remaining = accesses;
        if accesses == Some(0)
            && let Some(node) = &node
        {
            leave(node);
        }
    });
    if accesses.is_none()
        && let Some(node) = node
    {
        come_back(&node);
    }
}

/// The device forgets what it was told and does not answer any more.
fn leave(node: &Node) {
    if let Some(registers) = node.registers() {
        registers.lose_context();
    }
    node.function().set_mute(true);
    log!("Device {DEVICE} does not answer from now on.");
}

/// The device answers again, and is as one that has got its power back. It interrupts
/// again only when it has forgotten what there was to interrupt for.
fn come_back(node: &Node) {
    node.function().set_memory_space(true);
    if let Some(registers) = node.registers() {
        registers.come_to_rest();
    }
    node.function().set_mute(false);
}

/// Whether the device does not answer because somebody has asked for that.
pub(crate) fn is_absent(node: &Node) -> bool {
    node.index() == DEVICE && REMAINING.with(|remaining| *remaining == Some(0))
}

/// Makes an access, if the device answers it; what was read. Any IRQL.
pub(super) fn answered<R>(node: &Node, access: impl FnOnce() -> R) -> Option<R> {
    if !configuration_space::decodes_memory(node.function()) {
        return None;
    }
    let is_counted = node.index() == DEVICE && REMAINING.with(|remaining| remaining.is_some());
    if !is_counted {
        return Some(access());
    }
    REMAINING.with(|remaining| match remaining {
        None => Some(access()),
        Some(0) => None,
        Some(left) => {
            *left -= 1;
            let value = access();
            if *left == 0 {
                leave(node);
            }
            Some(value)
        }
    })
}

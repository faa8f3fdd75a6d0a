//! Other resources for a device that its driver has let go of, as Windows assigns them
//! when it makes room for another device.

use alloc::collections::BTreeMap;

use crate::machine::cpu;
use crate::machine::interrupts::allocate_vector;
use crate::machine::log::log;
use crate::machine::stop::refuse;
use crate::machine::sync::IrqLock;
use crate::nt::REGISTERS_BAR;
use crate::nt::node::{self, InterruptResource, NodeRef};

/// What the two addresses differ in that a device's registers change between. The
/// firmware packs everything into the lower half of its window, and this leads to the
/// upper one.
const OTHER_HALF: u64 = 1 << 28;

/// The vectors that devices do not have now and had before, by the device's number.
static SPARE_VECTORS: IrqLock<BTreeMap<u32, u8>> = IrqLock::new(BTreeMap::new());

/// Assigns a device another address, another vector and another processor; a line that it
/// shares stays as it is.
pub(crate) fn relocate(node: &NodeRef) {
    let (base, length) = node.memory();
    let place = base ^ OTHER_HALF;
    if !node.function().set_memory_bar(REGISTERS_BAR, place) {
        refuse(format_args!(
            "The registers of device {} cannot be moved to {place:#x}.",
            node.index()
        ));
    }
    let interrupt = other_interrupt(node);
    node.assign((place, length), interrupt);
    log!(
        "Device {} moves: memory {place:#x}, vector {:#x} on processor {}.",
        node.index(),
        interrupt.vector,
        interrupt.processor
    );
}

/// The interrupt that a device is assigned instead of the one that it has.
fn other_interrupt(node: &NodeRef) -> InterruptResource {
    let current = node.interrupt();
    let is_shared = node::all().iter().any(|other| {
        other.index() != node.index()
            && current.line.is_some()
            && other.interrupt().line == current.line
    });
    if is_shared {
        return current;
    }
    let spare = SPARE_VECTORS.with(|spare| spare.remove(&node.index()));
    let Some(vector) = spare.or_else(allocate_vector) else {
        refuse(format_args!(
            "The rig has no interrupt level left for device {} to move to.",
            node.index()
        ));
    };
    SPARE_VECTORS.with(|spare| spare.insert(node.index(), current.vector));
    InterruptResource {
        vector,
        processor: (current.processor + 1) % cpu::processor_count(),
        ..current
    }
}

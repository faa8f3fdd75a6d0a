//! What a driver acquires for a START_DEVICE, which it gives back when that fails.
//!
//! Connections, adapters, mappings and interfaces are the device's; whether there are any
//! is asked when the IRP has failed. Pool blocks are nobody's: those count that the
//! thread allocated in which the IRP was sent.

use alloc::collections::BTreeSet;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::machine::sync::IrqLock;
use crate::nt::node::NodeRef;
use crate::nt::violation::check;
use crate::nt::{dma, fault, interface, interrupt, mmio};

/// Addresses of blocks that were allocated for the START_DEVICE that was sent last.
static BLOCKS: IrqLock<BTreeSet<usize>> = IrqLock::new(BTreeSet::new());

/// Whether a device interface was enabled before: a device that is stopped keeps it.
static WAS_ENABLED: AtomicBool = AtomicBool::new(false);

/// A START_DEVICE is about to be sent.
pub(crate) fn begin(node: &NodeRef) {
    BLOCKS.with(BTreeSet::clear);
    WAS_ENABLED.store(interface::is_enabled(node), Ordering::Relaxed);
}

/// The driver has allocated this block.
pub(crate) fn allocated(block: usize) {
    if fault::is_starting_here() {
        BLOCKS.with(|blocks| blocks.insert(block));
    }
}

/// The driver has freed this block.
pub(crate) fn freed(block: usize) {
    BLOCKS.with(|blocks| blocks.remove(&block));
}

/// Checks, when a START_DEVICE has failed, that the driver has what it had before.
pub(crate) fn assert_unwound(node: &NodeRef) {
    let (base, length) = node.memory();
    let blocks = BLOCKS.with(|blocks| blocks.len());
    let left = [
        (interrupt::is_any_left(node), "an interrupt connected"),
        (dma::is_any_left(node), "a DMA adapter"),
        (
            mmio::find_left(base, length as u64).is_some(),
            "device memory mapped",
        ),
        (
            interface::is_enabled(node) && !WAS_ENABLED.load(Ordering::Relaxed),
            "a device interface enabled",
        ),
        (blocks != 0, "pool allocated"),
    ]
    .into_iter()
    .find(|(is_left, _)| *is_left);
    check!(
        Pnp08,
        "START_DEVICE",
        left.is_none(),
        "START_DEVICE failed and left device {} with {}.",
        node.index(),
        left.map_or("nothing", |(_, what)| what)
    );
}

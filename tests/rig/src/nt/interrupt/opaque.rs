//! The addresses that drivers know interrupt objects by: nothing is mapped there.
//!
//! A `KINTERRUPT` is opaque, and whoever looks into one takes it for something else. The
//! one way in which this happens by mistake is a driver that asked for messages, was given
//! its line, and does not read the version back: it takes the interrupt object for the
//! table of messages. On Windows it reads some number out of it; here it faults.

use core::sync::atomic::{AtomicUsize, Ordering};

use crate::nt::rule::Rule;

/// Where the addresses begin, in the upper half; the rig maps nothing there.
const BASE: usize = 0xffff_fa80_0000_0000;
/// Where they end: far beyond what any run connects.
const END: usize = BASE + (64 << 30);
/// Between two of them. Larger than any `KINTERRUPT` and any table of messages.
const DISTANCE: usize = 0x1000;

/// The address of the next interrupt object.
static NEXT: AtomicUsize = AtomicUsize::new(BASE + DISTANCE);

/// An address for an interrupt object, which no other has or had.
pub(super) fn new_address() -> usize {
    let address = NEXT.fetch_add(DISTANCE, Ordering::Relaxed);
    assert!(
        address < END,
        "more interrupts were connected than there are addresses for"
    );
    address
}

/// The rule that an access broke which faulted at this address, if it was to an interrupt
/// object.
pub(crate) fn explain_fault(address: u64) -> Option<Rule> {
    is_object(address).then_some(Rule::Int02)
}

/// Whether an address is an interrupt object's.
pub(crate) fn is_object(address: u64) -> bool {
    usize::try_from(address).is_ok_and(|address| (BASE..END).contains(&address))
}

//! What stops the machine, for the host to explain: a broken invariant, and a panic.

use dirql::{device::Device, irql::Passive};
use test_driver::{Failed, Outcome};

use crate::Basics;

/// Drops a mapping with a spin lock held, at DISPATCH_LEVEL, where it cannot be ended.
///
/// By itself: two stops in one routine, for the same reason, are one call to the compiler, which
/// then has the line of neither.
#[inline(never)]
pub(crate) fn drops_too_high(device: &Device<Basics>, irql: &mut Passive) -> Outcome {
    device.kept.with(irql, |_, kept| *kept = None);
    Err(Failed::here())
}

/// Panics.
#[expect(
    clippy::panic,
    reason = "the bug check of a panic is what is looked at"
)]
pub(crate) fn panics([number, ..]: [u64; 4]) -> Outcome {
    panic!("asked for by number {number}")
}

//! Patience that a busy host does not use up.
//!
//! The processors are emulated, and each may stand still while time goes on. So what
//! decides whether a driver has had its time is not the time, but how many clock interrupts
//! each processor has taken: one that stands still takes none, and what it missed does not
//! come in later.

use core::array;

use crate::machine::cpu::{self, MAX_PROCESSORS};
use crate::machine::interrupts::clocks;

/// The clock of processor 0 comes so many times as often as those of the others.
const OTHERS: u64 = 10;

/// What each processor had done when the wait began.
#[derive(Clone, Copy)]
pub(crate) struct Patience([u64; MAX_PROCESSORS]);

impl Patience {
    /// It begins. Any IRQL.
    pub(crate) fn begin() -> Self {
        Self(array::from_fn(clocks))
    }

    /// Whether each processor has been at work for this long since, in milliseconds of
    /// processor 0's clock. Any IRQL.
    pub(crate) fn has_lasted(&self, milliseconds: u64) -> bool {
        self.0
            .iter()
            .enumerate()
            .take(cpu::processor_count())
            .all(|(processor, begun)| {
                let per_clock = if processor == 0 { 1 } else { OTHERS };
                (clocks(processor) - begun) * per_clock >= milliseconds
            })
    }
}

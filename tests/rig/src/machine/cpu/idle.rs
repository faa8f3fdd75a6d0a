//! Waiting without spinning: several virtual processors share one of the host's.

use x86_64::instructions::interrupts;

use super::irql_time;
use crate::machine::interrupts::{WAKE_VECTOR, send_interrupt};

/// Waits until an interrupt has been handled, unless `condition` holds, without missing one in
/// between: the condition is looked at with interrupts disabled, and they are
/// enabled by the instruction that waits. `PASSIVE_LEVEL`.
pub(crate) fn wait_for_interrupt_unless(condition: impl FnOnce() -> bool) {
    interrupts::disable();
    if condition() {
        interrupts::enable();
    } else {
        irql_time::begin_idle();
        interrupts::enable_and_hlt();
    }
}

/// Makes a processor leave [`wait_for_interrupt_unless`]. Any IRQL.
pub(crate) fn wake(processor: usize) {
    send_interrupt(processor, WAKE_VECTOR);
}

//! Waiting, which only PASSIVE_LEVEL may.

use crate::{irql::Passive, sys};

/// Lets at least `milliseconds` pass. Wraps `KeDelayExecutionThread`.
pub fn delay(_irql: &mut Passive, milliseconds: u32) {
    let mut interval = sys::relative_time(milliseconds);
    // SAFETY: (IRQL) the token says PASSIVE_LEVEL. (Pointer) the interval lives
    // across the call, which does not keep its address. A non-alertable kernel-mode
    // wait ends only by its time, so there is no status to look at.
    let _elapsed = unsafe { sys::KeDelayExecutionThread(sys::KERNEL_MODE, 0, &raw mut interval) };
}

//! Processors of the system.

use crate::sys;

/// Active processors in all groups. Wraps `KeQueryActiveProcessorCountEx`.
///
/// # IRQL
/// Any.
#[must_use]
pub fn active_count() -> u32 {
    let all_groups = u16::MAX;
    // SAFETY: callable at any IRQL; ALL_PROCESSOR_GROUPS is a documented argument, fact 10.
    unsafe { sys::KeQueryActiveProcessorCountEx(all_groups) }
}

/// Number of the processor that runs this. Wraps `KeGetCurrentProcessorNumberEx`.
///
/// It tells something only while the thread cannot move, at DISPATCH_LEVEL or above.
#[cfg(debug_assertions)]
pub(crate) fn current() -> u32 {
    // SAFETY: callable at any IRQL; the optional out-parameter may be NULL, fact 10.
    unsafe { sys::KeGetCurrentProcessorNumberEx(core::ptr::null_mut()) }
}

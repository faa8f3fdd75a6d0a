//! Bug checks for broken invariants that soundness rests on.
//!
//! A driver that gets here has a defect that the types could not stop; going on
//! would corrupt memory. The bug check code spells `DRQL`; its first parameter is
//! one of the reasons here.

use crate::sys;

/// Bug check code of this crate, in ASCII.
pub(crate) const DIRQL_BUGCHECK: u32 = u32::from_be_bytes(*b"DRQL");

/// Why the machine was stopped; the first parameter of the bug check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Reason {
    /// A spin lock was taken by the processor that holds it.
    #[cfg(debug_assertions)]
    SpinLockRecursion = 1,
    /// An IRP was dropped above DISPATCH_LEVEL, or a mapping above APC_LEVEL, where the
    /// kernel cannot complete or unmap it.
    DroppedTooHigh = 2,
    /// A second packet came to be held while one was.
    SecondPacketHeld = 3,
    /// An IRP has no buffer although its stack location says that it has one.
    BufferMissing = 4,
    /// A device was given an IRP that another device has.
    ForeignIrp = 5,
    /// A spin lock was taken inside another that comes after it in their order.
    #[cfg(debug_assertions)]
    SpinLockOrder = 6,
    /// An ISR asked for a DPC that its interrupt was not connected with.
    NoSuchDpc = 7,
    /// The links of a list of IRPs do not fit together.
    ListCorrupt = 8,
    /// A value in pool has more owners than there is memory for: owners were forgotten.
    TooManyOwners = 9,
    /// A ControllerControl routine returned what is another controller's.
    ForeignController = 40,
    /// ControllerControl was called for a device object that waits with no packet.
    NoPacketWaiting = 41,
    /// A transfer was dropped while its device may still reach its memory.
    DroppedWhileMapped = 20,
    /// A transfer is under way, and its adapter is not open.
    AdapterMissing = 22,
    /// An AdapterControl routine returned another one's action.
    ForeignAction = 21,
}

/// Stops the machine. Wraps `KeBugCheckEx`.
#[cold]
pub(crate) fn stop(reason: Reason, detail: usize) -> ! {
    // SAFETY: KeBugCheckEx may be called at any IRQL with any arguments, fact 10.
    unsafe {
        sys::KeBugCheckEx(
            DIRQL_BUGCHECK,
            reason as sys::Parameter,
            detail as sys::Parameter,
            0,
            0,
        )
    }
}

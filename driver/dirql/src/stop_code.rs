//! Bug checks for broken invariants that soundness rests on.
//!
//! A driver that gets here has a defect that the types could not stop; going on
//! would corrupt memory. The bug check code spells `DRQL`; its first parameter is
//! one of the reasons in `stop_code/reasons.rs`, its second the address or the number that
//! the reason is about. `eductl bugcheck` tells people what they mean.

use crate::sys;

/// Makes [`Reason`] of the list that `eductl bugcheck` reads, too.
macro_rules! reasons {
    ($tag:literal; $($(#[$attribute:meta])* $name:ident = $number:literal,)+) => {
        /// Bug check code of this crate, in ASCII.
        pub(crate) const DIRQL_BUGCHECK: u32 = u32::from_be_bytes(*$tag);

        /// Why the machine was stopped; the first parameter of the bug check.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub(crate) enum Reason {
            $($(#[$attribute])* $name = $number,)+
        }
    };
}

include!("stop_code/reasons.rs");

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

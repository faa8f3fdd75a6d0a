//! The atomics of this crate: `core`'s own, or those of an explored model.
//!
//! With the feature `interleavings` the unit tests run this crate's code on a modelled kernel
//! under a checker that chooses the order of every atomic access and what it may read; the
//! accesses must go through the checker for that. Everything else gets `core::sync::atomic`.

pub(crate) mod atomic {
    //! As `core::sync::atomic`.
    #[cfg(all(test, feature = "interleavings"))]
    pub(crate) use crate::interleavings::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, fence,
    };
    pub(crate) use core::sync::atomic::Ordering;
    // Only the checks of debug builds have one.
    #[cfg(all(debug_assertions, not(all(test, feature = "interleavings"))))]
    pub(crate) use core::sync::atomic::AtomicU32;
    #[cfg(not(all(test, feature = "interleavings")))]
    pub(crate) use core::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, fence,
    };
}

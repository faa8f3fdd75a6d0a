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

pub(crate) mod field {
    //! Atomics made of a field of the kernel's, as `from_ptr` makes them.
    #[cfg(all(test, feature = "interleavings"))]
    pub(crate) use crate::interleavings::field::{AtomicPtr, AtomicU8};
    #[cfg(not(all(test, feature = "interleavings")))]
    pub(crate) use core::sync::atomic::{AtomicPtr, AtomicU8};
}

#[cfg(all(test, feature = "interleavings"))]
pub(crate) use crate::interleavings::guarded::GuardedUnsafeCell;
/// A cell that whoever asks for its place is alone with until it lets go of the lock, or of
/// whatever else guards it. A model sees to that.
#[cfg(not(all(test, feature = "interleavings")))]
pub(crate) use core::cell::UnsafeCell as GuardedUnsafeCell;

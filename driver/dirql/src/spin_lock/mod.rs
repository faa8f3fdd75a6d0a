//! Executive spin locks. Wraps `KeAcquireSpinLock`, `KeAcquireInStackQueuedSpinLock` and
//! their forms for DISPATCH_LEVEL and for threaded DPCs.
//!
//! # Model
//!
//! The lock owns its data and lends it to a closure; there is no guard to forget. The token
//! decides between the three forms, so acquisition and release always match:
//!
//! | token | [`SpinLock`] | [`QueuedSpinLock`] |
//! |---|---|---|
//! | `Dispatch` | `KeAcquireSpinLockAtDpcLevel` | `KeAcquireInStackQueuedSpinLockAtDpcLevel` |
//! | `Threaded` | `KeAcquireSpinLockForDpc` | `KeAcquireInStackQueuedSpinLockForDpc` |
//! | `Passive`, `UpToDispatch` | `KeAcquireSpinLock` | `KeAcquireInStackQueuedSpinLock` |
//!
//! A queued lock is taken in the order in which it was asked for, and who waits spins on a
//! word of its own: better under contention. Its queue handle lives on the stack of the
//! call that runs the closure.
//!
//! What no type here can stop is taking the same lock again from inside its closure, or two
//! locks in both orders on two processors. In debug builds an owner mark and the
//! [order](LockRank) turn both into a bug check; in release builds both are what they are in
//! C, a processor that spins for ever.
//!
//! # Contexts
//!
//! | operation | who may call | token | may block |
//! |---|---|---|---|
//! | `with` | everybody but ISRs and critical sections | any up to `Dispatch` | it spins |
//!
//! # Soundness
//!
//! Fact 5 of the crate, and of this module:
//!
//! 13. **Exclusion.** A spin lock that is held is not acquired, by its holder neither:
//!     whoever asks spins until it is released ("Preventing Errors and Deadlocks While Using
//!     Spin Locks": a second acquisition by the holder is a deadlock). So whoever has come
//!     past the acquisition is alone with the data. On x64 the word is taken on one processor
//!     too.
//!
//! # Not here
//!
//! State that an ISR shares: that is [`crate::interrupt::Interrupt`]'s. Counters that nothing
//! else depends on: `core::sync::atomic` is the interlocked routines.

mod order;
mod queued;

use core::cell::UnsafeCell;

use crate::{
    irql::{AtMostDispatch, DISPATCH_LEVEL, Dispatch},
    sync::GuardedUnsafeCell,
    sys,
};
use order::Checks;
pub(crate) use order::Held;
pub use order::LockRank;
pub use queued::QueuedSpinLock;

/// Data behind a spin lock. Wraps a `KSPIN_LOCK`.
#[derive(Debug)]
pub struct SpinLock<T> {
    lock: UnsafeCell<sys::KSPIN_LOCK>,
    checks: Checks,
    data: GuardedUnsafeCell<T>,
}

// SAFETY: (Aliasing) the data is reached only in `with`, under the lock, by one processor
// at a time; that moves it between threads, hence `T: Send`, fact 13.
unsafe impl<T: Send> Sync for SpinLock<T> {}

impl<T> SpinLock<T> {
    /// A free lock. A zeroed `KSPIN_LOCK` is what KeInitializeSpinLock makes.
    ///
    /// # IRQL
    /// Any.
    pub const fn new(data: T) -> Self {
        Self::with_checks(Checks::new(None), data)
    }

    /// A free lock with a place in the order of acquisition, which debug builds check.
    ///
    /// # IRQL
    /// Any.
    pub const fn ranked(rank: LockRank, data: T) -> Self {
        Self::with_checks(Checks::new(Some(rank)), data)
    }

    const fn with_checks(checks: Checks, data: T) -> Self {
        Self {
            lock: UnsafeCell::new(0),
            checks,
            data: GuardedUnsafeCell::new(data),
        }
    }

    /// Runs `f` with the data, at DISPATCH_LEVEL. Wraps `KeAcquireSpinLock`,
    /// `KeReleaseSpinLock`, or the pair that the token picks. Keep it below 25
    /// microseconds: whoever waits for the lock does nothing else.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    #[inline]
    pub fn with<I: AtMostDispatch, R>(
        &self,
        irql: &mut I,
        f: impl FnOnce(&mut Dispatch, &mut T) -> R,
    ) -> R {
        let held = self
            .checks
            .before_acquiring(irql.held(), self.lock.get().addr());
        let old = self.acquire::<I>();
        self.checks.acquired();
        let result = {
            // SAFETY: (IRQL) acquiring has raised to DISPATCH_LEVEL, or the token said that
            // it was so already, facts 5 and 13.
            let mut token = unsafe { Dispatch::assume_holding(held) };
            // SAFETY: (Aliasing) this processor has acquired the lock, fact 13.
            let data = unsafe { &mut *self.data.get() };
            f(&mut token, data)
        };
        self.checks.before_releasing();
        self.release::<I>(old);
        result
    }

    #[inline]
    fn acquire<I: AtMostDispatch>(&self) -> u8 {
        if I::IS_DISPATCH {
            // SAFETY: (IRQL) the token says DISPATCH_LEVEL. (Pointer) the lock word lives
            // in `self`, which is borrowed across the release, facts 5, 10 and 13.
            unsafe { sys::KeAcquireSpinLockAtDpcLevel(self.lock.get()) };
            DISPATCH_LEVEL
        } else if I::IS_THREADED_DPC {
            // SAFETY: (IRQL) the token says that a threaded DPC runs. (Pointer) as above,
            // facts 5, 10 and 13.
            unsafe { sys::KeAcquireSpinLockForDpc(self.lock.get()) }
        } else {
            // SAFETY: (IRQL) the token says at most DISPATCH_LEVEL. (Pointer) as above,
            // facts 5, 10 and 13.
            unsafe { sys::KeAcquireSpinLockRaiseToDpc(self.lock.get()) }
        }
    }

    #[inline]
    fn release<I: AtMostDispatch>(&self, old: u8) {
        if I::IS_DISPATCH {
            // SAFETY: pairs with KeAcquireSpinLockAtDpcLevel in `acquire`, on the same
            // constant, facts 10 and 13.
            unsafe { sys::KeReleaseSpinLockFromDpcLevel(self.lock.get()) };
        } else if I::IS_THREADED_DPC {
            // SAFETY: pairs with KeAcquireSpinLockForDpc, whose level this is, facts 10 and
            // 13.
            unsafe { sys::KeReleaseSpinLockForDpc(self.lock.get(), old) };
        } else {
            // SAFETY: pairs with KeAcquireSpinLockRaiseToDpc, whose level this is, facts 10
            // and 13.
            unsafe { sys::KeReleaseSpinLock(self.lock.get(), old) };
        }
    }
}

#[cfg(test)]
mod tests;

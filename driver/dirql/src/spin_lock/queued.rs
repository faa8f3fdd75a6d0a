//! In-stack queued spin locks. Wraps `KeAcquireInStackQueuedSpinLock` and its forms for
//! DISPATCH_LEVEL and for threaded DPCs.

use core::{cell::UnsafeCell, mem::MaybeUninit};

use super::order::{Checks, LockRank};
use crate::{
    irql::{AtMostDispatch, Dispatch},
    sync::GuardedUnsafeCell,
    sys,
};

/// Data behind an in-stack queued spin lock. Wraps a `KSPIN_LOCK` that is never used as a
/// plain one; see "Queued Spin Locks".
#[derive(Debug)]
pub struct QueuedSpinLock<T> {
    lock: UnsafeCell<sys::KSPIN_LOCK>,
    checks: Checks,
    data: GuardedUnsafeCell<T>,
}

// SAFETY: (Aliasing) the data is reached only in `with`, under the lock, by one processor
// at a time; that moves it between threads, hence `T: Send`, fact 13.
unsafe impl<T: Send> Sync for QueuedSpinLock<T> {}

impl<T> QueuedSpinLock<T> {
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

    /// Runs `f` with the data, at DISPATCH_LEVEL. Wraps `KeAcquireInStackQueuedSpinLock`,
    /// `KeReleaseInStackQueuedSpinLock`, or the pair that the token picks.
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
        let mut handle = MaybeUninit::<sys::KLOCK_QUEUE_HANDLE>::uninit();
        self.acquire::<I>(handle.as_mut_ptr());
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
        release::<I>(handle.as_mut_ptr());
        result
    }

    #[inline]
    fn acquire<I: AtMostDispatch>(&self, handle: *mut sys::KLOCK_QUEUE_HANDLE) {
        let lock = self.lock.get();
        if I::IS_DISPATCH {
            // SAFETY: (IRQL) the token says DISPATCH_LEVEL. (Pointer) the lock word lives
            // in `self`, which is borrowed across the release; the handle is on the stack
            // of `with`, which waits for it, facts 5, 10, 11 and 13.
            unsafe { sys::KeAcquireInStackQueuedSpinLockAtDpcLevel(lock, handle) };
        } else if I::IS_THREADED_DPC {
            // SAFETY: (IRQL) the token says that a threaded DPC runs. (Pointer) as above,
            // facts 5, 10, 11 and 13.
            unsafe { sys::KeAcquireInStackQueuedSpinLockForDpc(lock, handle) };
        } else {
            // SAFETY: (IRQL) the token says at most DISPATCH_LEVEL. (Pointer) as above,
            // facts 5, 10, 11 and 13.
            unsafe { sys::KeAcquireInStackQueuedSpinLock(lock, handle) };
        }
    }
}

/// Releases the lock whose acquisition, with the same `I`, filled in the handle.
#[inline]
fn release<I: AtMostDispatch>(handle: *mut sys::KLOCK_QUEUE_HANDLE) {
    if I::IS_DISPATCH {
        // SAFETY: pairs with KeAcquireInStackQueuedSpinLockAtDpcLevel in `acquire`, on the
        // same constant and handle, facts 10 and 13.
        unsafe { sys::KeReleaseInStackQueuedSpinLockFromDpcLevel(handle) };
    } else if I::IS_THREADED_DPC {
        // SAFETY: pairs with KeAcquireInStackQueuedSpinLockForDpc, facts 10 and 13.
        unsafe { sys::KeReleaseInStackQueuedSpinLockForDpc(handle) };
    } else {
        // SAFETY: pairs with KeAcquireInStackQueuedSpinLock, facts 10 and 13.
        unsafe { sys::KeReleaseInStackQueuedSpinLock(handle) };
    }
}

//! Executive spin locks. Wraps `KeAcquireSpinLock` and its DISPATCH_LEVEL forms.
//!
//! The lock owns its data and lends it to a closure; there is no guard to forget.
//! The token decides between the raising and the DISPATCH_LEVEL form, so the pair
//! always matches. What no type here can stop is taking the same lock again from
//! inside its closure; an owner mark turns that from two `&mut` into a bug check.
//!
//! Not for state that an ISR shares: that is [`crate::interrupt::Interrupt`]'s.

use core::{
    cell::UnsafeCell,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{
    irql::{AtMostDispatch, Dispatch},
    processor,
    stop_code::{Reason, stop},
    sys,
};

/// No processor.
const NOBODY: u32 = u32::MAX;

/// Data behind a spin lock.
#[derive(Debug)]
pub struct SpinLock<T> {
    lock: UnsafeCell<sys::KSPIN_LOCK>,
    /// Written by the holder after acquiring and before releasing; read by anyone.
    owner: AtomicU32,
    data: UnsafeCell<T>,
}

// SAFETY: (Aliasing) the data is reached only in `with`, under the lock, by one
// processor at a time; that moves it between threads, hence `T: Send`.
unsafe impl<T: Send> Sync for SpinLock<T> {}

impl<T> SpinLock<T> {
    /// A free lock. A zeroed `KSPIN_LOCK` is what KeInitializeSpinLock makes.
    pub const fn new(data: T) -> Self {
        Self {
            lock: UnsafeCell::new(0),
            owner: AtomicU32::new(NOBODY),
            data: UnsafeCell::new(data),
        }
    }

    /// Runs `f` with the data, at DISPATCH_LEVEL. Keep it short: whoever waits for
    /// the lock does nothing else.
    pub fn with<I: AtMostDispatch, R>(
        &self,
        _irql: &mut I,
        f: impl FnOnce(&mut Dispatch, &mut T) -> R,
    ) -> R {
        self.refuse_recursion();
        let old = self.acquire::<I>();
        self.owner.store(processor::current(), Ordering::Relaxed);
        let result = {
            // SAFETY: (IRQL) acquiring has raised to DISPATCH_LEVEL, or the token
            // said that it was so already.
            let mut token = unsafe { Dispatch::assume() };
            // SAFETY: (Aliasing) this processor holds the lock, and `refuse_recursion`
            // has seen that it did not hold it before.
            let data = unsafe { &mut *self.data.get() };
            f(&mut token, data)
        };
        self.owner.store(NOBODY, Ordering::Relaxed);
        self.release::<I>(old);
        result
    }

    /// The mark can equal this processor's number only if this processor wrote it,
    /// so a stale read of another processor's mark does no harm. Below
    /// DISPATCH_LEVEL this thread cannot hold the lock, whatever the mark says: a
    /// holder never comes down before it releases.
    fn refuse_recursion(&self) {
        if self.owner.load(Ordering::Relaxed) == processor::current()
            && crate::irql::current() >= crate::irql::DISPATCH_LEVEL
        {
            stop(Reason::SpinLockRecursion, self.lock.get().addr());
        }
    }

    fn acquire<I: AtMostDispatch>(&self) -> u8 {
        if I::IS_DISPATCH {
            // SAFETY: (IRQL) the token says DISPATCH_LEVEL. (Pointer) the lock word
            // lives in `self`, which is borrowed across the release.
            unsafe { sys::KeAcquireSpinLockAtDpcLevel(self.lock.get()) };
            crate::irql::DISPATCH_LEVEL
        } else {
            // SAFETY: (IRQL) the token says at most DISPATCH_LEVEL. (Pointer) as above.
            unsafe { sys::KeAcquireSpinLockRaiseToDpc(self.lock.get()) }
        }
    }

    fn release<I: AtMostDispatch>(&self, old: u8) {
        if I::IS_DISPATCH {
            // SAFETY: pairs with KeAcquireSpinLockAtDpcLevel in `acquire`, on the
            // same constant.
            unsafe { sys::KeReleaseSpinLockFromDpcLevel(self.lock.get()) };
        } else {
            // SAFETY: pairs with KeAcquireSpinLockRaiseToDpc, whose level this is.
            unsafe { sys::KeReleaseSpinLock(self.lock.get(), old) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SpinLock;
    use crate::irql::Passive;

    #[test]
    fn lends_the_data_at_dispatch_level_and_comes_back_down() {
        // SAFETY: a host thread starts at the level that the host kernel calls PASSIVE.
        let mut irql = unsafe { Passive::assume() };
        let lock = SpinLock::new(1);
        let seen = lock.with(&mut irql, |_, value| {
            *value += 1;
            (*value, crate::irql::current())
        });
        assert_eq!(seen, (2, crate::irql::DISPATCH_LEVEL));
        assert_eq!(crate::irql::current(), crate::irql::PASSIVE_LEVEL);
    }

    #[test]
    fn a_lock_inside_another_is_fine() {
        // SAFETY: as above.
        let mut irql = unsafe { Passive::assume() };
        let (outer, inner) = (SpinLock::new(1), SpinLock::new(2));
        let sum = outer.with(&mut irql, |irql, a| inner.with(irql, |_, b| *a + *b));
        assert_eq!(sum, 3);
    }
}

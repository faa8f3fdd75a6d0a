//! The rig's own lock, for its internal data only.
//!
//! Interrupt handlers take it too, so it is held with interrupts disabled: on one
//! processor nothing can come in between, and another processor holds it for a
//! few instructions. No NT lock is built on it, because an NT spin lock leaves
//! interrupts above its level enabled.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicUsize, Ordering};

use x86_64::instructions::interrupts;

use crate::machine::cpu;
use crate::machine::time::SpinLimit;

/// Owner of a lock that nobody holds.
const NOBODY: usize = usize::MAX;

/// Data that one processor at a time may touch, with interrupts disabled.
#[derive(Debug)]
pub(crate) struct IrqLock<T> {
    owner: AtomicUsize,
    value: UnsafeCell<T>,
}

// SAFETY: `with` is the only way to the value; it hands out one `&mut T` at a
// time (the owner word), so sharing the lock moves `T` between processors at most.
unsafe impl<T: Send> Sync for IrqLock<T> {}

impl<T> IrqLock<T> {
    /// A lock that nobody holds.
    pub(crate) const fn new(value: T) -> Self {
        Self {
            owner: AtomicUsize::new(NOBODY),
            value: UnsafeCell::new(value),
        }
    }

    /// Runs `routine` with the lock held and interrupts disabled. Any IRQL.
    ///
    /// # Panics
    /// When this processor holds the lock already: waiting would never end.
    pub(crate) fn with<R>(&self, routine: impl FnOnce(&mut T) -> R) -> R {
        interrupts::without_interrupts(|| {
            let processor = cpu::current_processor();
            assert!(
                self.owner.load(Ordering::Relaxed) != processor,
                "an internal lock of the rig is taken twice by one processor"
            );
            let mut limit = SpinLimit::new("an internal lock of the rig");
            while self
                .owner
                .compare_exchange_weak(NOBODY, processor, Ordering::Acquire, Ordering::Relaxed)
                .is_err()
            {
                limit.spin();
            }
            // SAFETY: The owner word is this processor's and interrupts are disabled, so
            // no other thread runs here and no other reference exists until
            // the store below; the closure cannot keep this one.
            let value = unsafe { &mut *self.value.get() };
            let result = routine(value);
            self.owner.store(NOBODY, Ordering::Release);
            result
        })
    }

    /// As [`Self::with`], but does nothing when this processor holds the lock already:
    /// for the report of a fault, which may have come while it did. Any IRQL.
    pub(crate) fn with_unless_held<R>(&self, routine: impl FnOnce(&mut T) -> R) -> Option<R> {
        let is_held = self.owner.load(Ordering::Relaxed) == cpu::current_processor();
        (!is_held).then(|| self.with(routine))
    }
}

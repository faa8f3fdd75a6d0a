//! Locks that are taken by one call and released by another, and spin locks made of them.

use std::{cell::RefCell, rc::Rc};

use loom::sync::{Mutex, MutexGuard};

use super::{current, level};
use crate::{
    interleavings::mistake::{self, Mistake},
    sys::KSPIN_LOCK,
};

/// A lock without a guard.
pub(super) struct Lock {
    /// What holds `mutex`. The first field, for it refers to the second.
    held: RefCell<Option<MutexGuard<'static, ()>>>,
    mutex: Mutex<()>,
}

impl Lock {
    pub(super) fn new() -> Self {
        Self {
            held: RefCell::new(None),
            mutex: Mutex::new(()),
        }
    }

    pub(super) fn acquire(&self) {
        let guard = self.mutex.lock().expect("nothing panics with it");
        // SAFETY: (Pointer) the guard is dropped by `release`, or forgotten by `drop`, both before
        // the mutex goes; a kernel stays where it is, fact 11.
        let guard =
            unsafe { core::mem::transmute::<MutexGuard<'_, ()>, MutexGuard<'static, ()>>(guard) };
        *self.held.borrow_mut() = Some(guard);
    }

    pub(super) fn release(&self) {
        let guard = self.held.borrow_mut().take();
        assert!(guard.is_some(), "the lock was not held");
        drop(guard);
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // After a failed run the model that the guard would tell of it is no more.
        let _held = core::mem::ManuallyDrop::new(self.held.borrow_mut().take());
    }
}

impl super::Kernel {
    /// The spin lock whose word is there.
    pub(super) fn spin_lock(&self, word: *mut KSPIN_LOCK) -> Rc<Lock> {
        let mut locks = self.spin_locks.borrow_mut();
        let lock = locks.entry(word.addr());
        Rc::clone(lock.or_insert_with(|| Rc::new(Lock::new())))
    }
}

fn acquire(word: *mut KSPIN_LOCK) {
    if !mistake::is_made(Mistake::NoSpinLock) {
        current().spin_lock(word).acquire();
    }
}

fn release(word: *mut KSPIN_LOCK) {
    if !mistake::is_made(Mistake::NoSpinLock) {
        current().spin_lock(word).release();
    }
}

pub(crate) unsafe fn KeAcquireSpinLockRaiseToDpc(lock: *mut KSPIN_LOCK) -> u8 {
    let old = level::raise(level::DISPATCH_LEVEL);
    acquire(lock);
    old
}

pub(crate) unsafe fn KeAcquireSpinLockAtDpcLevel(lock: *mut KSPIN_LOCK) {
    assert_eq!(level::get(), level::DISPATCH_LEVEL);
    acquire(lock);
}

pub(crate) unsafe fn KeReleaseSpinLock(lock: *mut KSPIN_LOCK, irql: u8) {
    release(lock);
    level::lower(irql);
}

pub(crate) unsafe fn KeReleaseSpinLockFromDpcLevel(lock: *mut KSPIN_LOCK) {
    release(lock);
}

pub(crate) unsafe fn KeAcquireSpinLockForDpc(lock: *mut KSPIN_LOCK) -> u8 {
    // SAFETY: the caller's lock; a threaded DPC is at DISPATCH_LEVEL or below, fact 10.
    unsafe { KeAcquireSpinLockRaiseToDpc(lock) }
}

pub(crate) unsafe fn KeReleaseSpinLockForDpc(lock: *mut KSPIN_LOCK, irql: u8) {
    // SAFETY: the caller's lock and level, fact 10.
    unsafe { KeReleaseSpinLock(lock, irql) };
}

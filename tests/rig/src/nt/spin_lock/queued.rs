//! In-stack queued spin locks: KeAcquireInStackQueuedSpinLock and its forms.
//!
//! # Model
//! The lock's word is the address of the last handle in the queue, or zero. Who waits spins
//! on its own handle; who releases tells the next one. So the lock goes round in the order
//! in which it was asked for.
//!
//! # Soundness
//! 1. A handle is on its acquirer's stack and stays there until that acquisition is
//!    released, as the documentation demands, so every handle in a queue is alive.
//! 2. `Next` and `Lock` of a handle, and the lock's word, are accessed atomically only.
//!    `Lock` is the lock's address, whose lowest bit says that the handle waits: locks
//!    are aligned.

use core::sync::atomic::{AtomicUsize, Ordering};

use wdk_sys::{KLOCK_QUEUE_HANDLE, KSPIN_LOCK};

use super::{
    LockWord, assert_at_dispatch, assert_in_threaded_dpc, assert_may_raise, assert_not_mine,
    assert_use,
};
use crate::machine::cpu;
use crate::machine::time::SpinLimit;
use crate::nt::budget::Budget;
use crate::nt::irql::DISPATCH_LEVEL;
use crate::nt::processor::{self, Held, LockKind};
use crate::nt::routine::Routine;
use crate::nt::violation::check;
use crate::nt::{address, lock_order};

/// In a handle's `Lock`: the lock is not its acquirer's yet.
const WAITS: usize = 1;

/// A handle, wherever it lies.
#[derive(Clone, Copy)]
struct Handle(*mut KLOCK_QUEUE_HANDLE);

impl Handle {
    /// `LockQueue.Next`: the handle behind, by address.
    fn next(self) -> &'static AtomicUsize {
        // SAFETY: (Pointer) fact 1.
        let field = unsafe { &raw mut (*self.0).LockQueue.Next };
        // SAFETY: (Pointer) as above; a pointer's size and alignment are those of usize.
        // (Aliasing) fact 2.
        unsafe { AtomicUsize::from_ptr(field.cast()) }
    }

    /// `LockQueue.Lock`: the lock, and whether the handle waits.
    fn lock(self) -> &'static AtomicUsize {
        // SAFETY: (Pointer) fact 1.
        let field = unsafe { &raw mut (*self.0).LockQueue.Lock };
        // SAFETY: (Pointer) as above; a pointer's size and alignment are those of usize.
        // (Aliasing) fact 2.
        unsafe { AtomicUsize::from_ptr(field.cast()) }
    }
}

/// KeAcquireInStackQueuedSpinLock.
pub(crate) unsafe extern "C" fn ke_acquire_in_stack_queued_spin_lock(
    lock: *mut KSPIN_LOCK,
    handle: *mut KLOCK_QUEUE_HANDLE,
) {
    let routine = Routine::KeAcquireInStackQueuedSpinLock;
    routine.enter();
    acquire_raising(routine, lock, handle, LockKind::Queued);
}

/// KeAcquireInStackQueuedSpinLockForDpc.
pub(crate) unsafe extern "C" fn ke_acquire_in_stack_queued_spin_lock_for_dpc(
    lock: *mut KSPIN_LOCK,
    handle: *mut KLOCK_QUEUE_HANDLE,
) {
    let routine = Routine::KeAcquireInStackQueuedSpinLockForDpc;
    routine.enter();
    assert_in_threaded_dpc(routine);
    acquire_raising(routine, lock, handle, LockKind::QueuedForDpc);
}

/// KeAcquireInStackQueuedSpinLockAtDpcLevel.
pub(crate) unsafe extern "C" fn ke_acquire_in_stack_queued_spin_lock_at_dpc_level(
    lock: *mut KSPIN_LOCK,
    handle: *mut KLOCK_QUEUE_HANDLE,
) {
    let routine = Routine::KeAcquireInStackQueuedSpinLockAtDpcLevel;
    routine.enter();
    assert_at_dispatch(routine, lock);
    acquire(
        routine,
        lock,
        handle,
        LockKind::QueuedAtDispatch,
        DISPATCH_LEVEL,
    );
}

/// KeReleaseInStackQueuedSpinLock.
pub(crate) unsafe extern "C" fn ke_release_in_stack_queued_spin_lock(
    handle: *mut KLOCK_QUEUE_HANDLE,
) {
    let routine = Routine::KeReleaseInStackQueuedSpinLock;
    cpu::set_irql(release(routine, handle, LockKind::Queued));
}

/// KeReleaseInStackQueuedSpinLockForDpc.
pub(crate) unsafe extern "C" fn ke_release_in_stack_queued_spin_lock_for_dpc(
    handle: *mut KLOCK_QUEUE_HANDLE,
) {
    let routine = Routine::KeReleaseInStackQueuedSpinLockForDpc;
    cpu::set_irql(release(routine, handle, LockKind::QueuedForDpc));
}

/// KeReleaseInStackQueuedSpinLockFromDpcLevel.
pub(crate) unsafe extern "C" fn ke_release_in_stack_queued_spin_lock_from_dpc_level(
    handle: *mut KLOCK_QUEUE_HANDLE,
) {
    let routine = Routine::KeReleaseInStackQueuedSpinLockFromDpcLevel;
    // It was acquired at DISPATCH_LEVEL, and that is where its holder stays.
    let _old_irql = release(routine, handle, LockKind::QueuedAtDispatch);
}

fn acquire_raising(
    routine: Routine,
    lock: *mut KSPIN_LOCK,
    handle: *mut KLOCK_QUEUE_HANDLE,
    kind: LockKind,
) {
    let old_irql = assert_may_raise(routine);
    // From here on the thread stays on this processor.
    cpu::set_irql(DISPATCH_LEVEL);
    acquire(routine, lock, handle, kind, old_irql);
}

/// Queues up for the lock and waits for its turn.
fn acquire(
    routine: Routine,
    lock: *mut KSPIN_LOCK,
    handle: *mut KLOCK_QUEUE_HANDLE,
    kind: LockKind,
    old_irql: u8,
) {
    // SAFETY: The driver passes a resident lock: fact 2 of the module above.
    let word = unsafe { LockWord::of_driver(lock) };
    assert_not_mine(routine, word);
    assert_use(routine, word, kind);
    lock_order::assert_after_held(word.address(), kind);
    let own = Handle(handle);
    // SAFETY: (Pointer) fact 1. (Aliasing) nobody reads the IRQL but this processor.
    unsafe { (*handle).OldIrql = old_irql };
    own.next().store(0, Ordering::Relaxed);
    own.lock().store(word.address() | WAITS, Ordering::Relaxed);
    let before = word.0.swap(address::of(handle), Ordering::AcqRel);
    if before != 0 {
        Handle(address::to_pointer(before))
            .next()
            .store(address::of(handle), Ordering::Release);
        let mut limit = SpinLimit::new("a queued spin lock");
        while own.lock().load(Ordering::Acquire) & WAITS != 0 {
            limit.spin();
        }
    }
    own.lock().store(word.address(), Ordering::Relaxed);
    processor::push_held(Held {
        lock: word.address(),
        kind,
        old_irql,
        since: Budget::begin(),
    });
}

/// Gives the lock to the next in the queue; the IRQL from before the acquisition.
fn release(routine: Routine, handle: *mut KLOCK_QUEUE_HANDLE, kind: LockKind) -> u8 {
    routine.enter();
    let own = Handle(handle);
    let lock = own.lock().load(Ordering::Relaxed);
    assert_at_dispatch(routine, address::to_pointer(lock));
    let held = processor::take_held(lock);
    check!(
        Spl02,
        routine,
        held.is_some(),
        "The handle at {handle:p} is of no spin lock that this processor holds."
    );
    check!(
        Spl01,
        routine,
        held.is_some_and(|held| held.kind == kind),
        "The spin lock at {lock:#x} was acquired as {:?} and is released as {kind:?}.",
        held.map(|held| held.kind)
    );
    // SAFETY: This processor holds it, so it is resident: fact 2 of the module above.
    let word = unsafe { LockWord::of_driver(address::to_pointer(lock)) };
    let is_last = word
        .0
        .compare_exchange(address::of(handle), 0, Ordering::AcqRel, Ordering::Relaxed)
        .is_ok();
    if !is_last {
        let mut limit = SpinLimit::new("the next in the queue of a spin lock");
        let mut next = own.next().load(Ordering::Acquire);
        while next == 0 {
            limit.spin();
            next = own.next().load(Ordering::Acquire);
        }
        Handle(address::to_pointer(next))
            .lock()
            .fetch_and(!WAITS, Ordering::Release);
    }
    held.map_or(DISPATCH_LEVEL, |held| held.old_irql)
}

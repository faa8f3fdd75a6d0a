//! Executive spin locks, and the lock word that interrupt locks share with them.
//! Wraps nothing: this is KeAcquireSpinLock and KeReleaseSpinLock, and their forms for
//! DISPATCH_LEVEL and for threaded DPCs; [`queued`] has the in-stack queued ones.
//!
//! A `KSPIN_LOCK` is opaque to drivers: zero means free (KeInitializeSpinLock is
//! inline code in drivers and stores zero), and everything else is the
//! executive's. Here it is the owner: processor number plus one.
//!
//! # Soundness
//! 1. A lock word is touched by nobody but these routines and the zero store that
//!    initialises it, so atomic access through the address is all there is.
//! 2. The driver keeps the word resident for as long as anybody may acquire it,
//!    which KeAcquireSpinLock's documentation demands; the device extension and
//!    pool, where drivers keep locks, are never given back to the heap while the
//!    rig still knows an interrupt that uses them.

pub(crate) mod queued;

use alloc::collections::BTreeMap;
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

use wdk_sys::{KIRQL, KSPIN_LOCK};

use crate::machine::cpu;
use crate::machine::memory;
use crate::machine::sync::IrqLock;
use crate::machine::time::{SpinLimit, counter};
use crate::nt::budget::Budget;
use crate::nt::irql::DISPATCH_LEVEL;
use crate::nt::processor::{self, Held, LockKind};
use crate::nt::routine::Routine;
use crate::nt::violation::check;
use crate::nt::{address, counters, delay, dpc, lock_order};

/// What a lock word holds while nobody owns the lock.
const FREE: usize = 0;

/// Whether each executive lock that was ever acquired is a queued one, by address. One
/// that is used both ways is no lock.
static ARE_QUEUED: IrqLock<BTreeMap<usize, bool>> = IrqLock::new(BTreeMap::new());

/// A spin lock's word, wherever it lies.
#[derive(Clone, Copy)]
pub(crate) struct LockWord(&'static AtomicUsize);

impl LockWord {
    /// The word of a lock of the executive's own.
    pub(crate) const fn own(word: &'static AtomicUsize) -> Self {
        Self(word)
    }

    /// The word of a lock of the driver's.
    ///
    /// # Safety
    /// `lock` is the address of a `KSPIN_LOCK` that stays resident while it is in use.
    pub(crate) unsafe fn of_driver(lock: *mut KSPIN_LOCK) -> Self {
        // SAFETY: (Pointer) resident by this function's contract, aligned as a
        // KSPIN_LOCK is a pointer-sized integer. (Aliasing) fact 1: atomic
        // access only.
        Self(unsafe { AtomicUsize::from_ptr(lock.cast::<usize>()) })
    }

    /// Where the word is: the lock's identity.
    pub(crate) fn address(self) -> usize {
        address::of(self.0.as_ptr())
    }

    /// Whether this processor owns the lock.
    pub(crate) fn is_mine(self) -> bool {
        self.0.load(Ordering::Relaxed) == mark()
    }

    /// Spins until the lock is this processor's. The IRQL is raised already, so
    /// that nothing on this processor can want the lock meanwhile.
    pub(crate) fn acquire(self, kind: LockKind, old_irql: u8) {
        lock_order::assert_after_held(self.address(), kind);
        delay::perhaps();
        let mut limit = SpinLimit::new("a spin lock");
        let mut waits_since = None;
        while self
            .0
            .compare_exchange_weak(FREE, mark(), Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            let _since = waits_since.get_or_insert_with(counter);
            limit.spin();
        }
        if let Some(since) = waits_since
            && matches!(kind, LockKind::Interrupt | LockKind::InterruptByHand)
        {
            counters::LOCK_WAITS.add();
            counters::LOCK_WAIT_COUNTS.add_many(counter().saturating_sub(since));
        }
        processor::push_held(Held {
            lock: self.address(),
            kind,
            old_irql,
            since: Budget::begin(),
        });
        delay::perhaps();
    }

    /// Gives the lock up; says how it was acquired, or `None` when this processor
    /// does not own it.
    pub(crate) fn release(self) -> Option<Held> {
        let held = processor::take_held(self.address())?;
        delay::perhaps();
        self.0.store(FREE, Ordering::Release);
        Some(held)
    }
}

/// What a lock word holds while this processor owns the lock.
fn mark() -> usize {
    cpu::current_processor() + 1
}

/// KeInitializeSpinLock.
pub(crate) unsafe extern "C" fn ke_initialize_spin_lock(lock: *mut KSPIN_LOCK) {
    let routine = Routine::KeInitializeSpinLock;
    routine.enter();
    let place = address::of(lock);
    check!(
        Spl06,
        routine,
        !memory::is_pageable(place as u64),
        "The spin lock at {lock:p} lies in memory that may be paged out."
    );
    // On a stack it may be another variable each time.
    let was_used =
        !memory::is_stack(place as u64) && ARE_QUEUED.with(|known| known.contains_key(&place));
    check!(
        Spl06,
        routine,
        !was_used,
        "The spin lock at {lock:p} is initialised again after it was used."
    );
    // SAFETY: The driver passes the address of a lock of its own, which nobody
    // uses yet: that is what this routine is documented for.
    unsafe { lock.write(FREE as KSPIN_LOCK) };
}

/// KeAcquireSpinLockRaiseToDpc, which KeAcquireSpinLock is on this architecture.
pub(crate) unsafe extern "C" fn ke_acquire_spin_lock_raise_to_dpc(lock: *mut KSPIN_LOCK) -> KIRQL {
    acquire_raising(
        Routine::KeAcquireSpinLockRaiseToDpc,
        lock,
        LockKind::Executive,
    )
}

/// KeAcquireSpinLockForDpc.
pub(crate) unsafe extern "C" fn ke_acquire_spin_lock_for_dpc(lock: *mut KSPIN_LOCK) -> KIRQL {
    let routine = Routine::KeAcquireSpinLockForDpc;
    assert_in_threaded_dpc(routine);
    acquire_raising(routine, lock, LockKind::ExecutiveForDpc)
}

/// Acquires a lock at DISPATCH_LEVEL or below; the IRQL from before.
fn acquire_raising(routine: Routine, lock: *mut KSPIN_LOCK, kind: LockKind) -> KIRQL {
    routine.enter();
    let old_irql = assert_may_raise(routine);
    // SAFETY: Fact 2: the driver passes a resident lock.
    let word = unsafe { LockWord::of_driver(lock) };
    // From here on the thread stays on this processor.
    cpu::set_irql(DISPATCH_LEVEL);
    assert_not_mine(routine, word);
    assert_use(routine, word, kind);
    word.acquire(kind, old_irql);
    old_irql
}

/// KeAcquireSpinLockAtDpcLevel.
pub(crate) unsafe extern "C" fn ke_acquire_spin_lock_at_dpc_level(lock: *mut KSPIN_LOCK) {
    let routine = Routine::KeAcquireSpinLockAtDpcLevel;
    routine.enter();
    assert_at_dispatch(routine, lock);
    // SAFETY: Fact 2: the driver passes a resident lock.
    let word = unsafe { LockWord::of_driver(lock) };
    assert_not_mine(routine, word);
    assert_use(routine, word, LockKind::ExecutiveAtDispatch);
    word.acquire(LockKind::ExecutiveAtDispatch, DISPATCH_LEVEL);
}

/// KeReleaseSpinLockFromDpcLevel.
pub(crate) unsafe extern "C" fn ke_release_spin_lock_from_dpc_level(lock: *mut KSPIN_LOCK) {
    let routine = Routine::KeReleaseSpinLockFromDpcLevel;
    routine.enter();
    assert_at_dispatch(routine, lock);
    // SAFETY: Fact 2: the driver passes a resident lock.
    let word = unsafe { LockWord::of_driver(lock) };
    release(routine, word, LockKind::ExecutiveAtDispatch);
}

/// KeReleaseSpinLock.
pub(crate) unsafe extern "C" fn ke_release_spin_lock(lock: *mut KSPIN_LOCK, new_irql: KIRQL) {
    release_lowering(
        Routine::KeReleaseSpinLock,
        lock,
        LockKind::Executive,
        new_irql,
    );
}

/// KeReleaseSpinLockForDpc.
pub(crate) unsafe extern "C" fn ke_release_spin_lock_for_dpc(
    lock: *mut KSPIN_LOCK,
    new_irql: KIRQL,
) {
    let routine = Routine::KeReleaseSpinLockForDpc;
    release_lowering(routine, lock, LockKind::ExecutiveForDpc, new_irql);
}

/// Releases a lock and goes back to the IRQL from before.
fn release_lowering(routine: Routine, lock: *mut KSPIN_LOCK, kind: LockKind, new_irql: KIRQL) {
    routine.enter();
    assert_at_dispatch(routine, lock);
    // SAFETY: Fact 2: the driver passes a resident lock.
    let word = unsafe { LockWord::of_driver(lock) };
    let old_irql = release(routine, word, kind);
    check!(
        Spl04,
        routine,
        old_irql == new_irql,
        "The spin lock at {lock:p} was acquired at IRQL {old_irql} and is released to {new_irql}."
    );
    cpu::set_irql(new_irql);
}

/// Forgets the locks in memory that goes away.
pub(crate) fn forget_within(memory: &Range<usize>) {
    ARE_QUEUED.with(|known| known.retain(|lock, _| !memory.contains(lock)));
    lock_order::forget_within(memory);
}

/// Checks that the caller may acquire an executive spin lock; its IRQL.
fn assert_may_raise(routine: Routine) -> KIRQL {
    let irql = cpu::irql();
    check!(
        Spl04,
        routine,
        irql <= DISPATCH_LEVEL,
        "An executive spin lock was acquired at IRQL {irql}."
    );
    irql
}

/// Checks that a routine which is made for threaded DPCs is called by one.
fn assert_in_threaded_dpc(routine: Routine) {
    check!(
        Spl04,
        routine,
        dpc::threaded::is_running_here(),
        "{routine:?} was called, and no threaded DPC runs here."
    );
}

/// Checks that the lock is what it was before: a plain one or a queued one.
fn assert_use(routine: Routine, word: LockWord, kind: LockKind) {
    let is_queued = ARE_QUEUED.with(|known| {
        *known
            .entry(word.address())
            .or_insert_with(|| kind.is_queued())
    });
    check!(
        Spl01,
        routine,
        is_queued == kind.is_queued(),
        "The spin lock at {:#x} is used both as a plain and as a queued one.",
        word.address()
    );
}

/// Checks that the caller is where the owner of an executive spin lock is.
fn assert_at_dispatch(routine: Routine, lock: *const KSPIN_LOCK) {
    let irql = cpu::irql();
    check!(
        Spl04,
        routine,
        irql == DISPATCH_LEVEL,
        "{routine:?} was called for the spin lock at {lock:p} at IRQL {irql}."
    );
}

/// Checks that this processor does not hold the lock that it is about to acquire.
fn assert_not_mine(routine: Routine, word: LockWord) {
    check!(
        Spl02,
        routine,
        !processor::holds(word.address()),
        "The spin lock at {:#x} is held by this processor already: waiting for it would never end.",
        word.address()
    );
}

/// Releases a lock that was acquired as `kind`; the IRQL from before.
fn release(routine: Routine, word: LockWord, kind: LockKind) -> KIRQL {
    let held = word.release();
    check!(
        Spl02,
        routine,
        held.is_some(),
        "The spin lock at {:#x} is released by a processor that does not hold it.",
        word.address()
    );
    check!(
        Spl01,
        routine,
        held.is_some_and(|held| held.kind == kind),
        "The spin lock at {:#x} was acquired as {:?} and is released as {kind:?}.",
        word.address(),
        held.map(|held| held.kind)
    );
    held.map_or(DISPATCH_LEVEL, |held| held.old_irql)
}

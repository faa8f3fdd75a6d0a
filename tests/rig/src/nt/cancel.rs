//! Cancellation: the cancel spin lock and IoCancelIrp.

use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use wdk_sys::{BOOLEAN, IRP, KIRQL, PDEVICE_OBJECT, PIRP, PKIRQL};

use crate::machine::cpu;
use crate::nt::cancel_watch;
use crate::nt::irp::{Irp, ledger};
use crate::nt::irql::{DISPATCH_LEVEL, raised};
use crate::nt::processor::{self, LockKind};
use crate::nt::routine::Routine;
use crate::nt::spin_lock::LockWord;
use crate::nt::violation::check;

/// The system's one cancel spin lock.
static CANCEL_LOCK: AtomicUsize = AtomicUsize::new(0);

/// A cancel routine, whose pointer drivers exchange atomically.
type CancelRoutine = unsafe extern "C" fn(*mut wdk_sys::DEVICE_OBJECT, PIRP);

/// Acquires the cancel spin lock; the IRQL from before.
pub(crate) fn acquire(routine: Routine) -> KIRQL {
    let old_irql = cpu::irql();
    let word = LockWord::own(&CANCEL_LOCK);
    check!(
        Spl02,
        routine,
        !word.is_mine(),
        "The cancel spin lock is held by this processor already."
    );
    cpu::set_irql(DISPATCH_LEVEL);
    word.acquire(LockKind::Cancel, old_irql);
    cancel_watch::cancel_lock_acquired(routine);
    old_irql
}

/// Releases the cancel spin lock and returns to this IRQL.
pub(crate) fn release(routine: Routine, irql: KIRQL) {
    let word = LockWord::own(&CANCEL_LOCK);
    if word.is_mine() {
        cancel_watch::cancel_lock_released();
    }
    let held = word.release();
    check!(
        Spl02,
        routine,
        held.is_some(),
        "The cancel spin lock is released by a processor that does not hold it."
    );
    check!(
        Spl04,
        routine,
        held.is_some_and(|held| held.old_irql == irql),
        "The cancel spin lock was acquired at IRQL {} and is released to {irql}.",
        held.map_or(0, |held| held.old_irql)
    );
    cpu::set_irql(irql);
}

/// IoAcquireCancelSpinLock.
pub(crate) unsafe extern "C" fn io_acquire_cancel_spin_lock(irql: PKIRQL) {
    let routine = Routine::IoAcquireCancelSpinLock;
    routine.enter();
    let old_irql = acquire(routine);
    // SAFETY: The driver passes a variable of its own for the old IRQL.
    unsafe { irql.write(old_irql) };
}

/// IoReleaseCancelSpinLock.
pub(crate) extern "C" fn io_release_cancel_spin_lock(irql: KIRQL) {
    let routine = Routine::IoReleaseCancelSpinLock;
    routine.enter();
    release(routine, irql);
}

/// IoCancelIrp, for a driver that made the IRP.
pub(crate) unsafe extern "C" fn io_cancel_irp(irp: PIRP) -> BOOLEAN {
    let routine = Routine::IoCancelIrp;
    routine.enter();
    let irp = ledger::live(routine.name(), irp);
    check!(
        Can08,
        routine,
        irp.is_made_by_driver(),
        "A driver cancelled the IRP {irp}, which it did not make."
    );
    BOOLEAN::from(cancel(&irp))
}

/// Cancels an IRP; says whether a cancel routine was called. At DISPATCH_LEVEL, so that
/// the cancel routine runs on one processor from its beginning to its end.
pub(crate) fn cancel(irp: &Irp) -> bool {
    raised(DISPATCH_LEVEL, || cancel_raised(irp))
}

/// As [`cancel`], at DISPATCH_LEVEL.
fn cancel_raised(irp: &Irp) -> bool {
    let routine = Routine::IoCancelIrp;
    let old_irql = acquire(routine);
    // In one step with the look at whether it has ended: another processor may be
    // completing it, and an IRP that has ended is nobody's to write to.
    let cancel_routine = irp.progress(|progress| {
        if progress.outcome().is_some() {
            return None;
        }
        irp.note_cancelled();
        irp.set_cancel(1);
        irp.set_cancel_irql(old_irql);
        take_routine(irp)
    });
    let Some(cancel_routine) = cancel_routine else {
        release(routine, old_irql);
        return false;
    };
    call(irp, cancel_routine, old_irql);
    true
}

/// Calls a cancel routine, with the cancel spin lock held, as it must be.
pub(crate) fn call(irp: &Irp, cancel_routine: CancelRoutine, old_irql: KIRQL) {
    let held = processor::held_count();
    let device: PDEVICE_OBJECT = irp.location(irp.current()).device();
    // SAFETY: (Caller) the driver put the routine into the IRP to be called so,
    // at DISPATCH_LEVEL with the cancel spin lock held. (Pointer) the IRP is
    // alive: `irp` holds it.
    cancel_watch::in_cancel_routine(irp, || unsafe {
        cancel_routine(device, irp.pointer());
    });
    let irql = cpu::irql();
    let held_after = processor::held_count();
    check!(
        Can01,
        "Cancel",
        irql == old_irql && held_after + 1 == held,
        "A cancel routine was to release the cancel spin lock to IRQL {old_irql}; it returned at IRQL {irql} with {held_after} spin locks held."
    );
}

/// IoSetCancelRoutine(Irp, NULL): the routine that was set, if any.
pub(crate) fn take_routine(irp: &Irp) -> Option<CancelRoutine> {
    // SAFETY: (Pointer) the IRP is alive: `irp` holds it.
    let field = unsafe { &raw mut (*irp.pointer().cast::<IRP>()).CancelRoutine };
    // SAFETY: (Pointer) as above; an optional function pointer has a pointer's
    // size. (Aliasing) drivers exchange this field atomically.
    let field = unsafe { AtomicPtr::<()>::from_ptr(field.cast()) };
    let old = field.swap(core::ptr::null_mut(), Ordering::AcqRel);
    if old.is_null() {
        return None;
    }
    // SAFETY: The field is a DRIVER_CANCEL, and it was not null.
    Some(unsafe { core::mem::transmute::<*mut (), CancelRoutine>(old) })
}

/// IoSetCancelRoutine(Irp, routine).
pub(crate) fn set_routine(irp: &Irp, routine: CancelRoutine) {
    // SAFETY: (Pointer) the IRP is alive: `irp` holds it.
    let field = unsafe { &raw mut (*irp.pointer().cast::<IRP>()).CancelRoutine };
    // SAFETY: As in `take_routine`.
    let field = unsafe { AtomicPtr::<()>::from_ptr(field.cast()) };
    field.store(routine as *mut (), Ordering::Release);
}

//! The driver's six callbacks of a cancel-safe queue, and what each may do.
//!
//! Only CsqAcquireLock and CsqReleaseLock lock. Whatever they take (a spin lock is
//! usual, any lock that the callers' IRQL allows is right), they balance.

use wdk_sys::{
    IO_CSQ, IO_TYPE_CSQ_EX, KIRQL, NTSTATUS, PIO_CSQ, PIO_CSQ_INSERT_IRP_EX, PIRP, PVOID,
};

use crate::machine::cpu;
use crate::nt::callout::Callback;
use crate::nt::irp::Irp;
use crate::nt::measure::{Mark, mark};
use crate::nt::processor;
use crate::nt::routine::Routine;
use crate::nt::status::STATUS_SUCCESS;
use crate::nt::violation::{check, fatal};

/// A queue of the driver's.
pub(super) struct Queue(PIO_CSQ);

/// What CsqAcquireLock took: what CsqReleaseLock has to give back.
pub(super) struct Lock {
    /// What the driver stored in its IRQL variable.
    stored: KIRQL,
    /// IRQL and number of spin locks before.
    before: (KIRQL, usize),
}

/// IRQL and number of spin locks that this processor holds.
fn state() -> (KIRQL, usize) {
    (cpu::irql(), processor::held_count())
}

/// Makes a call of a callback, and marks it.
fn measured<R>(call: impl FnOnce() -> R) -> R {
    mark(Mark::Enter(Callback::Csq));
    let result = call();
    mark(Mark::Leave(Callback::Csq));
    result
}

impl Queue {
    /// The queue at this address.
    pub(super) const fn at(csq: PIO_CSQ) -> Self {
        Self(csq)
    }

    /// Its address.
    pub(super) const fn pointer(&self) -> PIO_CSQ {
        self.0
    }

    /// The structure.
    fn callbacks(&self) -> IO_CSQ {
        // SAFETY: Fact 1 of the queues: initialised, and resident.
        unsafe { self.0.read_volatile() }
    }

    /// CsqAcquireLock.
    pub(super) fn lock(&self, routine: Routine) -> Lock {
        let before = state();
        let mut stored = 0;
        if let Some(acquire) = self.callbacks().CsqAcquireLock {
            // SAFETY: (Caller) the driver gave the callback to IoCsqInitialize, to be
            // called so.
            measured(|| unsafe { acquire(self.0, &raw mut stored) });
        }
        let after = state();
        check!(
            Csq01,
            routine,
            after.0 >= before.0 && after.1 <= before.1 + 1,
            "CsqAcquireLock was called at IRQL {} with {} spin locks held and returned at {} with {}.",
            before.0,
            before.1,
            after.0,
            after.1
        );
        Lock { stored, before }
    }

    /// CsqReleaseLock.
    pub(super) fn unlock(&self, routine: Routine, lock: &Lock) {
        if let Some(release) = self.callbacks().CsqReleaseLock {
            // SAFETY: As for CsqAcquireLock, which stored the level.
            measured(|| unsafe { release(self.0, lock.stored) });
        }
        let after = state();
        check!(
            Csq01,
            routine,
            after == lock.before,
            "CsqReleaseLock left IRQL {} with {} spin locks held; before CsqAcquireLock it was {} with {}.",
            after.0,
            after.1,
            lock.before.0,
            lock.before.1
        );
    }

    /// CsqInsertIrp or CsqInsertIrpEx.
    pub(super) fn insert(&self, routine: Routine, irp: &Irp, context: PVOID) -> NTSTATUS {
        let callbacks = self.callbacks();
        self.locked(routine, "CsqInsertIrp", || {
            if callbacks.Type == IO_TYPE_CSQ_EX {
                // SAFETY: The type says that IoCsqInitializeEx stored this form.
                let insert = unsafe {
                    core::mem::transmute::<wdk_sys::PIO_CSQ_INSERT_IRP, PIO_CSQ_INSERT_IRP_EX>(
                        callbacks.CsqInsertIrp,
                    )
                };
                // SAFETY: (Caller) as for CsqAcquireLock. (Pointer) the IRP is alive:
                // `irp` holds it.
                return insert.map(|insert| unsafe { insert(self.0, irp.pointer(), context) });
            }
            callbacks.CsqInsertIrp.map(|insert| {
                // SAFETY: As above.
                unsafe { insert(self.0, irp.pointer()) };
                STATUS_SUCCESS
            })
        })
    }

    /// Checks that the list is whole around an IRP that the driver keeps in it.
    pub(super) fn assert_whole(routine: Routine, irp: &Irp) {
        let (links, place) = irp.links();
        check!(
            Pool06,
            routine,
            links.is_whole(place),
            "The list that the IRP {irp} is in is broken: its neighbours do not point back at {place:#x}."
        );
    }

    /// CsqRemoveIrp.
    pub(super) fn remove(&self, routine: Routine, irp: &Irp) {
        let callbacks = self.callbacks();
        Self::assert_whole(routine, irp);
        self.locked(routine, "CsqRemoveIrp", || {
            // SAFETY: As for CsqInsertIrp.
            callbacks
                .CsqRemoveIrp
                .map(|remove| unsafe { remove(self.0, irp.pointer()) })
        });
    }

    /// CsqPeekNextIrp.
    pub(super) fn peek_next(&self, routine: Routine, after: Option<&Irp>, context: PVOID) -> PIRP {
        let callbacks = self.callbacks();
        let after = after.map_or(core::ptr::null_mut(), Irp::pointer);
        self.locked(routine, "CsqPeekNextIrp", || {
            // SAFETY: As for CsqInsertIrp; the IRP is none, or one that is queued.
            callbacks
                .CsqPeekNextIrp
                .map(|peek_next| unsafe { peek_next(self.0, after, context) })
        })
    }

    /// CsqCompleteCanceledIrp. The lock is not held.
    pub(super) fn complete_cancelled(&self, routine: Routine, irp: &Irp) {
        let callbacks = self.callbacks();
        self.locked(routine, "CsqCompleteCanceledIrp", || {
            // SAFETY: As for CsqInsertIrp.
            callbacks
                .CsqCompleteCanceledIrp
                .map(|complete| unsafe { complete(self.0, irp.pointer()) })
        });
    }

    /// Calls a callback that may not lock, nor leave out what it is there for.
    fn locked<R>(&self, routine: Routine, callback: &str, call: impl FnOnce() -> Option<R>) -> R {
        let before = state();
        let result = measured(call);
        let after = state();
        check!(
            Csq01,
            routine,
            before == after,
            "{callback} was called at IRQL {} with {} spin locks held and returned at {} with {}: only the lock callbacks lock.",
            before.0,
            before.1,
            after.0,
            after.1
        );
        result.unwrap_or_else(|| {
            fatal(
                "NO-CALLBACK",
                routine.name(),
                format_args!("The queue at {:p} has no {callback} routine.", self.0),
            )
        })
    }
}

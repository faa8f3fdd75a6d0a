//! What a DPC and a threaded DPC have in common: the KDPC and its run-down.

use core::{cell::UnsafeCell, marker::PhantomPinned, ptr::null_mut};

use super::{Placement, Queued, WasQueued};
use crate::{
    device::Header,
    irql::Passive,
    processor,
    run_down::RunDown,
    status::{NtError, Result},
    sync::atomic::{AtomicPtr, Ordering},
    sys,
    thunks::DpcRoutine,
};

/// Which routine initialises the KDPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// KeInitializeDpc.
    Ordinary,
    /// KeInitializeThreadedDpc.
    Threaded,
}

/// A KDPC at the start of the object, so that the routine finds the object by the address
/// that the kernel hands it.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct DpcObject {
    object: UnsafeCell<sys::KDPC>,
    /// Open while the DPC may be queued.
    run_down: RunDown,
    /// Whose DPC it is. Written while opening.
    device: AtomicPtr<Header>,
    /// The kernel has its address once initialised.
    _pinned: PhantomPinned,
}

// SAFETY: (Aliasing) the KDPC is initialised by the one thread that opens the run-down;
// from then on only the kernel's DPC routines touch it, which synchronise among themselves,
// facts 2, 10 and 55.
unsafe impl Sync for DpcObject {}
// SAFETY: belongs to no thread; moved only before it is registered, fact 2.
unsafe impl Send for DpcObject {}

impl DpcObject {
    pub(super) const fn new() -> Self {
        Self {
            object: UnsafeCell::new(sys::zeroed_dpc()),
            run_down: RunDown::new(),
            device: AtomicPtr::new(null_mut()),
            _pinned: PhantomPinned,
        }
    }

    /// Initialises the KDPC in place and lets it be queued.
    ///
    /// # Safety
    /// `self` is registered with `device` (fact 2) and was stopped if it was open. The
    /// routine may be called with `context` until it is stopped.
    pub(super) unsafe fn open(
        &self,
        device: &Header,
        placement: &Placement,
        kind: Kind,
        routine: DpcRoutine,
        context: sys::PVOID,
    ) -> Result<()> {
        if !self.run_down.begin_opening() {
            return Err(NtError::STATUS_DEVICE_BUSY);
        }
        match kind {
            // SAFETY: (Aliasing) this thread moved the run-down, so nobody else is at the cell,
            // and the DPC is in no queue: it was never queued, or `stop` took it out and
            // waited. (Pointer) the address is final, facts 2 and 55.
            Kind::Ordinary => unsafe {
                sys::KeInitializeDpc(self.object.get(), Some(routine), context);
            },
            // SAFETY: as above, facts 2 and 55.
            Kind::Threaded => unsafe {
                sys::KeInitializeThreadedDpc(self.object.get(), Some(routine), context);
            },
        }
        // SAFETY: (Aliasing) as above, facts 2 and 55. (Ready) initialised by the lines
        // before.
        if let Err(error) = unsafe { placement.apply(self.object.get()) } {
            self.run_down.closed();
            return Err(error);
        }
        let device = core::ptr::from_ref(device).cast_mut();
        self.device.store(device, Ordering::Relaxed);
        self.run_down.opened();
        Ok(())
    }

    pub(super) fn is_open(&self) -> bool {
        self.run_down.is_open()
    }

    pub(super) fn belongs_to(&self, device: &Header) -> bool {
        core::ptr::eq(self.device.load(Ordering::Relaxed), device)
    }

    /// Queues the DPC. Any IRQL.
    pub(super) fn queue(&self) -> Option<Queued> {
        let _pass = self.run_down.enter()?;
        Some(self.insert())
    }

    /// Queues the DPC, which is inside the run-down until its routine has
    /// [ended](Self::ended). Any IRQL.
    pub(super) fn queue_and_stay(&self) -> Option<Queued> {
        let pass = self.run_down.enter()?;
        let queued = self.insert();
        if queued == Queued::Now {
            pass.stay();
        }
        Some(queued)
    }

    /// The routine that [`queue_and_stay`](Self::queue_and_stay) asked for has ended; the
    /// object may be gone as soon as this returns.
    pub(super) fn ended(&self) {
        self.run_down.leave();
    }

    fn insert(&self) -> Queued {
        // Made of the whole object: a threaded DPC's routine is handed it, and goes back to the
        // object by it.
        let dpc = core::ptr::from_ref(self).cast_mut().cast::<sys::KDPC>();
        // SAFETY: (IRQL) any. (Pointer) inside the run-down the KDPC is initialised, and
        // whoever closes it waits before the memory goes away, facts 3 and 55.
        let inserted = unsafe { sys::KeInsertQueueDpc(dpc, null_mut(), null_mut()) };
        if inserted == 0 {
            Queued::Already
        } else {
            Queued::Now
        }
    }

    /// Takes the DPC out of its queue. Any IRQL.
    pub(super) fn cancel(&self) -> WasQueued {
        match self.run_down.enter() {
            Some(_pass) => self.remove(),
            None => WasQueued::No,
        }
    }

    /// As [`cancel`](Self::cancel), for a DPC that stays inside the run-down.
    pub(super) fn cancel_stayed(&self) -> WasQueued {
        let Some(_pass) = self.run_down.enter() else {
            return WasQueued::No;
        };
        let was_queued = self.remove();
        if was_queued == WasQueued::Yes {
            self.run_down.leave();
        }
        was_queued
    }

    fn remove(&self) -> WasQueued {
        // SAFETY: (IRQL) any. (Pointer) initialised, for the run-down is or was open, and
        // alive, facts 3 and 55.
        if unsafe { sys::KeRemoveQueueDpc(self.object.get()) } == 0 {
            WasQueued::No
        } else {
            WasQueued::Yes
        }
    }

    /// Ends the use of the DPC: it is not queued any more, and its routine does not run.
    pub(super) fn stop(&self, irql: &mut Passive) {
        if !self.run_down.begin_closing(irql) {
            return;
        }
        // Those who entered before have queued it when they have left.
        self.run_down.wait(irql);
        // Whether it was in a queue makes no difference: the flush waits for a routine that
        // runs.
        let _was_queued = self.remove();
        flush(irql);
        self.run_down.closed();
    }

    /// As [`stop`](Self::stop), for a DPC that stays inside the run-down.
    pub(super) fn stop_stayed(&self, irql: &mut Passive) {
        if !self.run_down.begin_closing(irql) {
            return;
        }
        // Somebody who entered before may queue it after this; then it runs, and leaves.
        if self.remove() == WasQueued::Yes {
            self.run_down.leave();
        }
        self.run_down.wait(irql);
        // A routine that has left has still to return, out of code that may be unloaded next. No
        // thread preempts it, so a thread that gets to run there finds it gone.
        processor::visit_all(irql);
        self.run_down.closed();
    }
}

/// Waits for every DPC that is queued or runs now, on all processors. Wraps
/// `KeFlushQueuedDpcs`.
pub(crate) fn flush(_irql: &mut Passive) {
    // SAFETY: (IRQL) the token says PASSIVE_LEVEL, facts 5 and 10.
    unsafe { sys::KeFlushQueuedDpcs() };
}

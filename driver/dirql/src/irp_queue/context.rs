//! One particular IRP in a queue. Wraps `IO_CSQ_IRP_CONTEXT`, `IoCsqRemoveIrp`.
//!
//! # Model
//!
//! ```text
//!  free --insert_with--> claimed --in the list--> queued --removed, cancelled--> free
//! ```
//!
//! The system writes the structure before it takes the queue's lock and reads it
//! when somebody removes by it. So a context that is being removed by is not free for
//! another IRP before that somebody has come back: each has a bit of its own.
//!
//! # Soundness
//!
//! 62. **Claim.** The structure is written by IoCsqInsertIrpEx only while the context is
//!     claimed for that call, and read by IoCsqRemoveIrp only between a look that found
//!     `QUEUED` and the end of `BEING_REMOVED`; nobody claims it while any bit is set. So
//!     what IoCsqRemoveIrp finds there is an IRP that is queued or nothing.

use core::{cell::UnsafeCell, marker::PhantomPinned, ptr::null_mut};

use super::IrpQueue;
use crate::{
    device::Header,
    irp::PendingIrp,
    irql::AtMostDispatch,
    status::{NtError, Result},
    sync::atomic::{AtomicPtr, AtomicU8, Ordering},
    sys,
};

/// The context stands for an IRP, or is about to.
const CLAIMED: u8 = 1;
/// The IRP is in the queue.
const QUEUED: u8 = 2;
/// Somebody is removing by it.
const BEING_REMOVED: u8 = 4;

/// What picks one IRP out of a queue, as a field of the device extension.
#[derive(Debug)]
pub struct IrpContext {
    /// Fact 62.
    object: UnsafeCell<sys::IO_CSQ_IRP_CONTEXT>,
    /// The queue that the IRP is in. Written while claimed, before `QUEUED`.
    queue: AtomicPtr<IrpQueue>,
    state: AtomicU8,
    /// The system has its address while an IRP is queued.
    _pinned: PhantomPinned,
}

// SAFETY: (Aliasing) fact 62; the rest is atomic.
unsafe impl Sync for IrpContext {}
// SAFETY: belongs to no thread; moved only before it is used, fact 61.
unsafe impl Send for IrpContext {}

impl Default for IrpContext {
    fn default() -> Self {
        Self::new()
    }
}

impl IrpContext {
    /// A context that stands for no IRP.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            object: UnsafeCell::new(sys::zeroed_csq_context()),
            queue: AtomicPtr::new(null_mut()),
            state: AtomicU8::new(0),
            _pinned: PhantomPinned,
        }
    }

    /// Takes its IRP out of the queue; `None` if there is none: it was cancelled or
    /// removed, or was never inserted. Wraps `IoCsqRemoveIrp`.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    pub fn remove<I: AtMostDispatch>(&self, _irql: &mut I) -> Option<PendingIrp> {
        let queued = CLAIMED | QUEUED;
        self.state
            .compare_exchange(
                queued,
                queued | BEING_REMOVED,
                Ordering::Acquire,
                Ordering::Relaxed,
            )
            .ok()?;
        let queue = self.queue.load(Ordering::Relaxed);
        // SAFETY: (IRQL) the token says at most DISPATCH_LEVEL. (Pointer) the queue that
        // `claim` wrote down, which lies in the same extension. (Ready) fact 62.
        let irp = unsafe { sys::IoCsqRemoveIrp(queue.cast(), self.object.get()) };
        // SAFETY: (Caller) removed from the queue, so it is ours, fact 34.
        let irp = unsafe { IrpQueue::given_back(irp) };
        self.state.fetch_and(!BEING_REMOVED, Ordering::Release);
        irp
    }

    /// Claims the context for an IRP that goes into `queue`.
    pub(super) fn claim(&self, queue: &IrpQueue) -> Result<()> {
        // SAFETY: (Pointer) an initialised queue's device is alive as long as the queue,
        // fact 61.
        let header = unsafe { Header::of(queue.device.load(Ordering::Relaxed)) };
        header.expect_within(self)?;
        self.state
            .compare_exchange(0, CLAIMED, Ordering::Acquire, Ordering::Relaxed)
            .map_err(|_| NtError::STATUS_DEVICE_BUSY)?;
        self.queue
            .store(core::ptr::from_ref(queue).cast_mut(), Ordering::Relaxed);
        Ok(())
    }

    /// Its IRP is in the queue. Under the queue lock.
    pub(super) fn queued(&self) {
        self.state.fetch_or(QUEUED, Ordering::Release);
    }

    /// It stands for no IRP any more.
    pub(super) fn release(&self) {
        self.state.fetch_and(!(CLAIMED | QUEUED), Ordering::Release);
    }

    /// The system's structure.
    pub(super) const fn object(&self) -> *mut sys::IO_CSQ_IRP_CONTEXT {
        self.object.get()
    }
}

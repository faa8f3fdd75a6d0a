//! Looking for an IRP in a queue: the peek context.

use core::{fmt, mem::ManuallyDrop};

use crate::{
    irp::{PendingIrp, buffers_of},
    sys,
};

/// An IRP that is in a queue, for looking at: it stays the queue's.
#[derive(Debug)]
pub struct Queued(ManuallyDrop<PendingIrp>);

buffers_of!(Queued);

/// What is looked for.
pub(super) struct Search<'a> {
    is_it: &'a mut dyn FnMut(&Queued) -> bool,
}

impl fmt::Debug for Search<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Search")
    }
}

impl<'a> Search<'a> {
    pub(super) fn new(is_it: &'a mut dyn FnMut(&Queued) -> bool) -> Self {
        Self { is_it }
    }

    /// Whether this is it.
    ///
    /// # Safety
    /// `irp` is in the queue, whose lock is held.
    pub(super) unsafe fn finds(&mut self, irp: *mut sys::IRP) -> bool {
        // SAFETY: (Caller) the queue owns the IRP, whose remove lock is held, facts 4 and 34.
        // It is not completed by this second owner, which is never dropped, and lent only
        // inside of the lock, fact 33.
        let irp = Queued(ManuallyDrop::new(unsafe { PendingIrp::from_raw(irp) }));
        (self.is_it)(&irp)
    }
}

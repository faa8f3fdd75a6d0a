//! A place for one pending IRP, with the cancel routine that it needs.

use core::pin::Pin;

use super::{IrpQueue, Refused, callbacks::Insertion};
use crate::{
    device::Device,
    irp::PendingIrp,
    irql::{AtMostDispatch, Passive},
    status::Result,
};

/// A queue for one IRP, as a field of the device extension: where a request waits for
/// something to happen.
///
/// While it is there it is cancelled, cleaned up and failed as in an [`IrpQueue`].
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct IrpSlot(IrpQueue);

impl IrpSlot {
    /// A slot that takes nothing before it is initialised.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn new() -> Self {
        Self(IrpQueue::new())
    }

    /// Makes the slot ready, in place. See [`IrpQueue::initialize`].
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    ///
    /// # Errors
    /// As [`IrpQueue::initialize`].
    pub fn initialize<E>(self: Pin<&Self>, device: &Device<E>, irql: &mut Passive) -> Result<()> {
        // SAFETY: (Pointer) the slot is its one field, which is moved only with it, fact
        // 61.
        let queue = unsafe { self.map_unchecked(|slot| &slot.0) };
        queue.initialize(device, irql)
    }

    /// Puts an IRP there, to wait.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    ///
    /// # Errors
    /// As [`IrpQueue::insert`], and STATUS_DEVICE_BUSY if another IRP is there.
    pub fn put<I: AtMostDispatch>(
        &self,
        irql: &mut I,
        irp: PendingIrp,
    ) -> core::result::Result<(), Refused> {
        self.0.insert_as(irql, irp, &Insertion::ALONE)
    }

    /// Takes the IRP that is there, if there is one.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    pub fn take<I: AtMostDispatch>(&self, irql: &mut I) -> Option<PendingIrp> {
        self.0.remove_next(irql)
    }
}

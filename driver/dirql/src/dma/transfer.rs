//! Map registers and the transfer that they map.

use core::{fmt, mem::ManuallyDrop, ptr::NonNull};

use super::{
    adapter::DmaAdapter,
    address::LogicalAddress,
    operations::Operations,
    request::{DmaRequest, Part},
};
use crate::{
    irql::{self, AtMostDispatch, Dispatch},
    status::{NtError, Result},
    stop_code::{Reason, stop},
    sys,
};

/// Map registers that are allocated, and the request whose buffer they are for.
///
/// Dropping it frees the registers and drops the request, which aborts it.
#[must_use = "map registers are freed in the end, which gives the request back"]
pub struct MapRegisters<Q: DmaRequest> {
    /// Alive, fact 23, and entered, fact 22.
    adapter: NonNull<DmaAdapter>,
    base: sys::PVOID,
    /// Present until the registers are freed.
    request: ManuallyDrop<Q>,
    count: u32,
    /// Bytes of the buffer.
    length: u32,
    /// Bytes of the buffer that have been transferred.
    transferred: u32,
    to_device: bool,
}

// SAFETY: map registers belong to no thread, and their one owner may be anywhere; the
// adapter is `Sync`, fact 23.
unsafe impl<Q: DmaRequest> Send for MapRegisters<Q> {}

impl<Q: DmaRequest> fmt::Debug for MapRegisters<Q> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "MapRegisters({} of them)", self.count)
    }
}

impl<Q: DmaRequest> MapRegisters<Q> {
    /// # Safety
    /// The kernel has just granted these registers to a request of this adapter's, which
    /// has entered it; `whole` is the whole of its buffer.
    pub(super) unsafe fn new(
        adapter: NonNull<DmaAdapter>,
        base: sys::PVOID,
        count: u32,
        request: Q,
        whole: Part,
    ) -> Self {
        Self {
            adapter,
            base,
            request: ManuallyDrop::new(request),
            count,
            length: whole.ulong_length(),
            transferred: 0,
            to_device: whole.to_device,
        }
    }

    pub(super) const fn base(&self) -> sys::PVOID {
        self.base
    }

    /// Bytes of the buffer that have been transferred and flushed.
    #[must_use]
    pub fn transferred(&self) -> usize {
        size(self.transferred)
    }

    /// Bytes of the buffer that are still to be transferred.
    #[must_use]
    pub fn remaining(&self) -> usize {
        size(self.length.saturating_sub(self.transferred))
    }

    /// What remains of the buffer. Read again from the request, which is smaller to carry
    /// than all that describes its buffer.
    fn rest(&self) -> Part {
        // SAFETY: (Caller) `new` was given the whole of this request's buffer, and the request
        // cannot be taken out, fact 4.
        unsafe {
            Part::again(
                &*self.request,
                size(self.transferred),
                self.remaining(),
                self.to_device,
            )
        }
    }

    /// The request; it cannot be taken out while the registers are allocated.
    #[must_use]
    pub fn request(&self) -> &Q {
        &self.request
    }

    /// Maps what comes next of the buffer, at most `limit` bytes and as many as the
    /// registers cover. Wraps `MapTransfer`; see "Setting Up a Transfer Operation".
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    ///
    /// # Errors
    /// The registers come back with STATUS_INVALID_PARAMETER if nothing remains or the limit
    /// is zero.
    pub fn map<I: AtMostDispatch>(
        self,
        _irql: &mut I,
        limit: usize,
    ) -> core::result::Result<Mapped<Q>, (Self, NtError)> {
        let part = self.rest().limited_to(limit);
        let part = part.limited_to(part.covered_by(size(self.count)));
        if part.length == 0 {
            return Err((self, NtError::STATUS_INVALID_PARAMETER));
        }
        let operations = self.operations();
        let mut length = part.ulong_length();
        // SAFETY: (IRQL) the token says at most DISPATCH_LEVEL. (Pointer) the adapter is open,
        // fact 22; the MDL is that of the request, which `self` owns, and the part lies in it
        // and in the registers; the length is this function's own. (Aliasing) the registers
        // map nothing: a mapping consumes them.
        let address = unsafe {
            (operations.map)(
                operations.adapter,
                part.mdl,
                self.base,
                part.current_va(),
                &raw mut length,
                part.to_device.into(),
            )
        };
        Ok(Mapped {
            address: LogicalAddress::new(address),
            length,
            registers: ManuallyDrop::new(self),
        })
    }

    /// Frees the registers and gives the request back. Wraps `FreeMapRegisters`.
    ///
    /// # IRQL
    /// DISPATCH_LEVEL.
    pub fn free(self, irql: &mut Dispatch) -> Q {
        let mut this = ManuallyDrop::new(self);
        this.release(irql);
        // SAFETY: taken once: `this` is never dropped and not used again, fact 4.
        unsafe { ManuallyDrop::take(&mut this.request) }
    }

    /// The request, of registers that the kernel frees when its AdapterControl routine has
    /// returned.
    pub(super) fn give_up(self) -> Q {
        let mut this = ManuallyDrop::new(self);
        this.leave();
        // SAFETY: taken once: `this` is never dropped and not used again, fact 4.
        unsafe { ManuallyDrop::take(&mut this.request) }
    }

    fn release(&mut self, _irql: &mut Dispatch) {
        let operations = self.operations();
        // SAFETY: (IRQL) the token says DISPATCH_LEVEL. (Pointer) the adapter is open, fact 22.
        // (Caller) the registers map nothing, and are freed once: their owner is used no
        // more.
        unsafe { (operations.free_registers)(operations.adapter, self.base, self.count) };
        self.leave();
    }

    fn operations(&self) -> &Operations {
        &self.adapter().granted().operations
    }

    fn leave(&self) {
        self.adapter().leave();
    }

    fn adapter(&self) -> &DmaAdapter {
        // SAFETY: (Pointer) the request is still here, so the adapter is alive, fact 23.
        unsafe { self.adapter.as_ref() }
    }
}

impl<Q: DmaRequest> Drop for MapRegisters<Q> {
    fn drop(&mut self) {
        if irql::current() > irql::DISPATCH_LEVEL {
            stop(Reason::DroppedTooHigh, self.base.addr());
        }
        // SAFETY: (IRQL) looked at just now, fact 5.
        let mut irql = unsafe { irql::UpToDispatch::assume() };
        irql::at_dispatch(&mut irql, |irql| self.release(irql));
        // SAFETY: taken once: `self` is being dropped, fact 4.
        drop(unsafe { ManuallyDrop::take(&mut self.request) });
    }
}

/// A part of a request's buffer that is mapped: the device may reach it.
///
/// Flushing gives the map registers back. Dropping it is a bug check.
#[must_use = "a mapped transfer is flushed when its device has done"]
pub struct Mapped<Q: DmaRequest> {
    address: LogicalAddress,
    /// Bytes that were mapped: for a device that takes pieces maybe fewer than asked for.
    length: u32,
    registers: ManuallyDrop<MapRegisters<Q>>,
}

// SAFETY: as for `MapRegisters`; the MDL is the request's, fact 23.
unsafe impl<Q: DmaRequest> Send for Mapped<Q> {}

impl<Q: DmaRequest> fmt::Debug for Mapped<Q> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "Mapped({} bytes at {:?})",
            self.length, self.address
        )
    }
}

impl<Q: DmaRequest> Mapped<Q> {
    /// What the device is given.
    #[must_use]
    pub const fn address(&self) -> LogicalAddress {
        self.address
    }

    /// How many bytes are mapped there, in a row.
    #[must_use]
    pub const fn length(&self) -> u32 {
        self.length
    }

    /// Bytes of the buffer that were transferred before this part.
    #[must_use]
    pub fn transferred_before(&self) -> usize {
        self.registers.transferred()
    }

    /// Which way the data goes.
    #[must_use]
    pub fn is_to_device(&self) -> bool {
        self.registers.to_device
    }

    /// The request; it cannot be taken out while the transfer is mapped.
    #[must_use]
    pub fn request(&self) -> &Q {
        &self.registers.request
    }

    /// Ends the transfer, which the device has done: moves what it wrote to the buffer and
    /// gives the registers back. Wraps `FlushAdapterBuffers`; see "Flushing Cached Data
    /// during DMA Operations".
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    ///
    /// # Errors
    /// The result beside the registers is STATUS_UNSUCCESSFUL if not all data could be
    /// moved; they count none of it as transferred.
    pub fn flush<I: AtMostDispatch>(self, irql: &mut I) -> (MapRegisters<Q>, Result<()>) {
        let length = self.length;
        self.end(irql, length)
    }

    /// As [`flush`](Self::flush), for a transfer that the driver stopped or that failed:
    /// none of it counts.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    pub fn abort<I: AtMostDispatch>(self, irql: &mut I) -> MapRegisters<Q> {
        let (registers, _nothing_of_it_counts) = self.end(irql, 0);
        registers
    }

    fn end<I: AtMostDispatch>(
        self,
        _irql: &mut I,
        transferred: u32,
    ) -> (MapRegisters<Q>, Result<()>) {
        let mut this = ManuallyDrop::new(self);
        let operations = this.registers.operations();
        let part = this.registers.rest();
        // SAFETY: (IRQL) the token says at most DISPATCH_LEVEL. (Pointer) the adapter is open,
        // fact 22; MDL, registers and first index are those of the one mapping, and the length
        // is what it mapped.
        let flushed = unsafe {
            (operations.flush)(
                operations.adapter,
                part.mdl,
                this.registers.base,
                part.current_va(),
                this.length,
                part.to_device.into(),
            )
        };
        // SAFETY: taken once: `this` is never dropped and not used again, fact 4.
        let mut registers = unsafe { ManuallyDrop::take(&mut this.registers) };
        if flushed == 0 {
            return (registers, Err(NtError::STATUS_UNSUCCESSFUL));
        }
        registers.transferred = registers.transferred.saturating_add(transferred);
        (registers, Ok(()))
    }
}

impl<Q: DmaRequest> Drop for Mapped<Q> {
    fn drop(&mut self) {
        stop(Reason::DroppedWhileMapped, self.registers.base.addr());
    }
}

/// A number of bytes, or of registers, as Rust counts.
fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

//! Requests whose buffer a device may reach, and parts of that buffer.

use crate::{
    direct_io::{DirectRequest, Direction, sealed::RawIrp},
    irp::PendingIrp,
    start_io::Packet,
    status::{NtError, Result},
    sys,
};

/// The device object that an IRP is at.
///
/// # Safety
/// `irp` is alive, and nobody else's than the caller's.
pub(super) unsafe fn device_object(irp: *mut sys::IRP) -> *mut sys::DEVICE_OBJECT {
    // SAFETY: (Pointer) the contract, passed on, fact 4.
    let location = unsafe { sys::current_location(irp) };
    // SAFETY: (Pointer) a location of an IRP that is alive, fact 4.
    unsafe { (*location).DeviceObject }
}

/// Bytes in a page.
pub(super) const PAGE: usize = 4096;

pub(super) mod sealed {
    use crate::direct_io::sealed::RawIrp;

    /// An owner that may hand its IRP to the kernel and get it back.
    pub trait HandsOver {
        /// Gives the IRP up without completing it.
        #[doc(hidden)]
        fn hand_over(self) -> RawIrp;

        /// # Safety
        /// `irp` is what [`hand_over`](Self::hand_over) of this type has returned, and the
        /// one owner that comes of it.
        #[doc(hidden)]
        unsafe fn take_back(irp: RawIrp) -> Self;
    }
}

/// A request that may be mapped for DMA: one that is pending, or in StartIo's hands.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be given to a DMA adapter",
    note = "pend the IRP first; a request whose transfer is mapped comes back when that is flushed"
)]
pub trait DmaRequest: DirectRequest + sealed::HandsOver + Sized + Send + 'static {}

impl sealed::HandsOver for PendingIrp {
    fn hand_over(self) -> RawIrp {
        RawIrp(self.into_raw())
    }

    unsafe fn take_back(irp: RawIrp) -> Self {
        // SAFETY: (Caller) the contract: owned once, and its remove lock is still held,
        // facts 4 and 24.
        unsafe { Self::from_raw(irp.0) }
    }
}

impl sealed::HandsOver for Packet {
    fn hand_over(self) -> RawIrp {
        RawIrp(self.into_raw())
    }

    unsafe fn take_back(irp: RawIrp) -> Self {
        // SAFETY: (Caller) the contract: it is still the packet in StartIo's hands, facts 4
        // and 24.
        unsafe { Self::from_raw(irp.0) }
    }
}

impl DmaRequest for PendingIrp {}
impl DmaRequest for Packet {}

/// A request that an adapter has not taken, and why.
#[derive(Debug)]
pub struct Refused<Q> {
    /// The request, to be completed or tried again.
    pub request: Q,
    /// Why.
    pub error: NtError,
}

/// A part of a request's buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) mdl: *mut sys::MDL,
    /// Index of its first byte, as the operations count.
    pub(super) index: usize,
    pub(super) length: usize,
    pub(super) to_device: bool,
}

impl Part {
    /// What is left of a request's buffer from `start` on.
    pub(super) fn of<Q: DirectRequest>(request: &Q, start: usize) -> Result<Self> {
        let mdl = request.mdl()?;
        let nothing_left = NtError::STATUS_INVALID_PARAMETER;
        let length = mdl.length().checked_sub(start).ok_or(nothing_left)?;
        let (raw, first) = mdl.for_device().ok_or(nothing_left)?;
        if length == 0 {
            return Err(nothing_left);
        }
        Ok(Self {
            mdl: raw,
            index: first.checked_add(start).ok_or(nothing_left)?,
            length,
            to_device: mdl.direction() == Direction::ToDevice,
        })
    }

    /// The part of `length` bytes from `start` on, of a buffer that [`of`](Self::of) has
    /// looked at.
    ///
    /// # Safety
    /// `of` has returned the whole buffer of this request, which had the same owner since.
    pub(super) unsafe fn again<Q: DirectRequest>(
        request: &Q,
        start: usize,
        length: usize,
        to_device: bool,
    ) -> Self {
        // SAFETY: (Pointer) `request` owns the IRP, fact 4.
        let mdl = unsafe { (*request.irp().0).MdlAddress };
        // SAFETY: (Pointer) `of` has found this MDL, and only the IRP's owner could take it
        // away, fact 21.
        let first = unsafe { (*mdl).StartVa };
        // SAFETY: as above, fact 21.
        let skew = unsafe { (*mdl).ByteOffset };
        let skew = usize::try_from(skew).unwrap_or(0);
        Self {
            mdl,
            // `of` has seen that the sum with any `start` in the buffer is no overflow.
            index: first.addr().wrapping_add(skew).wrapping_add(start),
            length,
            to_device,
        }
    }

    /// Its first `longest` bytes.
    pub(super) fn limited_to(self, longest: usize) -> Self {
        Self {
            length: self.length.min(longest),
            ..self
        }
    }

    /// Bytes from its beginning that so many map registers cover.
    pub(super) const fn covered_by(&self, registers: usize) -> usize {
        registers
            .saturating_mul(PAGE)
            .saturating_sub(self.index % PAGE)
    }

    /// Map registers that it needs. Is `ADDRESS_AND_SIZE_TO_SPAN_PAGES`.
    pub(super) fn registers(&self) -> u32 {
        let pages = (self.index % PAGE)
            .saturating_add(self.length)
            .div_ceil(PAGE);
        u32::try_from(pages).unwrap_or(u32::MAX)
    }

    /// The length as the operations have it.
    pub(super) fn ulong_length(&self) -> u32 {
        u32::try_from(self.length).unwrap_or(u32::MAX)
    }

    /// The index as the operations have it: a pointer that nobody follows.
    pub(super) fn current_va(&self) -> sys::PVOID {
        core::ptr::without_provenance_mut(self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::{PAGE, Part};
    use crate::{direct_io::tests::Request, status::NtError};

    fn part(index: usize, length: usize) -> Part {
        Part {
            mdl: core::ptr::null_mut(),
            index,
            length,
            to_device: true,
        }
    }

    #[test]
    fn counts_the_pages_that_a_part_spans() {
        assert_eq!(part(0, 1).registers(), 1);
        assert_eq!(part(0, PAGE).registers(), 1);
        assert_eq!(part(0, PAGE + 1).registers(), 2);
        assert_eq!(part(PAGE - 1, 2).registers(), 2);
        assert_eq!(part(3 * PAGE + 100, 2 * PAGE).registers(), 3);
    }

    #[test]
    fn what_registers_cover_needs_no_more_of_them() {
        for index in [0, 1, PAGE - 1, PAGE + 77] {
            for registers in 1..5 {
                let whole = part(index, 10 * PAGE);
                let covered = whole.limited_to(whole.covered_by(registers));
                assert_eq!(usize::try_from(covered.registers()), Ok(registers));
                let more = part(index, covered.length + 1);
                assert_eq!(usize::try_from(more.registers()), Ok(registers + 1));
            }
        }
    }

    #[test]
    fn a_part_is_what_is_left_of_the_buffer() {
        // Its buffer has 16 bytes and begins at byte 0x123 of page 7.
        let begins = 0x7123;
        for start in [0, 1, 9] {
            for (request, to_device) in [(Request::read(10), false), (Request::write(10), true)] {
                let part = Part::of(&*request, start).expect("some of it is left");
                assert_eq!((part.index, part.length), (begins + start, 10 - start));
                assert_eq!(part.current_va().addr(), begins + start);
                assert_eq!(part.to_device, to_device);
            }
        }
    }

    #[test]
    fn of_nothing_there_is_no_part() {
        for (length, start) in [(10, 10), (10, 11), (10, usize::MAX), (0, 0), (20, 16)] {
            let part = Part::of(&*Request::read(length), start);
            let nothing_left = Some(NtError::STATUS_INVALID_PARAMETER);
            assert_eq!(part.err(), nothing_left, "{length} bytes from {start} on");
        }
    }

    #[test]
    fn a_length_that_is_no_ulong_is_the_longest_that_is() {
        assert_eq!(part(0, 77).ulong_length(), 77);
        assert_eq!(part(0, 0xffff_ffff).ulong_length(), 0xffff_ffff);
        assert_eq!(part(0, 0x1_0000_0000).ulong_length(), u32::MAX);
    }
}

//! Direct I/O: the buffer that the I/O manager has locked for a request.
//!
//! # Model
//!
//! A read, a write or a control request with METHOD_IN_DIRECT or METHOD_OUT_DIRECT comes
//! with an MDL that describes its caller's buffer: pages of user mode, locked for as long
//! as the IRP lives. An [`Mdl`] borrows the request, so it is gone when the request is
//! completed, forwarded or given to a device. It gives out no address: user mode goes on
//! writing there, so a reference would promise what nobody keeps. The processor copies in
//! and out; a device gets at the buffer by way of [`crate::dma`].
//!
//! The direction is the request's own. What was locked for reading cannot be written, by
//! the driver or by its device.
//!
//! See "Using Direct I/O" and "Buffer Descriptions for I/O Control Codes" in the Windows
//! driver documentation.
//!
//! # Contexts
//!
//! | operation | caller | token | may block |
//! |---|---|---|---|
//! | `mdl`, `direction`, `byte_offset` | whoever owns the request | none | no |
//! | `Mdl::copy_to`, `Mdl::copy_from` | whoever owns the request | up to `Dispatch` | no |
//!
//! # Soundness
//!
//! Facts 1 to 5 of the crate, and of this module:
//!
//! 21. **Locked.** The MDL of an owned IRP describes pages that the I/O manager has locked
//!     and unlocks after the IRP is completed, and so it does with the system mapping that
//!     MmMapLockedPagesSpecifyCache makes for it.

use core::{marker::PhantomData, ptr::NonNull};

use crate::{
    irp::{Irp, PendingIrp},
    irql::AtMostDispatch,
    shared_bytes::SharedBytes,
    start_io::Packet,
    status::{NtError, Result},
    sys,
};

const METHOD_MASK: u32 = 3;
const METHOD_IN_DIRECT: u32 = 1;
const METHOD_OUT_DIRECT: u32 = 2;
/// `MDL_MAPPED_TO_SYSTEM_VA`, `MDL_SOURCE_IS_NONPAGED_POOL`: there is a system address.
const HAS_SYSTEM_ADDRESS: i16 = 0x1 | 0x4;
/// `NormalPagePriority | MdlMappingNoExecute`.
const PRIORITY: u32 = 16 | 0x4000_0000;
/// `MmCached`.
const CACHED: i32 = 1;

/// Which way the data of a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the buffer: a write, METHOD_IN_DIRECT.
    ToDevice,
    /// Into the buffer: a read, METHOD_OUT_DIRECT.
    FromDevice,
}

pub(crate) mod sealed {
    use crate::sys;

    /// An IRP, which only this crate can look into.
    #[derive(Clone, Copy, Debug)]
    pub struct RawIrp(pub(crate) *mut sys::IRP);

    /// An owner of an IRP whose buffer may be locked.
    pub trait OwnsIrp {
        /// The IRP; only looked at while the owner is borrowed.
        #[doc(hidden)]
        fn irp(&self) -> RawIrp;
    }
}

impl sealed::OwnsIrp for Irp {
    fn irp(&self) -> sealed::RawIrp {
        sealed::RawIrp(self.as_raw())
    }
}

impl sealed::OwnsIrp for PendingIrp {
    fn irp(&self) -> sealed::RawIrp {
        sealed::RawIrp(self.as_raw())
    }
}

impl sealed::OwnsIrp for Packet {
    fn irp(&self) -> sealed::RawIrp {
        sealed::RawIrp(self.as_raw())
    }
}

/// A request whose buffer may be locked for direct I/O.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not own a request that is not mapped",
    note = "flush the transfer, or put the scatter/gather list, to get the request back"
)]
pub trait DirectRequest: sealed::OwnsIrp {
    /// Which way its data goes.
    ///
    /// # IRQL
    /// Any.
    ///
    /// # Errors
    /// STATUS_INVALID_DEVICE_REQUEST if it is no request for direct I/O.
    fn direction(&self) -> Result<Direction>;

    /// The locked buffer; an empty one if the caller's is empty, for then there is no MDL.
    /// Is `Irp->MdlAddress`; see "Using MDLs".
    ///
    /// # IRQL
    /// Any.
    ///
    /// # Errors
    /// STATUS_INVALID_DEVICE_REQUEST if it is no request for direct I/O.
    fn mdl(&self) -> Result<Mdl<'_>>;

    /// Where on the device a read or a write begins; `None` for a control request. Is
    /// `Parameters.Read.ByteOffset`; see "IRP_MJ_READ".
    ///
    /// # IRQL
    /// Any.
    fn byte_offset(&self) -> Option<u64>;
}

/// What a stack location asks for.
struct Asked {
    direction: Direction,
    /// Bytes of the caller's buffer.
    length: u32,
    byte_offset: Option<u64>,
}

/// Reads the stack location of an IRP.
///
/// # Safety
/// `irp` is owned by the caller.
unsafe fn asked(irp: *mut sys::IRP) -> Result<Asked> {
    // SAFETY: (Pointer) the contract, passed on, fact 4.
    let location = unsafe { sys::current_location(irp) };
    // SAFETY: (Pointer) a location of an IRP that is alive, fact 4.
    let major = u32::from(unsafe { (*location).MajorFunction });
    match major {
        sys::IRP_MJ_READ | sys::IRP_MJ_WRITE => {
            // SAFETY: (Pointer) as above; a write's parameters are laid out as a read's,
            // facts 4 and 10.
            let read = unsafe { &raw const (*location).Parameters.Read };
            // SAFETY: (Ready) the I/O manager has filled it in, facts 10 and 12.
            let read = unsafe { read.read() };
            // SAFETY: (Ready) all views of a LARGE_INTEGER are integers of its 8 bytes,
            // fact 12.
            let byte_offset = unsafe { read.ByteOffset.QuadPart };
            Ok(Asked {
                direction: if major == sys::IRP_MJ_READ {
                    Direction::FromDevice
                } else {
                    Direction::ToDevice
                },
                length: read.Length,
                byte_offset: u64::try_from(byte_offset).ok(),
            })
        }
        sys::IRP_MJ_DEVICE_CONTROL => {
            // SAFETY: (Pointer) as above; the major code says which member is in use, facts
            // 10 and 12.
            let control = unsafe { &raw const (*location).Parameters.DeviceIoControl };
            // SAFETY: (Ready) the I/O manager has filled it in, fact 10.
            let control = unsafe { control.read() };
            let direction = match control.IoControlCode & METHOD_MASK {
                METHOD_IN_DIRECT => Direction::ToDevice,
                METHOD_OUT_DIRECT => Direction::FromDevice,
                _ => return Err(NtError::STATUS_INVALID_DEVICE_REQUEST),
            };
            Ok(Asked {
                direction,
                length: control.OutputBufferLength,
                byte_offset: None,
            })
        }
        _ => Err(NtError::STATUS_INVALID_DEVICE_REQUEST),
    }
}

impl<R: sealed::OwnsIrp> DirectRequest for R {
    fn direction(&self) -> Result<Direction> {
        // SAFETY: (Pointer) `self` owns the IRP, crate fact 4.
        unsafe { asked(self.irp().0) }.map(|asked| asked.direction)
    }

    fn mdl(&self) -> Result<Mdl<'_>> {
        // SAFETY: (Pointer) `self` owns the IRP, crate fact 4.
        let asked = unsafe { asked(self.irp().0) }?;
        // SAFETY: (Pointer) as above, facts 4 and 21.
        let mdl = unsafe { (*self.irp().0).MdlAddress };
        let Some(mdl) = NonNull::new(mdl) else {
            // The device does buffered I/O, or there is nothing to transfer.
            return if asked.length == 0 {
                Ok(Mdl::empty(asked.direction))
            } else {
                Err(NtError::STATUS_INVALID_DEVICE_REQUEST)
            };
        };
        // SAFETY: (Pointer) the IRP's own MDL, fact 21.
        let described = unsafe { (*mdl.as_ptr()).ByteCount };
        Ok(Mdl {
            described_by: Some(mdl),
            length: usize::try_from(described.min(asked.length)).unwrap_or(0),
            direction: asked.direction,
            request: PhantomData,
        })
    }

    fn byte_offset(&self) -> Option<u64> {
        // SAFETY: (Pointer) `self` owns the IRP, crate fact 4.
        unsafe { asked(self.irp().0) }.ok()?.byte_offset
    }
}

/// A caller's locked buffer, borrowed from its request.
#[derive(Clone, Copy, Debug)]
pub struct Mdl<'a> {
    /// `None` for an empty buffer.
    described_by: Option<NonNull<sys::MDL>>,
    length: usize,
    direction: Direction,
    request: PhantomData<&'a ()>,
}

impl Mdl<'_> {
    const fn empty(direction: Direction) -> Self {
        Self {
            described_by: None,
            length: 0,
            direction,
            request: PhantomData,
        }
    }

    /// Length of the buffer in bytes.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// Whether there is nothing to transfer.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Which way the data goes.
    #[must_use]
    pub const fn direction(&self) -> Direction {
        self.direction
    }

    /// Copies from the buffer. Wraps `MmGetSystemAddressForMdlSafe`.
    ///
    /// User mode can change the bytes at any time: look at the copy, and copy once.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    ///
    /// # Errors
    /// STATUS_BUFFER_TOO_SMALL if the buffer has not so many bytes from `offset` on,
    /// STATUS_INSUFFICIENT_RESOURCES if the kernel cannot map it.
    pub fn copy_to<I: AtMostDispatch>(
        &self,
        irql: &mut I,
        offset: usize,
        destination: &mut [u8],
    ) -> Result<()> {
        if destination.is_empty() {
            return Ok(());
        }
        self.mapped(irql)?.copy_to(offset, destination)
    }

    /// Copies into the buffer. Wraps `MmGetSystemAddressForMdlSafe`.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    ///
    /// # Errors
    /// As [`copy_to`](Self::copy_to); STATUS_INVALID_DEVICE_REQUEST if the buffer was locked
    /// for reading.
    pub fn copy_from<I: AtMostDispatch>(
        &self,
        irql: &mut I,
        offset: usize,
        source: &[u8],
    ) -> Result<()> {
        if self.direction == Direction::ToDevice {
            return Err(NtError::STATUS_INVALID_DEVICE_REQUEST);
        }
        if source.is_empty() {
            return Ok(());
        }
        self.mapped(irql)?.copy_from(offset, source)
    }

    /// The buffer in the system's address space. Is `MmGetSystemAddressForMdlSafe`.
    fn mapped<I: AtMostDispatch>(&self, _irql: &mut I) -> Result<SharedBytes> {
        let mdl = self
            .described_by
            .ok_or(NtError::STATUS_BUFFER_TOO_SMALL)?
            .as_ptr();
        // SAFETY: (Pointer) the MDL of a request that is borrowed, fact 21.
        let flags = unsafe { (*mdl).MdlFlags };
        let base = if flags & HAS_SYSTEM_ADDRESS != 0 {
            // SAFETY: (Pointer) as above, fact 21.
            unsafe { (*mdl).MappedSystemVa }
        } else {
            // SAFETY: (IRQL) the token says at most DISPATCH_LEVEL. (Pointer) as above; its
            // pages are locked, fact 21, and nobody else maps it: the request has one owner.
            unsafe {
                sys::MmMapLockedPagesSpecifyCache(
                    mdl,
                    sys::KERNEL_MODE,
                    CACHED,
                    core::ptr::null_mut(),
                    0,
                    PRIORITY,
                )
            }
        };
        let base = NonNull::new(base.cast()).ok_or(NtError::STATUS_INSUFFICIENT_RESOURCES)?;
        // SAFETY: (Pointer) the mapping has the MDL's bytes and stands while the request is
        // borrowed, fact 21. (Aliasing) nobody forms a reference to a caller's buffer.
        Ok(unsafe { SharedBytes::new(base, self.length) })
    }

    /// The MDL and the index of its first byte, for the DMA operations. Is
    /// `MmGetMdlVirtualAddress`.
    pub(crate) fn for_device(&self) -> Option<(*mut sys::MDL, usize)> {
        let mdl = self.described_by?.as_ptr();
        // SAFETY: (Pointer) the MDL of a request that is borrowed, fact 21.
        let start = unsafe { (*mdl).StartVa };
        // SAFETY: (Pointer) as above, fact 21.
        let skew = unsafe { (*mdl).ByteOffset };
        let index = start.addr().checked_add(usize::try_from(skew).ok()?)?;
        Some((mdl, index))
    }
}

#[cfg(test)]
pub(crate) mod tests;

//! Common buffers: memory that the device and the processor share for as long as the device
//! runs.

use core::{cell::UnsafeCell, marker::PhantomPinned, pin::Pin, ptr::NonNull};

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::{adapter::DmaAdapter, address::LogicalAddress};
use crate::{
    device::Device,
    driver::Driver,
    irql::Passive,
    object_table::Registered,
    run_down::RunDown,
    shared_bytes::SharedBytes,
    status::{NtError, Result},
    sys,
};

/// `CacheEnabled`, which x64 ignores.
const CACHED: sys::BOOLEAN = 1;

/// What is known of an allocated buffer.
#[derive(Clone, Copy, Debug)]
struct Allocated {
    adapter: NonNull<DmaAdapter>,
    base: NonNull<u8>,
    logical: LogicalAddress,
}

/// `LENGTH` bytes that the device and the processor share, as a field of the device
/// extension.
///
/// Both may write at any time, so what is read is a copy. A word that device and driver
/// hand to each other is read and written in one access.
#[derive(Debug)]
pub struct CommonBuffer<const LENGTH: usize> {
    run_down: RunDown,
    /// Written while opening and closing, read behind the run-down.
    allocated: UnsafeCell<Option<Allocated>>,
    /// The device has its address.
    _pinned: PhantomPinned,
}

// SAFETY: (Aliasing) the cell is written by the one thread that opens or closes the
// run-down and read behind it; the bytes are accessed atomically, fact 22.
unsafe impl<const LENGTH: usize> Sync for CommonBuffer<LENGTH> {}
// SAFETY: belongs to no thread; moved only before it is registered, fact 2.
unsafe impl<const LENGTH: usize> Send for CommonBuffer<LENGTH> {}

impl<const LENGTH: usize> Default for CommonBuffer<LENGTH> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const LENGTH: usize> CommonBuffer<LENGTH> {
    /// A buffer that is not allocated.
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(LENGTH > 0, "a common buffer has at least one byte") };
        Self {
            run_down: RunDown::new(),
            allocated: UnsafeCell::new(None),
            _pinned: PhantomPinned,
        }
    }

    /// Allocates the buffer and fills it with zeros; where the device finds it. Wraps
    /// `AllocateCommonBuffer`; see "Using Common-Buffer Bus-Master DMA".
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    ///
    /// # Errors
    /// STATUS_INSUFFICIENT_RESOURCES if there is no such memory, STATUS_DEVICE_BUSY if it is
    /// allocated already, STATUS_DEVICE_NOT_READY if the adapter is not open,
    /// STATUS_INVALID_PARAMETER if `self` is no part of the device's extension, or the adapter
    /// is another device's.
    pub fn allocate<E: Driver>(
        self: Pin<&Self>,
        device: &Device<E>,
        irql: &mut Passive,
        adapter: Pin<&DmaAdapter>,
    ) -> Result<LogicalAddress> {
        let this = self.get_ref();
        device.register(irql, Registered::new(this, Self::free))?;
        if !this.run_down.begin_opening() {
            return Err(NtError::STATUS_DEVICE_BUSY);
        }
        match allocate_from(irql, device, adapter.get_ref(), Self::ulong_length()) {
            Ok(allocated) => {
                // SAFETY: (Aliasing) this thread opens the run-down, and nobody is behind
                // it, fact 22.
                unsafe { *this.allocated.get() = Some(allocated) };
                this.run_down.opened();
                // A new buffer holds whatever was there before.
                this.clear()?;
                Ok(allocated.logical)
            }
            Err(error) => {
                this.run_down.closed();
                Err(error)
            }
        }
    }

    /// Frees the buffer, if it is allocated; the device must not reach it any more. Wraps
    /// `FreeCommonBuffer`.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    pub fn free(&self, irql: &mut Passive) {
        if !self.run_down.begin_closing(irql) {
            return;
        }
        self.run_down.wait(irql);
        // SAFETY: (Aliasing) this thread closes the run-down and has seen everybody leave,
        // fact 22.
        let allocated = unsafe { (*self.allocated.get()).take() };
        if let Some(allocated) = allocated {
            // SAFETY: (Pointer) the adapter and this buffer are parts of one extension, fact 2.
            let adapter = unsafe { allocated.adapter.as_ref() };
            let operations = adapter.granted().operations;
            // SAFETY: (IRQL) the token says PASSIVE_LEVEL. (Pointer) the adapter is open, fact
            // 6; the arguments are those of the allocation, which was taken out of the cell.
            unsafe {
                (operations.free_common_buffer)(
                    operations.adapter,
                    Self::ulong_length(),
                    allocated.logical.to_operation(),
                    allocated.base.as_ptr().cast(),
                    CACHED,
                );
            };
            adapter.leave();
        }
        self.run_down.closed();
    }

    /// Where the device finds the buffer; `None` if it is not allocated.
    #[must_use]
    pub fn logical_address(&self) -> Option<LogicalAddress> {
        self.with(|allocated| Ok(allocated.logical)).ok()
    }

    /// A copy of the `T` at `offset`, which the device may be writing meanwhile.
    ///
    /// # Errors
    /// STATUS_BUFFER_TOO_SMALL if it does not lie in the buffer, STATUS_DEVICE_NOT_READY if
    /// that is not allocated.
    pub fn read<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T> {
        let mut value = T::new_zeroed();
        self.copy_to(offset, value.as_mut_bytes())?;
        Ok(value)
    }

    /// Writes a `T` at `offset`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn write<T: IntoBytes + Immutable>(&self, offset: usize, value: &T) -> Result<()> {
        self.copy_from(offset, value.as_bytes())
    }

    /// Copies bytes out, from `offset` on.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn copy_to(&self, offset: usize, destination: &mut [u8]) -> Result<()> {
        self.with(|allocated| Self::bytes(allocated).copy_to(offset, destination))
    }

    /// Copies bytes in, from `offset` on.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn copy_from(&self, offset: usize, source: &[u8]) -> Result<()> {
        self.with(|allocated| Self::bytes(allocated).copy_from(offset, source))
    }

    /// The 32-bit word at `offset`, in one access; what the device wrote before it is read
    /// after it.
    ///
    /// # Errors
    /// As [`read`](Self::read); STATUS_DATATYPE_MISALIGNMENT if the offset is no multiple of 4.
    pub fn load32(&self, offset: usize) -> Result<u32> {
        self.with(|allocated| Self::bytes(allocated).load32(offset))
    }

    /// Writes the 32-bit word at `offset`, in one access; what was written before it is there
    /// when the device sees it.
    ///
    /// # Errors
    /// As [`load32`](Self::load32).
    pub fn store32(&self, offset: usize, value: u32) -> Result<()> {
        self.with(|allocated| Self::bytes(allocated).store32(offset, value))
    }

    /// As [`load32`](Self::load32), for 64 bits.
    ///
    /// # Errors
    /// As [`load32`](Self::load32).
    pub fn load64(&self, offset: usize) -> Result<u64> {
        self.with(|allocated| Self::bytes(allocated).load64(offset))
    }

    /// As [`store32`](Self::store32), for 64 bits.
    ///
    /// # Errors
    /// As [`load32`](Self::load32).
    pub fn store64(&self, offset: usize, value: u64) -> Result<()> {
        self.with(|allocated| Self::bytes(allocated).store64(offset, value))
    }

    /// Fills the buffer with zeros, a few at a time: the kernel's stack is small.
    fn clear(&self) -> Result<()> {
        const CHUNK: usize = 64;
        let mut offset: usize = 0;
        while let Some(left) = LENGTH.checked_sub(offset).filter(|left| *left > 0) {
            let zeros = [0_u8; CHUNK];
            let zeros = zeros.get(..left.min(CHUNK)).unwrap_or(&zeros);
            self.copy_from(offset, zeros)?;
            offset = offset.saturating_add(zeros.len());
        }
        Ok(())
    }

    const fn ulong_length() -> u32 {
        const {
            assert!(LENGTH <= 0x7fff_ffff, "a common buffer's length is a ULONG");
        };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the line above has looked; `try_from` is not const"
        )]
        let length = LENGTH as u32;
        length
    }

    fn bytes(allocated: &Allocated) -> SharedBytes {
        // SAFETY: (Pointer) the kernel has allocated that many bytes, which stand while the
        // caller is behind the run-down. (Aliasing) nobody forms a reference to them, fact
        // 22.
        unsafe { SharedBytes::new(allocated.base, LENGTH) }
    }

    fn with<R>(&self, routine: impl FnOnce(&Allocated) -> Result<R>) -> Result<R> {
        let not_allocated = NtError::STATUS_DEVICE_NOT_READY;
        let _pass = self.run_down.enter().ok_or(not_allocated)?;
        // SAFETY: (Aliasing) behind the run-down the cell is only read, fact 22.
        let allocated = unsafe { &*self.allocated.get() };
        routine(allocated.as_ref().ok_or(not_allocated)?)
    }
}

/// AllocateCommonBuffer.
fn allocate_from<E: Driver>(
    _irql: &mut Passive,
    device: &Device<E>,
    adapter: &DmaAdapter,
    length: u32,
) -> Result<Allocated> {
    let granted = adapter.enter()?;
    if granted.device != device.header().object() {
        adapter.leave();
        return Err(NtError::STATUS_INVALID_PARAMETER);
    }
    let operations = granted.operations;
    let mut logical = sys::LARGE_INTEGER { QuadPart: 0 };
    // SAFETY: (IRQL) the token says PASSIVE_LEVEL. (Pointer) the adapter is open, fact 22; the
    // result is this function's own.
    let base = unsafe {
        (operations.allocate_common_buffer)(operations.adapter, length, &raw mut logical, CACHED)
    };
    let Some(base) = NonNull::new(base.cast()) else {
        adapter.leave();
        return Err(NtError::STATUS_INSUFFICIENT_RESOURCES);
    };
    Ok(Allocated {
        adapter: NonNull::from(adapter),
        base,
        logical: LogicalAddress::new(logical),
    })
}

//! Device registers. Wraps `MmMapIoSpaceEx`, `READ_REGISTER_ULONG`,
//! `WRITE_REGISTER_ULONG`, `MmUnmapIoSpace`.

use core::{
    ptr::NonNull,
    sync::atomic::{Ordering, compiler_fence},
};

use crate::{
    irql::{self, Passive},
    resources::MemoryResource,
    status::{NtError, Result},
    stop_code::{Reason, stop},
    sys,
};

const PAGE_READWRITE: u32 = 0x04;
const PAGE_NOCACHE: u32 = 0x200;

/// The first `LENGTH` bytes of a device's memory, mapped uncached.
///
/// Dropping it unmaps; nothing can be left over that still reads or writes.
#[derive(Debug)]
pub struct IoMem<const LENGTH: usize> {
    base: NonNull<u8>,
}

// SAFETY: device memory belongs to no thread, and the mapping is the whole system's.
unsafe impl<const LENGTH: usize> Send for IoMem<LENGTH> {}

impl<const LENGTH: usize> IoMem<LENGTH> {
    /// Maps the range.
    ///
    /// # Errors
    /// STATUS_DEVICE_CONFIGURATION_ERROR if the device has less memory than `LENGTH`,
    /// STATUS_INSUFFICIENT_RESOURCES if the kernel cannot map it.
    pub fn map(_irql: &mut Passive, resource: &MemoryResource<'_>) -> Result<Self> {
        const { assert!(LENGTH > 0, "nothing to map") };
        let wanted = u64::try_from(LENGTH).unwrap_or(u64::MAX);
        if resource.length() < wanted {
            return Err(NtError::STATUS_DEVICE_CONFIGURATION_ERROR);
        }
        let address = sys::LARGE_INTEGER {
            QuadPart: resource.start().cast_signed(),
        };
        // SAFETY: (IRQL) the token says PASSIVE_LEVEL. The range is in a translated
        // memory resource of the device, for nothing else makes a `MemoryResource`; so
        // mapping it uncached conflicts with nobody.
        let base =
            unsafe { sys::MmMapIoSpaceEx(address, LENGTH as u64, PAGE_READWRITE | PAGE_NOCACHE) };
        NonNull::new(base.cast())
            .map(|base| Self { base })
            .ok_or(NtError::STATUS_INSUFFICIENT_RESOURCES)
    }

    /// Reads a 32-bit register. Like a device that has no such register, an offset
    /// that is unaligned or past the end answers with all ones; for a constant offset
    /// the check vanishes.
    #[inline]
    #[must_use]
    pub fn read32(&self, offset: usize) -> u32 {
        let Some(register) = self.register(offset) else {
            return u32::MAX;
        };
        // As READ_REGISTER_ULONG: nothing is moved across it.
        compiler_fence(Ordering::SeqCst);
        // SAFETY: (Pointer) inside the mapping and aligned, says `register`; the mapping
        // stands until `self` is dropped. Any value that a device returns is a u32.
        let value = unsafe { register.as_ptr().read_volatile() };
        compiler_fence(Ordering::SeqCst);
        value
    }

    /// Writes a 32-bit register; an offset that is unaligned or past the end reaches
    /// nothing. Uncached writes are strongly ordered on x64, so the compiler alone has
    /// to be kept from moving them.
    #[inline]
    pub fn write32(&mut self, offset: usize, value: u32) {
        let Some(register) = self.register(offset) else {
            return;
        };
        compiler_fence(Ordering::SeqCst);
        // SAFETY: (Pointer) as in `read32`.
        unsafe { register.as_ptr().write_volatile(value) };
        compiler_fence(Ordering::SeqCst);
    }

    #[inline]
    const fn register(&self, offset: usize) -> Option<NonNull<u32>> {
        if !offset.is_multiple_of(size_of::<u32>())
            || offset > LENGTH.saturating_sub(size_of::<u32>())
        {
            return None;
        }
        // SAFETY: (Pointer) the offset is inside the mapping.
        Some(unsafe { self.base.byte_add(offset) }.cast())
    }
}

impl<const LENGTH: usize> Drop for IoMem<LENGTH> {
    fn drop(&mut self) {
        if irql::current() > irql::APC_LEVEL {
            stop(Reason::DroppedTooHigh, self.base.addr().get());
        }
        // SAFETY: (IRQL) at most APC_LEVEL, looked at just now: the page of the routine says
        // DISPATCH_LEVEL, Driver Verifier APC_LEVEL. (Pointer) base and
        // length are those of the mapping, which is used no more.
        unsafe { sys::MmUnmapIoSpace(self.base.as_ptr().cast(), LENGTH as u64) };
    }
}

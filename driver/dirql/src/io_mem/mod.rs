//! Device registers. Wraps `MmMapIoSpaceEx`, `MmUnmapIoSpace` and the routines and
//! macros `READ_REGISTER_UCHAR`, `READ_REGISTER_USHORT`, `READ_REGISTER_ULONG`,
//! `READ_REGISTER_ULONG64` and `WRITE_REGISTER_` of the same.
//!
//! # Model
//!
//! [`IoMem`] is the first bytes of one memory range of a device, mapped. A driver
//! names its registers as constants of type [`Register`]: width, offset and direction
//! are then part of the program text, and a register that is misaligned, past the end
//! or written although it only can be read does not compile. Offsets that are known at
//! run time only go through [`IoMem::read_at`] and [`IoMem::write_at`], which look.
//!
//! ```
//! use dirql::io_mem::{IoMem, ReadOnly, ReadWrite, Register};
//!
//! /// Bytes of the registers.
//! const LENGTH: usize = 0x40;
//! const STATUS: Register<LENGTH, 0x24, u32, ReadOnly> = Register::new();
//! const COMMAND: Register<LENGTH, 0x08, u32, ReadWrite> = Register::new();
//!
//! fn start(registers: &mut IoMem<LENGTH>) -> u32 {
//!     registers.write(COMMAND, 1);
//!     registers.read(STATUS)
//! }
//! ```
//!
//! # Contexts
//!
//! | operation | caller | token | may block |
//! |---|---|---|---|
//! | `map` | START_DEVICE | `Passive` | yes |
//! | `read`, `write` | whoever owns or borrows the mapping, at any IRQL | none | no |
//! | drop | STOP_DEVICE, REMOVE_DEVICE | looked at: at most APC_LEVEL | yes |
//!
//! # Soundness
//!
//! Facts 1 to 5 of the crate, and of this module:
//!
//! 19. **Mapped.** The first `LENGTH` bytes from `base` are mapped from `map` until the
//!     drop of the one owner. Forgetting the owner leaves them mapped for good.
//! 20. **Inside.** A [`Register`] is made by [`Register::new`] alone, which does not compile
//!     unless offset and width lie in `LENGTH` bytes and the offset is aligned.
//!
//! # Not here
//!
//! Port I/O: PCI devices of today have their registers in memory.

mod register;

pub use register::{ReadOnly, ReadWrite, Readable, Register, Width, Writable, WriteOnly};

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

// SAFETY: device memory belongs to no thread, and the mapping is the whole system's, fact
// 19.
unsafe impl<const LENGTH: usize> Send for IoMem<LENGTH> {}

impl<const LENGTH: usize> IoMem<LENGTH> {
    /// Maps the range.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
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
        // SAFETY: (IRQL) the token says PASSIVE_LEVEL. The range is in a translated memory
        // resource of the device, for nothing else makes a `MemoryResource`; so mapping it
        // uncached conflicts with nobody, facts 5, 10 and 19.
        let base =
            unsafe { sys::MmMapIoSpaceEx(address, LENGTH as u64, PAGE_READWRITE | PAGE_NOCACHE) };
        NonNull::new(base.cast())
            .map(|base| Self { base })
            .ok_or(NtError::STATUS_INSUFFICIENT_RESOURCES)
    }

    /// Reads a register. Is `READ_REGISTER_ULONG`, or that of another width.
    ///
    /// # IRQL
    /// Any.
    ///
    /// ```compile_fail
    /// # use dirql::io_mem::{IoMem, ReadWrite, Register};
    /// const PAST_THE_END: Register<0x40, 0x40, u32, ReadWrite> = Register::new();
    /// ```
    #[inline]
    #[must_use]
    pub fn read<const OFFSET: usize, W: Width, A: Readable>(
        &self,
        _register: Register<LENGTH, OFFSET, W, A>,
    ) -> W {
        // SAFETY: (Pointer) inside the mapping and aligned, facts 19 and 20.
        unsafe { self.load(OFFSET) }
    }

    /// Writes a register. Is `WRITE_REGISTER_ULONG`, or that of another width.
    ///
    /// # IRQL
    /// Any.
    #[inline]
    pub fn write<const OFFSET: usize, W: Width, A: Writable>(
        &mut self,
        _register: Register<LENGTH, OFFSET, W, A>,
        value: W,
    ) {
        // SAFETY: (Pointer) as in `read`, facts 19 and 20.
        unsafe { self.store(OFFSET, value) };
    }

    /// Reads the register at an offset that is known at run time only. Like a device that has
    /// no such register, an offset that is unaligned or past the end answers with all
    /// ones; for a constant offset the check vanishes.
    ///
    /// # IRQL
    /// Any.
    #[inline]
    #[must_use]
    pub fn read_at<W: Width>(&self, offset: usize) -> W {
        if !register::fits::<W>(offset, LENGTH) {
            return W::ALL_ONES;
        }
        // SAFETY: (Pointer) inside the mapping, fact 19, and aligned: looked at just now.
        unsafe { self.load(offset) }
    }

    /// Writes the register at an offset that is known at run time only; one that is unaligned
    /// or past the end reaches nothing.
    ///
    /// # IRQL
    /// Any.
    #[inline]
    pub fn write_at<W: Width>(&mut self, offset: usize, value: W) {
        if register::fits::<W>(offset, LENGTH) {
            // SAFETY: (Pointer) as in `read_at`, facts 19 and 20.
            unsafe { self.store(offset, value) };
        }
    }

    /// Reads a 32-bit register; see [`read_at`](Self::read_at).
    ///
    /// # IRQL
    /// Any.
    #[inline]
    #[must_use]
    pub fn read32(&self, offset: usize) -> u32 {
        self.read_at(offset)
    }

    /// Writes a 32-bit register; see [`write_at`](Self::write_at).
    ///
    /// # IRQL
    /// Any.
    #[inline]
    pub fn write32(&mut self, offset: usize, value: u32) {
        self.write_at(offset, value);
    }

    /// # Safety
    /// The register lies in the mapping and is aligned.
    #[inline]
    unsafe fn load<W: Width>(&self, offset: usize) -> W {
        // SAFETY: (Pointer) inside the mapping, says the contract, facts 19 and 20.
        let register = unsafe { self.base.byte_add(offset) }.cast::<W>();
        // As READ_REGISTER_ULONG: nothing is moved across it.
        compiler_fence(Ordering::SeqCst);
        // SAFETY: (Pointer) as above, aligned, and mapped while `self` exists, fact 19. (Ready)
        // any value that a device returns is an integer.
        let value = unsafe { register.as_ptr().read_volatile() };
        compiler_fence(Ordering::SeqCst);
        value
    }

    /// Uncached writes are strongly ordered on x64, so the compiler alone has to be kept
    /// from moving them.
    ///
    /// # Safety
    /// The register lies in the mapping and is aligned.
    #[inline]
    unsafe fn store<W: Width>(&mut self, offset: usize, value: W) {
        // SAFETY: (Pointer) inside the mapping, says the contract, facts 19 and 20.
        let register = unsafe { self.base.byte_add(offset) }.cast::<W>();
        compiler_fence(Ordering::SeqCst);
        // SAFETY: (Pointer) as in `load`, facts 19 and 20.
        unsafe { register.as_ptr().write_volatile(value) };
        compiler_fence(Ordering::SeqCst);
    }
}

impl<const LENGTH: usize> Drop for IoMem<LENGTH> {
    fn drop(&mut self) {
        if irql::current() > irql::APC_LEVEL {
            stop(Reason::DroppedTooHigh, self.base.addr().get());
        }
        // SAFETY: (IRQL) at most APC_LEVEL, looked at just now: the page of the routine
        // says DISPATCH_LEVEL, Driver Verifier APC_LEVEL. (Pointer) base and length are
        // those of the mapping, which is used no more, facts 5, 10 and 19.
        unsafe { sys::MmUnmapIoSpace(self.base.as_ptr().cast(), LENGTH as u64) };
    }
}

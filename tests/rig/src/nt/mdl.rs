//! Memory descriptor lists: a caller's buffer, locked for direct I/O.
//!
//! # Model
//! A [`LockedBuffer`] is the buffer of a read, a write or a direct control request,
//! locked as the I/O manager locks it: the driver gets an MDL, and neither an
//! address nor the right to touch the memory before it maps it
//! (MmGetSystemAddressForMdlSafe, whose export is MmMapLockedPagesSpecifyCache). The
//! virtual address in the MDL is one that nothing is mapped at, so a driver that
//! takes this index for a pointer faults. When the request is answered the mapping
//! goes away.
//!
//! # Soundness
//! 1. Pages and MDL belong to the buffer until it is released; the MDL's memory is
//!    never given back. Access to both is by value, as on Windows, where user mode, the
//!    driver and the executive reach the same bytes.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use wdk_sys::{
    CSHORT, MDL, MDL_MAPPED_TO_SYSTEM_VA, MDL_PAGES_LOCKED, MDL_WRITE_OPERATION,
    MEMORY_CACHING_TYPE, PMDL, PVOID, ULONG,
};

use crate::machine::memory;
use crate::machine::sync::IrqLock;
use crate::nt::address;
use crate::nt::fault;
use crate::nt::kernel_memory::{allocate, fields};
use crate::nt::output;
use crate::nt::poison::{self, Form};
use crate::nt::routine::Routine;
use crate::nt::violation::{check, fatal};

/// Bytes in a page, as MDLs count.
pub(crate) const PAGE: usize = memory::PAGE;
/// Where callers' buffers seem to lie: nothing is mapped there.
const USER_SPACE: usize = 0x7ff0_0000_0000;
/// What the pages around the buffer are filled with.
const GUARD_BYTE: u8 = 0xfd;
/// `MdlMappingNoExecute`.
const NO_EXECUTE: i32 = 0x4000_0000;

/// For what a buffer was probed and locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// The device or the driver reads it: `IoReadAccess`.
    Read,
    /// The device or the driver writes it: `IoWriteAccess`.
    Write,
}

/// A caller's buffer and the MDL that describes it.
pub(crate) struct LockedBuffer {
    mdl: NonNull<MDL>,
    /// The first of its pages, in the rig's address space.
    base: usize,
    pages: usize,
    /// Where in the first page it begins.
    offset: usize,
    length: usize,
    access: Access,
    /// What it held when it was locked.
    before: Vec<u8>,
    /// How much of that was the program's; the rest was poisoned.
    own: usize,
}

// SAFETY: Fact 1: access is by value.
unsafe impl Send for LockedBuffer {}
// SAFETY: As above.
unsafe impl Sync for LockedBuffer {}

fields!(LockedBuffer {
    _ / set_size: CSHORT = Size;
    flags / set_flags: CSHORT = MdlFlags;
    _ / set_mapped_address: PVOID = MappedSystemVa;
    _ / set_start_address: PVOID = StartVa;
    _ / set_byte_count: ULONG = ByteCount;
    _ / set_byte_offset: ULONG = ByteOffset;
});

/// Buffers that are locked, by the address of their MDL.
static LOCKED: IrqLock<BTreeMap<usize, Arc<LockedBuffer>>> = IrqLock::new(BTreeMap::new());
/// The page of user space that the next buffer seems to lie in.
static NEXT_PAGE: AtomicUsize = AtomicUsize::new(1);

/// The buffer that this MDL describes; ends the run when there is none.
pub(crate) fn locked(routine: &str, mdl: PMDL) -> Arc<LockedBuffer> {
    LOCKED
        .with(|locked| locked.get(&address::of(mdl)).cloned())
        .unwrap_or_else(|| {
            fatal(
                "NO-SUCH-MDL",
                routine,
                format_args!("The address {mdl:p} is no MDL of a buffer that is locked."),
            )
        })
}

impl LockedBuffer {
    /// Locks a buffer that holds `contents` and is `length` bytes long, which begins
    /// somewhere in its first page as buffers do. `None` when it is empty: there is no
    /// MDL then.
    ///
    /// # Panics
    /// When the rig has no memory left.
    pub(crate) fn lock(contents: &[u8], length: usize, access: Access) -> Option<Arc<Self>> {
        if length == 0 {
            return None;
        }
        let page = NEXT_PAGE.fetch_add(1, Ordering::Relaxed);
        let offset = (page * 0x124) % PAGE;
        let pages = (offset + length).div_ceil(PAGE);
        let base = memory::allocate_guarded(pages * PAGE)
            .unwrap_or_else(|| panic!("no memory for a buffer of {length} bytes"));
        let mut before = poison::BUFFER.bytes(length);
        before
            .iter_mut()
            .zip(contents)
            .for_each(|(to, from)| *to = *from);
        let size = size_of::<MDL>() + pages * size_of::<u64>();
        let buffer = Self {
            mdl: allocate(size).cast(),
            base: address::of(base),
            pages,
            offset,
            length,
            access,
            before,
            own: contents.len(),
        };
        for index in 0..pages * PAGE {
            buffer.write_page_byte(index, GUARD_BYTE);
        }
        buffer.copy_in(0, &buffer.before);
        buffer.describe(size, page);
        let buffer = Arc::new(buffer);
        LOCKED.with(|locked| locked.insert(address::of(buffer.pointer()), buffer.clone()));
        Some(buffer)
    }

    /// Fills in the MDL.
    fn describe(&self, size: usize, page: usize) {
        let write = match self.access {
            Access::Read => 0,
            Access::Write => MDL_WRITE_OPERATION,
        };
        self.set_size(CSHORT::try_from(size).unwrap_or(CSHORT::MAX));
        self.set_flags(CSHORT::try_from(MDL_PAGES_LOCKED | write).unwrap_or_default());
        // A 64 KiB granule each, so that no two seem to adjoin.
        self.set_start_address(address::to_pointer(USER_SPACE + page * 0x1_0000));
        self.set_byte_count(ULONG::try_from(self.length).unwrap_or(ULONG::MAX));
        self.set_byte_offset(ULONG::try_from(self.offset).unwrap_or(ULONG::MAX));
        let frames = address::of(self.pointer()) + size_of::<MDL>();
        for index in 0..self.pages {
            let virtual_address = self.base + index * PAGE;
            let frame = memory::physical_address(address::to_pointer::<u8>(virtual_address))
                .map_or(0, |at| at >> 12);
            let slot: *mut u64 = address::to_pointer(frames + index * size_of::<u64>());
            // SAFETY: Fact 1: `lock` allocated a frame number for each page.
            unsafe { slot.write_volatile(frame) };
        }
    }

    /// The MDL as drivers see it.
    pub(crate) fn pointer(&self) -> PMDL {
        self.mdl.as_ptr()
    }

    /// What MmGetMdlVirtualAddress says: an index, at which nothing is mapped.
    pub(crate) fn virtual_address(&self) -> usize {
        // SAFETY: Fact 1.
        let start = unsafe { (*self.pointer()).StartVa };
        address::of(start) + self.offset
    }

    /// Where in its first page the buffer begins.
    pub(crate) const fn offset(&self) -> usize {
        self.offset
    }

    /// How long it is.
    pub(crate) const fn length(&self) -> usize {
        self.length
    }

    /// For what it was locked.
    pub(crate) const fn access(&self) -> Access {
        self.access
    }

    fn write_page_byte(&self, index: usize, value: u8) {
        // SAFETY: Fact 1; callers stay inside the pages.
        unsafe { address::to_pointer::<u8>(self.base + index).write_volatile(value) };
    }

    fn read_page_byte(&self, index: usize) -> u8 {
        // SAFETY: Fact 1; callers stay inside the pages.
        unsafe { address::to_pointer::<u8>(self.base + index).read_volatile() }
    }

    /// Copies into the buffer, as a map register's flush does.
    ///
    /// # Panics
    /// When that is not inside the buffer.
    pub(crate) fn copy_in(&self, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= self.length, "outside the buffer");
        for (index, byte) in bytes.iter().enumerate() {
            self.write_page_byte(self.offset + at + index, *byte);
        }
    }

    /// Copies out of the buffer.
    ///
    /// # Panics
    /// When that is not inside the buffer.
    pub(crate) fn copy_out(&self, at: usize, length: usize) -> Vec<u8> {
        assert!(at + length <= self.length, "outside the buffer");
        (0..length)
            .map(|index| self.read_page_byte(self.offset + at + index))
            .collect()
    }

    /// Maps the buffer into the system's address space.
    fn map(&self) -> PVOID {
        let mapped = address::to_pointer(self.base + self.offset);
        self.set_mapped_address(mapped);
        let flag = CSHORT::try_from(MDL_MAPPED_TO_SYSTEM_VA).unwrap_or_default();
        self.set_flags(self.flags() | flag);
        mapped
    }

    /// Checks what became of the buffer, now that its request has ended, and gives
    /// up its pages; what it holds, as far as `information` says. PASSIVE_LEVEL.
    pub(crate) fn release(&self, routine: &str, information: usize) -> Vec<u8> {
        let end = self.offset + self.length;
        let is_intact = (0..self.offset)
            .chain(end..self.pages * PAGE)
            .all(|index| self.read_page_byte(index) == GUARD_BYTE);
        check!(
            Pool03,
            routine,
            is_intact,
            "Something was written outside the locked buffer of a request, {} bytes.",
            self.length
        );
        let contents = self.copy_out(0, self.length);
        check!(
            Pool03,
            routine,
            self.access == Access::Write || contents == self.before,
            "A buffer that was locked for reading was written to."
        );
        check!(
            Irp14,
            routine,
            information <= self.length,
            "A request was completed with Information {information}; its buffer has {} bytes.",
            self.length
        );
        let was_locked = LOCKED.with(|locked| locked.remove(&address::of(self.pointer())));
        if was_locked.is_some() {
            memory::free_guarded(address::to_pointer(self.base), self.pages * PAGE);
        }
        let returned: Vec<u8> = contents.into_iter().take(information).collect();
        if self.access == Access::Write {
            output::assert_fit(routine, &returned, Form::Data, self.own);
        }
        returned
    }
}

/// MmMapLockedPagesSpecifyCache, for buffers that the I/O manager locked.
pub(crate) unsafe extern "C" fn mm_map_locked_pages_specify_cache(
    mdl: PMDL,
    mode: i8,
    cache: MEMORY_CACHING_TYPE,
    base: PVOID,
    bug_check_on_failure: ULONG,
    priority: i32,
) -> PVOID {
    let routine = Routine::MmMapLockedPagesSpecifyCache;
    routine.enter();
    check!(
        Pool07,
        routine,
        priority & NO_EXECUTE != 0,
        "An executable mapping was asked for: the priority {priority:#x} lacks MdlMappingNoExecute."
    );
    let is_plain = mode == 0 && cache == wdk_sys::_MEMORY_CACHING_TYPE::MmCached && base.is_null();
    if !is_plain {
        fatal(
            "UNKNOWN-MAPPING",
            routine.name(),
            format_args!(
                "The rig maps locked pages for the kernel, cached, at an address of its choice; mode {mode}, cache type {cache} and base {base:p} were asked for."
            ),
        );
    }
    let buffer = locked(routine.name(), mdl);
    // What is mapped already stays so, and a caller for whom a failure is a bug check never
    // sees one.
    if bug_check_on_failure == 0 && fault::strikes_with_null(routine) {
        return core::ptr::null_mut();
    }
    buffer.map()
}

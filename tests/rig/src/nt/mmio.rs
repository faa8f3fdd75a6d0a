//! Device memory: MmMapIoSpaceEx and MmUnmapIoSpace.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use wdk_sys::{PHYSICAL_ADDRESS, PVOID, SIZE_T, ULONG};

use crate::machine::memory;
use crate::machine::sync::IrqLock;
use crate::nt::routine::Routine;
use crate::nt::violation::check;
use crate::nt::{address, fault, node, pnp};

const PAGE_READONLY: ULONG = 0x02;
const PAGE_READWRITE: ULONG = 0x04;
const PAGE_NOCACHE: ULONG = 0x200;
const PAGE_WRITECOMBINE: ULONG = 0x400;

/// A mapping.
#[derive(Clone, Copy)]
struct Mapping {
    physical: u64,
    length: usize,
}

/// Mappings by the address that the driver has.
static MAPPINGS: IrqLock<BTreeMap<usize, Mapping>> = IrqLock::new(BTreeMap::new());

/// Those that are closed, with their lengths.
static CLOSED: IrqLock<BTreeMap<usize, usize>> = IrqLock::new(BTreeMap::new());

/// Whether a protection is one access, optionally with one kind of caching.
fn is_valid(protect: ULONG) -> bool {
    let access = protect & !(PAGE_NOCACHE | PAGE_WRITECOMBINE);
    let caching = protect & (PAGE_NOCACHE | PAGE_WRITECOMBINE);
    matches!(access, PAGE_READONLY | PAGE_READWRITE) && caching.count_ones() <= 1
}

/// MmMapIoSpaceEx.
pub(crate) extern "C" fn mm_map_io_space_ex(
    physical: PHYSICAL_ADDRESS,
    length: SIZE_T,
    protect: ULONG,
) -> PVOID {
    let routine = Routine::MmMapIoSpaceEx;
    routine.enter();
    // SAFETY: Every bit pattern of a PHYSICAL_ADDRESS is an i64.
    let physical = unsafe { physical.QuadPart }.cast_unsigned();
    check!(
        Mmio01,
        routine,
        is_valid(protect),
        "The protection {protect:#x} is not one access that is never executable, with one kind of caching."
    );
    check!(
        Mmio01,
        routine,
        length != 0 && node::owns_memory(physical, length),
        "The range {physical:#x}, {length} bytes, lies in no memory resource of a started device."
    );
    if let Some(node) = node::of_memory(physical) {
        pnp::assert_may_use_hardware(routine, &node);
    }
    let Ok(length) = usize::try_from(length) else {
        return core::ptr::null_mut();
    };
    if fault::strikes_with_null(routine) {
        return core::ptr::null_mut();
    }
    let Some(mapped) = memory::map_device(physical, length) else {
        return core::ptr::null_mut();
    };
    MAPPINGS.with(|mappings| mappings.insert(address::of(mapped), Mapping { physical, length }));
    mapped.cast()
}

/// MmUnmapIoSpace.
pub(crate) extern "C" fn mm_unmap_io_space(base: PVOID, length: SIZE_T) {
    let routine = Routine::MmUnmapIoSpace;
    routine.enter();
    let mapping = MAPPINGS.with(|mappings| mappings.remove(&address::of(base)));
    check!(
        Mmio01,
        routine,
        mapping.is_some_and(|mapping| u64::try_from(mapping.length) == Ok(length)),
        "The address {base:p}, {length} bytes, is no mapping that MmMapIoSpaceEx made ({} bytes).",
        mapping.map_or(0, |mapping| mapping.length)
    );
    if let Some(mapping) = mapping {
        CLOSED.with(|closed| closed.remove(&address::of(base)));
        memory::unmap_device(base.cast(), mapping.length);
    }
}

/// Closes every mapping of this physical range: its device is not in D0, and an access
/// ends the run.
pub(crate) fn close(physical: u64, length: u64) {
    for (address, mapping) in of_range(physical, length) {
        CLOSED.with(|closed| closed.insert(address, mapping.length));
        memory::close_device(address::to_pointer(address), mapping.length);
    }
}

/// Opens every mapping of this physical range again.
pub(crate) fn open(physical: u64, length: u64) {
    for (address, mapping) in of_range(physical, length) {
        if CLOSED.with(|closed| closed.remove(&address)).is_some() {
            memory::open_device(address::to_pointer(address), mapping.length);
        }
    }
}

/// Whether an address is in a mapping that is closed.
pub(crate) fn is_closed(address: u64) -> bool {
    let Ok(address) = usize::try_from(address) else {
        return false;
    };
    CLOSED.with(|closed| {
        let below = closed.range(..=address).next_back();
        below.is_some_and(|(start, length)| address - start < *length)
    })
}

/// The mappings of a physical range.
fn of_range(physical: u64, length: u64) -> Vec<(usize, Mapping)> {
    MAPPINGS.with(|mappings| {
        mappings
            .iter()
            .filter(|(_, mapping)| (physical..physical + length).contains(&mapping.physical))
            .map(|(address, mapping)| (*address, *mapping))
            .collect()
    })
}

/// A mapping of device memory in this physical range: its address, and what is there.
pub(crate) fn find_left(physical: u64, length: u64) -> Option<(usize, u64)> {
    MAPPINGS.with(|mappings| {
        mappings
            .iter()
            .find(|(_, mapping)| (physical..physical + length).contains(&mapping.physical))
            .map(|(address, mapping)| (*address, mapping.physical))
    })
}

/// Checks that no device memory in this physical range is mapped any more.
pub(crate) fn assert_none_left(event: &str, physical: u64, length: u64) {
    let found = find_left(physical, length);
    let (at, of) = found.unwrap_or_default();
    check!(
        Mmio01,
        event,
        found.is_none(),
        "Device memory at {of:#x} is still mapped at {at:#x}."
    );
}

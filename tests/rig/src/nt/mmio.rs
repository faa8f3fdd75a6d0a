//! Device memory: MmMapIoSpaceEx and MmUnmapIoSpace.
//!
//! A driver gets addresses where nothing is mapped. Each of its accesses faults, and
//! [`register_access`](crate::nt::register_access) makes it through a mapping of the
//! executive's own. Addresses are given out once, so a late access is known as one.
//!
//! # Soundness
//! A mapping of the executive's own is never taken down.

use alloc::collections::BTreeMap;

use wdk_sys::{PHYSICAL_ADDRESS, PVOID, SIZE_T, ULONG};

use crate::machine::memory;
use crate::machine::sync::IrqLock;
use crate::machine::word::word;
use crate::nt::node::NodeRef;
use crate::nt::routine::Routine;
use crate::nt::violation::check;
use crate::nt::{address, fault, node, pnp};

const PAGE_READONLY: ULONG = 0x02;
const PAGE_READWRITE: ULONG = 0x04;
const PAGE_NOCACHE: ULONG = 0x200;
const PAGE_WRITECOMBINE: ULONG = 0x400;

/// What a driver has mapped.
#[derive(Clone)]
struct Mapping {
    node: NodeRef,
    physical: u64,
    length: usize,
    /// Where the executive has mapped the same.
    own: usize,
}

/// A byte of device memory that a driver has mapped.
pub(crate) struct Place {
    /// The device.
    pub(crate) node: NodeRef,
    /// Bytes from the beginning of its memory range.
    pub(crate) offset: u64,
    /// Bytes from there to the end of the mapping; none behind it or before it.
    pub(crate) left: usize,
    /// Where the executive has mapped it.
    pub(crate) own: usize,
}

/// Mappings by the address that the driver has.
static MAPPINGS: IrqLock<BTreeMap<usize, Mapping>> = IrqLock::new(BTreeMap::new());

/// Those that drivers had, with their lengths.
static FORMER: IrqLock<BTreeMap<usize, usize>> = IrqLock::new(BTreeMap::new());

/// The executive's own mappings, by physical address and length.
static OWN: IrqLock<BTreeMap<(u64, usize), usize>> = IrqLock::new(BTreeMap::new());

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
    let owner = node::owner_of_memory(physical, length);
    check!(
        Mmio01,
        routine,
        length != 0 && owner.is_some(),
        "The range {physical:#x}, {length} bytes, lies in no memory resource of a started device."
    );
    let (Some(node), Ok(length)) = (owner, usize::try_from(length)) else {
        return core::ptr::null_mut();
    };
    pnp::assert_may_use_hardware(routine, &node);
    if fault::strikes_with_null(routine) {
        return core::ptr::null_mut();
    }
    let (Some(own), Some(mapped)) = (
        own_mapping(physical, length),
        memory::reserve_device(physical, length),
    ) else {
        return core::ptr::null_mut();
    };
    let mapping = Mapping {
        node,
        physical,
        length,
        own,
    };
    MAPPINGS.with(|mappings| mappings.insert(address::of(mapped), mapping));
    mapped.cast()
}

/// The executive's own mapping of a range.
fn own_mapping(physical: u64, length: usize) -> Option<usize> {
    OWN.with(|own| {
        if let Some(known) = own.get(&(physical, length)) {
            return Some(*known);
        }
        let mapped = address::of(memory::map_device(physical, length)?);
        own.insert((physical, length), mapped);
        Some(mapped)
    })
}

/// MmUnmapIoSpace.
pub(crate) extern "C" fn mm_unmap_io_space(base: PVOID, length: SIZE_T) {
    let routine = Routine::MmUnmapIoSpace;
    routine.enter();
    let at = address::of(base);
    // Another processor that touches it meanwhile finds one or the other.
    if let Some(length) = MAPPINGS.with(|mappings| Some(mappings.get(&at)?.length)) {
        FORMER.with(|former| former.insert(at, length));
    }
    let mapping = MAPPINGS.with(|mappings| mappings.remove(&at));
    let mapped = mapping.as_ref().map_or(0, |mapping| mapping.length);
    check!(
        Mmio01,
        routine,
        mapping.is_some() && u64::try_from(mapped) == Ok(length),
        "The address {base:p}, {length} bytes, is no mapping that MmMapIoSpaceEx made ({mapped} bytes)."
    );
}

/// Whether an address lies in the pages of a mapping that begins at `start`.
fn is_in_pages(start: usize, length: usize, address: usize) -> bool {
    let page = |address: usize| address / memory::PAGE;
    (page(start)..=page(start + length - 1)).contains(&page(address))
}

/// Whether an address is one that a driver has for a device register. Any IRQL.
pub(crate) fn is_register(address: u64) -> bool {
    if !memory::is_device(address) {
        return false;
    }
    let address = word(address);
    MAPPINGS.with(|mappings| {
        mappings
            .iter()
            .any(|(start, mapping)| is_in_pages(*start, mapping.length, address))
    })
}

/// What a driver has mapped at this address. Any IRQL.
pub(crate) fn find(address: u64) -> Option<Place> {
    let address = word(address);
    MAPPINGS.with(|mappings| {
        let (start, mapping) = mappings
            .iter()
            .find(|(start, mapping)| is_in_pages(**start, mapping.length, address))?;
        let at = address.wrapping_sub(*start);
        let (base, _) = mapping.node.memory();
        Some(Place {
            node: mapping.node.clone(),
            offset: (mapping.physical - base).wrapping_add(at as u64),
            left: mapping.length.saturating_sub(at),
            own: mapping.own.wrapping_add(at),
        })
    })
}

/// Whether an address is one that a driver had for a device register. Any IRQL.
pub(crate) fn was_register(address: u64) -> bool {
    let address = word(address);
    FORMER
        .with_unless_held(|former| {
            former
                .iter()
                .any(|(start, length)| is_in_pages(*start, *length, address))
        })
        .unwrap_or(false)
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

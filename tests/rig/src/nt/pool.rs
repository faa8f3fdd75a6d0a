//! Pool: ExAllocatePool2, ExAllocatePoolWithTag, ExFreePool, ExFreePoolWithTag.
//!
//! # Model
//! Every block stands in a ledger with its size, tag and kind, between two guards
//! of a known pattern. A freed block is filled with another pattern and kept for a
//! while, so that a second free and a late write are found, not suffered.
//!
//! # Soundness
//! 1. A [`Block`] owns the memory from `base` with `layout`; nobody else frees it.
//! 2. Guards are the executive's: they lie outside what the driver was given.

use alloc::alloc::{alloc, dealloc};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use core::alloc::Layout;
use core::ops::Range;
use core::ptr;

use wdk_sys::{POOL_FLAGS, POOL_TYPE, PVOID, SIZE_T, ULONG};

use crate::machine::cpu;
use crate::machine::sync::IrqLock;
use crate::nt::irql::{APC_LEVEL, DISPATCH_LEVEL};
use crate::nt::routine::Routine;
use crate::nt::violation::check;
use crate::nt::{address, dpc, fault, spin_lock, start_ledger, timer, work_item};

/// Bytes of guard in front of and behind a small block.
const GUARD: usize = 16;
/// Blocks of this size and more begin on a page.
const PAGE: usize = 4096;
/// What guards are filled with.
const GUARD_BYTE: u8 = 0xfd;
/// What an allocation is filled with that the driver did not ask to be zeroed.
const FRESH_BYTE: u8 = 0xcd;
/// What a freed block is filled with.
const FREED_BYTE: u8 = 0xdd;
/// Freed blocks that are kept.
const KEPT: usize = 256;

const POOL_FLAG_UNINITIALIZED: POOL_FLAGS = 0x2;
const POOL_FLAG_NON_PAGED: POOL_FLAGS = 0x40;
const POOL_FLAG_NON_PAGED_EXECUTE: POOL_FLAGS = 0x80;
const POOL_FLAG_PAGED: POOL_FLAGS = 0x100;
/// The bit of a `POOL_TYPE` that says paged.
const PAGED_POOL_MASK: POOL_TYPE = 1;

/// Whether a block may be paged out on Windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Paged,
    NonPaged,
}

/// An allocation.
#[derive(Clone, Copy)]
struct Block {
    base: usize,
    layout: Layout,
    size: usize,
    tag: ULONG,
    kind: Kind,
}

/// Blocks in use, by the address that the driver has.
static BLOCKS: IrqLock<BTreeMap<usize, Block>> = IrqLock::new(BTreeMap::new());
/// Freed blocks that are kept, oldest first.
static FREED: IrqLock<VecDeque<(usize, Block)>> = IrqLock::new(VecDeque::new());

/// A tag as people write it.
pub(crate) fn tag_text(tag: ULONG) -> String {
    tag.to_le_bytes()
        .iter()
        .map(|byte| {
            if byte.is_ascii_graphic() || *byte == b' ' {
                char::from(*byte)
            } else {
                '.'
            }
        })
        .collect()
}

/// ExAllocatePool2.
pub(crate) extern "C" fn ex_allocate_pool2(flags: POOL_FLAGS, size: SIZE_T, tag: ULONG) -> PVOID {
    let routine = Routine::ExAllocatePool2;
    routine.enter();
    if fault::strikes_with_null(routine) {
        return ptr::null_mut();
    }
    let kind = if flags & POOL_FLAG_PAGED != 0 {
        Kind::Paged
    } else if flags & (POOL_FLAG_NON_PAGED | POOL_FLAG_NON_PAGED_EXECUTE) != 0 {
        Kind::NonPaged
    } else {
        return ptr::null_mut();
    };
    let fill = if flags & POOL_FLAG_UNINITIALIZED != 0 {
        FRESH_BYTE
    } else {
        0
    };
    allocate_checked(routine, kind, size, tag, fill)
}

/// ExAllocatePoolWithTag.
pub(crate) extern "C" fn ex_allocate_pool_with_tag(
    pool_type: POOL_TYPE,
    size: SIZE_T,
    tag: ULONG,
) -> PVOID {
    let routine = Routine::ExAllocatePoolWithTag;
    routine.enter();
    if fault::strikes_with_null(routine) {
        return ptr::null_mut();
    }
    let kind = if pool_type & PAGED_POOL_MASK != 0 {
        Kind::Paged
    } else {
        Kind::NonPaged
    };
    allocate_checked(routine, kind, size, tag, FRESH_BYTE)
}

/// Allocates for the driver.
fn allocate_checked(routine: Routine, kind: Kind, size: SIZE_T, tag: ULONG, fill: u8) -> PVOID {
    let irql = cpu::irql();
    check!(
        Pool01,
        routine,
        kind == Kind::NonPaged || irql <= APC_LEVEL,
        "Paged pool was allocated at IRQL {irql}."
    );
    check!(
        Pool02,
        routine,
        size != 0 && tag != 0,
        "A pool block of {size} bytes with the tag {tag:#x} was asked for."
    );
    usize::try_from(size)
        .ok()
        .and_then(|size| allocate(kind, size, tag, fill))
        .inspect(|start| start_ledger::allocated(*start))
        .map_or(ptr::null_mut(), address::to_pointer)
}

/// Allocates a block that the driver is to free; its address.
pub(crate) fn allocate(kind: Kind, size: usize, tag: ULONG, fill: u8) -> Option<usize> {
    let front = if size >= PAGE { PAGE } else { GUARD };
    let layout =
        Layout::from_size_align(front.checked_add(size)?.checked_add(GUARD)?, front).ok()?;
    // SAFETY: The layout is not empty: it holds two guards.
    let base = unsafe { alloc(layout) };
    if base.is_null() {
        return None;
    }
    let base = address::of(base);
    let block = Block {
        base,
        layout,
        size,
        tag,
        kind,
    };
    let start = base + front;
    fill_range(base..start, GUARD_BYTE);
    fill_range(start..start + size, fill);
    fill_range(start + size..base + layout.size(), GUARD_BYTE);
    BLOCKS.with(|blocks| blocks.insert(start, block));
    Some(start)
}

/// Fills memory of a block that this module owns.
fn fill_range(range: Range<usize>, byte: u8) {
    // SAFETY: Fact 1: every caller passes a part of a block that it has just
    // allocated or taken out of the ledger, so it is writable and nobody uses it.
    unsafe { ptr::write_bytes(address::to_pointer::<u8>(range.start), byte, range.len()) };
}

/// Whether a part of a block has this byte everywhere.
fn is_filled(range: Range<usize>, byte: u8) -> bool {
    // SAFETY: Fact 1: every caller passes guards, or a block that was freed, of a
    // block that it took out of the ledger, so they can be read and nobody writes.
    let bytes =
        unsafe { core::slice::from_raw_parts(address::to_pointer::<u8>(range.start), range.len()) };
    bytes.iter().all(|value| *value == byte)
}

/// ExFreePool.
pub(crate) extern "C" fn ex_free_pool(block: PVOID) {
    Routine::ExFreePool.enter();
    free(Routine::ExFreePool, block, None);
}

/// ExFreePoolWithTag.
pub(crate) extern "C" fn ex_free_pool_with_tag(block: PVOID, tag: ULONG) {
    Routine::ExFreePoolWithTag.enter();
    free(Routine::ExFreePoolWithTag, block, Some(tag));
}

/// Frees a block of the driver's.
pub(crate) fn free(routine: Routine, pointer: PVOID, tag: Option<ULONG>) {
    let start = address::of(pointer);
    let block = BLOCKS.with(|blocks| blocks.remove(&start));
    let was_freed = || FREED.with(|freed| freed.iter().any(|(kept, _)| *kept == start));
    check!(
        Pool02,
        routine,
        block.is_some(),
        "The address {pointer:p} is no pool block{}.",
        if was_freed() {
            " any more: it was freed before"
        } else {
            ""
        }
    );
    let Some(block) = block else { return };
    check!(
        Pool02,
        routine,
        tag.is_none_or(|tag| tag == 0 || tag == block.tag),
        "The pool block at {pointer:p} was allocated with tag '{}' and is freed with '{}'.",
        tag_text(block.tag),
        tag_text(tag.unwrap_or_default())
    );
    let irql = cpu::irql();
    check!(
        Pool01,
        routine,
        irql <= APC_LEVEL || (block.kind == Kind::NonPaged && irql <= DISPATCH_LEVEL),
        "{:?} pool was freed at IRQL {irql}.",
        block.kind
    );
    assert_guards(routine.name(), start, &block);
    start_ledger::freed(start);
    let memory = start..start + block.size;
    dpc::assert_none_within(routine.name(), &memory);
    timer::assert_none_within(routine.name(), &memory);
    work_item::assert_none_within(routine.name(), &memory);
    spin_lock::forget_within(&memory);
    fill_range(memory, FREED_BYTE);
    let oldest = FREED.with(|freed| {
        freed.push_back((start, block));
        if freed.len() > KEPT {
            freed.pop_front()
        } else {
            None
        }
    });
    if let Some((start, block)) = oldest {
        assert_untouched(start, &block);
        // SAFETY: Fact 1: the block was taken out of the ledgers, so nobody else
        // frees it; the layout is the one that it was allocated with.
        unsafe { dealloc(address::to_pointer(block.base), block.layout) };
    }
}

/// Checks that nothing was written around a block.
fn assert_guards(routine: &str, start: usize, block: &Block) {
    let end = start + block.size;
    let intact = is_filled(block.base..start, GUARD_BYTE)
        && is_filled(end..block.base + block.layout.size(), GUARD_BYTE);
    check!(
        Pool03,
        routine,
        intact,
        "Something was written outside the pool block at {start:#x}, {} bytes, tag '{}'.",
        block.size,
        tag_text(block.tag)
    );
}

/// Checks that nothing was written to a block after it was freed.
fn assert_untouched(start: usize, block: &Block) {
    check!(
        Pool03,
        "pool",
        is_filled(start..start + block.size, FREED_BYTE),
        "Something was written to the pool block at {start:#x}, {} bytes, tag '{}', after it was freed.",
        block.size,
        tag_text(block.tag)
    );
}

/// Checks, when the driver is gone, that it freed everything.
pub(crate) fn assert_nothing_left() {
    FREED.with(|freed| {
        for (start, block) in freed.iter() {
            assert_untouched(*start, block);
        }
    });
    let (count, first) = BLOCKS.with(|blocks| {
        let first = blocks.iter().next().map(|(start, block)| (*start, *block));
        (blocks.len(), first)
    });
    let (start, size, tag) =
        first.map_or((0, 0, 0), |(start, block)| (start, block.size, block.tag));
    check!(
        Pnp16,
        "unload",
        count == 0,
        "The driver left {count} pool blocks behind; the first is at {start:#x}, {size} bytes, tag '{}'.",
        tag_text(tag)
    );
}

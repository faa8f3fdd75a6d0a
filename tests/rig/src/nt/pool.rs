//! Pool: ExAllocatePool2, ExAllocatePoolWithTag, ExFreePool, ExFreePoolWithTag.
//!
//! # Model
//! Every block stands in a ledger with its size, tag, kind and who allocated it, and has
//! pages of its own between unmapped ones ([`block`]). A freed block's pages are unmapped
//! and its addresses rest for a long while ([`quarantine`]). So an overrun, an underrun
//! and a use after the end fault where they happen; what is too close to a block to have
//! a page of its own is looked at when the block is freed.

mod block;
mod quarantine;

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::arch::naked_asm;
use core::fmt;
use core::ptr;

use wdk_sys::{POOL_FLAGS, POOL_TYPE, PVOID, SIZE_T, ULONG};

use crate::machine::cpu;
use crate::machine::sync::IrqLock;
use crate::nt::irql::{APC_LEVEL, DISPATCH_LEVEL};
use crate::nt::pool::block::{ALIGNMENT, Block, CACHE_LINE, Contents};
use crate::nt::pool::quarantine::Freed;
use crate::nt::routine::Routine;
use crate::nt::violation::check;
use crate::nt::{address, device_queue, dpc, fault, spin_lock, start_ledger, timer, work_item};

const POOL_FLAG_UNINITIALIZED: POOL_FLAGS = 0x2;
const POOL_FLAG_CACHE_ALIGNED: POOL_FLAGS = 0x8;
const POOL_FLAG_NON_PAGED: POOL_FLAGS = 0x40;
const POOL_FLAG_NON_PAGED_EXECUTE: POOL_FLAGS = 0x80;
const POOL_FLAG_PAGED: POOL_FLAGS = 0x100;
/// The bit of a `POOL_TYPE` that says paged.
const PAGED_POOL_MASK: POOL_TYPE = 1;
/// The bit of a `POOL_TYPE` that says aligned to the cache.
const CACHE_ALIGNED_POOL_MASK: POOL_TYPE = 4;
/// The bits of a `POOL_TYPE` that are neither a quota's nor a session's nor say what
/// happens when there is no memory.
const BASE_POOL_MASK: POOL_TYPE = 0x201;

/// Whether a block may be paged out on Windows. Paged pool is out of reach at
/// `DISPATCH_LEVEL` and above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Paged,
    NonPaged,
}

/// Blocks in use, by the address that the driver has.
static BLOCKS: IrqLock<BTreeMap<usize, Block>> = IrqLock::new(BTreeMap::new());

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
#[unsafe(naked)]
pub(crate) extern "C" fn ex_allocate_pool2(flags: POOL_FLAGS, size: SIZE_T, tag: ULONG) -> PVOID {
    naked_asm!("mov r9, [rsp]", "jmp {}", sym allocate_pool2)
}

/// ExAllocatePoolWithTag.
#[unsafe(naked)]
pub(crate) extern "C" fn ex_allocate_pool_with_tag(
    pool_type: POOL_TYPE,
    size: SIZE_T,
    tag: ULONG,
) -> PVOID {
    naked_asm!("mov r9, [rsp]", "jmp {}", sym allocate_pool_with_tag)
}

/// ExFreePool.
#[unsafe(naked)]
pub(crate) extern "C" fn ex_free_pool(block: PVOID) {
    naked_asm!("mov rdx, [rsp]", "jmp {}", sym free_pool)
}

/// ExFreePoolWithTag.
#[unsafe(naked)]
pub(crate) extern "C" fn ex_free_pool_with_tag(block: PVOID, tag: ULONG) {
    naked_asm!("mov r8, [rsp]", "jmp {}", sym free_pool_with_tag)
}

/// ExAllocatePool2, with the address to which the call returns.
extern "C" fn allocate_pool2(flags: POOL_FLAGS, size: SIZE_T, tag: ULONG, caller: u64) -> PVOID {
    let routine = Routine::ExAllocatePool2;
    routine.enter();
    check!(
        Pool07,
        routine,
        flags & POOL_FLAG_NON_PAGED_EXECUTE == 0,
        "Executable pool was asked for: the flags are {flags:#x}."
    );
    if fault::strikes_with_null(routine) {
        return ptr::null_mut();
    }
    let kind = if flags & POOL_FLAG_PAGED != 0 {
        Kind::Paged
    } else if flags & POOL_FLAG_NON_PAGED != 0 {
        Kind::NonPaged
    } else {
        return ptr::null_mut();
    };
    let contents = if flags & POOL_FLAG_UNINITIALIZED != 0 {
        Contents::Poison
    } else {
        Contents::Zero
    };
    let alignment = alignment(flags & POOL_FLAG_CACHE_ALIGNED != 0);
    allocate_checked(routine, kind, (size, alignment), tag, contents, caller)
}

/// ExAllocatePoolWithTag, with the address to which the call returns.
extern "C" fn allocate_pool_with_tag(
    pool_type: POOL_TYPE,
    size: SIZE_T,
    tag: ULONG,
    caller: u64,
) -> PVOID {
    let routine = Routine::ExAllocatePoolWithTag;
    routine.enter();
    check!(
        Pool07,
        routine,
        pool_type & BASE_POOL_MASK != 0,
        "Executable pool was asked for: the pool type is {pool_type:#x}, which is NonPagedPool and not NonPagedPoolNx."
    );
    if fault::strikes_with_null(routine) {
        return ptr::null_mut();
    }
    let kind = if pool_type & PAGED_POOL_MASK != 0 {
        Kind::Paged
    } else {
        Kind::NonPaged
    };
    let alignment = alignment(pool_type & CACHE_ALIGNED_POOL_MASK != 0);
    allocate_checked(
        routine,
        kind,
        (size, alignment),
        tag,
        Contents::Poison,
        caller,
    )
}

/// ExFreePool, with the address to which the call returns.
extern "C" fn free_pool(block: PVOID, caller: u64) {
    Routine::ExFreePool.enter();
    free(Routine::ExFreePool, block, None, caller);
}

/// ExFreePoolWithTag, with the address to which the call returns.
extern "C" fn free_pool_with_tag(block: PVOID, tag: ULONG, caller: u64) {
    Routine::ExFreePoolWithTag.enter();
    free(Routine::ExFreePoolWithTag, block, Some(tag), caller);
}

/// What a block is aligned to.
const fn alignment(to_cache: bool) -> usize {
    if to_cache { CACHE_LINE } else { ALIGNMENT }
}

/// Allocates for the driver so many bytes with an alignment.
fn allocate_checked(
    routine: Routine,
    kind: Kind,
    (size, alignment): (SIZE_T, usize),
    tag: ULONG,
    contents: Contents,
    caller: u64,
) -> PVOID {
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
        .and_then(|size| Block::map(kind, size, alignment, tag, contents, caller))
        .map(enter)
        .inspect(|start| start_ledger::allocated(*start))
        .map_or(ptr::null_mut(), address::to_pointer)
}

/// Allocates a zeroed block that the driver is to free; its address.
pub(crate) fn allocate(kind: Kind, size: usize, tag: ULONG) -> Option<usize> {
    Block::map(kind, size, ALIGNMENT, tag, Contents::Zero, 0).map(enter)
}

/// Puts a new block into the ledger; its address.
fn enter(block: Block) -> usize {
    BLOCKS.with(|blocks| blocks.insert(block.start, block));
    block.start
}

/// Frees a block of the driver's, for a call that returns to `caller`.
pub(crate) fn free(routine: Routine, pointer: PVOID, tag: Option<ULONG>, caller: u64) {
    let start = address::of(pointer);
    let block = BLOCKS.with(|blocks| blocks.remove(&start));
    check!(
        Pool02,
        routine,
        block.is_some(),
        "The address {pointer:p} is no pool block{}.",
        FreedBefore(quarantine::freed_at(start))
    );
    let Some(block) = block else { return };
    check!(
        Pool02,
        routine,
        tag.is_none_or(|tag| tag == 0 || tag == block.tag),
        "The tag '{}' is given to free {block}.",
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
    check!(
        Pool03,
        routine,
        block.is_intact(),
        "Something was written around {block}."
    );
    start_ledger::freed(start);
    let memory = block.memory();
    dpc::assert_none_within(routine.name(), &memory);
    timer::assert_none_within(routine.name(), &memory);
    work_item::assert_none_within(routine.name(), &memory);
    device_queue::assert_none_within(routine.name(), &memory);
    spin_lock::forget_within(&memory);
    block.unmap();
    quarantine::keep(block, caller);
}

/// What is said of an address that is freed and is no block.
struct FreedBefore(Option<Freed>);

impl fmt::Display for FreedBefore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(freed) => write!(formatter, " any more: there was {freed}"),
            None => Ok(()),
        }
    }
}

/// What an address has to do with pool.
#[derive(Debug)]
pub(crate) enum Place {
    /// In the unmapped pages beside a block.
    Beside(Block, usize),
    /// Where a block was that has been freed.
    Freed(Freed),
}

/// What an address at which nothing is mapped has to do with pool. For the report of a
/// fault.
pub(crate) fn describe(address: u64) -> Option<Place> {
    let address = usize::try_from(address).ok()?;
    if let Some(freed) = quarantine::freed_around(address) {
        return Some(Place::Freed(freed));
    }
    // Blocks lie between unmapped pages, so this is one of two.
    let beside = BLOCKS.with_unless_held(|blocks| {
        let below = blocks.range(..=address).next_back();
        let above = blocks.range(address..).next();
        below
            .into_iter()
            .chain(above)
            .map(|(_, block)| *block)
            .find(|block| block.is_near(address))
    });
    beside.flatten().map(|block| Place::Beside(block, address))
}

/// The block in use at an address. For the report of a fault.
pub(crate) fn block_around(address: u64) -> Option<Block> {
    let address = usize::try_from(address).ok()?;
    let below = BLOCKS.with_unless_held(|blocks| {
        let below = blocks.range(..=address).next_back();
        below.map(|(_, block)| *block)
    });
    below.flatten().filter(|block| block.has_pages_at(address))
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beside(block, address) => match address.checked_sub(block.memory().end) {
                Some(distance) => write!(formatter, "That is {distance} bytes behind {block}."),
                None => write!(
                    formatter,
                    "That is {} bytes in front of {block}.",
                    block.start.saturating_sub(*address)
                ),
            },
            Self::Freed(freed) => write!(formatter, "There was {freed}."),
        }
    }
}

/// Checks, when the driver is gone, that it freed everything.
pub(crate) fn assert_nothing_left() {
    let (count, first) = BLOCKS.with(|blocks| (blocks.len(), blocks.values().next().copied()));
    check!(
        Pnp16,
        "unload",
        first.is_none(),
        "The driver left {count} pool blocks behind; the first is {}.",
        Left(first)
    );
}

/// A block that was left behind.
struct Left(Option<Block>);

impl fmt::Display for Left {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(block) => write!(formatter, "{block}"),
            None => Ok(()),
        }
    }
}

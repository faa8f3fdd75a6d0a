//! Faults with pool, device memory, and what lies in memory that goes away.

use core::hint::black_box;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

use wdk_sys::_MEMORY_CACHING_TYPE::MmCached;
use wdk_sys::{KDPC, KTIMER, LARGE_INTEGER, NTSTATUS, PVOID, ULONG};

use crate::machine::cpu;
use crate::nt::dpc::{ke_initialize_dpc, ke_insert_queue_dpc};
use crate::nt::irql::{DISPATCH_LEVEL, ke_lower_irql, kf_raise_irql};
use crate::nt::mdl::{Access, LockedBuffer, mm_map_locked_pages_specify_cache};
use crate::nt::mmio::mm_map_io_space_ex;
use crate::nt::pool::{ex_allocate_pool_with_tag, ex_allocate_pool2, ex_free_pool_with_tag};
use crate::nt::rule::Rule;
use crate::nt::self_test::faults::{Fault, Hook, Place};
use crate::nt::status::STATUS_SUCCESS;
use crate::nt::timer::{ke_initialize_timer_ex, ke_set_timer_ex};

/// Tag of what is allocated here.
const TAG: ULONG = u32::from_le_bytes(*b"Self");
const NON_PAGED: u64 = 0x40;
const NON_PAGED_EXECUTE: u64 = 0x80;
const PAGED: u64 = 0x100;
/// `NonPagedPool`, which is executable.
const NON_PAGED_POOL: i32 = 0;

/// The faults; see [`irp_faults`](super::irp_faults) for what vouches for their calls.
pub(super) const FAULTS: &[Fault] = &[
    Fault {
        rule: Rule::Pool01,
        hook: Hook::Connected,
        act: allocate_paged_at_dispatch,
    },
    Fault {
        rule: Rule::Pool02,
        hook: Hook::Connected,
        act: free_twice,
    },
    Fault {
        rule: Rule::Pool03,
        hook: Hook::Connected,
        act: write_behind,
    },
    Fault {
        rule: Rule::Pool07,
        hook: Hook::Connected,
        act: allocate_executable,
    },
    Fault {
        rule: Rule::Img01,
        hook: Hook::Connected,
        act: write_constant,
    },
    Fault {
        rule: Rule::Stk01,
        hook: Hook::Connected,
        act: recurse,
    },
    Fault {
        rule: Rule::Irql06,
        hook: Hook::Connected,
        act: read_paged_at_dispatch,
    },
    Fault {
        rule: Rule::Irql07,
        hook: Hook::Critical,
        act: disable_interrupts,
    },
    Fault {
        rule: Rule::Irql08,
        hook: Hook::Critical,
        act: read_nothing,
    },
    Fault {
        rule: Rule::Pnp16,
        hook: Hook::Unload,
        act: leak,
    },
    Fault {
        rule: Rule::Mmio01,
        hook: Hook::Connected,
        act: map_foreign_memory,
    },
    Fault {
        rule: Rule::Dpc08,
        hook: Hook::Connected,
        act: free_queued_dpc,
    },
    Fault {
        rule: Rule::Tmr03,
        hook: Hook::Connected,
        act: free_set_timer,
    },
];

/// More ways to break a rule, each with a name of its own.
pub(super) const OTHERS: &[(&str, Fault)] = &[
    (
        "POOL-03-behind",
        Fault {
            rule: Rule::Pool03,
            hook: Hook::Connected,
            act: read_behind,
        },
    ),
    (
        "POOL-03-in-front",
        Fault {
            rule: Rule::Pool03,
            hook: Hook::Connected,
            act: write_in_front,
        },
    ),
    (
        "POOL-03-page-in-front",
        Fault {
            rule: Rule::Pool03,
            hook: Hook::Connected,
            act: write_page_in_front,
        },
    ),
    (
        "POOL-03-freed",
        Fault {
            rule: Rule::Pool03,
            hook: Hook::Connected,
            act: read_freed,
        },
    ),
    (
        "IRQL-06-code",
        Fault {
            rule: Rule::Irql06,
            hook: Hook::Connected,
            act: run_pageable_code,
        },
    ),
    (
        "IRQL-06-data",
        Fault {
            rule: Rule::Irql06,
            hook: Hook::Critical,
            act: read_pageable_data,
        },
    ),
    (
        "POOL-07-tagged",
        Fault {
            rule: Rule::Pool07,
            hook: Hook::Connected,
            act: allocate_executable_with_tag,
        },
    ),
    (
        "POOL-07-mapping",
        Fault {
            rule: Rule::Pool07,
            hook: Hook::Connected,
            act: map_executable,
        },
    ),
    (
        "IMG-01-execute",
        Fault {
            rule: Rule::Img01,
            hook: Hook::Connected,
            act: execute_pool,
        },
    ),
];

fn allocate_paged_at_dispatch(_place: Place) -> NTSTATUS {
    let old = kf_raise_irql(DISPATCH_LEVEL);
    ex_allocate_pool2(PAGED, 64, TAG);
    ke_lower_irql(old);
    STATUS_SUCCESS
}

fn read_paged_at_dispatch(_place: Place) -> NTSTATUS {
    let block = ex_allocate_pool2(PAGED, 64, TAG);
    // SAFETY: The block is large enough; below DISPATCH_LEVEL it is there.
    black_box(unsafe { byte_of(block, 8).read_volatile() });
    let old = kf_raise_irql(DISPATCH_LEVEL);
    // SAFETY: As above; that the IRQL is raised is the fault.
    black_box(unsafe { byte_of(block, 8).read_volatile() });
    ke_lower_irql(old);
    ex_free_pool_with_tag(block, TAG);
    STATUS_SUCCESS
}

/// Code that may be paged out.
#[unsafe(link_section = "PAGE")]
#[inline(never)]
fn pageable_code() -> NTSTATUS {
    black_box(STATUS_SUCCESS)
}

fn run_pageable_code(_place: Place) -> NTSTATUS {
    cpu::watch_pageable_code();
    // First where it may run.
    pageable_code();
    let old = kf_raise_irql(DISPATCH_LEVEL);
    pageable_code();
    ke_lower_irql(old);
    STATUS_SUCCESS
}

/// Data that may be paged out.
#[unsafe(link_section = "PAGEDATA")]
static PAGEABLE_DATA: AtomicU32 = AtomicU32::new(1);

fn read_pageable_data(_place: Place) -> NTSTATUS {
    black_box(black_box(&PAGEABLE_DATA).fetch_add(1, Ordering::Relaxed));
    STATUS_SUCCESS
}

fn free_twice(_place: Place) -> NTSTATUS {
    let block = ex_allocate_pool2(NON_PAGED, 64, TAG);
    ex_free_pool_with_tag(block, TAG);
    ex_free_pool_with_tag(block, TAG);
    STATUS_SUCCESS
}

fn write_behind(_place: Place) -> NTSTATUS {
    let block = ex_allocate_pool2(NON_PAGED, 61, TAG);
    // SAFETY: The block's guard lies behind it; that it is written is the fault.
    let behind = unsafe { block.cast::<u8>().add(61) };
    // SAFETY: As above.
    unsafe { behind.write(0) };
    ex_free_pool_with_tag(block, TAG);
    STATUS_SUCCESS
}

/// The byte at `offset` of a block.
fn byte_of(block: PVOID, offset: isize) -> *mut u8 {
    block.cast::<u8>().wrapping_offset(offset)
}

fn read_behind(_place: Place) -> NTSTATUS {
    let block = ex_allocate_pool2(NON_PAGED, 64, TAG);
    // SAFETY: Nothing is mapped behind the block; that it is read is the fault.
    black_box(unsafe { byte_of(block, 64).read_volatile() });
    STATUS_SUCCESS
}

fn write_in_front(_place: Place) -> NTSTATUS {
    let block = ex_allocate_pool2(NON_PAGED, 64, TAG);
    // SAFETY: The block's page begins in front of it; that it is written is the fault.
    unsafe { byte_of(block, -1).write_volatile(0) };
    ex_free_pool_with_tag(block, TAG);
    STATUS_SUCCESS
}

fn write_page_in_front(_place: Place) -> NTSTATUS {
    let block = ex_allocate_pool2(NON_PAGED, 8192, TAG);
    // SAFETY: Nothing is mapped in front of the block; that it is written is the fault.
    unsafe { byte_of(block, -1).write_volatile(0) };
    STATUS_SUCCESS
}

fn read_freed(_place: Place) -> NTSTATUS {
    let block = ex_allocate_pool2(NON_PAGED, 64, TAG);
    ex_free_pool_with_tag(block, TAG);
    // SAFETY: Nothing is mapped there any more; that it is read is the fault.
    black_box(unsafe { byte_of(block, 8).read_volatile() });
    STATUS_SUCCESS
}

fn allocate_executable(_place: Place) -> NTSTATUS {
    let block = ex_allocate_pool2(NON_PAGED_EXECUTE, 64, TAG);
    ex_free_pool_with_tag(block, TAG);
    STATUS_SUCCESS
}

fn allocate_executable_with_tag(_place: Place) -> NTSTATUS {
    let block = ex_allocate_pool_with_tag(NON_PAGED_POOL, 64, TAG);
    ex_free_pool_with_tag(block, TAG);
    STATUS_SUCCESS
}

fn map_executable(_place: Place) -> NTSTATUS {
    const NORMAL_PAGE_PRIORITY: i32 = 16;
    if let Some(buffer) = LockedBuffer::lock(&[], 64, Access::Write) {
        // SAFETY: The MDL is the buffer's; that the mapping is to be executable is the fault.
        unsafe {
            mm_map_locked_pages_specify_cache(
                buffer.pointer(),
                0,
                MmCached,
                ptr::null_mut(),
                0,
                NORMAL_PAGE_PRIORITY,
            )
        };
    }
    STATUS_SUCCESS
}

/// Calls itself more often than any stack has room for.
fn descend(depth: usize) -> usize {
    let room = black_box([depth; 64]);
    if depth == 0 {
        return 0;
    }
    descend(depth - 1) + room.len()
}

fn recurse(_place: Place) -> NTSTATUS {
    black_box(descend(1 << 20));
    STATUS_SUCCESS
}

/// Lies among the constants.
static CONSTANT: u64 = 0x0123_4567_89ab_cdef;

fn write_constant(_place: Place) -> NTSTATUS {
    let constant = black_box(&raw const CONSTANT).cast_mut();
    // SAFETY: Constants are not writable; that it is written is the fault.
    unsafe { constant.write_volatile(0) };
    STATUS_SUCCESS
}

fn execute_pool(_place: Place) -> NTSTATUS {
    let block = ex_allocate_pool2(NON_PAGED, 64, TAG).cast::<u8>();
    // SAFETY: The block is large enough, and new. The byte is a return instruction.
    unsafe { block.write_volatile(0xc3) };
    // SAFETY: Pool is not executable; that it is called is the fault.
    let routine = unsafe { core::mem::transmute::<*mut u8, extern "C" fn()>(block) };
    black_box(routine)();
    STATUS_SUCCESS
}

fn disable_interrupts(_place: Place) -> NTSTATUS {
    x86_64::instructions::interrupts::disable();
    STATUS_SUCCESS
}

fn read_nothing(_place: Place) -> NTSTATUS {
    let nothing = ptr::without_provenance::<u64>(black_box(16));
    // SAFETY: Nothing is mapped there; that it is read is the fault.
    black_box(unsafe { nothing.read_volatile() });
    STATUS_SUCCESS
}

fn leak(_place: Place) -> NTSTATUS {
    ex_allocate_pool2(NON_PAGED, 64, TAG);
    STATUS_SUCCESS
}

fn map_foreign_memory(_place: Place) -> NTSTATUS {
    // The interrupt controller's, which is nobody's resource.
    let physical = LARGE_INTEGER {
        QuadPart: 0xfec0_0000,
    };
    mm_map_io_space_ex(physical, 4096, 0x204);
    STATUS_SUCCESS
}

/// Never called: its DPC is found before.
unsafe extern "C" fn deferred(_dpc: *mut KDPC, _context: PVOID, _a: PVOID, _b: PVOID) {}

fn free_queued_dpc(_place: Place) -> NTSTATUS {
    let dpc = ex_allocate_pool2(NON_PAGED, size_of::<KDPC>() as u64, TAG);
    // SAFETY: The block is large enough and new.
    unsafe { ke_initialize_dpc(dpc.cast(), Some(deferred), ptr::null_mut()) };
    let old = kf_raise_irql(DISPATCH_LEVEL);
    // SAFETY: As above.
    unsafe { ke_insert_queue_dpc(dpc.cast(), ptr::null_mut(), ptr::null_mut()) };
    ex_free_pool_with_tag(dpc, TAG);
    ke_lower_irql(old);
    STATUS_SUCCESS
}

fn free_set_timer(_place: Place) -> NTSTATUS {
    let timer = ex_allocate_pool2(NON_PAGED, size_of::<KTIMER>() as u64, TAG);
    // SAFETY: The block is large enough and new.
    unsafe { ke_initialize_timer_ex(timer.cast(), 0) };
    let due = LARGE_INTEGER {
        QuadPart: -600_000_000,
    };
    // SAFETY: As above.
    unsafe { ke_set_timer_ex(timer.cast(), due, 0, ptr::null_mut()) };
    ex_free_pool_with_tag(timer, TAG);
    STATUS_SUCCESS
}

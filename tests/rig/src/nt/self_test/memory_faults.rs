//! Faults with pool, device memory, and what lies in memory that goes away.

use core::ptr;

use wdk_sys::{KDPC, KTIMER, LARGE_INTEGER, NTSTATUS, PVOID, ULONG};

use crate::nt::dpc::{ke_initialize_dpc, ke_insert_queue_dpc};
use crate::nt::irql::{DISPATCH_LEVEL, ke_lower_irql, kf_raise_irql};
use crate::nt::mmio::mm_map_io_space_ex;
use crate::nt::pool::{ex_allocate_pool2, ex_free_pool_with_tag};
use crate::nt::rule::Rule;
use crate::nt::self_test::faults::{Fault, Hook, Place};
use crate::nt::status::STATUS_SUCCESS;
use crate::nt::timer::{ke_initialize_timer_ex, ke_set_timer_ex};

/// Tag of what is allocated here.
const TAG: ULONG = u32::from_le_bytes(*b"Self");
const NON_PAGED: u64 = 0x40;
const PAGED: u64 = 0x100;

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

fn allocate_paged_at_dispatch(_place: Place) -> NTSTATUS {
    let old = kf_raise_irql(DISPATCH_LEVEL);
    ex_allocate_pool2(PAGED, 64, TAG);
    ke_lower_irql(old);
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

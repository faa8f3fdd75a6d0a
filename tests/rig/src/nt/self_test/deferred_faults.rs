//! Faults with where DPCs go, with timers, and with the order of spin locks.

use core::ptr;

use wdk_sys::{KDPC, KSPIN_LOCK, KTIMER, LARGE_INTEGER, NTSTATUS, ULONG};

use crate::nt::dpc::placement::ke_set_importance_dpc;
use crate::nt::dpc::{ke_initialize_dpc, ke_insert_queue_dpc};
use crate::nt::io_timer::io_initialize_timer;
use crate::nt::irql::{DISPATCH_LEVEL, ke_lower_irql, kf_raise_irql};
use crate::nt::pool::{ex_allocate_pool2, ex_free_pool_with_tag};
use crate::nt::rule::Rule;
use crate::nt::self_test::extension::own;
use crate::nt::self_test::faults::{Fault, Hook, Place};
use crate::nt::spin_lock::{ke_acquire_spin_lock_raise_to_dpc, ke_release_spin_lock};
use crate::nt::status::STATUS_SUCCESS;
use crate::nt::timer::{ke_cancel_timer, ke_initialize_timer_ex, ke_set_timer_ex};

/// Tag of what is allocated here.
const TAG: ULONG = u32::from_le_bytes(*b"Self");
const NON_PAGED: u64 = 0x40;
/// `HighImportance`.
const HIGH_IMPORTANCE: i32 = 2;

/// The faults; see [`irp_faults`](super::irp_faults) for what vouches for their calls.
pub(super) const FAULTS: &[Fault] = &[
    Fault {
        rule: Rule::Dpc07,
        hook: Hook::Connected,
        act: change_queued_dpc,
    },
    Fault {
        rule: Rule::Tmr01,
        hook: Hook::Connected,
        act: queue_timer_dpc,
    },
    Fault {
        rule: Rule::Tmr02,
        hook: Hook::Connected,
        act: free_unflushed_timer,
    },
    Fault {
        rule: Rule::Tmr05,
        hook: Hook::Connected,
        act: initialize_twice,
    },
    Fault {
        rule: Rule::Spl03,
        hook: Hook::Connected,
        act: acquire_in_both_orders,
    },
];

fn change_queued_dpc(place: Place) -> NTSTATUS {
    let dpc = own(place.device).at_dpc();
    let old = kf_raise_irql(DISPATCH_LEVEL);
    // SAFETY: The DPC lies in the device extension and is initialised.
    unsafe { ke_insert_queue_dpc(dpc, ptr::null_mut(), ptr::null_mut()) };
    // SAFETY: As above; that it is queued is the fault.
    unsafe { ke_set_importance_dpc(dpc, HIGH_IMPORTANCE) };
    ke_lower_irql(old);
    STATUS_SUCCESS
}

fn queue_timer_dpc(place: Place) -> NTSTATUS {
    let dpc = own(place.device).at_timer_dpc();
    // SAFETY: The DPC lies in the device extension and is initialised; that it is the
    // timer's is the fault.
    unsafe { ke_insert_queue_dpc(dpc, ptr::null_mut(), ptr::null_mut()) };
    STATUS_SUCCESS
}

/// The timer never expires.
unsafe extern "C" fn deferred(
    _dpc: *mut KDPC,
    _context: wdk_sys::PVOID,
    _a: wdk_sys::PVOID,
    _b: wdk_sys::PVOID,
) {
}

fn free_unflushed_timer(_place: Place) -> NTSTATUS {
    let timer = ex_allocate_pool2(NON_PAGED, size_of::<KTIMER>() as u64, TAG);
    let dpc = ex_allocate_pool2(NON_PAGED, size_of::<KDPC>() as u64, TAG);
    // SAFETY: The block is large enough and new.
    unsafe { ke_initialize_timer_ex(timer.cast(), 0) };
    // SAFETY: As above.
    unsafe { ke_initialize_dpc(dpc.cast(), Some(deferred), ptr::null_mut()) };
    let due = LARGE_INTEGER {
        QuadPart: -600_000_000,
    };
    // SAFETY: Both are initialised.
    unsafe { ke_set_timer_ex(timer.cast(), due, 1000, dpc.cast()) };
    // SAFETY: As above.
    unsafe { ke_cancel_timer(timer.cast()) };
    ex_free_pool_with_tag(timer, TAG);
    ex_free_pool_with_tag(dpc, TAG);
    STATUS_SUCCESS
}

fn initialize_twice(place: Place) -> NTSTATUS {
    for _ in 0..2 {
        // SAFETY: The device object is the driver's own, and there is no routine.
        let _status = unsafe { io_initialize_timer(place.device, None, ptr::null_mut()) };
    }
    STATUS_SUCCESS
}

fn acquire_in_both_orders(place: Place) -> NTSTATUS {
    let mut second: KSPIN_LOCK = 0;
    let locks = [own(place.device).at_spin_lock(), &raw mut second];
    for [outer, inner] in [[0, 1], [1, 0]] {
        let (outer, inner) = (locks[outer], locks[inner]);
        // SAFETY: One lock lies in the device extension, the other outlives its use.
        let old = unsafe { ke_acquire_spin_lock_raise_to_dpc(outer) };
        // SAFETY: As above.
        let old_inner = unsafe { ke_acquire_spin_lock_raise_to_dpc(inner) };
        // SAFETY: As above.
        unsafe { ke_release_spin_lock(inner, old_inner) };
        // SAFETY: As above.
        unsafe { ke_release_spin_lock(outer, old) };
    }
    STATUS_SUCCESS
}

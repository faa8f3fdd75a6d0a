//! Faults with what reaches a program, with lists, with spin locks in the wrong memory
//! or in the wrong company, and with time.

use alloc::boxed::Box;
use core::mem::MaybeUninit;
use core::ptr;

use wdk_sys::{
    KDEVICE_QUEUE, KDEVICE_QUEUE_ENTRY, KEVENT, LIST_ENTRY, NTSTATUS, PIRP, PLIST_ENTRY, ULONG,
};

use crate::nt::device_queue::{ke_initialize_device_queue, ke_insert_device_queue};
use crate::nt::event::ke_initialize_event;
use crate::nt::irp::complete::iof_complete_request;
use crate::nt::irql::{DISPATCH_LEVEL, ke_lower_irql, kf_raise_irql};
use crate::nt::pool::{ex_allocate_pool2, ex_free_pool_with_tag};
use crate::nt::rule::Rule;
use crate::nt::self_test::driver::{complete, handle};
use crate::nt::self_test::extension::own;
use crate::nt::self_test::faults::{Fault, Hook, Place};
use crate::nt::spin_lock::{
    ke_acquire_spin_lock_raise_to_dpc, ke_initialize_spin_lock, ke_release_spin_lock,
};
use crate::nt::status::STATUS_SUCCESS;
use crate::nt::time::ke_stall_execution_processor;

/// Tag of what is allocated here.
const TAG: ULONG = u32::from_le_bytes(*b"Self");
const UNINITIALIZED: u64 = 0x2;
const NON_PAGED: u64 = 0x40;
const PAGED: u64 = 0x100;

/// Bytes of output that a self-test request asks for.
const OUTPUT: usize = 8;

/// How much longer than its budget anything may take while a budget is tested: so much
/// that no host is too slow.
pub(super) const LENIENCE: u64 = 1000;

/// The faults; see [`irp_faults`](super::irp_faults) for what vouches for their calls.
pub(super) const FAULTS: &[Fault] = &[
    Fault {
        rule: Rule::Pool05,
        hook: Hook::Control,
        act: return_unwritten_pool,
    },
    Fault {
        rule: Rule::Pool06,
        hook: Hook::Control,
        act: complete_linked,
    },
    Fault {
        rule: Rule::Sec06,
        hook: Hook::Control,
        act: return_own_address,
    },
    Fault {
        rule: Rule::Syn05,
        hook: Hook::Critical,
        act: initialize_event,
    },
    Fault {
        rule: Rule::Spl06,
        hook: Hook::Connected,
        act: initialize_pageable_lock,
    },
    Fault {
        rule: Rule::Dpc06,
        hook: Hook::Done,
        act: stall_long,
    },
    Fault {
        rule: Rule::Int14,
        hook: Hook::Isr,
        act: linger,
    },
];

/// More ways to break a rule, each with a name of its own.
pub(super) const OTHERS: &[(&str, Fault)] = &[
    (
        "POOL-05-hole",
        Fault {
            rule: Rule::Pool05,
            hook: Hook::Control,
            act: leave_hole,
        },
    ),
    (
        "POOL-06-freed",
        Fault {
            rule: Rule::Pool06,
            hook: Hook::Connected,
            act: free_queued_entry,
        },
    ),
    (
        "POOL-06-broken",
        Fault {
            rule: Rule::Pool06,
            hook: Hook::Queued,
            act: break_list,
        },
    ),
    (
        "SEC-06-irp",
        Fault {
            rule: Rule::Sec06,
            hook: Hook::Control,
            act: return_address_of_irp,
        },
    ),
    (
        "SPL-06-again",
        Fault {
            rule: Rule::Spl06,
            hook: Hook::Connected,
            act: initialize_used_lock,
        },
    ),
    (
        "DPC-06-long",
        Fault {
            rule: Rule::Dpc06,
            hook: Hook::Done,
            act: linger,
        },
    ),
    (
        "SYN-05-long",
        Fault {
            rule: Rule::Syn05,
            hook: Hook::Critical,
            act: linger,
        },
    ),
];

/// Completes a request with output.
fn answer(place: Place, output: [u8; OUTPUT]) -> NTSTATUS {
    answer_in_part(place, output.map(Some))
}

/// Completes a request with output of which not all bytes are written.
fn answer_in_part(place: Place, output: [Option<u8>; OUTPUT]) -> NTSTATUS {
    let packet = handle(place.irp);
    if let Some(buffer) = packet.buffer() {
        let buffer = buffer.pointer().cast::<u8>();
        for (index, byte) in output.into_iter().enumerate() {
            let Some(byte) = byte else { continue };
            // SAFETY: The request has room for so many bytes of output; until it is
            // completed they are the driver's.
            unsafe { buffer.wrapping_add(index).write(byte) };
        }
    }
    packet.set_status(STATUS_SUCCESS);
    packet.set_information(OUTPUT as u64);
    // SAFETY: The driver's own IRP.
    unsafe { iof_complete_request(place.irp, 0) };
    STATUS_SUCCESS
}

fn return_unwritten_pool(place: Place) -> NTSTATUS {
    let block = ex_allocate_pool2(NON_PAGED | UNINITIALIZED, 64, TAG);
    // SAFETY: The block is large enough; that nobody wrote to it is the fault.
    let output = unsafe { block.cast::<[u8; OUTPUT]>().read_volatile() };
    ex_free_pool_with_tag(block, TAG);
    answer(place, output)
}

fn return_own_address(place: Place) -> NTSTATUS {
    let address = place.device.expose_provenance() as u64;
    answer(place, address.to_le_bytes())
}

fn return_address_of_irp(place: Place) -> NTSTATUS {
    let address = place.irp.expose_provenance() as u64;
    answer(place, address.to_le_bytes())
}

/// As where a structure is filled field by field, and its fields are not aligned alike.
fn leave_hole(place: Place) -> NTSTATUS {
    let hole = None;
    let field = Some(0);
    answer_in_part(place, [field, field, hole, hole, hole, hole, field, field])
}

fn free_queued_entry(_place: Place) -> NTSTATUS {
    let queue = ex_allocate_pool2(NON_PAGED, size_of::<KDEVICE_QUEUE>() as u64, TAG).cast();
    let entries = ex_allocate_pool2(NON_PAGED, 2 * size_of::<KDEVICE_QUEUE_ENTRY>() as u64, TAG)
        .cast::<KDEVICE_QUEUE_ENTRY>();
    ke_initialize_device_queue(queue);
    let old = kf_raise_irql(DISPATCH_LEVEL);
    // The first is not queued: with it the queue is busy.
    ke_insert_device_queue(queue, entries);
    ke_insert_device_queue(queue, entries.wrapping_add(1));
    ke_lower_irql(old);
    ex_free_pool_with_tag(entries.cast(), TAG);
    STATUS_SUCCESS
}

/// An IRP's list entry.
fn entry_of(irp: PIRP) -> PLIST_ENTRY {
    // SAFETY: The IRP is the driver's, and so is its list entry.
    unsafe { &raw mut (*irp).Tail.Overlay.__bindgen_anon_2.ListEntry }
}

/// The queue's IRP is between neighbours that do not know of it.
fn break_list(place: Place) -> NTSTATUS {
    let alone = Box::leak(Box::new(LIST_ENTRY {
        Flink: ptr::null_mut(),
        Blink: ptr::null_mut(),
    }));
    let links = LIST_ENTRY {
        Flink: alone,
        Blink: alone,
    };
    // SAFETY: While it is queued the entry of the IRP is the driver's.
    unsafe { entry_of(place.irp).write_volatile(links) };
    STATUS_SUCCESS
}

fn complete_linked(place: Place) -> NTSTATUS {
    let entry = entry_of(place.irp);
    let mut head = MaybeUninit::<LIST_ENTRY>::uninit();
    let head = head.as_mut_ptr();
    let only = |neighbour| LIST_ENTRY {
        Flink: neighbour,
        Blink: neighbour,
    };
    // SAFETY: A list of one entry, whose head is this function's own.
    unsafe { head.write_volatile(only(entry)) };
    // SAFETY: As above.
    unsafe { entry.write_volatile(only(head)) };
    complete(place.irp, STATUS_SUCCESS)
}

fn initialize_event(_place: Place) -> NTSTATUS {
    let mut event = MaybeUninit::<KEVENT>::uninit();
    // SAFETY: The event is this function's own, and nobody waits for it.
    unsafe { ke_initialize_event(event.as_mut_ptr(), 0, 0) };
    STATUS_SUCCESS
}

fn initialize_pageable_lock(_place: Place) -> NTSTATUS {
    let lock = ex_allocate_pool2(PAGED, 64, TAG);
    // SAFETY: The block is large enough; that it is pageable is the fault.
    unsafe { ke_initialize_spin_lock(lock.cast()) };
    ex_free_pool_with_tag(lock, TAG);
    STATUS_SUCCESS
}

fn initialize_used_lock(place: Place) -> NTSTATUS {
    let lock = own(place.device).at_spin_lock();
    // SAFETY: The lock is the driver's, resident, and nobody holds it.
    let old = unsafe { ke_acquire_spin_lock_raise_to_dpc(lock) };
    // SAFETY: It was just acquired.
    unsafe { ke_release_spin_lock(lock, old) };
    // SAFETY: As above; that the lock is in use already is the fault.
    unsafe { ke_initialize_spin_lock(lock) };
    STATUS_SUCCESS
}

fn stall_long(_place: Place) -> NTSTATUS {
    ke_stall_execution_processor(1000);
    STATUS_SUCCESS
}

/// Stays for longer than [`LENIENCE`] times any budget.
fn linger(_place: Place) -> NTSTATUS {
    for _stall in 0..10_000 {
        ke_stall_execution_processor(50);
    }
    STATUS_SUCCESS
}

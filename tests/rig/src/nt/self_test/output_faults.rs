//! Faults with what reaches a program, with lists, with spin locks in the wrong memory
//! or in the wrong company, and with time.

use core::mem::MaybeUninit;

use wdk_sys::{KEVENT, LIST_ENTRY, NTSTATUS, ULONG};

use crate::nt::event::ke_initialize_event;
use crate::nt::irp::complete::iof_complete_request;
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
    let packet = handle(place.irp);
    if let Some(buffer) = packet.buffer() {
        let buffer = buffer.pointer().cast::<[u8; OUTPUT]>();
        // SAFETY: The request has room for so many bytes of output; until it is completed
        // they are the driver's.
        unsafe { buffer.write_unaligned(output) };
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

fn complete_linked(place: Place) -> NTSTATUS {
    // SAFETY: The IRP is the driver's, and so is its list entry.
    let entry = unsafe { &raw mut (*place.irp).Tail.Overlay.__bindgen_anon_2.ListEntry };
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

//! Faults that need bad luck to show, which their tests have: see
//! [`mishap`](crate::nt::mishap).
//!
//! A critical section stands for the ISR: it runs at its IRQL, with its lock.

use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use wdk_sys::{BOOLEAN, IRP, KDPC, KTIMER, LARGE_INTEGER, NTSTATUS, PDEVICE_OBJECT, PVOID, ULONG};

use crate::machine::time::stall;
use crate::nt::address;
use crate::nt::dpc::{ke_initialize_dpc, ke_insert_queue_dpc};
use crate::nt::interrupt::synchronize::ke_synchronize_execution;
use crate::nt::irp::complete::iof_complete_request;
use crate::nt::irql::{DISPATCH_LEVEL, ke_lower_irql, kf_raise_irql};
use crate::nt::pool::{ex_allocate_pool2, ex_free_pool_with_tag};
use crate::nt::rule::Rule;
use crate::nt::self_test::driver::{complete, handle, mark_pending};
use crate::nt::self_test::extension::own;
use crate::nt::self_test::faults::{Fault, Hook, Place};
use crate::nt::start_io::io_start_packet;
use crate::nt::status::{STATUS_PENDING, STATUS_SUCCESS};
use crate::nt::timer::{ke_cancel_timer, ke_initialize_timer_ex, ke_set_timer_ex};

/// Tag of what is allocated here.
const TAG: ULONG = u32::from_le_bytes(*b"Self");
const NON_PAGED: u64 = 0x40;
/// How long a DPC takes that another is to run beside, in microseconds.
const LONG: u64 = 200_000;

/// The faults; see [`irp_faults`](super::irp_faults) for what vouches for their calls.
pub(super) const FAULTS: &[Fault] = &[
    Fault {
        rule: Rule::Dpc02,
        hook: Hook::Control,
        act: take_one_event_for_two,
    },
    Fault {
        rule: Rule::Dpc03,
        hook: Hook::Control,
        act: queue_with_other_arguments,
    },
    Fault {
        rule: Rule::Dpc04,
        hook: Hook::Control,
        act: store_after_queuing,
    },
    Fault {
        rule: Rule::Dpc05,
        hook: Hook::Control,
        act: complete_in_both,
    },
    Fault {
        rule: Rule::Tmr04,
        hook: Hook::Connected,
        act: free_cancelled_timer,
    },
    Fault {
        rule: Rule::Irp08,
        hook: Hook::Control,
        act: start_before_mark,
    },
];

/// The request that the DPC completes.
static REQUEST: AtomicPtr<IRP> = AtomicPtr::new(ptr::null_mut());
/// What the ISR has to say to the DPC.
static EVENTS: AtomicUsize = AtomicUsize::new(0);
/// What the DPC has heard.
static HEARD: AtomicUsize = AtomicUsize::new(0);

/// Pends the request, and has `routine` be the DPC.
fn pend(place: Place, routine: unsafe extern "C" fn(*mut KDPC, PVOID, PVOID, PVOID)) {
    mark_pending(&handle(place.irp));
    REQUEST.store(place.irp, Ordering::Release);
    // SAFETY: The DPC lies in the device extension and is in no queue.
    unsafe {
        ke_initialize_dpc(
            own(place.device).at_dpc(),
            Some(routine),
            place.device.cast(),
        );
    };
}

/// Completes the request, if it is there still.
fn complete_request() {
    let irp = REQUEST.load(Ordering::Acquire);
    if !irp.is_null() {
        complete(irp, STATUS_SUCCESS);
        REQUEST.store(ptr::null_mut(), Ordering::Release);
    }
}

/// Queues the DPC.
fn queue(device: PDEVICE_OBJECT, argument: usize) {
    let argument = address::to_pointer(argument);
    // SAFETY: The DPC lies in the device extension and is initialised.
    unsafe { ke_insert_queue_dpc(own(device).at_dpc(), argument, ptr::null_mut()) };
}

/// Has `section` run as the ISR does.
fn interrupt(device: PDEVICE_OBJECT, section: unsafe extern "C" fn(PVOID) -> BOOLEAN) {
    // SAFETY: The interrupt is connected.
    unsafe { ke_synchronize_execution(own(device).interrupt(), Some(section), device.cast()) };
}

fn take_one_event_for_two(place: Place) -> NTSTATUS {
    unsafe extern "C" fn section(device: PVOID) -> BOOLEAN {
        EVENTS.fetch_add(1, Ordering::AcqRel);
        queue(device.cast(), 0);
        1
    }
    /// Takes one event, whatever there is; the second one ends the request.
    unsafe extern "C" fn deferred(_dpc: *mut KDPC, _device: PVOID, _a: PVOID, _b: PVOID) {
        EVENTS.fetch_sub(1, Ordering::AcqRel);
        if HEARD.fetch_add(1, Ordering::AcqRel) == 1 {
            complete_request();
        }
    }
    pend(place, deferred);
    // On a quiet machine the DPC runs between them, and nothing is wrong.
    interrupt(place.device, section);
    interrupt(place.device, section);
    STATUS_PENDING
}

fn queue_with_other_arguments(place: Place) -> NTSTATUS {
    unsafe extern "C" fn section(device: PVOID) -> BOOLEAN {
        queue(device.cast(), EVENTS.fetch_add(1, Ordering::AcqRel));
        1
    }
    unsafe extern "C" fn deferred(_dpc: *mut KDPC, _device: PVOID, _a: PVOID, _b: PVOID) {
        complete_request();
    }
    pend(place, deferred);
    let old = kf_raise_irql(DISPATCH_LEVEL);
    interrupt(place.device, section);
    interrupt(place.device, section);
    ke_lower_irql(old);
    STATUS_PENDING
}

fn store_after_queuing(place: Place) -> NTSTATUS {
    unsafe extern "C" fn section(device: PVOID) -> BOOLEAN {
        queue(device.cast(), 0);
        EVENTS.store(1, Ordering::Release);
        1
    }
    unsafe extern "C" fn deferred(_dpc: *mut KDPC, _device: PVOID, _a: PVOID, _b: PVOID) {
        if EVENTS.swap(0, Ordering::AcqRel) == 1 {
            complete_request();
        }
    }
    pend(place, deferred);
    interrupt(place.device, section);
    STATUS_PENDING
}

fn complete_in_both(place: Place) -> NTSTATUS {
    /// Looks, takes its time, and completes what it saw.
    unsafe extern "C" fn deferred(_dpc: *mut KDPC, _device: PVOID, _a: PVOID, _b: PVOID) {
        let irp = REQUEST.load(Ordering::Acquire);
        handle(irp).set_status(STATUS_SUCCESS);
        HEARD.fetch_add(1, Ordering::AcqRel);
        stall(LONG);
        // SAFETY: The driver's own IRP; that it may be completed is the fault, and the
        // executive looks it up first.
        unsafe { iof_complete_request(irp, 0) };
        // Something is left to do, so the call is no jump and this routine is on its stack.
        EVENTS.fetch_add(1, Ordering::AcqRel);
    }
    pend(place, deferred);
    queue(place.device, 0);
    // The other processor is in the routine before the next interrupt comes.
    while HEARD.load(Ordering::Acquire) == 0 {
        stall(1);
    }
    queue(place.device, 0);
    STATUS_PENDING
}

/// The timer's DPC.
unsafe extern "C" fn expired(_dpc: *mut KDPC, _context: PVOID, _a: PVOID, _b: PVOID) {}

fn free_cancelled_timer(_place: Place) -> NTSTATUS {
    let timer = ex_allocate_pool2(NON_PAGED, size_of::<KTIMER>() as u64, TAG);
    let dpc = ex_allocate_pool2(NON_PAGED, size_of::<KDPC>() as u64, TAG);
    // SAFETY: The block is large enough and new.
    unsafe { ke_initialize_timer_ex(timer.cast(), 0) };
    // SAFETY: As above.
    unsafe { ke_initialize_dpc(dpc.cast(), Some(expired), ptr::null_mut()) };
    let due = LARGE_INTEGER {
        QuadPart: -600_000_000,
    };
    // SAFETY: Both are initialised.
    unsafe { ke_set_timer_ex(timer.cast(), due, 0, dpc.cast()) };
    // SAFETY: As above; that nobody looks at what it says is the fault.
    unsafe { ke_cancel_timer(timer.cast()) };
    ex_free_pool_with_tag(timer, TAG);
    ex_free_pool_with_tag(dpc, TAG);
    STATUS_SUCCESS
}

fn start_before_mark(place: Place) -> NTSTATUS {
    // SAFETY: The driver's own device and IRP.
    unsafe { io_start_packet(place.device, place.irp, ptr::null_mut(), None) };
    mark_pending(&handle(place.irp));
    STATUS_PENDING
}

//! Faults of an ISR, which only an interrupt calls.

use core::ptr;

use wdk_sys::{BOOLEAN, LARGE_INTEGER, NTSTATUS, PDEVICE_OBJECT, PVOID};

use crate::nt::dpc::ke_insert_queue_dpc;
use crate::nt::interrupt::send_foreign;
use crate::nt::interrupt::synchronize::ke_synchronize_execution;
use crate::nt::node;
use crate::nt::register_access::absence;
use crate::nt::rule::Rule;
use crate::nt::self_test::driver::{
    INTERRUPT_ACKNOWLEDGE, INTERRUPT_RAISE, INTERRUPT_STATUS, read_register, write_register,
};
use crate::nt::self_test::extension::own;
use crate::nt::self_test::faults::{Fault, Hook, Place, armed_rule};
use crate::nt::status::{STATUS_NOT_FOUND, STATUS_SUCCESS};
use crate::nt::time::ke_delay_execution_thread;

/// How long it may take until what the ISR does is noticed.
const LIMIT_100NS: i64 = 200_000_000;

/// The faults; see [`irp_faults`](super::irp_faults) for what vouches for their calls.
pub(super) const FAULTS: &[Fault] = &[
    Fault {
        rule: Rule::Int08,
        hook: Hook::Isr,
        act: claim,
    },
    Fault {
        rule: Rule::Int10,
        hook: Hook::Isr,
        act: serve_one,
    },
];

/// Other ways to break the same rules, each with the name of its test.
pub(super) const OTHERS: &[(&str, Fault)] = &[(
    "INT-08-dpc",
    Fault {
        rule: Rule::Int08,
        hook: Hook::Isr,
        act: queue_and_disown,
    },
)];

/// Has the ISR called in which this run's fault is, and waits.
pub(super) fn provoke(device: PDEVICE_OBJECT) {
    match armed_rule() {
        Some(Rule::Int08) => {
            if let Some(node) = node::of_pdo(own(device).pdo()) {
                send_foreign(&node);
            }
        }
        // Another device's interrupt, after this one has gone.
        Some(Rule::Pnp15) => {
            absence::begin_after(Some(0));
            if let Some(node) = node::of_pdo(own(device).pdo()) {
                send_foreign(&node);
            }
        }
        // For INT-10 three events before the message is taken, as if theirs had been merged.
        Some(Rule::Int09 | Rule::Int10) => {
            // SAFETY: The driver's own interrupt, which is connected now.
            unsafe {
                ke_synchronize_execution(own(device).interrupt(), Some(raise), device.cast())
            };
        }
        _ => return,
    }
    let mut interval = LARGE_INTEGER {
        QuadPart: -LIMIT_100NS,
    };
    // SAFETY: The interval is this function's own.
    unsafe { ke_delay_execution_thread(0, 0, &raw mut interval) };
}

/// Raises three interrupts.
unsafe extern "C" fn raise(device: PVOID) -> BOOLEAN {
    write_register(device.cast(), INTERRUPT_RAISE, 0b111);
    1
}

/// Every interrupt is the device's, whatever the device says.
fn claim(_place: Place) -> NTSTATUS {
    STATUS_SUCCESS
}

/// Whatever there is, a DPC is to look at it.
fn queue_and_disown(place: Place) -> NTSTATUS {
    // SAFETY: The DPC lies in the device extension and was initialised by AddDevice.
    unsafe { ke_insert_queue_dpc(own(place.device).at_dpc(), ptr::null_mut(), ptr::null_mut()) };
    STATUS_NOT_FOUND
}

/// One message, one event.
fn serve_one(place: Place) -> NTSTATUS {
    let causes = read_register(place.device, INTERRUPT_STATUS);
    if causes == 0 {
        return STATUS_NOT_FOUND;
    }
    let first = causes & causes.wrapping_neg();
    write_register(place.device, INTERRUPT_ACKNOWLEDGE, first);
    STATUS_SUCCESS
}

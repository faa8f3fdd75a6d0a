//! Faults with IRQL, interrupts, DPCs and spin locks.

use core::ptr;

use wdk_sys::{
    BOOLEAN, CONNECT_FULLY_SPECIFIED, IO_CONNECT_INTERRUPT_FULLY_SPECIFIED_PARAMETERS,
    IO_CONNECT_INTERRUPT_PARAMETERS, KDPC, NTSTATUS, PKINTERRUPT, PVOID, ULONG,
};

use crate::nt::dpc::{ke_flush_queued_dpcs, ke_insert_queue_dpc};
use crate::nt::interrupt::connect::io_connect_interrupt_ex;
use crate::nt::interrupt::lock::{ke_acquire_interrupt_spin_lock, ke_release_interrupt_spin_lock};
use crate::nt::interrupt::synchronize::ke_synchronize_execution;
use crate::nt::irql::{DISPATCH_LEVEL, PASSIVE_LEVEL, ke_lower_irql, kf_raise_irql};
use crate::nt::node;
use crate::nt::rule::Rule;
use crate::nt::self_test::driver::{STATUS, STATUS_INTERRUPT, connect, disconnect, write_register};
use crate::nt::self_test::extension::own;
use crate::nt::self_test::faults::{Fault, Hook, Place};
use crate::nt::spin_lock::{
    ke_acquire_spin_lock_at_dpc_level, ke_acquire_spin_lock_raise_to_dpc, ke_release_spin_lock,
    ke_release_spin_lock_from_dpc_level,
};
use crate::nt::status::{STATUS_DEVICE_BUSY, STATUS_NOT_FOUND, STATUS_SUCCESS};

/// Above every device's IRQL.
const ABOVE_DEVICES: u8 = 12;

/// The faults; see [`irp_faults`](super::irp_faults) for what vouches for their calls.
pub(super) const FAULTS: &[Fault] = &[
    Fault {
        rule: Rule::Irql01,
        hook: Hook::Connected,
        act: flush_at_dispatch,
    },
    Fault {
        rule: Rule::Irql02,
        hook: Hook::Connected,
        act: lower_without_raise,
    },
    Fault {
        rule: Rule::Irql04,
        hook: Hook::Critical,
        act: stay_raised,
    },
    Fault {
        rule: Rule::Int03,
        hook: Hook::Isr,
        act: claim,
    },
    Fault {
        rule: Rule::Int04,
        hook: Hook::Connect,
        act: enable_before_connect,
    },
    Fault {
        rule: Rule::Int05,
        hook: Hook::Disconnect,
        act: disconnect_unsilenced,
    },
    Fault {
        rule: Rule::Int06,
        hook: Hook::Disconnect,
        act: disconnect_twice,
    },
    Fault {
        rule: Rule::Int07,
        hook: Hook::Disconnect,
        act: leave_connected,
    },
    Fault {
        rule: Rule::Int09,
        hook: Hook::Isr,
        act: disown,
    },
    Fault {
        rule: Rule::Int11,
        hook: Hook::Message,
        act: claim,
    },
    Fault {
        rule: Rule::Int12,
        hook: Hook::Connect,
        act: connect_at_other_irql,
    },
    Fault {
        rule: Rule::Int13,
        hook: Hook::Connect,
        act: acquire_passive,
    },
    Fault {
        rule: Rule::Syn01,
        hook: Hook::Connected,
        act: synchronize_from_above,
    },
    Fault {
        rule: Rule::Syn02,
        hook: Hook::Critical,
        act: synchronize_again,
    },
    Fault {
        rule: Rule::Syn06,
        hook: Hook::Connected,
        act: release_interrupt_lock_to_other_irql,
    },
    Fault {
        rule: Rule::Dpc01,
        hook: Hook::Connected,
        act: queue_uninitialized,
    },
    Fault {
        rule: Rule::Spl01,
        hook: Hook::Connected,
        act: release_otherwise,
    },
    Fault {
        rule: Rule::Spl02,
        hook: Hook::Connected,
        act: acquire_twice,
    },
    Fault {
        rule: Rule::Spl04,
        hook: Hook::Connected,
        act: release_to_other_irql,
    },
    Fault {
        rule: Rule::Spl05,
        hook: Hook::StartIo,
        act: keep_lock,
    },
];

fn flush_at_dispatch(_place: Place) -> NTSTATUS {
    let old = kf_raise_irql(DISPATCH_LEVEL);
    ke_flush_queued_dpcs();
    ke_lower_irql(old);
    STATUS_SUCCESS
}

fn lower_without_raise(_place: Place) -> NTSTATUS {
    ke_lower_irql(0);
    STATUS_SUCCESS
}

fn stay_raised(_place: Place) -> NTSTATUS {
    kf_raise_irql(ABOVE_DEVICES);
    STATUS_SUCCESS
}

fn claim(_place: Place) -> NTSTATUS {
    STATUS_SUCCESS
}

fn release_interrupt_lock_to_other_irql(place: Place) -> NTSTATUS {
    let interrupt = own(place.device).interrupt();
    // SAFETY: The module's faults vouch for it: the interrupt is connected at this place.
    let old = unsafe { ke_acquire_interrupt_spin_lock(interrupt) };
    // SAFETY: As above.
    unsafe { ke_release_interrupt_spin_lock(interrupt, old + 1) };
    STATUS_SUCCESS
}

fn enable_before_connect(place: Place) -> NTSTATUS {
    write_register(place.device, STATUS, STATUS_INTERRUPT);
    connect(place.device)
}

fn disconnect_unsilenced(place: Place) -> NTSTATUS {
    write_register(place.device, STATUS, STATUS_INTERRUPT);
    disconnect(place.device);
    STATUS_SUCCESS
}

/// The ISR says that the interrupt is not its device's, which is not true.
fn disown(_place: Place) -> NTSTATUS {
    STATUS_NOT_FOUND
}

fn disconnect_twice(place: Place) -> NTSTATUS {
    disconnect(place.device);
    disconnect(place.device);
    STATUS_SUCCESS
}

fn leave_connected(_place: Place) -> NTSTATUS {
    STATUS_SUCCESS
}

/// Never called.
unsafe extern "C" fn service(_interrupt: PKINTERRUPT, _context: PVOID) -> BOOLEAN {
    0
}

/// Connects the interrupt as its descriptor says, but for its IRQL.
fn connect_fully_specified(place: Place, irql: u8) -> NTSTATUS {
    let pdo = own(place.device).pdo();
    let Some(node) = node::of_pdo(pdo) else {
        return STATUS_DEVICE_BUSY;
    };
    let interrupt = node.interrupt();
    let is_line = interrupt.line.is_some();
    let mut parameters = IO_CONNECT_INTERRUPT_PARAMETERS {
        Version: CONNECT_FULLY_SPECIFIED,
        ..Default::default()
    };
    parameters.__bindgen_anon_1.FullySpecified = IO_CONNECT_INTERRUPT_FULLY_SPECIFIED_PARAMETERS {
        PhysicalDeviceObject: pdo,
        InterruptObject: own(place.device).at_interrupt(),
        ServiceRoutine: Some(service),
        Vector: ULONG::from(interrupt.vector),
        Irql: irql,
        SynchronizeIrql: irql,
        ShareVector: is_line.into(),
        InterruptMode: (!is_line).into(),
        ProcessorEnableMask: interrupt.affinity(),
        ..Default::default()
    };
    // SAFETY: The parameters are complete, and the driver's own.
    unsafe { io_connect_interrupt_ex(&raw mut parameters) }
}

fn connect_at_other_irql(place: Place) -> NTSTATUS {
    let irql = node::of_pdo(own(place.device).pdo()).map_or(0, |node| node.interrupt().irql());
    connect_fully_specified(place, irql + 1)
}

/// A passive-level interrupt has no spin lock.
fn acquire_passive(place: Place) -> NTSTATUS {
    let status = connect_fully_specified(place, PASSIVE_LEVEL);
    // SAFETY: The driver's own interrupt, connected just now.
    unsafe { ke_acquire_interrupt_spin_lock(own(place.device).interrupt()) };
    status
}

/// A critical section that does nothing.
unsafe extern "C" fn nothing(_context: PVOID) -> BOOLEAN {
    1
}

fn synchronize(place: Place) {
    // SAFETY: The driver's own interrupt.
    unsafe {
        ke_synchronize_execution(
            own(place.device).interrupt(),
            Some(nothing),
            ptr::null_mut(),
        );
    };
}

fn synchronize_from_above(place: Place) -> NTSTATUS {
    let old = kf_raise_irql(ABOVE_DEVICES);
    synchronize(place);
    ke_lower_irql(old);
    STATUS_SUCCESS
}

fn synchronize_again(place: Place) -> NTSTATUS {
    synchronize(place);
    STATUS_SUCCESS
}

fn queue_uninitialized(_place: Place) -> NTSTATUS {
    let mut dpc = KDPC::default();
    // SAFETY: That the DPC was not initialised is the fault; the executive looks
    // it up first.
    unsafe { ke_insert_queue_dpc(&raw mut dpc, ptr::null_mut(), ptr::null_mut()) };
    STATUS_SUCCESS
}

fn release_otherwise(place: Place) -> NTSTATUS {
    let lock = own(place.device).at_spin_lock();
    // SAFETY: The lock lies in the device extension.
    unsafe { ke_acquire_spin_lock_raise_to_dpc(lock) };
    // SAFETY: As above.
    unsafe { ke_release_spin_lock_from_dpc_level(lock) };
    STATUS_SUCCESS
}

fn acquire_twice(place: Place) -> NTSTATUS {
    let lock = own(place.device).at_spin_lock();
    // SAFETY: The lock lies in the device extension.
    unsafe { ke_acquire_spin_lock_raise_to_dpc(lock) };
    // SAFETY: As above.
    unsafe { ke_acquire_spin_lock_raise_to_dpc(lock) };
    STATUS_SUCCESS
}

fn release_to_other_irql(place: Place) -> NTSTATUS {
    let lock = own(place.device).at_spin_lock();
    // SAFETY: The lock lies in the device extension.
    let old = unsafe { ke_acquire_spin_lock_raise_to_dpc(lock) };
    // SAFETY: As above.
    unsafe { ke_release_spin_lock(lock, old + 1) };
    STATUS_SUCCESS
}

fn keep_lock(place: Place) -> NTSTATUS {
    // SAFETY: The lock lies in the device extension; StartIo runs at DISPATCH_LEVEL.
    unsafe { ke_acquire_spin_lock_at_dpc_level(own(place.device).at_spin_lock()) };
    STATUS_SUCCESS
}

//! Faults with the registers of the device.

use core::hint::black_box;

use wdk_sys::{BOOLEAN, IO_INTERRUPT_MESSAGE_INFO_ENTRY, NTSTATUS, PVOID};

use crate::nt::address;
use crate::nt::dpc::ke_flush_queued_dpcs;
use crate::nt::interrupt::synchronize::ke_synchronize_execution;
use crate::nt::mmio::mm_unmap_io_space;
use crate::nt::node;
use crate::nt::rule::Rule;
use crate::nt::self_test::driver::{
    INTERRUPT_ACKNOWLEDGE, INTERRUPT_RAISE, INTERRUPT_STATUS, connect, disconnect, read_register,
    write_register,
};
use crate::nt::self_test::extension::own;
use crate::nt::self_test::faults::{Fault, Hook, Place};
use crate::nt::status::{STATUS_NOT_FOUND, STATUS_SUCCESS};

const IDENTIFICATION: usize = 0x00;

/// The faults; see [`irp_faults`](super::irp_faults) for what vouches for their calls.
pub(super) const FAULTS: &[Fault] = &[
    Fault {
        rule: Rule::Pnp02,
        hook: Hook::Disconnect,
        act: read_what_was_unmapped,
    },
    Fault {
        rule: Rule::Pnp15,
        hook: Hook::Isr,
        act: claim_all_ones,
    },
    Fault {
        rule: Rule::Mmio02,
        hook: Hook::Connected,
        act: read_too_much,
    },
    Fault {
        rule: Rule::Mmio03,
        hook: Hook::Connected,
        act: write_header,
    },
    Fault {
        rule: Rule::Int01,
        hook: Hook::Initialized,
        act: connect_before_start,
    },
    Fault {
        rule: Rule::Syn03,
        hook: Hook::Connected,
        act: raise_without_lock,
    },
    Fault {
        rule: Rule::Syn04,
        hook: Hook::Connected,
        act: read_under_other_lock,
    },
];

/// Other ways to break a rule, each with the name of its test.
pub(super) const OTHERS: &[(&str, Fault)] = &[(
    "INT-08-write",
    Fault {
        rule: Rule::Int08,
        hook: Hook::Isr,
        act: acknowledge_and_disown,
    },
)];

/// Gives everything back, and then reads a register once more.
fn read_what_was_unmapped(place: Place) -> NTSTATUS {
    disconnect(place.device);
    ke_flush_queued_dpcs();
    let length = node::of_pdo(own(place.device).pdo()).map_or(0, |node| node.memory().1);
    mm_unmap_io_space(own(place.device).registers().cast(), length as u64);
    black_box(read_register(place.device, IDENTIFICATION));
    STATUS_SUCCESS
}

/// Reads two registers at once.
fn read_too_much(place: Place) -> NTSTATUS {
    let register = address::to_pointer::<u64>(address::of(own(place.device).registers()));
    // SAFETY: The registers are mapped at this place; that so many bytes are read is the
    // fault.
    black_box(unsafe { register.read_volatile() });
    STATUS_SUCCESS
}

/// Writes the register of the header in which the firmware has left the interrupt's line.
fn write_header(place: Place) -> NTSTATUS {
    const INTERRUPT_LINE: u8 = 0x3c;
    if let Some(node) = node::of_pdo(own(place.device).pdo()) {
        let function = node.function();
        let other = function.read32(INTERRUPT_LINE) ^ 1;
        // SAFETY: Nothing but software looks at this register.
        unsafe { function.write_unknown(INTERRUPT_LINE, other) };
    }
    STATUS_SUCCESS
}

/// AddDevice connects the interrupt that START_DEVICE will be told of.
fn connect_before_start(place: Place) -> NTSTATUS {
    connect(place.device)
}

/// The ISR writes a register of a device that has not interrupted.
fn acknowledge_and_disown(place: Place) -> NTSTATUS {
    write_register(place.device, INTERRUPT_ACKNOWLEDGE, 0);
    STATUS_NOT_FOUND
}

/// Any bit that is set is a cause, and all of them are.
fn claim_all_ones(place: Place) -> NTSTATUS {
    let causes = read_register(place.device, INTERRUPT_STATUS);
    if causes == 0 {
        return STATUS_NOT_FOUND;
    }
    write_register(place.device, INTERRUPT_ACKNOWLEDGE, causes);
    STATUS_SUCCESS
}

/// The device interrupts because of this, and its ISR uses what was written here.
fn raise_without_lock(place: Place) -> NTSTATUS {
    write_register(place.device, INTERRUPT_RAISE, 1);
    STATUS_SUCCESS
}

/// Reads what the ISR of the first message uses.
unsafe extern "C" fn read_status(device: PVOID) -> BOOLEAN {
    black_box(read_register(device.cast(), INTERRUPT_STATUS));
    1
}

/// Raises an interrupt.
unsafe extern "C" fn raise(device: PVOID) -> BOOLEAN {
    write_register(device.cast(), INTERRUPT_RAISE, 1);
    1
}

/// Each message has a lock of its own, and this critical section takes the second's.
fn read_under_other_lock(place: Place) -> NTSTATUS {
    // SAFETY: The connect call made the table.
    let first = unsafe { &raw const (*own(place.device).table()).MessageInfo };
    let second = first
        .cast::<IO_INTERRUPT_MESSAGE_INFO_ENTRY>()
        .wrapping_add(1);
    // SAFETY: The device was granted two messages, and the table has room for more.
    let second = unsafe { (*second).InterruptObject };
    // SAFETY: The driver's own interrupts, connected at this place.
    unsafe { ke_synchronize_execution(second, Some(read_status), place.device.cast()) };
    // SAFETY: As above.
    unsafe {
        ke_synchronize_execution(
            own(place.device).interrupt(),
            Some(raise),
            place.device.cast(),
        )
    };
    STATUS_SUCCESS
}

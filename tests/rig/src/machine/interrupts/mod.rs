//! Interrupts: vectors, the local APICs, the I/O APIC, what runs on each.
//!
//! A vector's upper four bits are the IRQL at which its handler runs, which is
//! also the priority that the local APIC gives it:
//!
//! | vectors | IRQL | use |
//! |---|---|---|
//! | `0x2f` | 2 | software interrupt at `DISPATCH_LEVEL` |
//! | `0x41` | 4 | the command channel's serial port |
//! | `0x51..=0xbf` | 5 to 11 | devices, one class each as long as there are any |
//! | `0xd1` | 13 | the clock |
//! | `0xe1`, `0xe2` | 14 | wake-up, and other processors' page table changes |

mod allocation;
mod entry;
mod exceptions;
mod handlers;
mod io_apic;
mod local_apic;
mod register_access;
mod table;

pub(crate) use allocation::allocate_vector;
pub(crate) use handlers::{
    Access, BrokenRule, Detail, Fault, Handlers, account, clocks, dispatches, install_handlers,
};
pub(crate) use io_apic::{mask_line, retarget_line, route_isa_edge, route_line};
pub(crate) use local_apic::{
    ApicId, MessageAddress, halt_others, message_for, request_dispatch_interrupt, send_init,
    send_interrupt, send_startup,
};
pub(crate) use register_access::{Operation, RegisterAccess, differing_instruction};

use crate::machine::acpi::InterruptControllers;

/// Software interrupt at `DISPATCH_LEVEL`.
pub(crate) const DISPATCH_VECTOR: u8 = 0x2f;
/// The command channel's serial port.
pub(crate) const COMMAND_PORT_VECTOR: u8 = 0x41;
/// The clock, of every processor.
pub(crate) const CLOCK_VECTOR: u8 = 0xd1;
/// Makes a waiting processor look again.
pub(crate) const WAKE_VECTOR: u8 = 0xe1;
/// Another processor has changed the page tables.
pub(crate) const TRANSLATION_VECTOR: u8 = 0xe2;
/// What the local APIC delivers when an interrupt vanished before it was accepted.
pub(crate) const SPURIOUS_VECTOR: u8 = 0xff;

/// First and last vector of the devices.
const DEVICE_VECTORS: core::ops::RangeInclusive<u8> = 0x51..=0xbf;

/// Finds the controllers. Once, on processor 0.
pub(crate) fn initialize(controllers: &InterruptControllers) {
    local_apic::initialize(controllers.local_apic);
    io_apic::initialize(controllers);
}

/// Interrupt table and local APIC, with its clock, of the processor that calls.
pub(crate) fn load_this_processor() {
    table::load();
    local_apic::load_this_processor();
}

//! The I/O APIC: which processor a line interrupts, on which vector.

use super::local_apic;
use crate::machine::acpi::InterruptControllers;
use crate::machine::sync::IrqLock;
use crate::machine::{memory, stop};

/// Redirection entry: edge or level.
const LEVEL: u32 = 1 << 15;
/// Redirection entry: nothing is delivered.
const MASKED: u32 = 1 << 16;
/// First register of the redirection table.
const REDIRECTION: u32 = 0x10;
/// Register that holds the number of entries.
const VERSION: u32 = 1;

/// An I/O APIC: an index register and a data register (82093AA data sheet, 3.0).
#[derive(Debug)]
struct IoApic {
    registers: *mut u32,
    /// Global system interrupt of its first input.
    first: u32,
    /// Number of its inputs.
    inputs: u32,
    /// Global system interrupt of ISA interrupt 0 and so on.
    isa: [u32; 16],
}

// SAFETY: The pointer is to a device's registers, which any processor may use;
// the lock around it keeps index and data together.
unsafe impl Send for IoApic {}

/// The one I/O APIC of a q35 machine.
static IO_APIC: IrqLock<Option<IoApic>> = IrqLock::new(None);

impl IoApic {
    /// Reads a register.
    fn read(&mut self, index: u32) -> u32 {
        // SAFETY: `initialize` mapped the page for good; selecting has no effect
        // but on the data register, and `&mut self` makes both accesses one.
        unsafe { self.registers.write_volatile(index) };
        let data = self.registers.wrapping_byte_add(0x10);
        // SAFETY: As above, the data register lies in the same page.
        unsafe { data.read_volatile() }
    }

    /// Writes a register.
    fn write(&mut self, index: u32, value: u32) {
        // SAFETY: As in `read`.
        unsafe { self.registers.write_volatile(index) };
        let data = self.registers.wrapping_byte_add(0x10);
        // SAFETY: As in `read`; an I/O APIC does not access memory.
        unsafe { data.write_volatile(value) };
    }

    /// Index of the two registers of an input, if it is one of this APIC's.
    fn entry(&self, gsi: u32) -> Option<u32> {
        let input = gsi.checked_sub(self.first)?;
        (input < self.inputs).then_some(REDIRECTION + 2 * input)
    }
}

/// Maps the I/O APIC and masks all of its inputs.
pub(super) fn initialize(controllers: &InterruptControllers) {
    let physical = controllers.io_apic;
    let Some(registers) = memory::map_device(physical, 4096) else {
        stop::refuse(format_args!(
            "The I/O APIC's registers at {physical:#x} could not be mapped."
        ));
    };
    let mut io_apic = IoApic {
        registers: registers.cast(),
        first: controllers.io_apic_first,
        inputs: 0,
        isa: controllers.isa,
    };
    io_apic.inputs = (io_apic.read(VERSION) >> 16 & 0xff) + 1;
    for input in 0..io_apic.inputs {
        io_apic.write(REDIRECTION + 2 * input, MASKED);
    }
    IO_APIC.with(|slot| *slot = Some(io_apic));
}

/// Routes a PCI line to a processor and unmasks it. Any IRQL.
///
/// Level-triggered. A q35 machine's own description (the `_PRT` and `_CRS`
/// objects of its DSDT) declares its PCI lines active high at the I/O APIC.
pub(crate) fn route_line(gsi: u32, vector: u8, processor: usize) {
    route(gsi, LEVEL | u32::from(vector), processor);
}

/// Routes an ISA interrupt, edge-triggered and active high, to a processor.
pub(crate) fn route_isa_edge(interrupt: u8, vector: u8, processor: usize) {
    let gsi = IO_APIC.with(|io_apic| {
        io_apic
            .as_ref()
            .map(|io_apic| io_apic.isa[usize::from(interrupt)])
    });
    if let Some(gsi) = gsi {
        route(gsi, u32::from(vector), processor);
    }
}

/// Nothing comes from this line any more. Any IRQL.
///
/// Everything else about it stays: while an input is set for edges, the controller does not
/// notice that a level has gone, and would deliver it later.
pub(crate) fn mask_line(gsi: u32) {
    IO_APIC.with(|io_apic| {
        if let Some(io_apic) = io_apic
            && let Some(entry) = io_apic.entry(gsi)
        {
            let low = io_apic.read(entry);
            io_apic.write(entry, low | MASKED);
        }
    });
}

/// Has a PCI line interrupt another processor from its next interrupt on. Any IRQL.
///
/// Only the destination changes, so an interrupt that is in service stays as it is, and what
/// is masked stays masked.
pub(crate) fn retarget_line(gsi: u32, processor: usize) {
    IO_APIC.with(|io_apic| {
        if let Some(io_apic) = io_apic
            && let Some(entry) = io_apic.entry(gsi)
        {
            io_apic.write(entry + 1, destination(processor));
        }
    });
}

/// The upper half of a redirection entry.
fn destination(processor: usize) -> u32 {
    u32::from(local_apic::id_of(processor)) << 24
}

/// Fills an input's redirection entry in.
fn route(gsi: u32, low: u32, processor: usize) {
    let known = IO_APIC.with(|io_apic| {
        let io_apic = io_apic.as_mut()?;
        let entry = io_apic.entry(gsi)?;
        io_apic.write(entry, low | MASKED);
        io_apic.write(entry + 1, destination(processor));
        io_apic.write(entry, low);
        Some(())
    });
    assert!(known.is_some(), "no I/O APIC has an input {gsi}");
}

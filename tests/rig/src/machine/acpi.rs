//! What the rig asks the firmware's ACPI tables: processors, interrupt
//! controllers, the power management timer.

use alloc::vec::Vec;
use core::ptr::NonNull;

use crate::machine::interrupts::ApicId;
use crate::machine::{cpu, stop, time};
use acpi::address::AddressSpace;
use acpi::sdt::fadt::Fadt;
use acpi::sdt::madt::{Madt, MadtEntry};
use acpi::{AcpiTables, Handler, PciAddress, PhysicalMapping};

/// The power management timer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PowerTimer {
    /// I/O port.
    pub(crate) port: u16,
    /// It counts 32 bits, else 24.
    pub(crate) is_32_bit: bool,
}

/// The interrupt controllers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InterruptControllers {
    /// Physical address of the local APICs.
    pub(crate) local_apic: u64,
    /// Physical address of the I/O APIC.
    pub(crate) io_apic: u64,
    /// Global system interrupt of its first input.
    pub(crate) io_apic_first: u32,
    /// Global system interrupts of the ISA interrupts.
    pub(crate) isa: [u32; 16],
}

/// All that the rig takes from the tables.
#[derive(Clone, Debug)]
pub(crate) struct Platform {
    /// See [`PowerTimer`].
    pub(crate) timer: PowerTimer,
    /// See [`InterruptControllers`].
    pub(crate) controllers: InterruptControllers,
    /// Local APICs of the usable processors, in the tables' order.
    pub(crate) processors: Vec<ApicId>,
}

/// Reads the tables. `rsdp` is where the firmware says that they begin.
pub(crate) fn read_platform(rsdp: usize) -> Platform {
    // SAFETY: The firmware's configuration table gave the address, and the rig
    // maps the memory that the firmware keeps its tables in.
    let tables = unsafe { AcpiTables::from_rsdp(Identity, rsdp) };
    let tables = match tables {
        Ok(tables) => tables,
        Err(error) => stop::refuse(format_args!(
            "The ACPI tables at {rsdp:#x} cannot be read: {error:?}."
        )),
    };
    let (controllers, processors) = read_madt(&tables);
    Platform {
        timer: read_timer(&tables),
        controllers,
        processors,
    }
}

/// The power management timer, from the FADT.
fn read_timer(tables: &AcpiTables<Identity>) -> PowerTimer {
    let found = tables.find_table::<Fadt>().and_then(|fadt| {
        let flags = fadt.flags;
        let block = fadt.pm_timer_block().ok()??;
        (block.address_space == AddressSpace::SystemIo).then_some(PowerTimer {
            port: u16::try_from(block.address).ok()?,
            is_32_bit: flags.pm_timer_is_32_bit(),
        })
    });
    found.unwrap_or_else(|| {
        stop::refuse(format_args!(
            "The ACPI tables name no power management timer, so the rig cannot tell the time."
        ))
    })
}

/// Controllers and processors, from the MADT.
fn read_madt(tables: &AcpiTables<Identity>) -> (InterruptControllers, Vec<ApicId>) {
    let Some(madt) = tables.find_table::<Madt>() else {
        stop::refuse(format_args!(
            "The ACPI tables have no MADT, so the rig cannot find the processors."
        ));
    };
    let mut processors = Vec::new();
    let mut io_apic = None;
    let mut local_apic = u64::from(madt.get().local_apic_address);
    let mut isa = [0; 16];
    for (gsi, slot) in (0..).zip(&mut isa) {
        *slot = gsi;
    }
    for entry in madt.get().entries() {
        match entry {
            MadtEntry::LocalApic(entry) if entry.flags & 1 != 0 => {
                processors.push(ApicId(entry.apic_id));
            }
            MadtEntry::IoApic(entry) => {
                io_apic.get_or_insert((entry.io_apic_address, entry.global_system_interrupt_base));
            }
            MadtEntry::InterruptSourceOverride(entry) => {
                if let Some(slot) = isa.get_mut(usize::from(entry.irq)) {
                    *slot = entry.global_system_interrupt;
                }
            }
            MadtEntry::LocalApicAddressOverride(entry) => local_apic = entry.local_apic_address,
            _ => {}
        }
    }
    let Some((address, first)) = io_apic else {
        stop::refuse(format_args!("The ACPI tables name no I/O APIC."));
    };
    let controllers = InterruptControllers {
        local_apic,
        io_apic: u64::from(address),
        io_apic_first: first,
        isa,
    };
    (controllers, processors)
}

/// Physical memory is mapped where it lies.
#[derive(Clone, Copy, Debug)]
struct Identity;

/// Accessors that only the crate's AML interpreter uses, which is not built in.
macro_rules! no_access {
    ($($read:ident $write:ident ($($place:ident: $kind:ty),*) $type:ty),* $(,)?) => {$(
        fn $read(&self, $($place: $kind),*) -> $type {
            unreachable!("reading ACPI tables takes no access to {:?}", ($($place,)*))
        }

        fn $write(&self, $($place: $kind,)* value: $type) {
            unreachable!("reading ACPI tables takes no write of {value} to {:?}", ($($place,)*))
        }
    )*};
}

impl Handler for Identity {
    unsafe fn map_physical_region<T>(
        &self,
        physical_address: usize,
        size: usize,
    ) -> PhysicalMapping<Self, T> {
        let Some(virtual_start) = NonNull::new(core::ptr::with_exposed_provenance_mut::<T>(
            physical_address,
        )) else {
            stop::refuse(format_args!("An ACPI table is said to lie at address 0."));
        };
        PhysicalMapping {
            physical_start: physical_address,
            virtual_start,
            region_length: size,
            mapped_length: size,
            handler: *self,
        }
    }

    fn unmap_physical_region<T>(_region: &PhysicalMapping<Self, T>) {}

    no_access! {
        read_u8 write_u8 (address: usize) u8,
        read_u16 write_u16 (address: usize) u16,
        read_u32 write_u32 (address: usize) u32,
        read_u64 write_u64 (address: usize) u64,
        read_io_u8 write_io_u8 (port: u16) u8,
        read_io_u16 write_io_u16 (port: u16) u16,
        read_io_u32 write_io_u32 (port: u16) u32,
        read_pci_u8 write_pci_u8 (address: PciAddress, offset: u16) u8,
        read_pci_u16 write_pci_u16 (address: PciAddress, offset: u16) u16,
        read_pci_u32 write_pci_u32 (address: PciAddress, offset: u16) u32,
    }

    fn nanos_since_boot(&self) -> u64 {
        time::system_time_100ns() * 100
    }

    fn stall(&self, microseconds: u64) {
        cpu::stall(microseconds);
    }

    fn sleep(&self, milliseconds: u64) {
        cpu::stall(milliseconds * 1000);
    }
}

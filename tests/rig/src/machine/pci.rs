//! PCI functions: finding them, their configuration space, messages, lines.

use alloc::vec::Vec;

use pci_types::capability::{MsiCapability, MultipleMessageSupport, PciCapability};
use pci_types::{
    Bar, CommandRegister, ConfigRegionAccess, EndpointHeader, HeaderType, PciAddress, PciHeader,
    PciPciBridgeHeader,
};
use x86_64::instructions::port::{Port, PortWriteOnly};

use crate::machine::configuration_space::{BARS, CAPABILITY, COMMANDS, changing};
use crate::machine::interrupts::MessageAddress;
use crate::machine::sync::IrqLock;
use crate::machine::word::low_16;

/// Configuration address and data ports (PCI Local Bus specification 3.0, 3.2.2.3.2).
const ADDRESS_PORT: u16 = 0xcf8;
const DATA_PORT: u16 = 0xcfc;

/// Device identification of a function that does not exist.
const NO_VENDOR: u16 = 0xffff;

/// First global system interrupt of the lines that PCI functions share on q35.
const FIRST_PCI_LINE: u32 = 16;

/// Slots above are wired to lines of their own.
const LAST_SHARED_SLOT: u8 = 24;

/// Registers of a header that firmware writes (PCI Local Bus specification 3.0, 6.1): the
/// base addresses, the interrupt line, and last the command, which brings them into effect.
const ASSIGNED: [u8; 8] = [0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x3c, 0x04];

/// Keeps the address and the data of one access together.
static PORTS: IrqLock<()> = IrqLock::new(());

/// A function of a PCI device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PciFunction {
    /// Bus number.
    pub(crate) bus: u8,
    /// Device number, 0 to 31.
    pub(crate) device: u8,
    /// Function number, 0 to 7.
    pub(crate) function: u8,
    /// Device number on bus 0 of the bridge behind which it is, if it is behind one.
    pub(crate) bridge: Option<u8>,
}

/// Configuration space by the two ports.
#[derive(Clone, Copy, Debug)]
struct Ports;

/// What the address port is written for an access.
fn configuration_address(address: PciAddress, offset: u16) -> u32 {
    1 << 31
        | u32::from(address.bus()) << 16
        | u32::from(address.device()) << 11
        | u32::from(address.function()) << 8
        | u32::from(offset & 0xfc)
}

impl ConfigRegionAccess for Ports {
    unsafe fn read(&self, address: PciAddress, offset: u16) -> u32 {
        PORTS.with(|()| {
            let mut port = PortWriteOnly::<u32>::new(ADDRESS_PORT);
            // SAFETY: The lock keeps the address until the data is read; selecting
            // a register has no other effect.
            unsafe { port.write(configuration_address(address, offset)) };
            // SAFETY: Reading configuration space has no side effect on the
            // functions that the rig knows.
            unsafe { Port::<u32>::new(DATA_PORT).read() }
        })
    }

    unsafe fn write(&self, address: PciAddress, offset: u16, value: u32) {
        PORTS.with(|()| {
            let mut port = PortWriteOnly::<u32>::new(ADDRESS_PORT);
            // SAFETY: As for reading.
            unsafe { port.write(configuration_address(address, offset)) };
            // SAFETY: By this function's contract the register may be written.
            unsafe { Port::<u32>::new(DATA_PORT).write(value) };
        });
    }
}

/// All functions with these identifications, on bus 0, where QEMU puts devices that are
/// given no other, and behind the bridges there; those pass on memory accesses and
/// interrupts from now on. `PASSIVE_LEVEL`.
pub(crate) fn find(vendor: u16, device: u16) -> Vec<PciFunction> {
    let mut functions = endpoints();
    functions.retain(|function| function.header().id(Ports) == (vendor, device));
    functions
}

/// All functions that are no bridges, on bus 0 and behind the bridges there.
/// `PASSIVE_LEVEL`.
pub(crate) fn endpoints() -> Vec<PciFunction> {
    let mut functions = on_bus(0, None);
    let behind: Vec<_> = functions
        .iter()
        .filter_map(|function| Some(on_bus(function.open_bridge()?, Some(function.device))))
        .flatten()
        .collect();
    functions.extend(behind);
    functions.retain(|function| function.header().header_type(Ports) == HeaderType::Endpoint);
    functions
}

/// What the firmware has decided about a function that is no bridge.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Assignment {
    function: PciFunction,
    /// The registers at [`ASSIGNED`], in that order.
    registers: [u32; ASSIGNED.len()],
}

impl Assignment {
    /// What is in the function's header now.
    pub(crate) fn of(function: PciFunction) -> Self {
        Self {
            function,
            registers: ASSIGNED.map(|offset| function.read32(offset)),
        }
    }

    /// Puts it into the header again. The function does nothing yet.
    pub(crate) fn restore(&self) {
        for (offset, value) in ASSIGNED.into_iter().zip(self.registers) {
            // SAFETY: The register held this value when the firmware was done, and the
            // memory where the function may answer again is no one else's since.
            unsafe {
                Ports.write(self.function.address(), u16::from(offset), value);
            }
        }
    }
}

/// All functions on a bus.
fn on_bus(bus: u8, bridge: Option<u8>) -> Vec<PciFunction> {
    let functions = (0..32).flat_map(|device| {
        let first = PciFunction {
            bus,
            device,
            function: 0,
            bridge,
        };
        let several = first.header().has_multiple_functions(Ports);
        let count = match (first.is_there(), several) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => 8,
        };
        (0..count).map(move |function| PciFunction { function, ..first })
    });
    functions.collect()
}

impl PciFunction {
    /// The crate's view.
    fn address(self) -> PciAddress {
        PciAddress::new(0, self.bus, self.device, self.function)
    }

    /// The header that all functions have.
    fn header(self) -> PciHeader {
        PciHeader::new(self.address())
    }

    /// The header of a function that is no bridge; [`find`] returns only those.
    fn endpoint(self) -> Option<EndpointHeader> {
        EndpointHeader::from_header(self.header(), Ports)
    }

    /// Has a bridge pass on what concerns the functions behind it; the number of the bus
    /// behind it, if it is one.
    fn open_bridge(self) -> Option<u8> {
        let bridge = PciPciBridgeHeader::from_header(self.header(), Ports)?;
        self.set_memory_space(true);
        self.set_bus_master(true);
        Some(bridge.secondary_bus_number(Ports))
    }

    /// Reads 32 bits of configuration space; `offset` is rounded down to 4.
    pub(crate) fn read32(self, offset: u8) -> u32 {
        // SAFETY: Every offset up to 255 may be read.
        unsafe { Ports.read(self.address(), u16::from(offset)) }
    }

    /// Reads 16 bits; `offset` is rounded down to 2.
    pub(crate) fn read16(self, offset: u8) -> u16 {
        low_16(self.read32(offset) >> (8 * u32::from(offset & 2)))
    }

    /// A memory BAR: its physical address and its length. The function does not
    /// decode memory meanwhile, because while it is sized the BAR does not hold its
    /// address.
    pub(crate) fn memory_bar(self, index: u8) -> Option<(u64, usize)> {
        let decodes = self
            .header()
            .command(Ports)
            .contains(CommandRegister::MEMORY_ENABLE);
        self.set_memory_space(false);
        let bar = self.endpoint()?.bar(index, Ports);
        self.set_memory_space(decodes);
        match bar? {
            Bar::Memory32 { address, size, .. } => Some((u64::from(address), size as usize)),
            Bar::Memory64 { address, size, .. } => Some((address, usize::try_from(size).ok()?)),
            Bar::Io { .. } => None,
        }
    }

    /// Moves a memory BAR, while the function does not decode memory; false when it cannot.
    pub(crate) fn set_memory_bar(self, index: u8, address: u64) -> bool {
        let (Some(mut endpoint), Ok(address)) = (self.endpoint(), usize::try_from(address)) else {
            return false;
        };
        self.set_memory_space(false);
        // SAFETY: The function answers no memory access now, and the caller has chosen an
        // address that nobody else has.
        let write = || unsafe { endpoint.write_bar(index, Ports, address) };
        changing(self, BARS, write).is_ok()
    }

    /// Whether the function is on the bus still.
    pub(crate) fn is_there(self) -> bool {
        self.read16(0) != NO_VENDOR
    }

    /// The function answers accesses to its memory BARs, or not.
    pub(crate) fn set_memory_space(self, enabled: bool) {
        self.set_command(CommandRegister::MEMORY_ENABLE, enabled);
    }

    /// The function may access memory and send messages, or not.
    pub(crate) fn set_bus_master(self, enabled: bool) {
        self.set_command(CommandRegister::BUS_MASTER_ENABLE, enabled);
    }

    /// Keeps the function from interrupting and from the bus, or not. It still answers
    /// what is asked of its configuration space.
    pub(crate) fn set_mute(self, on: bool) {
        self.set_command(CommandRegister::INTERRUPT_DISABLE, on);
        self.set_bus_master(!on);
        self.set_memory_space(!on);
    }

    /// Changes bits of the command register.
    fn set_command(self, bits: CommandRegister, on: bool) {
        changing(self, COMMANDS, || {
            self.header().update_command(Ports, |mut command| {
                command.set(bits, on);
                command
            });
        });
    }

    /// Writes 32 bits of configuration space, past the executive's book-keeping: as a
    /// driver could, and may not.
    ///
    /// # Safety
    /// What is written changes nothing of how the function works.
    pub(crate) unsafe fn write_unknown(self, offset: u8, value: u32) {
        // SAFETY: By this function's contract.
        unsafe { Ports.write(self.address(), u16::from(offset), value) };
    }

    /// The capability to send messages.
    fn message_capability(self) -> Option<MsiCapability> {
        self.endpoint()?
            .capabilities(Ports)
            .find_map(|capability| match capability {
                PciCapability::Msi(capability) => Some(capability),
                _ => None,
            })
    }

    /// Whether the function can send messages.
    pub(crate) fn has_msi(self) -> bool {
        self.message_capability().is_some()
    }

    /// Makes the function send one message for its interrupts; false when it
    /// cannot. Its bus mastering must be on for the message to arrive.
    pub(crate) fn enable_msi(self, message: &MessageAddress) -> bool {
        let Some(capability) = self.message_capability() else {
            return false;
        };
        changing(self, CAPABILITY, || {
            capability.set_message_info(message.address, message.data, Ports);
            capability.set_multiple_message_enable(MultipleMessageSupport::Int1, Ports);
            capability.set_enabled(true, Ports);
        });
        capability.is_enabled(Ports)
    }

    /// Has a function that sends messages send this one from now on. Any IRQL.
    pub(crate) fn retarget_msi(self, message: &MessageAddress) {
        if let Some(capability) = self.message_capability() {
            changing(self, CAPABILITY, || {
                capability.set_message_info(message.address, message.data, Ports);
            });
        }
    }

    /// Makes the function use its line again.
    pub(crate) fn disable_msi(self) {
        if let Some(capability) = self.message_capability() {
            changing(self, CAPABILITY, || capability.set_enabled(false, Ports));
        }
    }

    /// Global system interrupt of the function's line; `None` when it has none or
    /// sits in a slot that is wired by itself.
    ///
    /// On q35 the lines of slots 0 to 24 are spread over the chip set's inputs
    /// PIRQE to PIRQH by slot and pin, and the eight PIRQ inputs are global system
    /// interrupts 16 to 23 (Intel ICH9 data sheet, 5.10 and 10.1.43; the DSDT's
    /// `_PRT` says the same).
    pub(crate) fn line_gsi(self) -> Option<u32> {
        let (pin, _) = self.endpoint()?.interrupt(Ports);
        let slot = self.bridge.unwrap_or(self.device);
        if !(1..=4).contains(&pin) || slot > LAST_SHARED_SLOT {
            return None;
        }
        // A bridge spreads the pins behind it over its own in the same way, by device.
        let behind = self.bridge.map_or(0, |_| u32::from(self.device));
        let input = 4 + (u32::from(slot) + behind + u32::from(pin) - 1) % 4;
        Some(FIRST_PCI_LINE + input)
    }
}

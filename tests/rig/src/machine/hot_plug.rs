//! Unplugging: QEMU asks the platform to let go of a device, and takes it away when the
//! platform does.
//!
//! The registers are those of QEMU's ACPI PCI hot-plug interface (its document
//! "QEMU<->ACPI BIOS PCI hotplug interface"), which the methods of the DSDT use; a q35
//! machine has them at other ports than a `pc` machine.

use x86_64::instructions::port::Port;

use crate::machine::sync::IrqLock;

/// Slots whose removal was asked for, one bit each. Read only.
const DOWN: u16 = 0xcc4;
/// Slots that are let go of, one bit each.
const EJECT: u16 = 0xcc8;
/// Which bus the registers above mean.
const BUS_SELECT: u16 = 0xcd0;

/// Buses with slots that are looked at: more than a machine here has.
const BUSES: u32 = 16;

/// Keeps the selection and the accesses after it together.
static PORTS: IrqLock<()> = IrqLock::new(());

/// Lets go of all devices whose removal was asked for: they are gone when this returns.
/// The time that QEMU takes for it passes with all processors stopped. `PASSIVE_LEVEL`.
pub(crate) fn eject_requested() {
    PORTS.with(|()| {
        for bus in 0..BUSES {
            // SAFETY: The port selects a bus for the other two and does nothing else; one
            // that does not exist has no slots.
            unsafe { Port::new(BUS_SELECT).write(bus) };
            // SAFETY: Reading the register has no side effect.
            let slots: u32 = unsafe { Port::new(DOWN).read() };
            if slots != 0 && slots != u32::MAX {
                // SAFETY: Takes away devices that the host has asked for. Whoever uses
                // their memory ranges is the bus driver's to tell, which calls this.
                unsafe { Port::new(EJECT).write(slots) };
            }
        }
    });
}

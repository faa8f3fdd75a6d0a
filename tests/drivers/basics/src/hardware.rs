//! Registers and what the PnP manager knows of the device.

use dirql::{
    device::Device,
    device_property::{Number, Text, Texts},
    io_mem::{IoMem, ReadOnly, ReadWrite, Register},
    irql::Passive,
    resources::MemoryResource,
    status::{NtError, Result},
    unicode,
};
use test_driver::{Failed, Outcome, check, figures};

use crate::{Basics, TAG};

/// Bytes of the BAR that are looked at here.
const LENGTH: usize = 0x08;
const IDENTIFICATION: Register<LENGTH, 0x00, u32, ReadOnly> = Register::new();
const LIVENESS: Register<LENGTH, 0x04, u32, ReadWrite> = Register::new();
/// The registers that are looked at.
pub(crate) type Registers = IoMem<LENGTH>;

/// `PCIBus` of `INTERFACE_TYPE`.
const PCI_BUS: u32 = 5;

/// What the registers said, by constant and by offset.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    identification: u32,
    liveness: u32,
    at_run_time: u32,
    past_the_end: u32,
    misaligned: u32,
}

/// Maps the registers and looks at them.
pub(crate) fn look(irql: &mut Passive, memory: &MemoryResource<'_>) -> Result<(Registers, Seen)> {
    let mut registers = Registers::map(irql, memory)?;
    registers.write(LIVENESS, 0x1234_5678);
    // Neither reaches anything: the register after the end would be the factorial's.
    registers.write_at(LENGTH, 5_u32);
    registers.write_at(2, 5_u32);
    let seen = Seen {
        identification: registers.read(IDENTIFICATION),
        liveness: registers.read(LIVENESS),
        at_run_time: registers.read_at(4),
        past_the_end: registers.read_at(LENGTH),
        misaligned: registers.read_at(2),
    };
    Ok((registers, seen))
}

pub(crate) fn registers(device: &Device<Basics>, irql: &mut Passive) -> Outcome {
    let seen = device.seen.with(irql, |_, seen| *seen);
    let seen = seen.ok_or(Failed::here())?;
    check!(seen.identification & 0xffff == 0x00ed);
    check!(seen.liveness == !0x1234_5678);
    check!(seen.at_run_time == seen.liveness);
    check!(seen.past_the_end == u32::MAX);
    check!(seen.misaligned == u32::MAX);
    Ok(figures([u64::from(seen.identification)]))
}

pub(crate) fn properties(device: &Device<Basics>, irql: &mut Passive) -> Outcome {
    check!(device.number(irql, Number::LegacyBusType)? == PCI_BUS);
    let bus = device.number(irql, Number::BusNumber)?;
    let address = device.number(irql, Number::Address)?;
    check!(device.number(irql, Number::UiNumber) == Err(NtError::STATUS_OBJECT_NAME_NOT_FOUND));
    let enumerator = device.text(irql, TAG, Text::EnumeratorName)?;
    check!(enumerator.as_str() == unicode!("PCI"));
    check!(enumerator.as_str().eq_ignore_case(irql, unicode!("pci")));
    check!(
        !device
            .text(irql, TAG, Text::LocationInformation)?
            .as_str()
            .is_empty()
    );
    let missing = device.text(irql, TAG, Text::FriendlyName).map(|_| ());
    check!(missing == Err(NtError::STATUS_OBJECT_NAME_NOT_FOUND));
    // Longer than what is tried first, so it is asked for twice.
    let identifiers = device.texts(irql, TAG, Texts::HardwareIds)?;
    let most_general = unicode!(r"pci\ven_1234&dev_11e8&cc_00ff");
    let count = identifiers.iter().count();
    let last = identifiers.iter().last().ok_or(Failed::here())?;
    check!(last != most_general && last.eq_ignore_case(irql, most_general));
    let closest = identifiers.iter().next().ok_or(Failed::here())?;
    check!(closest == *r"PCI\VEN_1234&DEV_11E8&SUBSYS_11001AF4&REV_10");
    Ok(figures([
        u64::from(bus),
        u64::from(address),
        u64::try_from(count).unwrap_or(0),
    ]))
}

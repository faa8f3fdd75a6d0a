//! What a driver does with its device's registers: each access comes here.
//!
//! # Model
//! An access faults, because nothing is mapped where the driver has its registers
//! ([`mmio`]). The machine says what the instruction was to do; here it is held against
//! the rules, made through the executive's own mapping, and counted.
//!
//! # Soundness
//! 1. The executive's own mappings are never taken down; what lies there is reached by
//!    volatile access alone.

pub(crate) mod absence;
mod registers;
pub(crate) mod sharing;

use crate::machine::configuration_space::decodes_memory;
use crate::machine::image;
use crate::machine::interrupts::{Operation, RegisterAccess};
use crate::nt::interrupt::exclusion::{self, Exclusion};
use crate::nt::legacy;
use crate::nt::measure::{Mark, mark};
use crate::nt::mmio::{self, Place};
use crate::nt::node::Node;
use crate::nt::pnp::State;
use crate::nt::power::D0;
use crate::nt::rule::Rule;
use crate::nt::violation::{check_access, violation_at};
use crate::nt::{address, counters};

use registers::Register;

/// Makes an access in the place of the code that faulted with it; what was read. Any IRQL,
/// with interrupts disabled.
pub(crate) fn access(access: &RegisterAccess<'_>) -> u64 {
    let Some(place) = mmio::find(access.address) else {
        violation_at(
            Rule::Pnp02,
            access.context,
            format_args!(
                "A device register at {:#x} is {} while another processor unmaps it.",
                access.address,
                Does(access)
            ),
        );
    };
    assert_allowed(access, &place.node);
    let register = known_register(access, &place);
    let exclusion = exclusion::of(&place.node);
    sharing::assert_excluded(access, &place.node, register, &exclusion);
    assert_somebody_listens(access, register, &exclusion);
    if let (Operation::Write(_), Exclusion::Isr(isr)) = (access.operation, &exclusion) {
        isr.wrote();
    }
    make(access, &place)
}

/// Makes an access that is allowed; what was read.
fn make(access: &RegisterAccess<'_>, place: &Place) -> u64 {
    if let Operation::Write(value) = access.operation {
        counters::REGISTER_WRITES.add();
        mark(Mark::RegisterWrite);
        // Of a device that does not answer it goes nowhere.
        absence::answered(&place.node, || write(place, access.width, value));
        return 0;
    }
    counters::REGISTER_READS.add();
    mark(Mark::RegisterRead);
    let function = place.node.function();
    // QEMU answers zero where nothing is, and a bus all ones.
    absence::answered(&place.node, || read(place, access.width))
        .filter(|value| *value != 0 || (function.is_there() && decodes_memory(function)))
        .unwrap_or(u64::MAX)
}

/// Checks that the device may be touched at all now.
fn assert_allowed(access: &RegisterAccess<'_>, node: &Node) {
    let state = node.state();
    check_access!(
        Pnp02,
        access,
        state.has_resources()
            || state == State::SurpriseRemoved
            || legacy::hardware::is_claimed(node.index()),
        "A register of device {} is {} while the device is {state:?}.",
        node.index(),
        Does(access)
    );
    let power = node.power().hardware();
    check_access!(
        Pwr04,
        access,
        power == D0,
        "A register of device {} is {} while the device is not in D0.",
        node.index(),
        Does(access)
    );
}

/// The register, after a check that the access is one that the device understands.
fn known_register(access: &RegisterAccess<'_>, place: &Place) -> &'static Register {
    let offset = place.offset;
    check_access!(
        Mmio02,
        access,
        access.operation != Operation::Other,
        "The instruction at {} touches the register at {offset:#x}, and is neither a READ_REGISTER nor a WRITE_REGISTER.",
        image::Location(access.context.rip)
    );
    let width = access.width;
    check_access!(
        Mmio02,
        access,
        width <= place.left,
        "{width} bytes are {} at {offset:#x}, which lies outside of what was mapped.",
        Does(access)
    );
    let Some(register) = Register::at(offset) else {
        violation_at(
            Rule::Mmio02,
            access.context,
            format_args!(
                "{width} bytes are {} at {offset:#x}, where the device has no register.",
                Does(access)
            ),
        );
    };
    check_access!(
        Mmio02,
        access,
        register.takes_width(width),
        "The {register} is {} with {width} bytes at a time.",
        Does(access)
    );
    check_access!(
        Mmio02,
        access,
        register.takes(access.operation),
        "The {register} is {}, and that is not what it is there for.",
        Does(access)
    );
    register
}

/// Checks that a device is let interrupt only while its interrupt is connected and active.
fn assert_somebody_listens(
    access: &RegisterAccess<'_>,
    register: &Register,
    exclusion: &Exclusion,
) {
    if let Operation::Write(value) = access.operation {
        check_access!(
            Int04,
            access,
            !(matches!(exclusion, Exclusion::Alone) && register.lets_interrupt(value)),
            "The {register} is {}, after which the device may interrupt, and its interrupt is not connected and active.",
            Does(access)
        );
    }
}

/// What an access does, in a sentence.
struct Does<'a>(&'a RegisterAccess<'a>);

impl core::fmt::Display for Does<'_> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0.operation {
            Operation::Read => formatter.write_str("read"),
            Operation::Write(value) => write!(formatter, "written with {value:#x}"),
            Operation::Other => formatter.write_str("touched"),
        }
    }
}

/// Reads so many bytes.
fn read(place: &Place, width: usize) -> u64 {
    /// Reads a register of one width.
    macro_rules! read_as {
        ($kind:ty) => {{
            let register = address::to_pointer::<$kind>(place.own);
            // SAFETY: Fact 1; all of the register lies in the mapping and it is aligned, as
            // was looked at before.
            u64::from(unsafe { register.read_volatile() })
        }};
    }
    if width == 8 {
        read_as!(u64)
    } else {
        read_as!(u32)
    }
}

/// Writes so many bytes.
fn write(place: &Place, width: usize, value: u64) {
    if width == 8 {
        let register = address::to_pointer::<u64>(place.own);
        // SAFETY: As for reading.
        unsafe { register.write_volatile(value) };
    } else {
        let register = address::to_pointer::<u32>(place.own);
        // SAFETY: As for reading.
        unsafe { register.write_volatile(crate::machine::word::low_32(value)) };
    }
}

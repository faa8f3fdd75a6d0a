//! The device's registers: where they are, how wide, and what may be done with them.
//!
//! They are those of QEMU's `edu` device as its documentation has them, and as it answers.

use core::fmt;

use crate::machine::interrupts::Operation;

/// What a register is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// It is read.
    Read,
    /// It is written.
    Write,
    /// It is read and written.
    Both,
}

/// Registers that are one thing to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// The causes of its interrupt.
    Interrupt,
    /// Computes factorials.
    Factorial,
    /// Moves data.
    Dma,
}

/// `status`: an interrupt when a factorial is ready.
const STATUS_INTERRUPT: u64 = 0x80;
/// `DMA command`: run, and interrupt at the end.
const DMA_RUN_AND_INTERRUPT: u64 = 0x05;

/// A register of the device.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Register {
    offset: u64,
    name: &'static str,
    is_for: Use,
}

/// From here on registers have 64 bits, and take 32 or 64 at a time.
const FIRST_WIDE: u64 = 0x80;

/// All of them.
static REGISTERS: [Register; 11] = [
    Register::new(0x00, "identification", Use::Read),
    Register::new(0x04, "liveness", Use::Both),
    Register::new(0x08, "factorial", Use::Both),
    Register::new(0x20, "status", Use::Both),
    Register::new(0x24, "interrupt status", Use::Read),
    Register::new(0x60, "interrupt raise", Use::Write),
    Register::new(0x64, "interrupt acknowledge", Use::Write),
    Register::new(0x80, "DMA source", Use::Both),
    Register::new(0x88, "DMA destination", Use::Both),
    Register::new(0x90, "DMA count", Use::Both),
    Register::new(0x98, "DMA command", Use::Both),
];

impl Register {
    const fn new(offset: u64, name: &'static str, is_for: Use) -> Self {
        Self {
            offset,
            name,
            is_for,
        }
    }

    /// The register that begins at this offset.
    pub(super) fn at(offset: u64) -> Option<&'static Self> {
        REGISTERS.iter().find(|register| register.offset == offset)
    }

    /// What it is a part of.
    pub(super) const fn part(&self) -> Option<Part> {
        match self.offset {
            0x08 | 0x20 => Some(Part::Factorial),
            0x24 | 0x60 | 0x64 => Some(Part::Interrupt),
            FIRST_WIDE.. => Some(Part::Dma),
            _ => None,
        }
    }

    /// Whether the device may interrupt because this is written to it.
    pub(super) const fn lets_interrupt(&self, value: u64) -> bool {
        match self.offset {
            0x20 => value & STATUS_INTERRUPT != 0,
            0x60 => value != 0,
            0x98 => value & DMA_RUN_AND_INTERRUPT == DMA_RUN_AND_INTERRUPT,
            _ => false,
        }
    }

    /// Whether so many bytes of it are accessed at a time.
    pub(super) const fn takes_width(&self, width: usize) -> bool {
        width == 4 || (width == 8 && self.offset >= FIRST_WIDE)
    }

    /// Whether this may be done with it.
    pub(super) const fn takes(&self, operation: Operation) -> bool {
        match operation {
            Operation::Read => !matches!(self.is_for, Use::Write),
            Operation::Write(_) => !matches!(self.is_for, Use::Read),
            Operation::Other => false,
        }
    }
}

impl fmt::Display for Register {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} register ({:#x})", self.name, self.offset)
    }
}

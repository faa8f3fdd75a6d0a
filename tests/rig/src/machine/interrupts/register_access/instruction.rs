//! What an instruction does with the memory that it names.
//!
//! A compiler makes of a volatile read a move, or lets the one instruction read that needs
//! the value; of a volatile write it makes a move. Everything else that touches memory is
//! no such access.

use iced_x86::{Instruction, MemorySize, Mnemonic, OpKind};

use super::registers::{self, Part};
use super::{Operation, TrapFrame};

/// A calculation with a value that was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calculation {
    /// Which one.
    pub(super) mnemonic: Mnemonic,
    /// The other value.
    pub(super) other: u64,
    /// The value that was read is what the other one is taken from.
    pub(super) is_first: bool,
    /// Where the result goes; nowhere of a comparison.
    pub(super) into: Option<Part>,
}

/// What becomes of a value that was read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Destination {
    /// A register holds it.
    Register { into: Part, signed: bool },
    /// It is calculated with.
    Flags(Calculation),
}

/// What an instruction does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Effect {
    /// Reads so many bytes.
    Load {
        destination: Destination,
        width: usize,
    },
    /// Writes so many bytes.
    Store { value: u64, width: usize },
    /// Something else.
    Other,
}

impl Effect {
    pub(super) const fn width(self) -> usize {
        match self {
            Self::Load { width, .. } | Self::Store { width, .. } => width,
            Self::Other => 0,
        }
    }

    pub(super) const fn operation(self) -> Operation {
        match self {
            Self::Load { .. } => Operation::Read,
            Self::Store { value, .. } => Operation::Write(value),
            Self::Other => Operation::Other,
        }
    }
}

/// What this instruction does, with the registers as they are.
pub(super) fn effect(frame: &mut TrapFrame, instruction: &Instruction) -> Effect {
    known(frame, instruction).unwrap_or(Effect::Other)
}

/// The effect, if it is one access.
fn known(frame: &mut TrapFrame, instruction: &Instruction) -> Option<Effect> {
    let width = width(instruction.memory_size())?;
    let is_memory = |operand| instruction.op_kind(operand) == OpKind::Memory;
    match instruction.mnemonic() {
        Mnemonic::Mov if is_memory(0) => Some(Effect::Store {
            value: registers::low_bytes(value(frame, instruction, 1)?, width),
            width,
        }),
        mnemonic @ (Mnemonic::Mov | Mnemonic::Movzx | Mnemonic::Movsx | Mnemonic::Movsxd)
            if is_memory(1) =>
        {
            Some(Effect::Load {
                destination: Destination::Register {
                    into: Part::named(instruction.op0_register())?,
                    signed: matches!(mnemonic, Mnemonic::Movsx | Mnemonic::Movsxd),
                },
                width,
            })
        }
        mnemonic @ (Mnemonic::Test | Mnemonic::Cmp) => {
            let is_first = is_memory(0);
            calculation(frame, instruction, mnemonic, is_first, width)
        }
        mnemonic @ (Mnemonic::And
        | Mnemonic::Or
        | Mnemonic::Xor
        | Mnemonic::Add
        | Mnemonic::Sub)
            if is_memory(1) =>
        {
            calculation(frame, instruction, mnemonic, false, width)
        }
        _ => None,
    }
}

/// A calculation whose one value is in memory.
fn calculation(
    frame: &mut TrapFrame,
    instruction: &Instruction,
    mnemonic: Mnemonic,
    is_first: bool,
    width: usize,
) -> Option<Effect> {
    let is_kept = !matches!(mnemonic, Mnemonic::Test | Mnemonic::Cmp);
    let other = value(frame, instruction, u32::from(is_first))?;
    Some(Effect::Load {
        destination: Destination::Flags(Calculation {
            mnemonic,
            other: registers::low_bytes(other, width),
            is_first,
            into: is_kept
                .then(|| Part::named(instruction.op0_register()))
                .flatten(),
        }),
        width,
    })
}

/// The value of an operand that is a register or a number.
fn value(frame: &mut TrapFrame, instruction: &Instruction, operand: u32) -> Option<u64> {
    if instruction.op_kind(operand) == OpKind::Register {
        let part = Part::named(instruction.op_register(operand))?;
        return Some(registers::get(frame, part));
    }
    instruction.try_immediate(operand).ok()
}

/// Bytes in memory of this kind; `None` if a general register does not hold it.
const fn width(size: MemorySize) -> Option<usize> {
    match size {
        MemorySize::UInt8 | MemorySize::Int8 => Some(1),
        MemorySize::UInt16 | MemorySize::Int16 => Some(2),
        MemorySize::UInt32 | MemorySize::Int32 => Some(4),
        MemorySize::UInt64 | MemorySize::Int64 => Some(8),
        _ => None,
    }
}

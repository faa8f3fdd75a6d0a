//! What registers hold, as far as the code says: constants, addresses of routines and of
//! data, imports, what lay at which place of a structure.
//!
//! Forward through a routine, over all paths: where two meet, a register holds what both
//! say, or nobody knows. Memory is not followed, but for the slots that the loader fills. So
//! what is known is so whatever happens, and what a driver computes is unknown.

use std::collections::BTreeMap;

use iced_x86::{Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register};

use super::image::Image;

/// What a register holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Constant(u64),
    /// A constant in the low byte, and nobody knows what above it.
    Byte(u64),
    /// An address in the image.
    Address(u64),
    /// The address of the import whose slot this is.
    Import(u64),
    /// An entry of the jump table at this address.
    Entry(u64),
    /// That, added to where the table is.
    Target(u64),
    /// What is in memory, so far behind where a register points.
    Loaded(u64),
}

/// What all registers hold; those that are missing nobody knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Values(BTreeMap<Register, Value>);

/// Registers that a routine may leave changed, see "x64 calling convention".
const VOLATILE: [Register; 7] = [
    Register::RAX,
    Register::RCX,
    Register::RDX,
    Register::R8,
    Register::R9,
    Register::R10,
    Register::R11,
];

impl Values {
    pub(super) fn get(&self, register: Register) -> Option<Value> {
        self.0.get(&register.full_register()).copied()
    }

    /// The constant in a register.
    pub(super) fn constant(&self, register: Register) -> Option<u64> {
        match self.get(register) {
            Some(Value::Constant(value)) => Some(value),
            _ => None,
        }
    }

    /// The constant in the low byte of a register.
    pub(super) fn low_byte(&self, register: Register) -> Option<u64> {
        match self.get(register) {
            Some(Value::Constant(value) | Value::Byte(value)) => Some(value & 0xff),
            _ => None,
        }
    }

    /// What is known on both ways; whether that is less than `self` was.
    pub(super) fn meet(&mut self, other: &Self) -> bool {
        let before = self.0.len();
        self.0
            .retain(|register, value| other.0.get(register) == Some(value));
        self.0.len() != before
    }

    /// What is known behind `instruction`.
    pub(super) fn step(
        &mut self,
        instruction: &Instruction,
        image: &Image,
        factory: &mut InstructionInfoFactory,
    ) {
        let result = self.result(instruction, image);
        for register in written(instruction, factory) {
            self.0.remove(&register);
        }
        if let Some((register, value)) = result {
            self.0.insert(register.full_register(), value);
        }
        if is_call(instruction) {
            for register in VOLATILE {
                self.0.remove(&register);
            }
        }
    }

    /// What an instruction computes, if that is known.
    fn result(&self, instruction: &Instruction, image: &Image) -> Option<(Register, Value)> {
        if instruction.op_count() == 0 || instruction.op0_kind() != OpKind::Register {
            return None;
        }
        let target = instruction.op0_register();
        // A write to the low half clears the upper one; to less, it leaves the rest.
        if target.is_gpr8() && instruction.mnemonic() == Mnemonic::Mov {
            let is_low = !matches!(
                target,
                Register::AH | Register::BH | Register::CH | Register::DH
            );
            let is_constant = instruction.op1_kind() == OpKind::Immediate8;
            return (is_low && is_constant)
                .then(|| (target, Value::Byte(instruction.immediate(1) & 0xff)));
        }
        if !(target.is_gpr64() || target.is_gpr32()) {
            return None;
        }
        let value = match instruction.mnemonic() {
            Mnemonic::Lea if instruction.is_ip_rel_memory_operand() => {
                Value::Address(instruction.ip_rel_memory_address())
            }
            Mnemonic::Lea => self.lea(instruction)?,
            Mnemonic::Mov => self.moved(instruction, image)?,
            Mnemonic::Xor | Mnemonic::Sub if is_of_itself(instruction) => Value::Constant(0),
            Mnemonic::Movsxd => self.table_entry(instruction)?,
            Mnemonic::Add => self.table_target(instruction)?,
            _ => return None,
        };
        narrowed(value, target).map(|value| (target, value))
    }

    fn moved(&self, instruction: &Instruction, image: &Image) -> Option<Value> {
        match instruction.op1_kind() {
            OpKind::Register => self.get(instruction.op1_register()),
            OpKind::Memory if instruction.is_ip_rel_memory_operand() => {
                let place = instruction.ip_rel_memory_address();
                if image.import(place).is_some() {
                    return Some(Value::Import(place));
                }
                image.pointer(place).map(Value::Address)
            }
            OpKind::Memory => loaded(instruction),
            _ => Some(Value::Constant(instruction.immediate(1))),
        }
    }

    /// `lea r, [r + constant]` of a constant, and of an address in the image.
    fn lea(&self, instruction: &Instruction) -> Option<Value> {
        if instruction.memory_index() != Register::None {
            return None;
        }
        let offset = instruction.memory_displacement64();
        match self.get(instruction.memory_base())? {
            Value::Constant(value) => Some(Value::Constant(value.wrapping_add(offset))),
            Value::Address(value) => Some(Value::Address(value.wrapping_add(offset))),
            _ => None,
        }
    }

    /// `movsxd r, [table + 4 * index]`
    fn table_entry(&self, instruction: &Instruction) -> Option<Value> {
        if instruction.memory_index_scale() != 4 || instruction.memory_displacement64() != 0 {
            return None;
        }
        match self.get(instruction.memory_base())? {
            Value::Address(table) => Some(Value::Entry(table)),
            _ => None,
        }
    }

    /// `add entry, table`, and the other way round.
    fn table_target(&self, instruction: &Instruction) -> Option<Value> {
        if instruction.op1_kind() != OpKind::Register {
            return None;
        }
        let operands = (
            self.get(instruction.op0_register())?,
            self.get(instruction.op1_register())?,
        );
        match operands {
            (Value::Entry(of), Value::Address(table))
            | (Value::Address(table), Value::Entry(of))
                if of == table =>
            {
                Some(Value::Target(table))
            }
            _ => None,
        }
    }
}

/// What is loaded from a fixed place of a structure that a register points to.
fn loaded(instruction: &Instruction) -> Option<Value> {
    let is_member = instruction.memory_index() == Register::None
        && instruction.memory_base() != Register::None
        && instruction.memory_base() != Register::RSP
        && instruction.segment_prefix() == Register::None
        && instruction.op0_register().is_gpr64();
    is_member.then(|| Value::Loaded(instruction.memory_displacement64()))
}

/// A 32-bit register holds no address.
fn narrowed(value: Value, target: Register) -> Option<Value> {
    match value {
        Value::Constant(value) if target.is_gpr32() => {
            Some(Value::Constant(value & u64::from(u32::MAX)))
        }
        _ if target.is_gpr32() => None,
        other => Some(other),
    }
}

fn is_of_itself(instruction: &Instruction) -> bool {
    instruction.op1_kind() == OpKind::Register
        && instruction.op0_register() == instruction.op1_register()
}

pub(super) fn is_call(instruction: &Instruction) -> bool {
    instruction.mnemonic() == Mnemonic::Call
}

/// The 64-bit registers that an instruction writes to, wholly or in part, perhaps.
pub(super) fn written(
    instruction: &Instruction,
    factory: &mut InstructionInfoFactory,
) -> Vec<Register> {
    factory
        .info(instruction)
        .used_registers()
        .iter()
        .filter(|used| {
            matches!(
                used.access(),
                OpAccess::Write
                    | OpAccess::CondWrite
                    | OpAccess::ReadWrite
                    | OpAccess::ReadCondWrite
            )
        })
        .map(|used| used.register().full_register())
        .collect()
}

/// Whether a routine may change `register` that was called.
pub(super) fn is_volatile(register: Register) -> bool {
    VOLATILE.contains(&register.full_register())
}

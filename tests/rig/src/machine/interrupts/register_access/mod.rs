//! Accesses to device registers: their pages are never mapped for a driver, so each access
//! faults, and the executive makes it in the driver's place and sees it.
//!
//! # Soundness
//! 1. An instruction that faulted with its own address in RIP, or is the rig's own, is
//!    mapped and executable, and code is not written to while it may run.

mod flags;
mod instruction;
mod proof;
mod registers;

use core::slice;

use iced_x86::{Decoder, DecoderOptions, Instruction};
use instruction::{Destination, Effect};
pub(crate) use proof::differing_instruction;

use super::exceptions::TrapFrame;
use super::handlers;
use crate::machine::word::word;
use crate::machine::{memory, stop};

/// Most bytes of an instruction.
const LONGEST: usize = 15;

/// What an access does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// As READ_REGISTER of its width does.
    Read,
    /// As WRITE_REGISTER of its width does, with this value.
    Write(u64),
    /// Something else: both at once, or with another kind of register, or more than once.
    Other,
}

/// An access that faulted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RegisterAccess<'a> {
    /// The first byte's address.
    pub(crate) address: u64,
    /// How many bytes; zero of [`Operation::Other`].
    pub(crate) width: usize,
    /// What it does with them.
    pub(crate) operation: Operation,
    /// Where the code is that does it.
    pub(crate) context: &'a stop::Context,
}

/// Makes the access that faulted at `address`, if a device register is there, and lets
/// the code go on behind it; whether it did.
pub(super) fn emulate(frame: &mut TrapFrame, address: u64) -> bool {
    let Some(handlers) = handlers::get() else {
        return false;
    };
    if frame.rip == address || !(handlers.is_register)(address) {
        return false;
    }
    let context = frame.context();
    perform(frame, |effect| {
        (handlers.access_register)(&RegisterAccess {
            address,
            width: effect.width(),
            operation: effect.operation(),
            context: &context,
        })
    });
    true
}

/// Does what the instruction does that RIP is at, whose access to memory `access` makes;
/// it says what was read.
fn perform(frame: &mut TrapFrame, access: impl FnOnce(Effect) -> u64) {
    let instruction = decode(frame.rip);
    let effect = instruction::effect(frame, &instruction);
    let value = access(effect);
    if let Effect::Load { destination, width } = effect {
        match destination {
            Destination::Register { into, signed } => {
                let value = if signed {
                    registers::sign_extended(value, width)
                } else {
                    registers::low_bytes(value, width)
                };
                registers::set(frame, into, value);
            }
            Destination::Flags(calculation) => {
                flags::calculate(frame, calculation, value, width);
            }
        }
    }
    frame.rip = instruction.next_ip();
}

/// The instruction at this address, which faulted or is the rig's own.
fn decode(at: u64) -> Instruction {
    let in_page = memory::PAGE - word(at) % memory::PAGE;
    let start = core::ptr::with_exposed_provenance::<u8>(word(at));
    // What follows the page is code too only if the instruction goes on there.
    let follows = start.wrapping_byte_add(in_page);
    let length = if in_page < LONGEST && memory::physical_address(follows).is_none() {
        in_page
    } else {
        LONGEST
    };
    // SAFETY: Fact 1: the page is mapped, and so is the next one if bytes of it are taken.
    let bytes = unsafe { slice::from_raw_parts(start, length) };
    Decoder::with_ip(64, bytes, at, DecoderOptions::NONE).decode()
}

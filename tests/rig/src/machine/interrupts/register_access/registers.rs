//! The interrupted code's general registers, by the names that instructions give them.

use iced_x86::Register;

use super::TrapFrame;

/// A general register, or a part of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// As instructions number it.
    number: usize,
    /// Bits.
    bits: u32,
    /// The lowest of them: 8 for AH, CH, DH and BH.
    shift: u32,
}

impl Part {
    /// The part that has this name; `None` for a register that is no general one.
    pub(super) fn named(name: Register) -> Option<Self> {
        /// Parts in the order of the crate's names, from the first to the last.
        const RANGES: [(Register, Register, usize, u32, u32); 6] = [
            (Register::AL, Register::BL, 0, 8, 0),
            (Register::AH, Register::BH, 0, 8, 8),
            (Register::SPL, Register::R15L, 4, 8, 0),
            (Register::AX, Register::R15W, 0, 16, 0),
            (Register::EAX, Register::R15D, 0, 32, 0),
            (Register::RAX, Register::R15, 0, 64, 0),
        ];
        RANGES
            .into_iter()
            .find(|(first, last, ..)| (*first..=*last).contains(&name))
            .map(|(first, _, number, bits, shift)| Self {
                number: number + (name as usize - first as usize),
                bits,
                shift,
            })
    }

    /// Its bits, where the whole register has them.
    const fn mask(self) -> u64 {
        u64::MAX >> (u64::BITS - self.bits) << self.shift
    }
}

/// The whole register of a number.
const fn whole(frame: &mut TrapFrame, number: usize) -> &mut u64 {
    match number {
        0 => &mut frame.rax,
        1 => &mut frame.rcx,
        2 => &mut frame.rdx,
        3 => &mut frame.rbx,
        4 => &mut frame.rsp,
        5 => &mut frame.rbp,
        6 => &mut frame.rsi,
        7 => &mut frame.rdi,
        8 => &mut frame.r8,
        9 => &mut frame.r9,
        10 => &mut frame.r10,
        11 => &mut frame.r11,
        12 => &mut frame.r12,
        13 => &mut frame.r13,
        14 => &mut frame.r14,
        _ => &mut frame.r15,
    }
}

/// What a register holds.
pub(super) fn get(frame: &mut TrapFrame, part: Part) -> u64 {
    (*whole(frame, part.number) & part.mask()) >> part.shift
}

/// Gives a register another value; one of 32 bits loses its upper half, as always.
pub(super) fn set(frame: &mut TrapFrame, part: Part, value: u64) {
    let whole = whole(frame, part.number);
    let kept = if part.bits == 32 {
        0
    } else {
        *whole & !part.mask()
    };
    *whole = kept | (value << part.shift & part.mask());
}

/// A value of so many bytes with its sign in all bits above.
pub(super) fn sign_extended(value: u64, width: usize) -> u64 {
    let unused = u64::BITS - 8 * u32::try_from(width).unwrap_or(8);
    ((value << unused).cast_signed() >> unused).cast_unsigned()
}

/// A value's lowest bytes.
pub(super) fn low_bytes(value: u64, width: usize) -> u64 {
    let unused = u64::BITS - 8 * u32::try_from(width).unwrap_or(8);
    value << unused >> unused
}

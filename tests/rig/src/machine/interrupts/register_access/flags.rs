//! Calculations with a value that was read from a register, as the processor makes them.

use iced_x86::Mnemonic;

use super::TrapFrame;
use super::instruction::Calculation;
use super::registers::{self, low_bytes};

// RFLAGS (Intel SDM volume 1, figure 3-8).
const CARRY: u64 = 1 << 0;
const PARITY: u64 = 1 << 2;
pub(super) const ADJUST: u64 = 1 << 4;
const ZERO: u64 = 1 << 6;
const SIGN: u64 = 1 << 7;
const OVERFLOW: u64 = 1 << 11;
pub(super) const ARITHMETIC: u64 = CARRY | PARITY | ADJUST | ZERO | SIGN | OVERFLOW;

/// Makes a calculation with a value of so many bytes that was read.
pub(super) fn calculate(frame: &mut TrapFrame, calculation: Calculation, read: u64, width: usize) {
    let read = low_bytes(read, width);
    let (first, second) = if calculation.is_first {
        (read, calculation.other)
    } else {
        (calculation.other, read)
    };
    let sign = 1 << (8 * width - 1);
    let (result, flags) = match calculation.mnemonic {
        Mnemonic::Add => {
            let result = low_bytes(first.wrapping_add(second), width);
            let overflows = !(first ^ second) & (first ^ result) & sign != 0;
            (result, carry(result < first) | overflow(overflows))
        }
        Mnemonic::Sub | Mnemonic::Cmp => {
            let result = low_bytes(first.wrapping_sub(second), width);
            let overflows = (first ^ second) & (first ^ result) & sign != 0;
            (result, carry(first < second) | overflow(overflows))
        }
        Mnemonic::Or => (first | second, 0),
        Mnemonic::Xor => (first ^ second, 0),
        _ => (first & second, 0),
    };
    let is_sum = matches!(
        calculation.mnemonic,
        Mnemonic::Add | Mnemonic::Sub | Mnemonic::Cmp
    );
    let adjust = if is_sum {
        (first ^ second ^ result) & ADJUST
    } else {
        0
    };
    frame.rflags = frame.rflags & !ARITHMETIC | flags | adjust | of_result(result, sign);
    if let Some(into) = calculation.into {
        registers::set(frame, into, result);
    }
}

const fn carry(is_set: bool) -> u64 {
    if is_set { CARRY } else { 0 }
}

const fn overflow(is_set: bool) -> u64 {
    if is_set { OVERFLOW } else { 0 }
}

/// The flags that a result alone decides.
const fn of_result(result: u64, sign: u64) -> u64 {
    let mut flags = 0;
    if result == 0 {
        flags |= ZERO;
    }
    if result & sign != 0 {
        flags |= SIGN;
    }
    if (result & 0xff).count_ones().is_multiple_of(2) {
        flags |= PARITY;
    }
    flags
}

//! Registers that answer what the input says, and remember what was done to them.

use std::{cell::RefCell, rc::Rc};

use arbitrary::{Arbitrary, Unstructured};
use edu_controller::{Register, Registers, STATUS_COMPUTING};

use super::Mistake;

/// `DmaCommand`: a transfer runs.
pub(super) const RUN: u32 = 1;
/// What every register of a device that is gone reads as.
pub(super) const ABSENT: u32 = u32::MAX;

/// An access that the controller has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read(Register, u32),
    Write(Register, u32),
}

/// The input, from which both the steps and the answers are drawn.
#[derive(Debug)]
struct Wire<'a> {
    input: Unstructured<'a>,
    accesses: Vec<Access>,
    /// What was raised by hand and not acknowledged.
    raised: u32,
    mistake: Mistake,
}

/// Registers without a device.
#[derive(Clone, Debug)]
pub(super) struct Answers<'a>(Rc<RefCell<Wire<'a>>>);

impl<'a> Answers<'a> {
    pub(super) fn new(data: &'a [u8], mistake: Mistake) -> Self {
        Self(Rc::new(RefCell::new(Wire {
            input: Unstructured::new(data),
            accesses: Vec::new(),
            raised: 0,
            mistake,
        })))
    }

    /// The next thing that the input says, or none at its end.
    pub(super) fn draw<T: Arbitrary<'a>>(&self) -> Option<T> {
        let mut wire = self.0.borrow_mut();
        if wire.input.is_empty() {
            return None;
        }
        T::arbitrary(&mut wire.input).ok()
    }

    /// The accesses since this was asked before.
    pub(super) fn take_accesses(&self) -> Vec<Access> {
        std::mem::take(&mut self.0.borrow_mut().accesses)
    }
}

impl Wire<'_> {
    /// An input that has ended answers as a device that rests.
    fn answer(&mut self, register: Register) -> u32 {
        match self.input.int_in_range(0..=15).unwrap_or(0) {
            14 => ABSENT,
            15 => self.input.arbitrary().unwrap_or(ABSENT),
            how => self.plausible(register, how),
        }
    }

    fn plausible(&self, register: Register, how: u32) -> u32 {
        match register {
            Register::Identification => 0x0100_00ed,
            Register::Factorial => 1 << how,
            Register::Status => STATUS_COMPUTING & how,
            Register::DmaCommand => how & 7,
            Register::InterruptStatus => match how {
                1..=3 => 0x001,
                4..=6 => 0x100,
                7..=11 => self.raised,
                12 => self.raised | 0x101,
                _ => 0,
            },
            Register::Liveness
            | Register::RaiseInterrupt
            | Register::Acknowledge
            | Register::DmaSource
            | Register::DmaDestination
            | Register::DmaCount => how,
        }
    }
}

impl Registers for Answers<'_> {
    fn read(&mut self, register: Register) -> u32 {
        let mut wire = self.0.borrow_mut();
        let value = wire.answer(register);
        wire.accesses.push(Access::Read(register, value));
        value
    }

    fn write(&mut self, register: Register, value: u32) {
        let mut wire = self.0.borrow_mut();
        let value = match (register, wire.mistake) {
            (Register::DmaCount, Mistake::OneByteMore) => value.wrapping_add(1),
            (Register::Acknowledge, Mistake::HalfAcknowledged) => value & 0xffff_0000,
            _ => value,
        };
        match register {
            Register::RaiseInterrupt => wire.raised |= value,
            Register::Acknowledge => wire.raised &= !value,
            _ => {}
        }
        wire.accesses.push(Access::Write(register, value));
    }
}

//! A register belongs to a block of its length, and is as wide as it says.

use dirql::io_mem::{IoMem, ReadWrite, Register};

const COMMAND: Register<0x40, 0x08, u32, ReadWrite> = Register::new();

fn start(registers: &mut IoMem<0x20>, others: &mut IoMem<0x40>) {
    registers.write(COMMAND, 1);
    others.write(COMMAND, 1_u64);
}

fn main() {}

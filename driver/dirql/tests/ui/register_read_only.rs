//! What can only be read is not written, nor the other way round.

use dirql::io_mem::{IoMem, ReadOnly, Register, WriteOnly};

const LENGTH: usize = 0x40;
const STATUS: Register<LENGTH, 0x24, u32, ReadOnly> = Register::new();
const ACKNOWLEDGE: Register<LENGTH, 0x28, u32, WriteOnly> = Register::new();

fn acknowledge(registers: &mut IoMem<LENGTH>) {
    let causes = registers.read(STATUS);
    registers.write(STATUS, causes);
    registers.write(ACKNOWLEDGE, causes);
    let _ = registers.read(ACKNOWLEDGE);
}

fn main() {}

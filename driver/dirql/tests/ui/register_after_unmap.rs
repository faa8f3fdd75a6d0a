//! A mapping that was given up is not there any more.

use dirql::io_mem::{IoMem, ReadWrite, Register};

const LENGTH: usize = 0x40;
const MODE: Register<LENGTH, 0x04, u32, ReadWrite> = Register::new();

fn unmap_too_early(mut registers: IoMem<LENGTH>) {
    drop(registers);
    registers.write(MODE, 1);
}

fn main() {}

//! A register's offset is a multiple of its width.

use dirql::io_mem::{ReadWrite, Register};

const LENGTH: usize = 0x40;
const BYTE: Register<LENGTH, 0x22, u8, ReadWrite> = Register::new();
const MISALIGNED: Register<LENGTH, 0x22, u32, ReadWrite> = Register::new();

fn main() {
    let _ = (BYTE, MISALIGNED);
}

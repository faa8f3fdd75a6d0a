//! A register lies inside its block.

use dirql::io_mem::{ReadWrite, Register};

const LENGTH: usize = 0x40;
const LAST: Register<LENGTH, 0x38, u64, ReadWrite> = Register::new();
const PAST_THE_END: Register<LENGTH, 0x40, u32, ReadWrite> = Register::new();
const REACHES_OUT: Register<0x3c, 0x38, u64, ReadWrite> = Register::new();

fn main() {
    let _ = (LAST, PAST_THE_END, REACHES_OUT);
}

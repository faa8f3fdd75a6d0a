//! Memory that was not assigned to the device cannot be mapped.

use dirql::io_mem::IoMem;
use dirql::irql::Passive;
use dirql::resources::MemoryResource;

fn map(irql: &mut Passive) {
    let page_zero = MemoryResource { start: 0, length: 4096 };
    let _ = IoMem::<4096>::map(irql, &page_zero);
}

fn main() {}

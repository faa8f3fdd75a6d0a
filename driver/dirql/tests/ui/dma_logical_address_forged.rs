//! A logical address cannot be made of a number.

use dirql::dma::LogicalAddress;

fn main() {
    let _anywhere = LogicalAddress(0x10_0000);
}

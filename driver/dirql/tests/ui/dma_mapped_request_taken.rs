//! What is mapped lends its request out, and does not give it away.

use dirql::{dma::Mapped, irp::PendingIrp, irql::Dispatch};

fn complete(irql: &mut Dispatch, mapped: &Mapped<PendingIrp>) {
    mapped.request().complete(irql, Ok(0));
}

fn main() {}

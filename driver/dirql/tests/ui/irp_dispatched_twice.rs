//! A dispatch routine says once what became of its IRP.

use dirql::irp::Dispatched;

fn two(dispatched: Dispatched) -> (Dispatched, Dispatched) {
    (dispatched, dispatched)
}

fn main() {}

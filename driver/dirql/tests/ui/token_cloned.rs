//! There is one token for each level that a call has raised to.

use dirql::irql::Dispatch;

fn two(irql: &mut Dispatch) -> (Dispatch, Dispatch) {
    (irql.clone(), Dispatch::default())
}

fn main() {}

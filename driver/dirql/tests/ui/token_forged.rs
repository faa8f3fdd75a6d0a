//! Nobody outside the crate makes a token.

use dirql::irql::Dirql;

fn forge() -> Dirql {
    Dirql { not_send: core::marker::PhantomData }
}

fn main() {}

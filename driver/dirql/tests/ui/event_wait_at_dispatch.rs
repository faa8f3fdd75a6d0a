//! Nothing waits at DISPATCH_LEVEL: not for an event either.

use core::pin::Pin;

use dirql::event::Event;
use dirql::irql::Dispatch;

fn in_a_dpc(done: Pin<&Event>, irql: &mut Dispatch) {
    done.wait(irql, None);
}

fn main() {}

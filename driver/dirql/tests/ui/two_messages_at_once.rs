//! A critical section of one message cannot enter one of another: each has its own lock,
//! and two processors that took them in turn would wait for each other for ever.

use dirql::{
    interrupt::{Claim, ServiceRoutine, messages::MessageInterrupts},
    irql::{Dirql, Dispatch},
};

struct Count(u32);

impl ServiceRoutine for Count {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        Claim::NotOurs
    }
}

fn move_counts(messages: &MessageInterrupts<Count, 2>, irql: &mut Dispatch) {
    messages.synchronize(0, irql, |irql, from| {
        messages.synchronize(1, irql, |_, to| to.0 += from.0);
    });
}

fn main() {}

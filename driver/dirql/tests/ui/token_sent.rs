//! A token is this processor's, now.

use dirql::irql::Passive;

fn send(irql: &mut Passive) {
    std::thread::scope(|scope| {
        scope.spawn(move || dirql::wait::delay(irql, 1));
    });
}

fn main() {}

//! The kernel's object in an event points at itself, so an event does not move.

use dirql::event::{Event, Kind};
use dirql::irql::Passive;

fn wait(irql: &mut Passive) {
    let done = Event::new(Kind::Notification);
    done.wait(irql, None);
}

fn main() {}

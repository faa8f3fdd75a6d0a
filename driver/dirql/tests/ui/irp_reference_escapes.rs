//! A packet that the state keeps can be taken out, but not looked at from outside.

use dirql::interrupt::{Claim, Interrupt, ServiceRoutine};
use dirql::irql::{Dirql, Dispatch};
use dirql::start_io::Packet;

struct Controller {
    packet: Option<Packet>,
}

impl ServiceRoutine for Controller {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        Claim::NotOurs
    }
}

fn peek<'a>(interrupt: &'a Interrupt<Controller>, irql: &mut Dispatch) -> Option<&'a Packet> {
    let kept = interrupt.synchronize(irql, |_, controller| controller.packet.as_ref());
    kept.flatten()
}

fn main() {}

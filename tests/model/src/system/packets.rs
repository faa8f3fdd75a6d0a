//! Operations: the device queue and StartIo as `dirql::start_io` has them, and what
//! `edu.sys` does in StartIo, in DpcForIsr and when a packet is cancelled.

use edu_controller::{Ended, Operation, Outcome, Refused, Service};

use super::{EduController, Rule, System};
use crate::{
    choice::Mistake,
    device::factorial,
    request::{End, File, Id, Kind, Place},
};

/// What becomes of the packet in StartIo's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Mode {
    /// The device gets it.
    Running,
    /// It is held.
    Paused,
    /// It fails.
    Failing,
}

/// Where the one packet is that has left the queue and has not started the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    /// Offered to the device again.
    Resumed,
    /// StartIo runs, before its critical section.
    Starting,
    /// The device does not take it.
    Refused,
    /// The device has it, or somebody who took it out.
    Begun,
    /// Held until the device works again.
    Held,
    /// Whoever has silenced the device has it.
    InHand,
}

/// The device queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Packets {
    pub(super) mode: Mode,
    pub(super) queue: Vec<Id>,
    pub(super) current: Option<(Id, Stage)>,
    /// StartIo's thunk has not returned: the I/O manager defers the next call.
    pub(super) catching_up: Option<Id>,
    /// The last packet that was given up.
    pub(super) given_up: Option<Id>,
    /// Cancellations that have given a packet up and will look for it.
    pub(super) taking_back: Vec<Id>,
}

impl Packets {
    pub(super) const fn new() -> Self {
        Self {
            mode: Mode::Paused,
            queue: Vec::new(),
            current: None,
            catching_up: None,
            given_up: None,
            taking_back: Vec::new(),
        }
    }

    /// Whether nobody is between two steps of a packet.
    pub(super) fn is_resting(&self) -> bool {
        let stage = self.current.map(|(_, stage)| stage);
        let is_resting = matches!(stage, Some(Stage::Begun | Stage::Held))
            || (stage.is_none() && self.queue.is_empty());
        is_resting && self.catching_up.is_none() && self.taking_back.is_empty()
    }

    fn is(&self, id: Id, stage: Stage) -> bool {
        self.current == Some((id, stage))
    }

    fn set(&mut self, id: Id, stage: Stage) {
        self.current = Some((id, stage));
    }
}

impl System {
    /// `offer`: the queue's next, or the one that was held.
    pub(super) fn start_io(&mut self) {
        let resumed = match self.packets.current {
            Some((id, Stage::Resumed)) => Some(id),
            _ => None,
        };
        let id = resumed.unwrap_or_else(|| self.packets.queue.remove(0));
        if self.is_unwanted(id) {
            self.take_out(id, End::Cancelled);
        } else if self.packets.mode == Mode::Running {
            self.packets.set(id, Stage::Starting);
        } else {
            self.packets.set(id, Stage::Refused);
        }
    }

    fn is_unwanted(&self, id: Id) -> bool {
        self.is_cancelled(id) || self.packets.given_up == Some(id)
    }

    /// The current packet is somebody's, who is going to complete it.
    pub(super) fn take_out(&mut self, id: Id, end: End) {
        self.packets.set(id, Stage::Begun);
        self.will_complete(id, end);
    }

    fn will_complete(&mut self, id: Id, end: End) {
        self.taken.push((id, end));
        self.taken.sort_unstable();
    }

    /// StartIo's critical section.
    pub(super) fn arm(&mut self) {
        let Some((id, Stage::Starting)) = self.packets.current else {
            return;
        };
        let operation = match self.kind(id) {
            Kind::Factorial(n) => Operation::Factorial { n },
            Kind::Raise(mask) => Operation::Raise { mask },
            Kind::Liveness(value) => {
                match self.section(|controller| controller.check_liveness(value)) {
                    Some(Some(answer)) => {
                        self.end_liveness(id, answer);
                        self.packets.current = None;
                    }
                    _ => self.packets.set(id, Stage::Refused),
                }
                return;
            }
            Kind::Write(_) | Kind::Events(_) => return,
        };
        let deadline = self.deadline();
        if self.mistake() == Mistake::OverwritesEnd {
            self.section(EduController::drain);
        }
        match self.section(|controller| controller.arm(&mut Some(id), operation, deadline)) {
            Some(Ok(())) => {
                self.packets.set(id, Stage::Begun);
                self.packets.catching_up = Some(id);
                self.restart_ticks();
                if self.mistake() == Mistake::StartsTwo
                    && let Some(second) = self.packets.queue.pop()
                {
                    self.packets.set(second, Stage::Starting);
                    self.arm();
                }
            }
            None | Some(Err(Refused::Silent)) => self.packets.set(id, Stage::Refused),
            Some(Err(Refused::Busy)) => {
                self.fail(Rule::NothingLost, format!("request {id} was refused"));
                self.take_out(id, End::Refused);
            }
        }
    }

    pub(super) fn catch_up(&mut self) {
        let Some(id) = self.packets.catching_up.take() else {
            return;
        };
        if self.packets.given_up == Some(id) {
            self.take_from_device(id);
        }
    }

    /// StartIo has given its packet back.
    pub(super) fn hold_refused(&mut self) {
        let Some((id, Stage::Refused)) = self.packets.current else {
            return;
        };
        if self.mistake() == Mistake::OffersForEver {
            self.packets.set(id, Stage::Resumed);
        } else {
            self.hold(id);
        }
    }

    /// `PacketQueue::hold`, under its lock.
    pub(super) fn hold(&mut self, id: Id) {
        match self.packets.mode {
            Mode::Running => self.packets.set(id, Stage::Resumed),
            Mode::Failing => self.take_out(id, End::Gone),
            Mode::Paused if self.is_unwanted(id) => self.take_out(id, End::Cancelled),
            Mode::Paused => self.packets.set(id, Stage::Held),
        }
    }

    /// Packets go to the device again, the held one first.
    pub(super) fn resume_packets(&mut self) {
        self.packets.mode = Mode::Running;
        if let Some((id, Stage::Held)) = self.packets.current {
            self.packets.set(id, Stage::Resumed);
        }
    }

    /// Packets fail from now on, the held one first.
    pub(super) fn fail_packets(&mut self) {
        self.packets.mode = Mode::Failing;
        if let Some((id, Stage::Held)) = self.packets.current {
            self.take_out(id, End::Gone);
        }
    }

    pub(super) fn isr(&mut self) {
        self.device.take_interrupt();
        let Some(service) = self.section(|controller| controller.service(0)) else {
            return;
        };
        self.note_service(service);
        if let Service::Claimed(dpcs) = service
            && self.mistake() != Mistake::ForgetsDpc
        {
            self.for_isr |= dpcs.for_isr;
            self.for_dma |= dpcs.dma;
            if self.mistake() == Mistake::OverwritesEnd && dpcs.for_isr {
                self.packets.current = None;
            }
        }
    }

    pub(super) fn dpc_for_isr(&mut self) {
        self.for_isr = false;
        if let Some(ended) = self.drain(EduController::drain).flatten()
            && self.mistake() != Mistake::DropsResults
        {
            self.take_result(&ended);
        }
    }

    /// What was drained is going to be completed.
    pub(super) fn take_result(&mut self, ended: &Ended<Id>) {
        let id = match self.mistake() {
            Mistake::MixesResults => 0,
            _ => ended.owner,
        };
        let is_right = match (self.kind(id), ended.outcome) {
            (Kind::Factorial(wanted), Outcome::Factorial { n, value }) => {
                n == wanted && value == factorial(n)
            }
            (Kind::Raise(mask), Outcome::Raised { causes }) => causes & mask == mask,
            _ => false,
        };
        if !is_right {
            let why = format!("request {id} ended with {:?}", ended.outcome);
            self.fail(Rule::Result, why);
        }
        self.will_complete(id, End::Success);
        if self.mistake() == Mistake::CompletesTwice {
            self.will_complete(id, End::TimedOut);
        }
    }

    /// `Packet::complete`: the next one may start, and the request is completed.
    pub(super) fn complete(&mut self, place: u8) {
        let (id, end) = self.taken.remove(usize::from(place));
        if self
            .packets
            .current
            .is_some_and(|(current, _)| current == id)
        {
            self.packets.current = None;
        }
        self.end(id, end);
    }

    /// IoCancelIrp.
    pub(super) fn cancel(&mut self, id: Id) {
        self.left.cancels -= 1;
        self.cancelled |= 1 << id;
        if self.take_waiting(id) {
            self.end(id, End::Cancelled);
        } else if let Kind::Write(_) = self.kind(id) {
            if self.mistake() == Mistake::FreesMemoryEarly {
                self.end_write(id, End::Cancelled);
            }
        } else {
            self.give_up_packet(id);
        }
    }

    /// Takes a request out of the queue in which it waits; false if it waits in none.
    fn take_waiting(&mut self, id: Id) -> bool {
        let of_queue = |queue: &mut Vec<Id>| {
            let place = queue.iter().position(|queued| *queued == id);
            place.map(|place| queue.remove(place)).is_some()
        };
        of_queue(&mut self.packets.queue)
            || of_queue(&mut self.transfers.waiting)
            || self.events.take_waiting(id)
    }

    /// `give_up_packet`, before it looks for the packet.
    fn give_up_packet(&mut self, id: Id) {
        if self
            .packets
            .current
            .is_some_and(|(current, _)| current == id)
        {
            self.packets.given_up = Some(id);
            self.packets.taking_back.push(id);
            self.packets.taking_back.sort_unstable();
        }
    }

    /// Its look: the held packet, or the one that the device has.
    pub(super) fn take_back(&mut self, id: Id) {
        let place = self.packets.taking_back.iter().position(|it| *it == id);
        if let Some(place) = place {
            self.packets.taking_back.remove(place);
        }
        if self.packets.is(id, Stage::Held) && self.mistake() != Mistake::TouchesSleeping {
            self.take_out(id, End::Cancelled);
        } else {
            self.take_from_device(id);
        }
    }

    fn take_from_device(&mut self, id: Id) {
        if self.mistake() == Mistake::TouchesSleeping {
            self.section(EduController::is_quiet);
        }
        let taken = self.section(|controller| controller.take_back(|owner| *owner == id));
        if taken.flatten().is_some() || self.mistake() == Mistake::CancelsBlindly {
            self.will_complete(id, End::Cancelled);
        }
    }

    /// IRP_MJ_CLEANUP: those that wait, and word for the packet that has begun.
    pub(super) fn clean_up(&mut self, file: File) {
        self.left.cleanups -= 1;
        self.closed |= 1 << file;
        self.transfers.cleaning_up = Some(file);
        let everything = self.mistake() == Mistake::CleansUpEverything;
        for index in 0..self.places.len() {
            let id = Id::try_from(index).unwrap_or(Id::MAX);
            if self.file(id) == file && self.places[index] == Place::Unsent {
                self.end(id, End::NotSent);
            } else if self.file(id) == file || everything {
                if self.take_waiting(id) {
                    self.end(id, End::Cancelled);
                } else {
                    self.give_up_packet(id);
                }
            }
        }
    }
}

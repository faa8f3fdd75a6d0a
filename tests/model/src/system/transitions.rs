//! What each step does.

use edu_controller::{
    Counters, Deadline, Direction, Ended, EndedTransfer, Operation, Outcome, Refused, Service,
    Transfer, TransferOutcome,
};

use super::{EduController, Phase, Rule, System};
use crate::{
    choice::{ALWAYS, Mistake},
    device::factorial,
    request::{End, Id, Kind, Place, memory_of},
    step::{Action, Next},
    wire::Wire,
};

/// Ticks until every deadline and every wait for a quiet device is over.
const LONG: usize = 60;

impl System {
    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::Send => self.send(),
            Action::StartIo => {
                self.starting = Some(self.queue.remove(0));
                self.current = self.starting;
            }
            Action::Arm => self.arm(),
            Action::StartTransfer => self.start_transfer(),
            Action::Device(step) => self.device.step(step),
            Action::Isr => self.isr(),
            Action::Spurious => {
                self.left.spurious -= 1;
                self.isr();
            }
            Action::DpcForIsr => self.dpc_for_isr(),
            Action::Complete => {
                let ended = self.drained.remove(0);
                self.complete_operation(&ended);
            }
            Action::DpcForDma => self.dpc_for_dma(),
            Action::Tick => {
                self.left.ticks -= 1;
                self.tick();
            }
            Action::LongTime => {
                if self.left.long_times != ALWAYS {
                    self.left.long_times -= 1;
                }
                for _ in 0..LONG {
                    self.tick();
                }
            }
            Action::Cancel(id) => self.cancel(id),
            Action::Leave(next) => self.leave(next),
            Action::Silence => self.silence(),
            Action::Look => {
                if self.section(EduController::look_at_transfer) == Some(true) {
                    self.for_dma = true;
                }
            }
            Action::Disconnect => self.disconnect(),
            Action::Start => self.start(),
            Action::Wake => self.wake(),
            Action::Vanish => {
                self.left.surprises -= 1;
                self.device.is_gone = true;
            }
        }
    }

    fn kind(&self, id: Id) -> Kind {
        self.kinds[usize::from(id)]
    }

    fn send(&mut self) {
        let unsent = self.places.iter().position(|place| *place == Place::Unsent);
        let Some(index) = unsent else { return };
        let id = Id::try_from(index).unwrap_or(Id::MAX);
        self.places[index] = Place::Pending;
        if self.phase == Phase::Removed {
            self.end(id, End::Gone);
        } else if self.kind(id) == Kind::Write {
            self.transfers.push(id);
        } else {
            self.queue.push(id);
        }
    }

    /// A request is completed.
    fn end(&mut self, id: Id, end: End) {
        let place = &mut self.places[usize::from(id)];
        if let Place::Ended(before) = *place {
            let why = format!("request {id} ended as {before:?}, and as {end:?}");
            self.fail(Rule::Once, why);
            return;
        }
        *place = Place::Ended(end);
        if self.device.uses(memory_of(id)) && self.kind(id) == Kind::Write {
            let why = format!("request {id} ended as {end:?}, and the device has its memory");
            self.fail(Rule::Memory, why);
        }
        if self.current == Some(id) {
            self.current = None;
        }
    }

    fn arm(&mut self) {
        let Some(id) = self.starting.take() else {
            return;
        };
        let operation = match self.kind(id) {
            Kind::Factorial(n) => Operation::Factorial { n },
            Kind::Raise(mask) => Operation::Raise { mask },
            Kind::Write => return,
        };
        match self.section(|controller| controller.arm(id, operation, Deadline::after_ticks(1))) {
            Some(Ok(())) => {}
            // StartIo gives it back: it is first when the device works again.
            None | Some(Err(Refused::Silent(_))) => {
                self.current = None;
                self.queue.insert(0, id);
            }
            Some(Err(Refused::Busy(_))) => {
                self.fail(Rule::NothingLost, format!("request {id} was refused"));
                self.end(id, End::Gone);
            }
        }
    }

    fn start_transfer(&mut self) {
        let id = self.transfers.remove(0);
        self.turn = Some(id);
        self.given_up = None;
        let transfer = Transfer::new(memory_of(id).into(), 0, 16, Direction::ToDevice);
        let Some(transfer) = transfer else { return };
        let armed = self
            .section(|controller| controller.arm_transfer(id, transfer, Deadline::after_ticks(1)));
        if !matches!(armed, Some(Ok(()))) {
            self.fail(Rule::NothingLost, format!("transfer {id} was refused"));
            self.turn = None;
            self.end(id, End::Gone);
        }
    }

    fn isr(&mut self) {
        self.device.take_interrupt();
        let Some(service) = self.section(|controller| controller.service(0)) else {
            return;
        };
        if let Service::Claimed(dpcs) = service
            && self.mistake != Mistake::ForgetsDpc
        {
            self.for_isr |= dpcs.for_isr;
            self.for_dma |= dpcs.dma;
        }
    }

    fn drain_events(&mut self) {
        struct Nowhere;
        impl edu_controller::EventSink for Nowhere {
            fn event(&mut self, _event: edu_controller::Event) {}
            fn lost(&mut self, _count: u64) {}
        }
        self.section(|controller| controller.drain_events(&mut Nowhere));
    }

    fn dpc_for_isr(&mut self) {
        self.for_isr = false;
        self.drain_events();
        let Some(results) = self.section(EduController::drain) else {
            return;
        };
        match self.mistake {
            Mistake::DropsResults => self.drained.extend(results.skip(1)),
            _ => self.drained.extend(results),
        }
    }

    fn complete_operation(&mut self, ended: &Ended<Id>) {
        let id = match self.mistake {
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
        self.end(id, End::Success);
        if self.mistake == Mistake::CompletesTwice {
            self.end(id, End::TimedOut);
        }
    }

    fn dpc_for_dma(&mut self) {
        self.for_dma = false;
        self.drain_events();
        let drained = self.section(EduController::drain_transfer).flatten();
        if let Some(EndedTransfer { owner, outcome }) = drained {
            self.turn = None;
            let end = match outcome {
                TransferOutcome::Done => {
                    if self.device.last_memory != Some(memory_of(owner)) {
                        let why = format!("transfer {owner} ended, and the device did another");
                        self.fail(Rule::Result, why);
                    }
                    // All of it was moved in this one step, so nothing is to be gone on with.
                    End::Success
                }
                TransferOutcome::TimedOut => End::TimedOut,
                TransferOutcome::Aborted => self.given_up.unwrap_or(End::Cancelled),
                TransferOutcome::Gone => End::Gone,
            };
            self.end(owner, end);
        }
    }

    fn tick(&mut self) {
        let late = self.section(|controller| (controller.tick(), controller.tick_transfer()));
        let Some((late, transfer_has_ended)) = late else {
            return;
        };
        self.for_dma |= transfer_has_ended;
        if let Some(id) = late {
            self.end(id, End::TimedOut);
        }
    }

    fn cancel(&mut self, id: Id) {
        self.left.cancels -= 1;
        if self.mistake == Mistake::TouchesSleeping {
            self.section(EduController::is_quiet);
        }
        let of_queue = |queue: &mut Vec<Id>| {
            let place = queue.iter().position(|queued| *queued == id);
            place.map(|place| queue.remove(place)).is_some()
        };
        if of_queue(&mut self.queue) || of_queue(&mut self.transfers) {
            self.end(id, End::Cancelled);
        } else if self.kind(id) == Kind::Write {
            // Nothing takes it from the device.
            if self.mistake == Mistake::FreesMemoryEarly {
                self.end(id, End::Cancelled);
            }
        } else {
            let taken = self.section(|controller| controller.take_back(|owner| *owner == id));
            if taken.flatten().is_some() || self.mistake == Mistake::CancelsBlindly {
                self.end(id, End::Cancelled);
            }
        }
    }

    fn leave(&mut self, next: Next) {
        match next {
            Next::Stop => self.left.stops -= 1,
            Next::Sleep => self.left.sleeps -= 1,
            Next::Removal => self.left.removals = 0,
        }
        if self.phase == Phase::Stopped {
            self.phase = Phase::Removed;
            self.fail_all();
            return;
        }
        self.phase = Phase::Leaving(next);
        if next == Next::Removal {
            self.given_up = Some(End::Gone);
            self.section(EduController::give_up_transfer);
        }
    }

    fn silence(&mut self) {
        let Phase::Leaving(next) = self.phase else {
            return;
        };
        self.phase = Phase::Silenced(next);
        if self.mistake == Mistake::StopsUnsilenced {
            return;
        }
        if let Some(id) = self.section(EduController::silence).flatten() {
            self.current = None;
            if next == Next::Removal {
                self.end(id, End::Gone);
            } else {
                self.queue.insert(0, id);
            }
        }
    }

    fn disconnect(&mut self) {
        let Phase::Silenced(next) = self.phase else {
            return;
        };
        if self.mistake != Mistake::StopsUnsilenced {
            let again = self.section(EduController::silence).flatten();
            if let Some(id) = again {
                let why = format!("request {id} was armed in a silent controller");
                self.fail(Rule::NothingLost, why);
            }
        }
        self.drain_events();
        let results: Vec<_> = self
            .section(EduController::drain)
            .into_iter()
            .flatten()
            .collect();
        for ended in &results {
            self.complete_operation(ended);
        }
        match next {
            Next::Sleep => {
                self.saved = self.section(EduController::save);
                self.phase = Phase::Asleep;
            }
            Next::Stop => {
                self.controller = None;
                self.phase = Phase::Stopped;
            }
            Next::Removal => {
                self.controller = None;
                self.phase = Phase::Removed;
                self.fail_all();
            }
        }
    }

    fn fail_all(&mut self) {
        let queue = std::mem::take(&mut self.queue);
        let transfers = std::mem::take(&mut self.transfers);
        for id in queue.into_iter().chain(transfers) {
            self.end(id, End::Gone);
        }
    }

    pub(super) fn start(&mut self) {
        self.controller = Some(EduController::new(Wire, Counters::default()));
        self.section(EduController::silence);
        self.phase = Phase::Working;
        self.section(EduController::enable);
    }

    fn wake(&mut self) {
        self.phase = Phase::Working;
        if let Some(saved) = self.saved.take() {
            self.section(|controller| controller.restore(saved));
        }
    }
}

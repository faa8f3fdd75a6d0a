//! Starting, stopping, sleeping and removal: `lifetime` and `power` of `edu.sys`, called as
//! `dirql::pnp` and `dirql::power` do.

use edu_controller::{Controller, Counters};

use super::{
    EduController, Phase, Rule, System,
    packets::{Mode, Stage},
};
use crate::{
    choice::Mistake,
    device::Resources,
    request::End,
    step::Next,
    wire::{Rules, Wire},
};

impl System {
    /// Packets are held or fail from now on, and no transfer is begun.
    pub(super) fn leave(&mut self, next: Next) {
        match next {
            Next::Stop => self.left.stops -= 1,
            Next::Sleep => self.left.sleeps -= 1,
            Next::Removal => self.left.removals = 0,
        }
        self.phase = Phase::Leaving(next);
        self.transfers.turn.close();
        if next == Next::Removal {
            self.fail_packets();
            for id in std::mem::take(&mut self.transfers.waiting) {
                self.end_write(id, End::Gone);
            }
            self.fail_waiting();
            self.transfers.turn.give_up(End::Gone);
            self.section(EduController::give_up_transfer);
        } else {
            self.packets.mode = Mode::Paused;
        }
    }

    /// The first critical section of `stop_device` and `power_down` that touches the device.
    pub(super) fn silence(&mut self) {
        let Phase::Leaving(next) = self.phase else {
            return;
        };
        self.phase = Phase::Silenced(next);
        if self.mistake() == Mistake::StopsUnsilenced {
            return;
        }
        if let Some(id) = self.section(EduController::silence).flatten() {
            self.packets.current =
                (self.mistake() != Mistake::ForgetsHeld).then_some((id, Stage::InHand));
        }
    }

    /// `Timer::stop`; then a stop silences once more, and a sleep completes what there is.
    pub(super) fn stop_watchdog(&mut self) {
        let Phase::Silenced(next) = self.phase else {
            return;
        };
        self.phase = Phase::Quiet(next);
        self.watchdog = false;
        if next == Next::Sleep {
            if let Some(ended) = self.drain(EduController::drain).flatten() {
                self.take_result(&ended);
            }
        } else if self.mistake() != Mistake::StopsUnsilenced
            && let Some(id) = self.section(EduController::silence).flatten()
        {
            let why = format!("request {id} was armed in a silent controller");
            self.fail(Rule::NothingLost, why);
        }
    }

    pub(super) fn disconnect(&mut self) {
        let Phase::Quiet(next) = self.phase else {
            return;
        };
        if next == Next::Sleep {
            self.saved = self.section(EduController::save);
            self.is_connected = false;
            self.is_in_d3 = true;
        } else {
            self.is_connected = false;
            self.let_go();
        }
        self.phase = Phase::Disconnected(next);
        if !matches!(self.packets.current, Some((_, Stage::InHand))) {
            self.hold_under_way();
        }
    }

    /// What `stop_device` does with a controller whose interrupt is disconnected.
    fn let_go(&mut self) {
        self.drain_disconnected();
        if let Some(ended) = self.with_controller(EduController::drain).flatten() {
            self.take_result(&ended);
        }
        let left = self
            .controller
            .take()
            .and_then(|controller| controller.into_transfer(&mut Counters::default()));
        if let Some(id) = left {
            let error = self.transfers.turn.given_up().unwrap_or(End::Gone);
            self.end_write(id, error);
            self.transfers.turn.give_back();
        }
        // The CustomDpc is stopped.
        self.for_dma = false;
    }

    pub(super) fn hold_under_way(&mut self) {
        let Phase::Disconnected(next) = self.phase else {
            return;
        };
        if let Some((id, Stage::InHand)) = self.packets.current {
            self.hold(id);
        }
        self.transfers.has_waited = false;
        self.phase = match next {
            Next::Stop => Phase::Stopped,
            Next::Sleep => Phase::Asleep,
            Next::Removal => Phase::Removed,
        };
    }

    /// What a start polls for, in a controller of its own.
    pub(super) fn is_quiet(&self) -> bool {
        let mut device = self.device.clone();
        let wire = Wire {
            base: device.resources.base,
        };
        let mut controller = EduController::new(wire, Counters::default());
        let rules = Rules {
            is_allowed: true,
            swallows: None,
            meanwhile: None,
        };
        Wire::to(&mut device, rules, || controller.is_quiet()).0
    }

    /// START_DEVICE: silenced, waited for, connected, enabled.
    pub(super) fn start(&mut self, resources: Resources) {
        let mut base = resources.base;
        if self.mistake() == Mistake::KeepsOldRegisters {
            base = self.device.resources.base;
        }
        self.device.resources = resources;
        self.is_in_d3 = false;
        self.controller = Some(Controller::new(Wire { base }, Counters::default()));
        self.phase = Phase::Working;
        self.with_controller(EduController::silence);
        self.is_connected = true;
        self.section(EduController::enable);
        self.go_on();
    }

    /// The device wakes up.
    pub(super) fn wake(&mut self) {
        self.phase = Phase::Working;
        self.is_connected = true;
        self.is_in_d3 = false;
        if let Some(saved) = self.saved.take() {
            self.section(|controller| controller.restore(saved));
        }
        self.go_on();
    }

    /// The device works: the watchdog ticks, transfers and packets are begun.
    fn go_on(&mut self) {
        self.watchdog = true;
        self.transfers.turn.open();
        self.begin_next();
        self.resume_packets();
    }
}

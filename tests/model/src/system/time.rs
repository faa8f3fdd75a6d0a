//! The watchdog, and time that passes.

use edu_controller::Deadline;

use super::{EduController, Phase, Rule, System};
use crate::{
    choice::ALWAYS,
    request::{End, Id, Kind},
};

/// Ticks that pass before a deadline where the watchdog may tick at any moment: the fewest.
const SHORT: u8 = 1;
/// And elsewhere: more than a controller waits for a device that only looks quiet.
const LONG: u8 = 100;

/// Ticks of the watchdog since the two engines were given something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Ticks {
    operation: u8,
    transfer: u8,
}

impl System {
    fn deadline_ticks(&self) -> u8 {
        if self.case.0.limits.ticks > 0 {
            SHORT
        } else {
            LONG
        }
    }

    pub(super) fn deadline(&self) -> Deadline {
        Deadline::after_ticks(self.deadline_ticks().into())
    }

    pub(super) const fn restart_ticks(&mut self) {
        self.ticks.operation = 0;
    }

    pub(super) const fn restart_transfer_ticks(&mut self) {
        self.ticks.transfer = 0;
    }

    /// The watchdog's routine; what it has taken away is to be completed.
    pub(super) fn tick(&mut self) {
        let deadline = self.deadline_ticks();
        let count = |ticks: &mut u8| *ticks = ticks.saturating_add(1).min(deadline + 1);
        count(&mut self.ticks.operation);
        count(&mut self.ticks.transfer);
        let twice = self.mistake() == crate::Mistake::TicksTwice;
        let late = self.section(|controller| {
            let mut late = controller.tick();
            if twice && late.is_none() {
                late = controller.tick();
            }
            (late, controller.tick_transfer())
        });
        let Some((late, transfer_has_ended)) = late else {
            return;
        };
        self.for_dma |= transfer_has_ended;
        if let Some(id) = late {
            // The first tick comes after a part of its period.
            if self.ticks.operation <= deadline {
                let why = format!("request {id} timed out {deadline} ticks too early");
                self.fail(Rule::Result, why);
            }
            self.take_out(id, End::TimedOut);
        }
    }

    /// Nothing happens but ticks, until one of them changes something that others see. As
    /// nothing else was to be done before, the device had all the time that it needed: what
    /// is late then is late because of the device.
    pub(super) fn long_time(&mut self) {
        if self.left.long_times != ALWAYS {
            self.left.long_times -= 1;
        }
        for _ in 0..=LONG.saturating_add(1) {
            let device = self.device.clone();
            self.tick();
            if !self.taken.is_empty() || self.for_dma || self.device != device {
                break;
            }
        }
        let late = self.taken.clone();
        for (id, _) in late {
            self.look_whether_lost(id);
        }
    }

    /// An operation that is late, though the device does nothing: its interrupt was lost.
    fn look_whether_lost(&mut self, id: Id) {
        let is_at_it = self.device.is_gone || self.device.is_computing();
        if !is_at_it && !matches!(self.kind(id), Kind::Write(_)) {
            let why = format!("request {id} timed out, and the device has long done it");
            self.fail(Rule::Interrupts, why);
        }
    }

    /// Nothing is to be done at once by anybody.
    pub(super) fn is_resting(&self) -> bool {
        let packets = &self.packets;
        let events = &self.events;
        packets.is_resting()
            && self.transfers.is_resting()
            && self.taken.is_empty()
            && events.looking.is_empty()
            && events.queueing.is_empty()
            && !events.answering
            && !self.for_isr
            && !self.for_dma
            && !self.device.is_finishing()
            && !(self.is_connected && self.device.is_interrupting())
    }

    /// A machine that goes to sleep has waited for a second.
    pub(super) fn stop_waiting(&mut self) {
        if self.left.long_times != ALWAYS {
            self.left.long_times -= 1;
        }
        self.transfers.has_waited = true;
        self.transfers.turn.give_up(End::TimedOut);
        self.section(EduController::give_up_transfer);
    }

    /// Whether the watchdog may tick: from start to stop.
    pub(super) fn has_watchdog(&self) -> bool {
        self.watchdog
            && matches!(
                self.phase,
                Phase::Working | Phase::Leaving(_) | Phase::Silenced(_)
            )
    }
}

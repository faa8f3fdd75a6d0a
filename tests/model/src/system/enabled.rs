//! What can happen next.

use super::{Phase, System, packets::Stage};
use crate::{
    device::{DeviceStep, Resources, Signal},
    request::{File, Id, Place},
    step::{Action, Next, Step},
    wire::Meanwhile,
};

impl System {
    /// What can happen next, and what the device may do within it.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut within: Vec<DeviceStep> = self.device.steps().collect();
        if self.can_vanish() {
            within.push(DeviceStep::Vanish);
        }
        for action in self.actions() {
            let alone = Step {
                action,
                meanwhile: None,
            };
            steps.push(alone);
            if within.is_empty() || !action.accesses_registers() {
                continue;
            }
            // As many as without the device's step: up to it they are the same.
            let accesses = self.accesses(alone);
            for &step in &within {
                steps.extend((1..accesses).map(|before| Step {
                    action,
                    meanwhile: Some(Meanwhile { step, before }),
                }));
            }
        }
        steps
    }

    const fn can_vanish(&self) -> bool {
        self.left.surprises > 0 && !self.device.is_gone
    }

    fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::with_capacity(16);
        let mut may = |can: bool, action: Action| {
            if can {
                actions.push(action);
            }
        };
        for step in self.device.steps() {
            may(true, Action::Device(step));
        }
        may(self.can_vanish(), Action::Device(DeviceStep::Vanish));
        may(self.places.contains(&Place::Unsent), Action::Send);
        self.of_packets(&mut may);
        self.of_transfers(&mut may);
        self.of_interrupts(&mut may);
        self.of_clients(&mut may);
        self.of_lifetime(&mut may);
        actions
    }

    fn of_packets(&self, may: &mut impl FnMut(bool, Action)) {
        let packets = &self.packets;
        let stage = packets.current.map(|(_, stage)| stage);
        let is_next = stage.is_none() && !packets.queue.is_empty();
        may(
            (is_next || stage == Some(Stage::Resumed)) && packets.catching_up.is_none(),
            Action::StartIo,
        );
        may(stage == Some(Stage::Starting), Action::Arm);
        may(stage == Some(Stage::Refused), Action::Hold);
        may(packets.catching_up.is_some(), Action::CatchUp);
        for &id in &packets.taking_back {
            may(true, Action::TakeBack(id));
        }
        for place in 0..u8::try_from(self.taken.len()).unwrap_or(u8::MAX) {
            may(true, Action::Complete(place));
        }
    }

    fn of_transfers(&self, may: &mut impl FnMut(bool, Action)) {
        let transfers = &self.transfers;
        may(transfers.channel.is_some(), Action::AdapterControl);
        may(transfers.arming.is_some(), Action::ArmTransfer);
        may(transfers.is_returning, Action::HasReturned);
        may(transfers.ending.is_some(), Action::EndTransfer);
        may(self.for_dma, Action::DpcForDma);
    }

    fn of_interrupts(&self, may: &mut impl FnMut(bool, Action)) {
        let connected = self.is_connected;
        may(connected && self.device.is_interrupting(), Action::Isr);
        may(connected && self.left.spurious > 0, Action::Spurious);
        may(self.for_isr, Action::DpcForIsr);
        may(self.has_watchdog() && self.left.ticks > 0, Action::Tick);
        may(
            self.phase == Phase::Working && self.left.long_times > 0 && self.is_resting(),
            Action::LongTime,
        );
    }

    fn of_clients(&self, may: &mut impl FnMut(bool, Action)) {
        let events = &self.events;
        for &id in &events.looking {
            may(true, Action::LookForEvents(id));
        }
        for &(id, _) in &events.queueing {
            may(true, Action::QueueForEvents(id));
        }
        may(events.answering, Action::Answer);
        for (id, place) in (0..).zip(&self.places) {
            let is_pending = *place == Place::Pending && !self.is_cancelled(id);
            may(self.left.cancels > 0 && is_pending, Action::Cancel(id));
        }
        if let Some(file) = self.transfers.cleaning_up {
            may(true, Action::CleanUpTurn(file));
        } else if self.left.cleanups > 0 {
            for file in self.open_files() {
                may(true, Action::Cleanup(file));
            }
        }
    }

    /// Handles that have requests, none of which is in its dispatch routine.
    fn open_files(&self) -> Vec<File> {
        let dispatched: Vec<Id> = self.dispatched().collect();
        let mut files: Vec<File> = (0..)
            .zip(&self.places)
            .filter(|(_, place)| **place == Place::Pending)
            .map(|(id, _)| self.file(id))
            .filter(|file| self.closed & 1 << file == 0)
            .filter(|file| dispatched.iter().all(|id| self.file(*id) != *file))
            .collect();
        files.sort_unstable();
        files.dedup();
        files
    }

    fn dispatched(&self) -> impl Iterator<Item = Id> {
        let queueing = self.events.queueing.iter().map(|(id, _)| *id);
        self.events.looking.iter().copied().chain(queueing)
    }

    /// No DPC is queued, and none has begun.
    const fn are_dpcs_flushed(&self) -> bool {
        !self.for_isr
            && !self.for_dma
            && self.transfers.ending.is_none()
            && !matches!(self.transfers.arming, Some((_, false)))
    }

    fn of_lifetime(&self, may: &mut impl FnMut(bool, Action)) {
        let left = &self.left;
        let works = self.phase == Phase::Working;
        let is_asleep = self.phase == Phase::Asleep;
        let is_stopped = self.phase == Phase::Stopped;
        may(works && left.stops > 0, Action::Leave(Next::Stop));
        may(works && left.sleeps > 0, Action::Leave(Next::Sleep));
        may(
            (left.removals > 0 || self.device.is_gone) && (works || is_asleep || is_stopped),
            Action::Leave(Next::Removal),
        );
        let turn = &self.transfers.turn;
        match self.phase {
            Phase::Leaving(next) => {
                let waits = turn.is_taken() && self.is_connected && !self.transfers.has_waited;
                may(!waits, Action::Silence);
                may(waits && !self.for_dma, Action::Look);
                may(
                    waits && next == Next::Sleep && left.long_times > 0 && self.is_resting(),
                    Action::StopWaiting,
                );
            }
            // KeFlushQueuedDpcs.
            Phase::Silenced(_) => may(self.are_dpcs_flushed(), Action::StopWatchdog),
            Phase::Quiet(_) => may(true, Action::Disconnect),
            Phase::Disconnected(_) => may(true, Action::HoldUnderWay),
            _ => {}
        }
        // What the device does at once it has done by then.
        let is_settled = !self.device.is_finishing();
        if is_stopped && is_settled && !self.device.is_gone && self.is_quiet() {
            let same = self.device.resources;
            may(true, Action::Start(same));
            may(left.moves > 0, Action::Start(moved(same)));
        }
        may(is_asleep && is_settled, Action::Wake);
        may(
            is_asleep && is_settled && left.power_cuts > 0,
            Action::WakeAfterPowerCut,
        );
    }
}

/// Other resources than these.
const fn moved(resources: Resources) -> Resources {
    Resources {
        base: resources.base ^ 1,
        signal: match resources.signal {
            Signal::Line => Signal::Message,
            Signal::Message => Signal::Line,
        },
    }
}

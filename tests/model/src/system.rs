//! The driver around its controller: who enters a critical section, and what becomes of what
//! comes out of one.
//!
//! A critical section is one step, for the interrupt's lock makes it one. Everything between
//! two of them is interleaved: a DPC has drained its results and completed none yet, StartIo
//! has a request and has not armed it, a device stops.

mod transitions;

use std::collections::BTreeMap;

use edu_controller::{Controller, Counters, Ended, Saved};

use crate::{
    choice::{Limits, Mistake},
    device::{Device, Signal},
    request::{End, Id, Kind, Place},
    step::{Action, MOST_ACCESSES, Next, Step},
    wire::{Meanwhile, Wire},
};

type EduController = Controller<Wire, Id>;

/// What the device is to the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Started, in D0.
    Working,
    /// Nothing is begun any more, and what is under way is being ended; then this.
    Leaving(Next),
    /// The engine is silent, the interrupt still connected; then this.
    Silenced(Next),
    /// Stopped: no interrupt, no registers.
    Stopped,
    /// In D3.
    Asleep,
    /// Removed.
    Removed,
}

/// All that there is, between two steps.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct System {
    kinds: Vec<Kind>,
    mistake: Mistake,
    /// What may happen yet.
    pub left: Limits,
    /// The device.
    pub device: Device,
    /// Where the driver stands.
    pub phase: Phase,
    controller: Option<EduController>,
    saved: Option<Saved>,
    /// Where each request is.
    pub places: Vec<Place>,
    /// The operations that wait, the first in front; the one that a stop handed back is first.
    queue: Vec<Id>,
    /// The operation that has been started and not completed.
    current: Option<Id>,
    /// StartIo has it, and has not been in its critical section yet.
    starting: Option<Id>,
    for_isr: bool,
    for_dma: bool,
    /// Drained, and not completed yet.
    drained: Vec<Ended<Id>>,
    transfers: Vec<Id>,
    /// The transfer that has the engine.
    turn: Option<Id>,
    /// It is not to be gone on with.
    given_up: Option<End>,
    /// What the device does within the next critical section.
    meanwhile: Option<Meanwhile>,
    /// What went wrong.
    pub wrong: BTreeMap<Rule, String>,
}

/// What must hold always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Each request completes once.
    Once,
    /// With its own result.
    Result,
    /// No register is accessed while the device is stopped, asleep or removed.
    Registers,
    /// A transfer's memory is the device's until the device has let go of it.
    Memory,
    /// No operation is refused, and no result or event is lost.
    NothingLost,
}

impl System {
    /// A device that has just been started.
    #[must_use]
    pub fn new(signal: Signal, kinds: &[Kind], limits: Limits, mistake: Mistake) -> Self {
        let mut system = Self {
            kinds: kinds.to_vec(),
            mistake,
            left: limits,
            device: Device::new(signal),
            phase: Phase::Stopped,
            controller: None,
            saved: None,
            places: vec![Place::Unsent; kinds.len()],
            queue: Vec::new(),
            current: None,
            starting: None,
            for_isr: false,
            for_dma: false,
            drained: Vec::new(),
            transfers: Vec::new(),
            turn: None,
            given_up: None,
            meanwhile: None,
            wrong: BTreeMap::new(),
        };
        system.start();
        system
    }

    /// Whether every request has ended.
    #[must_use]
    pub fn all_ended(&self) -> bool {
        self.places
            .iter()
            .all(|place| matches!(place, Place::Ended(_)))
    }

    /// Whether every request has ended as it should.
    #[must_use]
    pub fn all_succeeded(&self) -> bool {
        self.places
            .iter()
            .all(|place| *place == Place::Ended(End::Success))
    }

    /// What can happen next.
    #[must_use]
    pub fn actions(&self) -> Vec<Action> {
        let works = self.phase == Phase::Working;
        let connected = self.is_connected();
        let left = &self.left;
        let mut actions: Vec<Action> = self.device.steps().map(Action::Device).collect();
        let mut may = |can: bool, action: Action| {
            if can {
                actions.push(action);
            }
        };
        may(self.places.contains(&Place::Unsent), Action::Send);
        may(
            works
                && self.starting.is_none()
                && (self.current.is_none() || self.mistake == Mistake::StartsTwo)
                && !self.queue.is_empty(),
            Action::StartIo,
        );
        may(self.starting.is_some(), Action::Arm);
        may(
            works && self.turn.is_none() && !self.transfers.is_empty(),
            Action::StartTransfer,
        );
        may(connected && self.device.is_interrupting(), Action::Isr);
        may(connected && left.spurious > 0, Action::Spurious);
        may(connected && self.for_isr, Action::DpcForIsr);
        may(!self.drained.is_empty(), Action::Complete);
        may(connected && self.for_dma, Action::DpcForDma);
        may(works && left.ticks > 0, Action::Tick);
        // What the device does at once it has done by then.
        let settled = !self.device.is_finishing();
        may(works && left.long_times > 0 && settled, Action::LongTime);
        for (id, place) in (0..).zip(&self.places) {
            may(
                left.cancels > 0 && *place == Place::Pending,
                Action::Cancel(id),
            );
        }
        may(works && left.stops > 0, Action::Leave(Next::Stop));
        may(works && left.sleeps > 0, Action::Leave(Next::Sleep));
        may(
            left.removals > 0 && matches!(self.phase, Phase::Working | Phase::Stopped),
            Action::Leave(Next::Removal),
        );
        may(works && left.surprises > 0, Action::Vanish);
        // The one whose device has gone is removed.
        may(works && self.device.is_gone, Action::Leave(Next::Removal));
        if let Phase::Leaving(_) = self.phase {
            let through = self.starting.is_none() && self.turn.is_none();
            may(through, Action::Silence);
            may(self.turn.is_some() && !self.for_dma, Action::Look);
        }
        if let Phase::Silenced(_) = self.phase {
            // KeFlushQueuedDpcs: nothing is queued, and none runs.
            let flushed = !self.for_isr && !self.for_dma && self.drained.is_empty();
            may(flushed && settled, Action::Disconnect);
        }
        may(
            self.phase == Phase::Stopped && settled && self.is_quiet(),
            Action::Start,
        );
        may(self.phase == Phase::Asleep, Action::Wake);
        actions
    }

    const fn is_connected(&self) -> bool {
        matches!(
            self.phase,
            Phase::Working | Phase::Leaving(_) | Phase::Silenced(_)
        )
    }

    /// What a start polls for, in a controller of its own.
    fn is_quiet(&self) -> bool {
        let mut device = self.device.clone();
        let mut controller = EduController::new(Wire, Counters::default());
        Wire::to(&mut device, true, None, None, || controller.is_quiet()).0
    }

    /// What can happen next, and what the device may do within it.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for action in self.actions() {
            steps.push(Step {
                action,
                meanwhile: None,
            });
            if !action.accesses_registers() {
                continue;
            }
            for step in self.device.steps() {
                steps.extend((1..=MOST_ACCESSES).map(|before| Step {
                    action,
                    meanwhile: Some(Meanwhile { step, before }),
                }));
            }
        }
        steps
    }

    /// The system after this step.
    #[must_use]
    pub fn after(&self, step: Step) -> Self {
        let mut next = self.clone();
        next.meanwhile = step.meanwhile;
        next.act(step.action);
        next.meanwhile = None;
        // Nothing that happens depends on them.
        if let Some(controller) = &mut next.controller {
            if controller.counters().results_refused > 0 || controller.counters().events_lost > 0 {
                next.wrong
                    .entry(Rule::NothingLost)
                    .or_insert_with(|| "no room was left for a result or an event".to_owned());
            }
            *controller.counters_mut() = Counters::default();
        }
        if let Some(saved) = &mut next.saved {
            saved.counters = Counters::default();
        }
        next
    }

    fn fail(&mut self, rule: Rule, why: String) {
        self.wrong.entry(rule).or_insert(why);
    }

    /// A critical section, or what stands for one while the interrupt is not connected.
    /// `None` if there is no controller.
    fn section<R>(&mut self, routine: impl FnOnce(&mut EduController) -> R) -> Option<R> {
        let mut controller = self.controller.take()?;
        let is_allowed = self.phase != Phase::Asleep;
        let swallows = match self.mistake {
            Mistake::Swallows(register) => Some(register),
            _ => None,
        };
        let meanwhile = self.meanwhile.take();
        let (result, forbidden) =
            Wire::to(&mut self.device, is_allowed, swallows, meanwhile, || {
                routine(&mut controller)
            });
        self.controller = Some(controller);
        if let Some(register) = forbidden {
            self.fail(
                Rule::Registers,
                format!("{register:?} was accessed in {:?}", self.phase),
            );
        }
        Some(result)
    }
}

//! The driver around its controller: who enters a critical section, and what becomes of what
//! comes out of one.
//!
//! A critical section is one step, for the interrupt's lock makes it one. Everything between
//! two of them is interleaved: a DPC has drained its results and completed none yet, StartIo
//! has a request and has not armed it, a device stops.

mod enabled;
mod events;
mod lifetime;
mod packets;
mod time;
mod transfers;

use std::{collections::BTreeMap, sync::Arc};

use edu_controller::{Controller, Counters, Saved};

use crate::{
    Case,
    choice::{Limits, Mistake},
    device::Device,
    request::{End, File, Id, Kind, Place},
    step::{Action, Next, Step},
    wire::{Meanwhile, Rules, Seen, Wire},
};
use events::Events;
use packets::Packets;
use time::Ticks;
use transfers::Transfers;

type EduController = Controller<Wire, Id>;

/// What the device is to the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Started, in D0.
    Working,
    /// Nothing is begun any more, and the transfer under way is waited for; then this.
    Leaving(Next),
    /// The engine is silent; then this.
    Silenced(Next),
    /// The watchdog is stopped; then this.
    Quiet(Next),
    /// The interrupt is disconnected or inactive, and what was under way is to be held.
    Disconnected(Next),
    /// Stopped: no interrupt, no registers.
    Stopped,
    /// In D3.
    Asleep,
    /// Removed.
    Removed,
}

/// What is the same in every state of an exploration, and so says nothing about a state.
#[derive(Clone, Debug)]
struct Fixed(Arc<Case>);

impl PartialEq for Fixed {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Fixed {}

impl std::hash::Hash for Fixed {
    fn hash<H: std::hash::Hasher>(&self, _state: &mut H) {}
}

/// All that there is, between two steps.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact by itself, and they come in all combinations"
)]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct System {
    case: Fixed,
    /// What may happen yet.
    pub left: Limits,
    /// The device.
    pub device: Device,
    /// Where the driver stands.
    pub phase: Phase,
    /// ISR and critical sections run.
    is_connected: bool,
    /// The device has no power, or should not have.
    is_in_d3: bool,
    watchdog: bool,
    ticks: Ticks,
    controller: Option<EduController>,
    saved: Option<Saved>,
    /// Where each request is.
    pub places: Vec<Place>,
    /// Requests that were cancelled, a bit each.
    cancelled: u16,
    /// Handles that were closed, a bit each.
    closed: u8,
    packets: Packets,
    transfers: Transfers,
    events: Events,
    for_isr: bool,
    for_dma: bool,
    /// Taken out by somebody, who has not completed them yet; sorted, for it makes no
    /// difference who they are.
    taken: Vec<(Id, End)>,
    /// What the device does within the next critical section.
    meanwhile: Option<Meanwhile>,
    /// What the last critical section saw of the device; nothing between two steps.
    seen: Seen,
    /// What went wrong.
    pub wrong: BTreeMap<Rule, String>,
}

/// What must hold always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Each request completes once.
    Once,
    /// With its own result, and the status that belongs to what happened to it.
    Result,
    /// No register is accessed while the device is stopped, asleep or removed.
    Registers,
    /// A transfer's memory is the device's until the device has let go of it.
    Memory,
    /// No operation is refused, and no result or event is lost.
    NothingLost,
    /// What the device has said by an interrupt is reported.
    Interrupts,
}

impl System {
    /// A device that has just been started.
    #[must_use]
    pub fn new(case: &Arc<Case>) -> Self {
        let mut system = Self {
            case: Fixed(Arc::clone(case)),
            left: case.limits,
            device: Device::new(case.resources),
            phase: Phase::Stopped,
            is_connected: false,
            is_in_d3: false,
            watchdog: false,
            ticks: Ticks::default(),
            controller: None,
            saved: None,
            places: vec![Place::Unsent; case.requests.len()],
            cancelled: 0,
            closed: 0,
            packets: Packets::new(),
            transfers: Transfers::new(),
            events: Events::new(&case.requests),
            for_isr: false,
            for_dma: false,
            taken: Vec::new(),
            meanwhile: None,
            seen: Seen::default(),
            wrong: BTreeMap::new(),
        };
        system.start(case.resources);
        system
    }

    /// Whether every request has ended, but those that wait for an interrupt that has not
    /// come.
    #[must_use]
    pub fn all_ended(&self) -> bool {
        (0..).zip(&self.places).all(|(id, place)| match place {
            Place::Ended(_) => true,
            Place::Pending => self.waits_rightly(id),
            Place::Unsent => false,
        })
    }

    /// How many accesses to registers the first critical section of a step makes.
    fn accesses(&self, step: Step) -> u8 {
        let mut next = self.clone();
        next.act(step.action);
        next.seen.accesses
    }

    /// The requests that have not ended, for people.
    #[must_use]
    pub fn pending(&self) -> Vec<String> {
        (0..)
            .zip(&self.places)
            .filter(|(_, place)| !matches!(place, Place::Ended(_)))
            .map(|(id, place)| {
                let kind = self.kind(id);
                format!("request {id}, {kind:?}, is {place:?} in {:?}", self.phase)
            })
            .collect()
    }

    /// The system after this step.
    #[must_use]
    pub fn after(&self, step: Step) -> Self {
        let mut next = self.clone();
        next.meanwhile = step.meanwhile;
        next.act(step.action);
        next.meanwhile = None;
        next.seen = Seen::default();
        if step.action == Action::Isr && next == *self {
            let why = "the ISR changes nothing, and the interrupt stays asserted".to_owned();
            next.fail(Rule::Interrupts, why);
        }
        // Nothing that happens depends on them.
        if let Some(controller) = &mut next.controller {
            if controller.counters().results_refused > 0 || controller.counters().events_lost > 0 {
                next.wrong.entry(Rule::NothingLost).or_insert_with(|| {
                    "an end was in the way of an operation, or no room was left for an event"
                        .to_owned()
                });
            }
            *controller.counters_mut() = Counters::default();
        }
        if let Some(saved) = &mut next.saved {
            saved.counters = Counters::default();
        }
        next
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Send => self.send(),
            Action::StartIo => self.start_io(),
            Action::Arm => self.arm(),
            Action::CatchUp => self.catch_up(),
            Action::Hold => self.hold_refused(),
            Action::AdapterControl => self.adapter_control(),
            Action::ArmTransfer => self.arm_transfer(),
            Action::HasReturned => self.has_returned(),
            Action::Device(step) => self.device.step(step),
            Action::Isr => self.isr(),
            Action::Spurious => {
                self.left.spurious -= 1;
                self.isr();
            }
            Action::DpcForIsr => self.dpc_for_isr(),
            Action::Complete(place) => self.complete(place),
            Action::DpcForDma => self.dpc_for_dma(),
            Action::EndTransfer => self.end_transfer(),
            Action::LookForEvents(id) => self.look_for_events(id),
            Action::QueueForEvents(id) => self.queue_for_events(id),
            Action::Answer => self.answer(),
            Action::Tick => {
                self.left.ticks -= 1;
                self.tick();
            }
            Action::LongTime => self.long_time(),
            Action::Cancel(id) => self.cancel(id),
            Action::TakeBack(id) => self.take_back(id),
            Action::Cleanup(file) => self.clean_up(file),
            Action::CleanUpTurn(file) => self.clean_up_turn(file),
            Action::Leave(next) => self.leave(next),
            Action::Look => self.look_at_transfer(),
            Action::StopWaiting => self.stop_waiting(),
            Action::Silence => self.silence(),
            Action::StopWatchdog => self.stop_watchdog(),
            Action::Disconnect => self.disconnect(),
            Action::HoldUnderWay => self.hold_under_way(),
            Action::Start(resources) => {
                self.left.moves -= u8::from(resources != self.device.resources);
                self.start(resources);
            }
            Action::Wake => self.wake(),
            Action::WakeAfterPowerCut => {
                self.left.power_cuts -= 1;
                self.device.lose_power();
                self.wake();
            }
        }
        // Pulled out between two accesses.
        if self.device.is_gone {
            self.left.surprises = 0;
        }
    }

    fn mistake(&self) -> Mistake {
        self.case.0.mistake
    }

    fn kind(&self, id: Id) -> Kind {
        self.case.0.requests[usize::from(id)].kind
    }

    fn file(&self, id: Id) -> File {
        self.case.0.requests[usize::from(id)].file
    }

    /// Irp->Cancel.
    const fn is_cancelled(&self, id: Id) -> bool {
        self.cancelled & 1 << id != 0
    }

    /// The device is being removed, or is.
    const fn is_leaving_for_good(&self) -> bool {
        matches!(
            self.phase,
            Phase::Leaving(Next::Removal)
                | Phase::Silenced(Next::Removal)
                | Phase::Quiet(Next::Removal)
                | Phase::Disconnected(Next::Removal)
                | Phase::Removed
        )
    }

    fn fail(&mut self, rule: Rule, why: String) {
        self.wrong.entry(rule).or_insert(why);
    }

    /// The dispatch routine.
    fn send(&mut self) {
        let unsent = self.places.iter().position(|place| *place == Place::Unsent);
        let Some(index) = unsent else { return };
        let id = Id::try_from(index).unwrap_or(Id::MAX);
        self.places[index] = Place::Pending;
        if self.is_leaving_for_good() {
            self.end(id, End::Gone);
            return;
        }
        match self.kind(id) {
            Kind::Write(_) => {
                self.transfers.waiting.push(id);
                self.begin_next();
            }
            Kind::Events(_) => self.events.looking.push(id),
            Kind::Liveness(value) => {
                // At once, if the device works.
                match self.section(|controller| controller.check_liveness(value)) {
                    Some(Some(answer)) => self.end_liveness(id, answer),
                    _ => self.packets.queue.push(id),
                }
            }
            Kind::Factorial(_) | Kind::Raise(_) => self.packets.queue.push(id),
        }
    }

    fn end_liveness(&mut self, id: Id, answer: u32) {
        let is_right = match self.kind(id) {
            Kind::Liveness(value) => answer == !value || self.device.is_gone,
            _ => false,
        };
        if !is_right {
            self.fail(Rule::Result, format!("request {id} was told {answer:#x}"));
        }
        self.end(id, End::Success);
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
        let is_right = match end {
            End::Success | End::TimedOut | End::NotSent | End::Invalid => true,
            End::Cancelled => self.is_cancelled(id) || self.closed & 1 << self.file(id) != 0,
            End::Gone => self.is_leaving_for_good() || self.device.is_gone,
            End::Refused => false,
        };
        if !is_right {
            self.fail(
                Rule::Result,
                format!("request {id} ended as {end:?} in {:?}", self.phase),
            );
        }
    }

    /// A critical section; `None` if the interrupt is not connected.
    fn section<R>(&mut self, routine: impl FnOnce(&mut EduController) -> R) -> Option<R> {
        let touches = self.mistake() == Mistake::TouchesSleeping;
        (self.is_connected || touches)
            .then(|| self.with_controller(routine))
            .flatten()
    }

    /// What is done with the controller, connected or not. `None` if there is none.
    fn with_controller<R>(&mut self, routine: impl FnOnce(&mut EduController) -> R) -> Option<R> {
        let mut controller = self.controller.take()?;
        let rules = Rules {
            is_allowed: !self.is_in_d3 && self.phase != Phase::Removed,
            swallows: match self.mistake() {
                Mistake::Swallows(register) => Some(register),
                _ => None,
            },
            meanwhile: self.meanwhile.take(),
        };
        let (result, seen) = Wire::to(&mut self.device, rules, || routine(&mut controller));
        self.controller = Some(controller);
        if let Some(register) = seen.forbidden {
            self.fail(
                Rule::Registers,
                format!("{register:?} was accessed in {:?}", self.phase),
            );
        }
        // That of the first section, which has the device's step in it, if one has.
        if self.seen.accesses == 0 {
            self.seen = seen;
        }
        Some(result)
    }
}

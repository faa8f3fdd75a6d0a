//! The driver around its controller: who enters a critical section, and what becomes of what
//! comes out of one.
//!
//! A critical section is one step, for the interrupt's lock makes it one. Everything between
//! two of them is interleaved: a DPC has drained its results and completed none yet, StartIo
//! has a request and has not armed it, a device stops.

use std::{collections::BTreeMap, fmt};

use edu_controller::{
    Controller, Counters, Deadline, Direction, Ended, EndedTransfer, Operation, Outcome, Refused,
    Register, Saved, Service, Transfer, TransferOutcome,
};

use crate::{
    device::{Device, DeviceStep, Signal, factorial},
    wire::{Meanwhile, Wire},
};

/// The number of a request.
pub type Id = u8;

type EduController = Controller<Wire, Id>;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `n!`.
    Factorial(u32),
    /// An interrupt with these causes.
    Raise(u32),
    /// A transfer of the DMA engine.
    Write,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// As it should.
    Success,
    /// Past its deadline.
    TimedOut,
    /// Cancelled.
    Cancelled,
    /// The device is going, or gone.
    Gone,
}

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Not sent yet.
    Unsent,
    /// The driver has it.
    Pending,
    /// Completed.
    Ended(End),
}

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

/// What a device leaves D0 or its resources for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Next {
    /// STOP_DEVICE: a start follows.
    Stop,
    /// A sleep.
    Sleep,
    /// A removal.
    Removal,
}

/// A mistake that is made on purpose, to show that it would be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mistake {
    /// None.
    Nothing,
    /// Writes to this register are lost.
    Swallows(Register),
    /// DpcForIsr takes one result and forgets that there may be more.
    DropsResults,
    /// A request is completed with its result, and left to the watchdog as well.
    CompletesTwice,
    /// Cancellation completes a request that the device has still.
    CancelsBlindly,
    /// The device is stopped with what it is at.
    StopsUnsilenced,
    /// DpcForIsr ignores whose result it is.
    MixesResults,
    /// The memory of a transfer is given back when it is cancelled.
    FreesMemoryEarly,
    /// The DPC is not requested.
    ForgetsDpc,
    /// A request that is cancelled while the device sleeps is looked for in the device.
    TouchesSleeping,
    /// StartIo takes the next operation while one is under way.
    StartsTwo,
}

/// As often as may be.
pub const ALWAYS: u8 = u8::MAX;

/// How much of what is possible happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Ticks of the watchdog.
    pub ticks: u8,
    /// Times that so long passes that every deadline is over, or [`ALWAYS`].
    pub long_times: u8,
    /// Requests that are cancelled.
    pub cancels: u8,
    /// Calls of the ISR for nothing.
    pub spurious: u8,
    /// Stops and starts.
    pub stops: u8,
    /// Sleeps.
    pub sleeps: u8,
    /// Removals, 0 or 1.
    pub removals: u8,
    /// The device goes without a word, 0 or 1.
    pub surprises: u8,
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

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The next request is sent.
    Send,
    /// StartIo takes the next operation.
    StartIo,
    /// StartIo's critical section.
    Arm,
    /// AdapterControl and its critical section.
    StartTransfer,
    /// The device.
    Device(DeviceStep),
    /// The ISR, on whatever processor.
    Isr,
    /// The ISR, for nothing.
    Spurious,
    /// DpcForIsr's critical section.
    DpcForIsr,
    /// It completes the next of what it has drained.
    Complete,
    /// The CustomDpc.
    DpcForDma,
    /// The watchdog.
    Tick,
    /// More than a second.
    LongTime,
    /// A request is cancelled.
    Cancel(Id),
    /// A stop, a sleep or a removal begins.
    Leave(Next),
    /// The device is silenced for it.
    Silence,
    /// The DPCs are flushed, and the interrupt is disconnected.
    Disconnect,
    /// It looks whether a transfer has ended whose interrupt may not come.
    Look,
    /// START_DEVICE.
    Start,
    /// The device wakes up.
    Wake,
    /// The device goes.
    Vanish,
}

impl Action {
    /// Whether it is a critical section with several accesses to registers.
    const fn accesses_registers(self) -> bool {
        matches!(
            self,
            Self::Isr | Self::Spurious | Self::Tick | Self::Cancel(_) | Self::Look | Self::Silence
        )
    }
}

/// One step, and what the device does within it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Step {
    /// What happens.
    pub action: Action,
    /// What the device does meanwhile.
    pub meanwhile: Option<Meanwhile>,
}

impl fmt::Debug for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.action.fmt(formatter)?;
        match self.meanwhile {
            Some(Meanwhile { step, before }) => {
                write!(formatter, " with {step:?} after {before} accesses")
            }
            None => Ok(()),
        }
    }
}

/// More accesses than a critical section makes before its last one.
const MOST_ACCESSES: u8 = 4;

/// Ticks until every deadline and every wait for a quiet device is over.
const LONG: usize = 60;

/// Where the memory of a transfer is.
fn memory_of(id: Id) -> u32 {
    0x1000 * (u32::from(id) + 1)
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

    fn act(&mut self, action: Action) {
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

    fn start(&mut self) {
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

//! The controller: every critical section of the driver is a method here.

use core::borrow::BorrowMut;

use crate::{
    counters::{Counters, count},
    dma::Dma,
    engine::{Deadline, Ended, Engine, Inside, Mode, Operation, Refused, Stage},
    events::{Event, EventBatch, EventSink, Events, Noted},
    registers::{
        ABSENT, CAUSE_DMA, CAUSE_FACTORIAL, DMA_RUNNING, Identification, Register, Registers,
        STATUS_COMPUTING, STATUS_INTERRUPT,
    },
};

/// Watchdog ticks in a row that the device must have looked quiet before a controller
/// that waits for the end of an abandoned factorial believes it. The interrupt may come
/// some time after the device has stopped computing, and must not be taken for the next
/// operation's; a device that was reset meanwhile will never send it.
const QUIET_TICKS: u32 = 50;

/// What the ISR found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Another device's interrupt; nothing was touched.
    NotOurs,
    /// Ours, and acknowledged; these DPCs have something to take out.
    Claimed(Dpcs),
}

/// DPCs that an interrupt has work for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dpcs {
    /// DpcForIsr: a result waits, or events for somebody who waits for them.
    pub for_isr: bool,
    /// The DMA engine's: a transfer has ended, or may have.
    pub dma: bool,
}

impl Dpcs {
    /// None of them.
    pub const NONE: Self = Self {
        for_isr: false,
        dma: false,
    };
    /// DpcForIsr alone.
    pub const FOR_ISR: Self = Self {
        for_isr: true,
        dma: false,
    };
    /// The DMA engine's alone.
    pub const DMA: Self = Self {
        for_isr: false,
        dma: true,
    };
}

/// The device's registers and all that the ISR shares.
///
/// `T` is what an operation belongs to, `D` what a transfer belongs to, and `B` has the events
/// that the ISR saves: an [`EventBatch`], or where one is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Controller<R, T, D = T, B = EventBatch> {
    pub(crate) registers: R,
    /// Written by StartIo (`arm`), the ISR (`service`), the DPC (`drain`), the watchdog
    /// (`tick`), cancellation (`take_back`) and stop (`silence`), always under the interrupt
    /// lock.
    pub(crate) engine: Engine<T>,
    /// Written by AdapterControl and the DMA engine's DPC (`arm_transfer`), which also empties
    /// it (`drain_transfer`), by the ISR, and by the watchdog (`tick_transfer`).
    pub(crate) dma: Dma<D>,
    /// Written by the ISR, emptied by the DPC and by those who are about to wait.
    events: Events<B>,
    pub(crate) counters: Counters,
}

/// With its events inside.
impl<R: Registers, T, D> Controller<R, T, D> {
    /// A controller that leaves the device alone until it is told otherwise.
    pub const fn new(registers: R, counters: Counters) -> Self {
        Self::with_events(registers, counters, EventBatch::new())
    }

    /// As [`take_events`](Self::take_events), for a controller that nobody shares: the events
    /// go where they belong at once.
    pub fn drain_events(&mut self, sink: &mut impl EventSink) {
        let mut batch = EventBatch::new();
        self.take_events(&mut batch);
        batch.drain(sink);
    }
}

impl<R: Registers, T, D, B: BorrowMut<EventBatch>> Controller<R, T, D, B> {
    /// A controller that leaves the device alone until it is told otherwise. The batch is
    /// empty.
    pub const fn with_events(registers: R, counters: Counters, batch: B) -> Self {
        Self {
            registers,
            engine: Engine::new(),
            dma: Dma::new(),
            events: Events::new(batch),
            counters,
        }
    }

    /// Reads the identification; `None` if this is no `edu` device.
    pub fn identify(&mut self) -> Option<Identification> {
        Identification::from_register(self.registers.read(Register::Identification))
    }

    /// Keeps the device from interrupting, and hands back the operation under way. One that
    /// has ended stays for the DPC.
    ///
    /// The device has no reset: it may still compute or transfer afterwards, see
    /// [`is_quiet`](Self::is_quiet).
    pub fn silence(&mut self) -> Option<T> {
        self.engine.mode = Mode::Silent;
        self.registers.write(Register::Status, 0);
        self.acknowledge_all();
        let inside = self.engine.take_under_way()?;
        count(&mut self.counters.operations_aborted);
        Some(inside.owner)
    }

    /// Whether a silenced device has ended what it was still doing. A device that
    /// is gone is quiet. Shortly after a factorial has ended its interrupt may still be
    /// on the way, so ask for some time, and [`silence`](Self::silence) again.
    pub fn is_quiet(&mut self) -> bool {
        let status = self.registers.read(Register::Status);
        let dma = self.registers.read(Register::DmaCommand);
        status == ABSENT || (status & STATUS_COMPUTING == 0 && dma & DMA_RUNNING == 0)
    }

    /// Lets a silent device interrupt. To be called under the interrupt lock, after the
    /// interrupt was connected, and only when the device [`is_quiet`](Self::is_quiet).
    pub fn enable(&mut self) {
        if self.engine.mode == Mode::Silent {
            self.engine.mode = Mode::Free;
            self.acknowledge_all();
            self.registers.write(Register::Status, STATUS_INTERRUPT);
        }
    }

    /// Ends every cause, whatever it says.
    pub(crate) fn acknowledge_all(&mut self) {
        self.registers.write(Register::Acknowledge, u32::MAX);
        self.dma.acknowledged_unseen();
    }

    /// Programs an operation. One register write, unless it has to wait.
    ///
    /// The owner is moved once, from where it is to where it stays.
    ///
    /// # Errors
    /// Leaves the owner when the operation cannot be taken: while there is another one,
    /// even one that has ended and that the DPC has not [drained](Self::drain). So nothing is
    /// ever in the place of an end but that end.
    pub fn arm(
        &mut self,
        owner: &mut Option<T>,
        operation: Operation,
        deadline: Deadline,
    ) -> Result<(), Refused> {
        let (stage, waits) = match self.engine.mode {
            Mode::Silent => return Err(Refused::Silent),
            Mode::Free => (Stage::Programmed(deadline), false),
            Mode::Draining(_) => (Stage::Waiting(deadline), true),
        };
        // Said to be empty, so that this overwrites nothing: under the lock nothing may be
        // dropped, and the compiler leaves that code out.
        let place @ None = &mut self.engine.inside else {
            if self.has_ended() {
                count(&mut self.counters.results_refused);
            }
            return Err(Refused::Busy);
        };
        let Some(owner) = owner.take() else {
            return Err(Refused::Busy);
        };
        *place = Some(Inside {
            owner,
            operation,
            stage,
        });
        count(&mut self.counters.operations_started);
        if !waits {
            self.program(operation);
        }
        Ok(())
    }

    /// Whether the end of an operation waits for the DPC.
    fn has_ended(&self) -> bool {
        let inside = self.engine.inside.as_ref();
        inside.is_some_and(|inside| matches!(inside.stage, Stage::Ended(_)))
    }

    /// The interrupt service: claims, acknowledges, saves the result with its
    /// operation, and what happened with `stamp`, the time at which it did. Two register
    /// accesses, three when a factorial is ready, and never more than four.
    pub fn service(&mut self, stamp: u64) -> Service {
        let causes = self.registers.read(Register::InterruptStatus);
        if causes == 0 || (causes == ABSENT && self.is_absent()) {
            count(&mut self.counters.interrupts_not_ours);
            return Service::NotOurs;
        }
        self.registers.write(Register::Acknowledge, causes);
        count(&mut self.counters.interrupts_claimed);
        if !self.events.save(Event { stamp, causes }) {
            count(&mut self.counters.events_lost);
        }
        // In this order: an operation that has waited is programmed here, and what it raises
        // is none of these causes.
        let dma = self.serve_transfer(causes);
        let for_isr = self.serve_operation(causes);
        let dpcs = Dpcs { for_isr, dma };
        if dpcs != Dpcs::NONE {
            // Either DPC takes the events along.
            return Service::Claimed(dpcs);
        }
        // A doubted cause of DMA was raised by hand, or is that of a transfer whose end was
        // found by looking: somebody has asked for it.
        if causes & CAUSE_DMA == 0 || !self.dma.is_doubted() {
            count(&mut self.counters.interrupts_unasked);
        }
        Service::Claimed(Dpcs {
            for_isr: self.events.want_dpc(),
            dma,
        })
    }

    /// Notes something of the ISR itself beside the interrupt that
    /// [`service`](Self::service) has just claimed.
    pub fn note(&mut self, noted: Noted) {
        self.events.note(noted);
    }

    /// What these causes say about the operation under way; true if it has ended.
    ///
    /// Its end is written where the operation is. One that has ended before is not looked at:
    /// no later interrupt changes what waits for the DPC.
    fn serve_operation(&mut self, causes: u32) -> bool {
        if let Some(Inside {
            operation,
            stage: stage @ Stage::Programmed(_),
            ..
        }) = &mut self.engine.inside
        {
            let answer = Self::answer(&mut self.registers, *operation, causes);
            return answer.is_some_and(|answer| {
                *stage = Stage::Ended(answer);
                count(&mut self.counters.operations_completed);
                true
            });
        }
        // The device has ended the factorial that nobody waits for.
        if let Mode::Draining(_) = self.engine.mode
            && causes & CAUSE_FACTORIAL != 0
        {
            self.proceed();
        }
        false
    }

    /// Takes out the operation that the ISR has ended, for the DPC: the engine is free.
    ///
    /// There is one at most. The next operation is taken when this one has been drained, and
    /// interrupts between the two end nothing.
    pub fn drain(&mut self) -> Option<Ended<T>> {
        let ended = self.engine.take_ended()?;
        count(&mut self.counters.drains);
        self.counters.most_results = 1;
        Some(ended)
    }

    /// Takes out all events that the ISR has saved, in the critical section in which a DPC
    /// takes its result. They are exchanged for the batch that is given, and numbered after
    /// the lock was left.
    ///
    /// A batch that has something in it takes nothing: drain it first.
    pub fn take_events(&mut self, batch: &mut B) {
        self.events.take(batch);
    }

    /// From now on somebody waits for the next event: it requests a DPC even if it ends no
    /// operation.
    pub const fn expect_event(&mut self) {
        self.events.expect();
    }

    /// Counts a watchdog tick, and hands back an operation past its deadline. The tick in which
    /// an operation that has waited is programmed does not count for it.
    ///
    /// A factorial that the device still computes keeps the engine until its
    /// interrupt comes; everything else is cleared from the device at once.
    pub fn tick(&mut self) -> Option<T> {
        if self.look_whether_drained() {
            return None;
        }
        let (Stage::Waiting(deadline) | Stage::Programmed(deadline)) =
            &mut self.engine.inside.as_mut()?.stage
        else {
            return None;
        };
        if !deadline.tick() {
            return None;
        }
        count(&mut self.counters.operations_timed_out);
        self.abandon()
    }

    /// Hands back the operation under way, if `is_it` says so of its owner; the device
    /// is left as after a deadline that has passed. One that has ended is the DPC's.
    pub fn take_back(&mut self, is_it: impl FnOnce(&T) -> bool) -> Option<T> {
        let inside = self.engine.inside.as_ref()?;
        if self.has_ended() || !is_it(&inside.owner) {
            return None;
        }
        count(&mut self.counters.operations_aborted);
        self.abandon()
    }

    /// Lets go of the operation under way.
    fn abandon(&mut self) -> Option<T> {
        let inside = self.engine.take_under_way()?;
        if let Stage::Programmed(_) = inside.stage {
            match inside.operation {
                Operation::Factorial { .. } => self.engine.mode = Mode::Draining(0),
                Operation::Raise { mask } => {
                    self.registers.write(Register::Acknowledge, mask);
                    if mask & CAUSE_DMA != 0 {
                        self.dma.acknowledged_unseen();
                    }
                }
            }
        }
        Some(inside.owner)
    }

    /// While the interrupt of an abandoned factorial is awaited: goes on without it when
    /// the device has been quiet for [`QUIET_TICKS`], and says so.
    fn look_whether_drained(&mut self) -> bool {
        let Mode::Draining(quiet) = &mut self.engine.mode else {
            return false;
        };
        let computing = self.registers.read(Register::Status) & STATUS_COMPUTING != 0;
        *quiet = if computing {
            0
        } else {
            quiet.saturating_add(1)
        };
        let is_drained = *quiet > QUIET_TICKS;
        if is_drained {
            // Were the interrupt late and not lost, it would be taken for the end of what is
            // programmed next.
            self.registers.write(Register::Acknowledge, CAUSE_FACTORIAL);
            // Whatever lost the interrupt may have lost this too.
            self.registers.write(Register::Status, STATUS_INTERRUPT);
            self.proceed();
        }
        is_drained
    }

    /// Writes the liveness register and reads the answer; `None` while silent.
    pub fn check_liveness(&mut self, value: u32) -> Option<u32> {
        if self.engine.mode == Mode::Silent {
            return None;
        }
        count(&mut self.counters.liveness_checks);
        self.registers.write(Register::Liveness, value);
        Some(self.registers.read(Register::Liveness))
    }

    /// A copy of the counters.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// The counters, to be set to something else.
    pub const fn counters_mut(&mut self) -> &mut Counters {
        &mut self.counters
    }

    #[cfg(test)]
    pub(crate) fn registers_mut(&mut self) -> &mut R {
        &mut self.registers
    }

    /// Gives the device the operation that is inside.
    fn program(&mut self, operation: Operation) {
        let (register, value) = match operation {
            Operation::Factorial { n } => (Register::Factorial, n),
            Operation::Raise { mask } => {
                if mask & CAUSE_DMA != 0 {
                    self.dma.raised_by_hand();
                }
                (Register::RaiseInterrupt, mask)
            }
        };
        self.registers.write(register, value);
    }

    /// What the device answers to this operation with these causes; `None` if they are not its
    /// own.
    fn answer(registers: &mut R, operation: Operation, causes: u32) -> Option<u32> {
        match operation {
            Operation::Factorial { .. } => {
                if causes & CAUSE_FACTORIAL == 0 {
                    return None;
                }
                let value = registers.read(Register::Factorial);
                // All ones is no factorial, for those but 0! and 1! are even: the device is
                // gone, and the operation has its deadline.
                (value != ABSENT).then_some(value)
            }
            // The device sets all bits of the mask in one step.
            Operation::Raise { mask } => (causes & mask == mask).then_some(causes),
        }
    }

    /// Nothing is under way in the device: programs what waited for that.
    fn proceed(&mut self) {
        self.engine.mode = Mode::Free;
        if let Some(Inside {
            operation, stage, ..
        }) = &mut self.engine.inside
            && let Stage::Waiting(deadline) = *stage
        {
            *stage = Stage::Programmed(deadline);
            let operation = *operation;
            self.program(operation);
        }
    }

    /// All bits set can be a raised mask or a device that is gone; only then is
    /// the identification asked.
    fn is_absent(&mut self) -> bool {
        self.registers.read(Register::Identification) == ABSENT
    }
}

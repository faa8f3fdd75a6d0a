//! One run: the input's steps, each judged.

use edu_controller::{
    Controller, Counters, Deadline, Dpcs, EVENTS, Event, EventLog, Numbered, Operation, Refused,
    Register, Service, Transfer, TransferOutcome,
};

use super::{
    Mistake,
    answers::{ABSENT, Access, Answers},
    ledger::{Inside, Ledger, Moving, reads},
    step::Step,
};

/// Most steps of one run; an input is at its end sooner.
const STEPS: usize = 4_096;
/// Slots of the log: few, so that they go round.
const KEPT: usize = 5;
/// More ticks than any deadline of a step, and than an abandoned factorial is waited for.
const MANY: u32 = 64;
/// Most register accesses of the ISR: the status, whether the device is there, the
/// acknowledgement, and a result or the next operation.
const MOST_IN_ISR: usize = 4;

struct Run<'a> {
    controller: Controller<Answers<'a>, u32>,
    answers: Answers<'a>,
    ledger: Ledger,
    log: EventLog<Vec<Numbered>>,
    owners: u32,
    stamp: u64,
    ticked: u32,
    mistake: Mistake,
}

/// Runs the steps that the input says.
///
/// # Panics
/// When the controller breaks what it promises.
pub fn run(data: &[u8], mistake: Mistake) {
    let answers = Answers::new(data, mistake);
    let mut run = Run {
        controller: Controller::new(answers.clone(), Counters::default()),
        answers,
        ledger: Ledger::default(),
        log: EventLog::new(vec![Numbered::default(); KEPT]),
        owners: 0,
        stamp: 0,
        ticked: 0,
        mistake,
    };
    for _ in 0..STEPS {
        let Some(step) = run.answers.draw::<Step>() else {
            break;
        };
        run.step(step);
    }
    run.end();
}

impl Run<'_> {
    fn step(&mut self, step: Step) {
        match step {
            Step::Enable => self.enable(),
            Step::Silence => self.silence(),
            Step::AskWhetherQuiet => self.ask(|controller| {
                let _quiet = controller.is_quiet();
            }),
            Step::Identify => self.ask(|controller| {
                let _identification = controller.identify();
            }),
            Step::Arm { operation, ticks } => self.arm(operation, ticks),
            Step::ArmTransfer {
                memory,
                position,
                count,
                direction,
                ticks,
            } => {
                if let Some(transfer) = Transfer::new(memory, position, count, direction) {
                    self.arm_transfer(transfer, ticks);
                }
            }
            Step::Service => self.service(),
            Step::Drain => self.drain(),
            Step::DrainEvents => self.drain_events(),
            Step::DrainTransfer => self.drain_transfer(),
            Step::ExpectEvent => {
                self.controller.expect_event();
                self.ledger.is_expected = true;
            }
            Step::Tick => self.tick(),
            Step::ManyTicks => (0..MANY).for_each(|_| self.tick()),
            Step::LookAtTransfer => {
                let ended = self.controller.look_at_transfer();
                self.transfer_looked_at(ended);
            }
            Step::GiveUpTransfer => {
                self.controller.give_up_transfer();
                if let Some(moving) = self.ledger.moving.as_mut()
                    && !moving.has_ended
                    && moving.ends_as == TransferOutcome::Done
                {
                    moving.ends_as = TransferOutcome::Aborted;
                }
            }
            Step::TakeBack { is_it } => self.take_back(is_it),
            Step::CheckLiveness(value) => self.check_liveness(value),
            Step::Sleep { silenced } => self.sleep(silenced),
            Step::ResetCounters => self.reset_counters(),
            Step::ReadLog { back, room } => self.read_log(back, room),
        }
        let accesses = self.answers.take_accesses();
        self.judge(&accesses);
    }

    fn judge(&mut self, accesses: &[Access]) {
        self.ledger.judge(accesses, &self.controller.counters());
        self.ledger.note_unseen(accesses);
    }

    /// The accesses of what was just done, which are judged as after every step.
    fn judged(&mut self) -> Vec<Access> {
        let accesses = self.answers.take_accesses();
        self.judge(&accesses);
        accesses
    }

    fn ask(&mut self, what: impl FnOnce(&mut Controller<Answers<'_>, u32>))
    where
        Self: Sized,
    {
        what(&mut self.controller);
        let accesses = self.answers.take_accesses();
        let only_read = accesses
            .iter()
            .all(|access| matches!(access, Access::Read(..)));
        assert!(only_read, "a question changes the device: {accesses:?}");
    }

    fn enable(&mut self) {
        self.controller.enable();
        self.ledger.is_enabled = true;
    }

    fn silence(&mut self) {
        if let Some(owner) = self.controller.silence() {
            self.ledger.comes_back(owner, "silence");
        }
        self.ledger.is_enabled = false;
        assert!(
            self.ledger.engine.is_none(),
            "silence leaves somebody inside"
        );
    }

    fn arm(&mut self, operation: Operation, ticks: u32) {
        self.owners += 1;
        let owner = self.owners;
        let mut left = Some(owner);
        let armed = self
            .controller
            .arm(&mut left, operation, Deadline::after_ticks(ticks));
        let expected = armed.is_err().then_some(owner);
        assert_eq!(left, expected, "whose is it?");
        let is_free = self.ledger.engine.is_none() && self.ledger.result.is_none();
        match armed {
            Ok(()) => {
                assert!(self.ledger.is_enabled, "a silent controller takes work");
                assert!(is_free, "an operation is in the way, or its end");
                self.ledger.engine = Some(Inside {
                    owner,
                    operation,
                    ticks: ticks + 1,
                    is_programmed: false,
                });
            }
            Err(Refused::Silent) => {
                assert!(!self.ledger.is_enabled, "{operation:?} is refused");
            }
            Err(Refused::Busy) => {
                assert!(
                    self.ledger.is_enabled && !is_free,
                    "{operation:?} is refused"
                );
            }
        }
    }

    fn arm_transfer(&mut self, transfer: Transfer, ticks: u32) {
        self.owners += 1;
        let owner = self.owners;
        let deadline = Deadline::after_ticks(ticks);
        let mut left = Some(owner);
        let armed = self.controller.arm_transfer(&mut left, transfer, deadline);
        let expected = armed.is_err().then_some(owner);
        assert_eq!(left, expected, "whose is it?");
        let can = self.ledger.is_enabled && self.ledger.moving.is_none();
        match armed {
            Ok(()) => {
                assert!(can, "a transfer is begun while another one is inside");
                self.ledger.moving = Some(Moving {
                    owner,
                    ticks: ticks + 1,
                    ends_as: TransferOutcome::Done,
                    is_unclear: false,
                    has_ended: false,
                    is_gone: false,
                });
                let accesses = self.judged();
                Ledger::judge_transfer(&accesses, transfer);
            }
            Err(refused) => {
                assert!(!can, "{transfer:?} is refused without a reason");
                let is_silent = refused == Refused::Silent;
                assert_eq!(
                    is_silent, !self.ledger.is_enabled,
                    "{transfer:?}: {refused:?}"
                );
                let accesses = self.judged();
                assert_eq!(accesses, [], "a transfer that is refused touches nothing");
            }
        }
    }

    fn service(&mut self) {
        let before = self.controller.counters();
        let inside = self.ledger.engine;
        self.stamp += 1;
        let service = self.controller.service(self.stamp);
        let after = self.controller.counters();
        let accesses = self.answers.take_accesses();
        assert!(accesses.len() <= MOST_IN_ISR, "the ISR makes {accesses:?}");
        let Some((Access::Read(Register::InterruptStatus, causes), rest)) = accesses.split_first()
        else {
            panic!("the ISR begins with {accesses:?}");
        };
        let causes = *causes;
        let is_there = match (causes, rest) {
            (0, _) => false,
            (ABSENT, [Access::Read(Register::Identification, id), ..]) => *id != ABSENT,
            _ => true,
        };
        let Service::Claimed(dpcs) = service else {
            assert!(!is_there, "the ISR disowns {causes:#x}");
            let wrote = rest
                .iter()
                .any(|access| matches!(access, Access::Write(..)));
            assert!(!wrote, "another device's interrupt: {accesses:?}");
            return self.ledger.judge(&accesses, &after);
        };
        assert!(is_there, "the ISR claims what is not there");
        let first_write = rest
            .iter()
            .find(|access| matches!(access, Access::Write(..)));
        assert_eq!(
            first_write,
            Some(&Access::Write(Register::Acknowledge, causes)),
            "what was read is acknowledged, and first"
        );
        let dpcs = if self.mistake == Mistake::DpcForgotten {
            Dpcs::NONE
        } else {
            dpcs
        };
        self.save_event(causes, after.events_lost > before.events_lost);
        assert_eq!(
            self.ledger.transfer_served(causes),
            dpcs.dma,
            "a transfer ends with its DPC, and no other"
        );
        let has_ended = after.operations_completed > before.operations_completed;
        assert_eq!(
            has_ended,
            Ledger::is_to_end(inside, causes, &accesses),
            "{inside:?} and {causes:#x}"
        );
        if has_ended {
            assert!(dpcs.for_isr, "an operation ends and no DPC is asked for");
            self.ledger.has_ended(causes, &accesses);
        }
        let waits = self.ledger.is_expected || self.ledger.events.len() >= EVENTS / 2;
        assert!(
            dpcs != Dpcs::NONE || !waits,
            "somebody waits for events, and no DPC is asked for"
        );
        self.ledger.judge(&accesses, &after);
    }

    fn save_event(&mut self, causes: u32, is_lost: bool) {
        let is_full = self.ledger.events.len() == EVENTS;
        assert_eq!(is_full, is_lost, "events are lost when there is no room");
        if is_lost {
            self.ledger.lost += 1;
        } else {
            self.ledger.events.push(Event {
                stamp: self.stamp,
                causes,
            });
        }
    }

    fn drain(&mut self) {
        let found = self.controller.drain();
        let found = found.filter(|_| self.mistake != Mistake::ResultDropped);
        assert_eq!(found, self.ledger.result.take(), "what DpcForIsr finds");
    }

    fn drain_transfer(&mut self) {
        let drained = self.controller.drain_transfer();
        let accesses = self.answers.take_accesses();
        self.ledger.transfer_drained(drained.as_ref(), &accesses);
        self.judge(&accesses);
    }

    fn drain_events(&mut self) {
        let events = std::mem::take(&mut self.ledger.events);
        let lost = std::mem::take(&mut self.ledger.lost);
        if !events.is_empty() {
            self.ledger.is_expected = false;
        }
        self.ledger.history.extend(events.into_iter().map(Some));
        for _ in 0..lost {
            self.ledger.history.push(None);
        }
        self.controller.drain_events(&mut self.log);
        let next = self.ledger.history.len() as u64;
        assert_eq!(self.log.next(), next, "every event has its number");
    }

    /// A reader gets, or is told to have missed, everything from where it asked.
    fn read_log(&self, back: u8, room: u8) {
        let next = self.log.next();
        let after = next.saturating_sub(back.into());
        let Some(found) = self.log.read(after, room.into()) else {
            assert!(
                room == 0 || after >= self.log.end(),
                "there is something from {after} on"
            );
            return;
        };
        assert!(found.count >= 1 && found.count <= usize::from(room).min(KEPT));
        assert_eq!(found.next - after, found.lost + found.count as u64);
        let mut number = after;
        for numbered in found.iter() {
            assert!(numbered.sequence >= number && numbered.sequence < found.next);
            number = numbered.sequence + 1;
            let index = usize::try_from(numbered.sequence).unwrap_or(usize::MAX);
            let wanted = self.ledger.history.get(index).copied().flatten();
            assert_eq!(Some(numbered.event), wanted, "event {number}");
        }
    }

    fn tick(&mut self) {
        self.ticked += 1;
        let is_skipped = self.mistake == Mistake::TicksSkipped && self.ticked.is_multiple_of(2);
        let (late, ended) = if is_skipped {
            (None, false)
        } else {
            let late = self.controller.tick();
            // One critical section in the driver; two here, so that the accesses of each
            // are known.
            if let Some(inside) = self.ledger.engine.as_mut() {
                inside.ticks = inside.ticks.saturating_sub(1);
            }
            (late, true)
        };
        if is_skipped && let Some(inside) = self.ledger.engine.as_mut() {
            inside.ticks = inside.ticks.saturating_sub(1);
        }
        let accesses = self.answers.take_accesses();
        // An operation may have been programmed and have passed its deadline at once.
        let is_late = self.ledger.engine.is_some_and(|inside| inside.ticks == 0);
        if let Some(inside) = &mut self.ledger.engine {
            let told = accesses.iter().any(|access| {
                matches!(
                    access,
                    Access::Write(Register::Factorial | Register::RaiseInterrupt, _)
                )
            });
            assert!(!(told && inside.is_programmed), "{inside:?} is told twice");
            inside.is_programmed |= told;
        }
        self.ledger.note_raise(&accesses);
        self.ledger.note_unseen(&accesses);
        match late {
            Some(owner) => {
                assert!(is_late, "the watchdog takes what has time yet");
                self.ledger.comes_back(owner, "the watchdog");
            }
            None => assert!(!is_late, "the watchdog leaves what is late"),
        }
        if ended {
            self.tick_transfer();
        }
    }

    fn tick_transfer(&mut self) {
        let ended = self.controller.tick_transfer();
        let mut must_look = false;
        if let Some(moving) = self.ledger.moving.as_mut()
            && !moving.has_ended
        {
            if moving.ends_as == TransferOutcome::Done {
                moving.ticks = moving.ticks.saturating_sub(1);
                if moving.ticks == 0 {
                    moving.ends_as = TransferOutcome::TimedOut;
                }
            }
            must_look = moving.is_unclear || moving.ends_as != TransferOutcome::Done;
        }
        let looked = self.transfer_looked_at(ended);
        assert_eq!(
            looked, must_look,
            "a look takes a transfer that is late, or may have ended"
        );
    }

    /// Whether the end of a transfer was looked for; it has ended if `ended` says so.
    fn transfer_looked_at(&mut self, ended: bool) -> bool {
        let accesses = self.answers.take_accesses();
        let look = reads(&accesses, Register::DmaCommand).next_back();
        let waits = self.ledger.moving.is_some_and(|moving| moving.has_ended);
        let has_ended = match look {
            Some(command) => self.ledger.transfer_looked_at(command),
            None => waits,
        };
        assert_eq!(ended, has_ended, "whether a transfer waits for its DPC");
        self.judge(&accesses);
        look.is_some()
    }

    fn take_back(&mut self, is_it: bool) {
        let inside = self.ledger.engine.map(|inside| inside.owner);
        let taken = self
            .controller
            .take_back(|owner| is_it && Some(*owner) == inside);
        assert_eq!(taken, inside.filter(|_| is_it), "what is taken back");
        if let Some(owner) = taken {
            self.ledger.comes_back(owner, "take_back");
            if self.mistake == Mistake::TakenTwice {
                self.ledger.comes_back(owner, "take_back");
            }
        }
    }

    fn check_liveness(&mut self, value: u32) {
        if self.mistake == Mistake::SilentTouched && !self.ledger.is_enabled {
            let mut registers = self.answers.clone();
            edu_controller::Registers::write(&mut registers, Register::Liveness, value);
        }
        let answer = self.controller.check_liveness(value);
        assert_eq!(answer.is_some(), self.ledger.is_enabled, "who is asked?");
    }

    fn sleep(&mut self, silenced: bool) {
        if silenced {
            self.silence();
        }
        let saved = self.controller.save();
        let accesses = self.answers.take_accesses();
        self.judge(&accesses);
        self.ledger.is_enabled = true;
        self.controller.restore(saved);
    }

    fn reset_counters(&mut self) {
        *self.controller.counters_mut() = Counters::default();
        self.ledger.carried = u64::from(self.ledger.engine.is_some());
        let wanted = self
            .ledger
            .moving
            .filter(|moving| moving.ends_as == TransferOutcome::Done);
        self.ledger.carried_transfers = u64::from(wanted.is_some());
    }

    /// Stop: whoever is inside comes out.
    fn end(mut self) {
        self.silence();
        self.drain();
        self.drain_events();
        let accesses = self.answers.take_accesses();
        self.judge(&accesses);
        let inside = self.ledger.moving.map(|moving| moving.owner);
        let mut counters = self.controller.counters();
        assert_eq!(
            self.controller.into_transfer(&mut counters),
            inside,
            "the transfer that the device has left"
        );
        self.ledger.judge_transfers(&counters, 0);
        assert!(self.ledger.engine.is_none() && self.ledger.result.is_none());
    }
}

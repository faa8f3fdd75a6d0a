//! What the rest of the driver may rely on, kept in a book of its own: who is inside, how long
//! yet, what was announced, what was told to the device.

use edu_controller::{
    Counters, Direction, Ended, EndedTransfer, Event, Operation, Outcome, Register, Transfer,
    TransferOutcome,
};

use super::answers::{ABSENT, Access, RUN};

/// Where the device's buffer is in its own address space, and where it may be reached.
const BUFFER: u64 = 0x4_0000;
const END_OF_BUFFER: u64 = BUFFER + 4_095;
const END_OF_MEMORY: u64 = 1 << 28;

/// An operation inside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inside {
    pub(super) owner: u32,
    pub(super) operation: Operation,
    /// Watchdog ticks after which it is out.
    pub(super) ticks: u32,
    /// The device was told.
    pub(super) is_programmed: bool,
}

/// The cause of DMA.
const DMA: u32 = 0x100;

/// A transfer inside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moving {
    pub(super) owner: u32,
    pub(super) ticks: u32,
    /// What it is to end as.
    pub(super) ends_as: TransferOutcome,
    /// Somebody has to look whether it has ended.
    pub(super) is_unclear: bool,
    pub(super) has_ended: bool,
    /// Because the device is gone.
    pub(super) is_gone: bool,
}

/// The book.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) is_enabled: bool,
    pub(super) engine: Option<Inside>,
    /// The result that the DPC will find.
    pub(super) result: Option<Ended<u32>>,
    pub(super) moving: Option<Moving>,
    /// A cause of DMA may come that ends no transfer.
    pub(super) is_doubted: bool,
    /// Events that nobody has drained, and how many came after them.
    pub(super) events: Vec<Event>,
    pub(super) lost: u64,
    /// Somebody waits for the next event.
    pub(super) is_expected: bool,
    /// Every event, by its number.
    pub(super) history: Vec<Option<Event>>,
    /// What was under way when the counters were set to zero.
    pub(super) carried: u64,
    pub(super) carried_transfers: u64,
}

/// The values read from a register, in order.
pub(super) fn reads(accesses: &[Access], of: Register) -> impl DoubleEndedIterator<Item = u32> {
    accesses.iter().filter_map(move |access| match access {
        Access::Read(register, value) if *register == of => Some(*value),
        _ => None,
    })
}

/// The values written to a register, in order.
pub(super) fn writes(accesses: &[Access], to: Register) -> impl Iterator<Item = u32> {
    accesses.iter().filter_map(move |access| match access {
        Access::Write(register, value) if *register == to => Some(*value),
        _ => None,
    })
}

impl Ledger {
    /// What holds after every step.
    pub(super) fn judge(&mut self, accesses: &[Access], counters: &Counters) {
        self.judge_programming(accesses);
        self.note_raise(accesses);
        let under_way = u64::from(self.engine.is_some());
        assert_eq!(
            counters.operations_started + self.carried,
            counters.operations_completed
                + counters.operations_timed_out
                + counters.operations_aborted
                + under_way,
            "the counters of operations do not add up: {counters:?}"
        );
        let wanted = self
            .moving
            .is_some_and(|moving| moving.ends_as == TransferOutcome::Done);
        self.judge_transfers(counters, u64::from(wanted));
    }

    /// So many transfers are under way, and the counters have all others.
    pub(super) fn judge_transfers(&self, counters: &Counters, under_way: u64) {
        assert_eq!(
            counters.dma_started + self.carried_transfers,
            counters.dma_completed + counters.dma_timed_out + counters.dma_aborted + under_way,
            "the counters of transfers do not add up: {counters:?}"
        );
    }

    /// A cause of DMA that is raised by hand ends no transfer.
    pub(super) fn note_raise(&mut self, accesses: &[Access]) {
        self.is_doubted |= writes(accesses, Register::RaiseInterrupt).any(|mask| mask & DMA != 0);
    }

    /// What was done beside the ISR may have taken the cause of an end along.
    pub(super) fn note_unseen(&mut self, accesses: &[Access]) {
        let is_unseen = writes(accesses, Register::Acknowledge).any(|causes| causes & DMA != 0);
        if let Some(moving) = &mut self.moving {
            moving.is_unclear |= is_unseen && !moving.has_ended;
        }
    }

    /// The device is told to work for the operation inside, once, and not while it is silent.
    fn judge_programming(&mut self, accesses: &[Access]) {
        let told = accesses.iter().filter_map(|access| match *access {
            Access::Write(Register::Factorial, n) => Some(Operation::Factorial { n }),
            Access::Write(Register::RaiseInterrupt, mask) => Some(Operation::Raise { mask }),
            _ => None,
        });
        for operation in told {
            assert!(self.is_enabled, "a silent device is told {operation:?}");
            let inside = self
                .engine
                .as_mut()
                .or_else(|| unreachable_owner(operation));
            let Some(inside) = inside else { return };
            assert_eq!(
                inside.operation, operation,
                "the device is told another one"
            );
            assert!(!inside.is_programmed, "{operation:?} is told twice");
            inside.is_programmed = true;
        }
        if !self.is_enabled {
            let alive = writes(accesses, Register::Liveness).count();
            assert_eq!(alive, 0, "a silent device is asked whether it is alive");
        }
    }

    /// The device is told exactly what was asked for, inside of what it may reach.
    pub(super) fn judge_transfer(accesses: &[Access], transfer: Transfer) {
        let [
            Access::Write(Register::DmaSource, source),
            Access::Write(Register::DmaDestination, destination),
            Access::Write(Register::DmaCount, count),
            Access::Write(Register::DmaCommand, command),
        ] = *accesses
        else {
            panic!("a transfer takes four writes, not {accesses:?}");
        };
        let (memory, buffer, wanted) = match transfer.direction() {
            Direction::ToDevice => (source, destination, 0b101),
            Direction::FromDevice => (destination, source, 0b111),
        };
        assert_eq!(command, wanted, "the command of {transfer:?}");
        assert_eq!(count, transfer.count(), "the count of {transfer:?}");
        let (memory, buffer, count) = (memory.into(), u64::from(buffer), u64::from(count));
        assert!(count >= 1, "a transfer of nothing aborts the machine");
        assert!(
            buffer >= BUFFER && buffer + count <= END_OF_BUFFER,
            "{accesses:x?} leaves the device's buffer"
        );
        assert!(
            u64::saturating_add(memory, count) <= END_OF_MEMORY,
            "{accesses:x?} is out of the device's reach"
        );
    }

    /// An operation comes back without a result.
    pub(super) fn comes_back(&mut self, owner: u32, why: &str) {
        let inside = self.engine.take();
        assert_eq!(
            inside.map(|inside| inside.owner),
            Some(owner),
            "{why} hands back what is not inside"
        );
    }

    /// The ISR has ended the operation inside; what the DPC is to find.
    pub(super) fn has_ended(&mut self, causes: u32, accesses: &[Access]) {
        let Some(inside) = self.engine.take() else {
            panic!("an operation has ended that was not there");
        };
        assert!(inside.is_programmed, "{inside:?} ends unbegun");
        let outcome = match inside.operation {
            Operation::Factorial { n } => {
                assert_ne!(causes & 1, 0, "no factorial is ready");
                let value = reads(accesses, Register::Factorial).next_back();
                let Some(value) = value.filter(|value| *value != ABSENT) else {
                    panic!("{inside:?} ends with a result that nobody read");
                };
                Outcome::Factorial { n, value }
            }
            Operation::Raise { mask } => {
                assert_eq!(causes & mask, mask, "{inside:?} ends with {causes:#x}");
                Outcome::Raised { causes }
            }
        };
        let before = self.result.replace(Ended {
            owner: inside.owner,
            outcome,
        });
        assert_eq!(before, None, "a result is overwritten");
    }

    /// Whether these causes end the operation that was inside before the ISR ran.
    pub(super) fn is_to_end(before: Option<Inside>, causes: u32, accesses: &[Access]) -> bool {
        before
            .filter(|inside| inside.is_programmed)
            .is_some_and(|inside| match inside.operation {
                Operation::Raise { mask } => causes & mask == mask,
                Operation::Factorial { .. } => {
                    let value = reads(accesses, Register::Factorial).next_back();
                    causes & 1 != 0 && value != Some(ABSENT)
                }
            })
    }

    /// The ISR has come with these causes; whether the DPC of transfers is to run.
    pub(super) fn transfer_served(&mut self, causes: u32) -> bool {
        let Some(moving) = &mut self.moving else {
            return false;
        };
        if causes & DMA == 0 || moving.has_ended {
            return false;
        }
        if self.is_doubted {
            moving.is_unclear = true;
        } else {
            moving.has_ended = true;
        }
        true
    }

    /// Somebody has looked at the transfer inside, and the device's command register said this.
    /// True if the transfer has ended.
    pub(super) fn transfer_looked_at(&mut self, command: u32) -> bool {
        let Some(moving) = &mut self.moving else {
            panic!("somebody looks at a transfer that is not there");
        };
        assert!(!moving.has_ended, "{moving:?} is looked at");
        moving.is_unclear = false;
        moving.is_gone = command == ABSENT;
        moving.has_ended = moving.is_gone || command & RUN == 0;
        self.is_doubted |= moving.has_ended && !moving.is_gone;
        moving.has_ended
    }

    /// A DPC has asked for the transfer that has ended, with these accesses.
    pub(super) fn transfer_drained(
        &mut self,
        drained: Option<&EndedTransfer<u32>>,
        accesses: &[Access],
    ) {
        match (self.moving, accesses) {
            (Some(moving), [Access::Read(Register::DmaCommand, command), rest @ ..])
                if moving.is_unclear && !moving.has_ended =>
            {
                match (self.transfer_looked_at(*command), rest) {
                    (false, []) => {}
                    (true, [Access::Read(Register::InterruptStatus, causes)]) => {
                        self.is_doubted = causes & DMA != 0;
                    }
                    _ => panic!("the DPC of {moving:?} looks with {accesses:x?}"),
                }
            }
            (Some(moving), _) if moving.is_unclear && !moving.has_ended => {
                panic!("{moving:?} is doubted, and its DPC does not look");
            }
            _ => assert_eq!(accesses, [], "there is nothing to look for"),
        }
        let wanted = self.moving.filter(|moving| moving.has_ended);
        let wanted = wanted.map(|moving| EndedTransfer {
            owner: moving.owner,
            outcome: match moving.ends_as {
                TransferOutcome::Done if moving.is_gone => TransferOutcome::Gone,
                outcome => outcome,
            },
        });
        assert_eq!(drained, wanted.as_ref(), "what the DPC of transfers finds");
        if drained.is_some() {
            self.moving = None;
        }
    }
}

/// Nobody is inside for whom the device could be told to do this.
fn unreachable_owner<T>(operation: Operation) -> Option<T> {
    panic!("the device is told {operation:?} for nobody");
}

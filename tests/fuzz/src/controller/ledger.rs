//! What the rest of the driver may rely on, kept in a book of its own: who is inside, how long
//! yet, what was announced, what was told to the device.

use std::collections::VecDeque;

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

/// A transfer inside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moving {
    pub(super) owner: u32,
    pub(super) ticks: u32,
    /// What it is to end as.
    pub(super) ends_as: TransferOutcome,
    pub(super) has_ended: bool,
}

/// The book.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) is_enabled: bool,
    pub(super) engine: Option<Inside>,
    /// Results that the DPC will find.
    pub(super) results: VecDeque<Ended<u32>>,
    pub(super) moving: Option<Moving>,
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
            .is_some_and(|moving| !moving.has_ended && moving.ends_as == TransferOutcome::Done);
        assert_eq!(
            counters.dma_started + self.carried_transfers,
            counters.dma_completed
                + counters.dma_timed_out
                + counters.dma_aborted
                + u64::from(wanted),
            "the counters of transfers do not add up: {counters:?}"
        );
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
        self.results.push_back(Ended {
            owner: inside.owner,
            outcome,
        });
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

    /// The transfer inside was said to have ended.
    pub(super) fn transfer_has_ended(&mut self, accesses: &[Access]) {
        let Some(moving) = &mut self.moving else {
            panic!("a transfer has ended that was not there");
        };
        assert!(!moving.has_ended, "{moving:?} has ended twice");
        moving.has_ended = true;
        let look = reads(accesses, Register::DmaCommand).next_back();
        assert!(
            look.is_none_or(|look| look == ABSENT || look & RUN == 0),
            "{moving:?} runs still, and its memory is let go"
        );
        if look == Some(ABSENT) && moving.ends_as == TransferOutcome::Done {
            moving.ends_as = TransferOutcome::Gone;
        }
    }

    /// A DPC has asked for the transfer that has ended.
    pub(super) fn transfer_drained(&mut self, drained: Option<&EndedTransfer<u32>>) {
        let wanted = self.moving.filter(|moving| moving.has_ended);
        let wanted = wanted.map(|moving| EndedTransfer {
            owner: moving.owner,
            outcome: moving.ends_as,
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

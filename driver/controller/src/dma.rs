//! The DMA engine, which works beside the engine of the operations.
//!
//! ```text
//!          arm_transfer               interrupt, or look: RUN is clear
//!   Idle -----------------> Running -----------------------------------> Ended
//!    ^                       |   ^                                         |
//!    |                       '---' past its deadline, or given up:         |
//!    |                             noted, for the memory is the device's   |
//!    '------------------------- drain_transfer: its owner is back ---------'
//! ```
//!
//! Nothing stops a transfer that the device has begun, so its owner, and with it the memory,
//! stays here until the device says that it is done: by its interrupt, or because the bit
//! RUN of its command register is clear. A device that is gone reads as all ones and touches
//! no memory any more.
//!
//! # Whose interrupt
//!
//! User mode may have any cause raised, that of DMA too, and a transfer whose end was seen
//! by looking still owes its interrupt. As long as such a cause may come, the ISR believes
//! it only if RUN is clear; otherwise a transfer costs six register accesses: four to
//! start, two in the ISR.

use crate::{
    controller::Controller,
    counters::count,
    engine::{Deadline, Engine, Refused},
    registers::{
        ABSENT, CAUSE_DMA, DMA_INTERRUPT, DMA_RUNNING, DMA_TO_MEMORY, Register, Registers,
    },
    transfer::{Direction, EndedTransfer, Transfer, TransferOutcome},
};

/// The engine, and what is known about its interrupts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Dma<D> {
    stage: Stage<D>,
    /// A cause may come that is not the end of the transfer that runs.
    is_doubted: bool,
}

/// Where the engine stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Stage<D> {
    /// Nothing is under way.
    Idle,
    /// The memory is the device's.
    Running(Running<D>),
    /// The DPC has not been yet.
    Ended(EndedTransfer<D>),
}

/// A transfer in the device.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Running<D> {
    owner: D,
    transfer: Transfer,
    deadline: Deadline,
    /// How it ends when the device is done.
    ends_as: TransferOutcome,
    /// Its cause may have been acknowledged unseen.
    may_have_ended: bool,
}

/// What the command register says.
enum Look {
    Runs,
    Done,
    Gone,
}

impl<D> Dma<D> {
    pub(crate) const fn new() -> Self {
        Self {
            stage: Stage::Idle,
            is_doubted: false,
        }
    }

    /// The cause of DMA is being raised by hand.
    pub(crate) const fn raised_by_hand(&mut self) {
        self.is_doubted = true;
    }

    /// The cause of DMA was acknowledged, and nobody has looked whether it was pending.
    pub(crate) const fn acknowledged_unseen(&mut self) {
        if let Stage::Running(running) = &mut self.stage {
            running.may_have_ended = true;
        }
    }
}

impl<R: Registers, T, D> Controller<R, T, D> {
    /// Starts a transfer. Four register writes.
    ///
    /// The memory is the device's from here on, until the owner is
    /// [drained](Self::drain_transfer).
    ///
    /// # Errors
    /// Hands the owner back when the transfer cannot be taken.
    pub fn arm_transfer(
        &mut self,
        owner: D,
        transfer: Transfer,
        deadline: Deadline,
    ) -> Result<(), Refused<D>> {
        if matches!(self.engine, Engine::Silent) {
            return Err(Refused::Silent(owner));
        }
        match self.dma.stage {
            Stage::Idle => {
                self.dma.stage = Stage::Running(Running {
                    owner,
                    transfer,
                    deadline,
                    ends_as: TransferOutcome::Done,
                    may_have_ended: false,
                });
            }
            Stage::Running(_) | Stage::Ended(_) => return Err(Refused::Busy(owner)),
        }
        count(&mut self.counters.dma_started);
        let direction = match transfer.direction() {
            Direction::ToDevice => 0,
            Direction::FromDevice => DMA_TO_MEMORY,
        };
        self.registers.write(Register::DmaSource, transfer.source());
        self.registers
            .write(Register::DmaDestination, transfer.destination());
        self.registers.write(Register::DmaCount, transfer.count());
        self.registers.write(
            Register::DmaCommand,
            direction | DMA_INTERRUPT | DMA_RUNNING,
        );
        Ok(())
    }

    /// Takes out the transfer that has ended, for the DPC: the engine is free.
    pub fn drain_transfer(&mut self) -> Option<EndedTransfer<D>> {
        match core::mem::replace(&mut self.dma.stage, Stage::Idle) {
            Stage::Ended(ended) => Some(ended),
            stage => {
                self.dma.stage = stage;
                None
            }
        }
    }

    /// Takes the transfer out, whatever the device does: only for a device that has lost its
    /// power or its resources, and so reaches no memory.
    pub fn into_transfer(self) -> Option<D> {
        match self.dma.stage {
            Stage::Idle => None,
            Stage::Running(Running { owner, .. }) | Stage::Ended(EndedTransfer { owner, .. }) => {
                Some(owner)
            }
        }
    }

    /// The transfer under way is wanted no more: when the device is done, it ends as
    /// aborted.
    pub fn give_up_transfer(&mut self) {
        if let Stage::Running(running) = &mut self.dma.stage
            && running.ends_as == TransferOutcome::Done
        {
            running.ends_as = TransferOutcome::Aborted;
            count(&mut self.counters.dma_aborted);
        }
    }

    /// Counts a watchdog tick for the transfer under way; true if it has ended and its DPC is
    /// to run. Also for one that has ended before: its DPC may have come while the interrupt
    /// was suspended, and found nothing.
    ///
    /// Touches a register only if the transfer is past its deadline or given up, or its end
    /// may have been missed.
    pub fn tick_transfer(&mut self) -> bool {
        let Stage::Running(running) = &mut self.dma.stage else {
            return self.has_ended();
        };
        if running.ends_as == TransferOutcome::Done && running.deadline.tick() {
            running.ends_as = TransferOutcome::TimedOut;
            count(&mut self.counters.dma_timed_out);
        }
        let is_wanted = running.ends_as == TransferOutcome::Done;
        let may_have_ended = core::mem::take(&mut running.may_have_ended);
        (may_have_ended || !is_wanted) && self.look_at_transfer()
    }

    const fn has_ended(&self) -> bool {
        matches!(self.dma.stage, Stage::Ended(_))
    }

    /// Looks whether the device is done with the transfer under way; true if it is, or was
    /// before, and its DPC is to run. For those who wait for a device whose interrupt may not
    /// come.
    pub fn look_at_transfer(&mut self) -> bool {
        if !matches!(self.dma.stage, Stage::Running(_)) {
            return self.has_ended();
        }
        let look = self.look();
        // The interrupt may be on its way still.
        self.dma.is_doubted |= matches!(look, Look::Done);
        self.end_transfer(&look)
    }

    /// What these causes, which are acknowledged, say about the transfer under way; true if
    /// it has ended.
    pub(crate) fn serve_transfer(&mut self, causes: u32) -> bool {
        if causes & CAUSE_DMA == 0 || !matches!(self.dma.stage, Stage::Running(_)) {
            return false;
        }
        let look = if self.dma.is_doubted {
            self.look_and_acknowledge()
        } else {
            Look::Done
        };
        // Every end has one cause, and the one of the last end is acknowledged.
        self.dma.is_doubted &= matches!(look, Look::Runs);
        self.end_transfer(&look)
    }

    /// Looks after the causes were acknowledged. A transfer that has ended since then has
    /// its own cause pending, which would be taken for the end of the next one.
    fn look_and_acknowledge(&mut self) -> Look {
        let look = self.look();
        if matches!(look, Look::Done)
            && self.registers.read(Register::InterruptStatus) & CAUSE_DMA != 0
        {
            self.registers.write(Register::Acknowledge, CAUSE_DMA);
        }
        look
    }

    fn look(&mut self) -> Look {
        match self.registers.read(Register::DmaCommand) {
            ABSENT => Look::Gone,
            command if command & DMA_RUNNING != 0 => Look::Runs,
            _ => Look::Done,
        }
    }

    /// Ends the transfer under way, unless it runs.
    fn end_transfer(&mut self, look: &Look) -> bool {
        if matches!(look, Look::Runs) {
            return false;
        }
        match core::mem::replace(&mut self.dma.stage, Stage::Idle) {
            Stage::Running(running) => {
                let outcome = match (look, running.ends_as) {
                    (Look::Gone, TransferOutcome::Done) => {
                        count(&mut self.counters.dma_aborted);
                        TransferOutcome::Gone
                    }
                    (_, outcome) => outcome,
                };
                if outcome == TransferOutcome::Done {
                    self.count_done(running.transfer);
                }
                self.dma.stage = Stage::Ended(EndedTransfer {
                    owner: running.owner,
                    outcome,
                });
                true
            }
            stage => {
                self.dma.stage = stage;
                false
            }
        }
    }

    fn count_done(&mut self, transfer: Transfer) {
        count(&mut self.counters.dma_completed);
        let bytes = match transfer.direction() {
            Direction::ToDevice => &mut self.counters.dma_bytes_written,
            Direction::FromDevice => &mut self.counters.dma_bytes_read,
        };
        *bytes = bytes.wrapping_add(u64::from(transfer.count()));
    }
}

#[cfg(test)]
mod tests;

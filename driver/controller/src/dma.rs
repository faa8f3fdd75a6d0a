//! The DMA engine, which works beside the engine of the operations.
//!
//! ```text
//!          arm_transfer            interrupt, or look: RUN is clear
//!   none ---------------> Runs -----------------------------------------> Ended
//!    ^                    ^  |  its cause was acknowledged unseen,         ^ |
//!    |               look:|  |  or is doubted                             | |
//!    |          RUN is set|  v                     look: RUN is clear     | |
//!    |                   Unclear -----------------------------------------' |
//!    '------------------------- drain_transfer: its owner is back ----------'
//! ```
//!
//! The transfer stays in one place from the first to the last of these, and its owner with
//! it: the ISR writes how far it has come, and what that amounts to is said by whoever takes
//! it out.
//!
//! Nothing stops a transfer that the device has begun, so its owner, and with it the memory,
//! stays here until the device says that it is done: by its interrupt, or because the bit
//! RUN of its command register is clear. A deadline that has passed, or that it was given up,
//! is noted. A device that is gone reads as all ones and touches no memory any more.
//!
//! # Whose interrupt
//!
//! User mode may have any cause raised, that of DMA too, and a transfer whose end was seen
//! by looking still owes its interrupt. As long as such a cause may come, it is doubted: the
//! ISR asks for the DPC, which believes it only if RUN is clear. Otherwise a transfer costs
//! six register accesses: four to start, two in the ISR.

use core::borrow::BorrowMut;

use crate::{
    controller::Controller,
    counters::{Counters, count},
    engine::{Deadline, Mode, Refused},
    events::EventBatch,
    registers::{
        ABSENT, CAUSE_DMA, DMA_INTERRUPT, DMA_RUNNING, DMA_TO_MEMORY, Register, Registers,
    },
    transfer::{Direction, EndedTransfer, Transfer, TransferOutcome},
};

/// The engine, and what is known about its interrupts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Dma<D> {
    /// The one transfer, from when it is taken until it is taken out.
    moving: Option<Moving<D>>,
    /// A cause may come that is not the end of the transfer that runs.
    is_doubted: bool,
}

/// A transfer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Moving<D> {
    owner: D,
    transfer: Transfer,
    deadline: Deadline,
    /// How it ends when the device is done; not changed any more when it is.
    ends_as: TransferOutcome,
    stage: Stage,
}

/// How far a transfer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// The memory is the device's.
    Runs,
    /// The same, unless its end was missed or is doubted: somebody has to look.
    Unclear,
    /// The device is done. It is the DPC's.
    Ended,
    /// The device is gone. It is the DPC's.
    Gone,
}

impl<D> Moving<D> {
    const fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended | Stage::Gone)
    }
}

impl<D> Dma<D> {
    pub(crate) const fn new() -> Self {
        Self {
            moving: None,
            is_doubted: false,
        }
    }

    /// The cause of DMA is being raised by hand.
    pub(crate) const fn raised_by_hand(&mut self) {
        self.is_doubted = true;
    }

    /// Whether a cause may come that is not the end of the transfer that runs.
    pub(crate) const fn is_doubted(&self) -> bool {
        self.is_doubted
    }

    /// The cause of DMA was acknowledged, and nobody has looked whether it was pending.
    pub(crate) const fn acknowledged_unseen(&mut self) {
        if let Some(Moving {
            stage: stage @ Stage::Runs,
            ..
        }) = &mut self.moving
        {
            *stage = Stage::Unclear;
        }
    }

    fn has_ended(&self) -> bool {
        self.moving.as_ref().is_some_and(Moving::has_ended)
    }
}

impl<R: Registers, T, D, B: BorrowMut<EventBatch>> Controller<R, T, D, B> {
    /// Starts a transfer. Four register writes.
    ///
    /// The memory is the device's from here on, until the owner is
    /// [drained](Self::drain_transfer).
    ///
    /// # Errors
    /// Leaves the owner when the transfer cannot be taken.
    pub fn arm_transfer(
        &mut self,
        owner: &mut Option<D>,
        transfer: Transfer,
        deadline: Deadline,
    ) -> Result<(), Refused> {
        if self.engine.mode == Mode::Silent {
            return Err(Refused::Silent);
        }
        // Said to be empty, as in `arm`.
        let place @ None = &mut self.dma.moving else {
            return Err(Refused::Busy);
        };
        let Some(owner) = owner.take() else {
            return Err(Refused::Busy);
        };
        *place = Some(Moving {
            owner,
            transfer,
            deadline,
            ends_as: TransferOutcome::Done,
            stage: Stage::Runs,
        });
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
    ///
    /// Looks at the device if the ISR had reason to doubt that it has ended.
    pub fn drain_transfer(&mut self) -> Option<EndedTransfer<D>> {
        if let Some(Moving {
            stage: Stage::Unclear,
            ..
        }) = self.dma.moving
            && self.look_at_transfer()
        {
            // Every end has one cause. That of this one was acknowledged, or is there to be
            // taken for the end of the next one.
            let causes = self.registers.read(Register::InterruptStatus);
            self.dma.is_doubted = causes & CAUSE_DMA != 0;
        }
        let ended = self.dma.moving.take_if(|moving| moving.has_ended())?;
        let outcome = match (ended.stage, ended.ends_as) {
            (Stage::Gone, TransferOutcome::Done) => {
                count(&mut self.counters.dma_aborted);
                TransferOutcome::Gone
            }
            (_, outcome) => outcome,
        };
        if outcome == TransferOutcome::Done {
            self.count_done(ended.transfer);
        }
        Some(EndedTransfer {
            owner: ended.owner,
            outcome,
        })
    }

    /// Takes the transfer out, whatever the device does: only for a device that has lost its
    /// power or its resources, and so reaches no memory. One that was wanted still, even if
    /// the device was done with it, is counted as aborted in `counters`.
    pub fn into_transfer(self, counters: &mut Counters) -> Option<D> {
        let moving = self.dma.moving?;
        if moving.ends_as == TransferOutcome::Done {
            count(&mut counters.dma_aborted);
        }
        Some(moving.owner)
    }

    /// The transfer under way is wanted no more: when the device is done, it ends as
    /// aborted.
    pub fn give_up_transfer(&mut self) {
        if let Some(moving) = &mut self.dma.moving
            && !moving.has_ended()
            && moving.ends_as == TransferOutcome::Done
        {
            moving.ends_as = TransferOutcome::Aborted;
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
        let Some(moving) = &mut self.dma.moving else {
            return false;
        };
        if moving.has_ended() {
            return true;
        }
        if moving.ends_as == TransferOutcome::Done && moving.deadline.tick() {
            moving.ends_as = TransferOutcome::TimedOut;
            count(&mut self.counters.dma_timed_out);
        }
        let is_wanted = moving.ends_as == TransferOutcome::Done;
        (moving.stage == Stage::Unclear || !is_wanted) && self.look_at_transfer()
    }

    /// Looks whether the device is done with the transfer under way; true if it is, or was
    /// before, and its DPC is to run. For those who wait for a device whose interrupt may not
    /// come.
    pub fn look_at_transfer(&mut self) -> bool {
        let Some(Moving {
            stage: stage @ (Stage::Runs | Stage::Unclear),
            ..
        }) = &mut self.dma.moving
        else {
            return self.dma.has_ended();
        };
        *stage = match self.registers.read(Register::DmaCommand) {
            ABSENT => Stage::Gone,
            command if command & DMA_RUNNING != 0 => Stage::Runs,
            _ => {
                // The interrupt may be on its way still.
                self.dma.is_doubted = true;
                Stage::Ended
            }
        };
        *stage != Stage::Runs
    }

    /// What these causes, which are acknowledged, say about the transfer under way; true if
    /// the DPC is to run, for it has ended or may have.
    pub(crate) const fn serve_transfer(&mut self, causes: u32) -> bool {
        if causes & CAUSE_DMA == 0 {
            return false;
        }
        let Some(Moving {
            stage: stage @ (Stage::Runs | Stage::Unclear),
            ..
        }) = &mut self.dma.moving
        else {
            return false;
        };
        *stage = if self.dma.is_doubted {
            Stage::Unclear
        } else {
            Stage::Ended
        };
        true
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

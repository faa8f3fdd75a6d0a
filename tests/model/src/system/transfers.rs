//! Reads and writes: `transfers` and `transfer_steps` of `edu.sys`. Whose turn it is, is
//! decided by the driver's own [`Turn`].

use edu_controller::{Direction, EndedTransfer, Transfer, TransferOutcome, Turn};

use super::{EduController, Rule, System};
use crate::{
    choice::Mistake,
    request::{End, File, Id, Kind, memory_of},
};

/// Who waits for the DMA engine, and what becomes of the one whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Transfers {
    pub(super) waiting: Vec<Id>,
    pub(super) turn: Turn<File, End>,
    /// Its map registers were asked for, and AdapterControl has not been called yet.
    pub(super) channel: Option<Id>,
    /// A transfer is about to be programmed, by AdapterControl or else by the CustomDpc.
    pub(super) arming: Option<(Id, bool)>,
    /// AdapterControl is about to return.
    pub(super) is_returning: bool,
    /// What the CustomDpc has found.
    pub(super) ending: Option<EndedTransfer<Id>>,
    /// Transfers of the one that has the turn that are done.
    moved: u8,
    /// A CLEANUP that has not come to the turn yet.
    pub(super) cleaning_up: Option<File>,
    /// A machine that goes to sleep waits no longer for the one that has the turn.
    pub(super) has_waited: bool,
}

impl Transfers {
    pub(super) const fn new() -> Self {
        Self {
            waiting: Vec::new(),
            turn: Turn::new(),
            channel: None,
            arming: None,
            is_returning: false,
            ending: None,
            moved: 0,
            cleaning_up: None,
            has_waited: false,
        }
    }

    /// Whether nobody is between two steps of a transfer.
    pub(super) const fn is_resting(&self) -> bool {
        self.channel.is_none()
            && self.arming.is_none()
            && !self.is_returning
            && self.ending.is_none()
            && self.cleaning_up.is_none()
    }
}

impl System {
    /// Begins the next request, unless another has the turn or the device takes none.
    pub(super) fn begin_next(&mut self) {
        let files: Vec<File> = (0..)
            .zip(&self.places)
            .map(|(id, _)| self.file(id))
            .collect();
        let Transfers { waiting, turn, .. } = &mut self.transfers;
        let next = turn.take(|| {
            if waiting.is_empty() {
                return None;
            }
            let id = waiting.remove(0);
            Some((id, files.get(usize::from(id)).copied()))
        });
        if let Some(id) = next {
            self.transfers.moved = 0;
            self.transfers.channel = Some(id);
        }
    }

    /// Goes on with a request, if it is wanted still; false if it is completed.
    fn step(&mut self, id: Id, is_adapter_control: bool) -> bool {
        let Kind::Write(pieces) = self.kind(id) else {
            return false;
        };
        let given_up = self.transfers.turn.given_up();
        let error = given_up.or(self.is_cancelled(id).then_some(End::Cancelled));
        match error {
            Some(error) => self.end_write(id, error),
            None if self.transfers.moved == pieces => self.end_write(id, End::Success),
            None => {
                self.transfers.arming = Some((id, is_adapter_control));
                return true;
            }
        }
        false
    }

    pub(super) fn adapter_control(&mut self) {
        let Some(id) = self.transfers.channel.take() else {
            return;
        };
        if !self.step(id, true) {
            self.transfers.turn.give_back();
            self.transfers.is_returning = true;
        }
    }

    pub(super) fn arm_transfer(&mut self) {
        let Some((id, is_adapter_control)) = self.transfers.arming.take() else {
            return;
        };
        let memory = memory_of(id, self.transfers.moved);
        let transfer = Transfer::new(memory.into(), 0, 16, Direction::ToDevice);
        let deadline = self.deadline();
        let armed = transfer.and_then(|transfer| {
            self.section(|controller| controller.arm_transfer(&mut Some(id), transfer, deadline))
        });
        if let Some(Ok(())) = armed {
            self.restart_transfer_ticks();
        } else {
            self.fail(Rule::NothingLost, format!("transfer {id} was refused"));
            self.end_write(id, End::Refused);
            self.transfers.turn.give_back();
        }
        if is_adapter_control {
            self.transfers.is_returning = true;
        } else {
            self.begin_next();
        }
    }

    /// `leave_channel`, when AdapterControl has returned.
    pub(super) fn has_returned(&mut self) {
        self.transfers.is_returning = false;
        let is_kept = self.transfers.turn.leave_channel();
        if !is_kept && self.mistake() != Mistake::ForgetsReturn {
            self.for_dma = true;
        }
    }

    pub(super) fn dpc_for_dma(&mut self) {
        self.for_dma = false;
        let drained = if self.mistake() == Mistake::DropsEvents {
            self.drain_badly(EduController::drain_transfer)
        } else {
            self.drain(EduController::drain_transfer)
        };
        match drained.flatten() {
            Some(ended) => self.transfers.ending = Some(ended),
            None => self.begin_next(),
        }
    }

    pub(super) fn end_transfer(&mut self) {
        let Some(EndedTransfer { owner: id, outcome }) = self.transfers.ending.take() else {
            return;
        };
        let error = match outcome {
            TransferOutcome::Done => {
                let memory = memory_of(id, self.transfers.moved);
                if self.device.last_memory != Some(memory) && !self.device.is_gone {
                    let why = format!("transfer {id} ended, and the device did another");
                    self.fail(Rule::Result, why);
                }
                self.transfers.moved += 1;
                if self.step(id, false) {
                    return;
                }
                None
            }
            TransferOutcome::TimedOut => Some(End::TimedOut),
            TransferOutcome::Aborted => {
                Some(self.transfers.turn.given_up().unwrap_or(End::Refused))
            }
            TransferOutcome::Gone => Some(End::Gone),
        };
        if let Some(error) = error {
            self.end_write(id, error);
        }
        self.transfers.turn.give_back();
        self.begin_next();
    }

    /// A read or a write is completed: its memory is somebody else's from now on.
    pub(super) fn end_write(&mut self, id: Id, end: End) {
        let Kind::Write(pieces) = self.kind(id) else {
            return;
        };
        // A device without power reaches no memory.
        let is_used = (0..pieces).any(|piece| self.device.uses(memory_of(id, piece)));
        if is_used && !self.is_in_d3 {
            let why = format!("request {id} ended as {end:?}, and the device has its memory");
            self.fail(Rule::Memory, why);
        }
        self.end(id, end);
    }

    /// IRP_MJ_CLEANUP comes to the request that has the turn.
    pub(super) fn clean_up_turn(&mut self, file: File) {
        self.transfers.cleaning_up = None;
        self.transfers.turn.clean_up(file, End::Cancelled);
    }

    pub(super) fn look_at_transfer(&mut self) {
        if self.section(EduController::look_at_transfer) == Some(true) {
            self.for_dma = true;
        }
    }
}

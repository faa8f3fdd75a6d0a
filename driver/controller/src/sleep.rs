//! The device loses its power, and gets it back.

use core::borrow::BorrowMut;

use crate::{
    controller::Controller,
    counters::Counters,
    engine::Mode,
    events::EventBatch,
    registers::{Register, Registers, STATUS_COMPUTING, STATUS_INTERRUPT},
};

/// What is left of a controller while its device has no power.
///
/// There are no registers in it, so whoever has it cannot touch any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Saved {
    /// What the liveness register was last given.
    liveness: u32,
    /// The device still computed something when it was left.
    computing: bool,
    /// The controller's counters, which go on where they are here.
    pub counters: Counters,
}

impl<R: Registers, T, D, B: BorrowMut<EventBatch>> Controller<R, T, D, B> {
    /// Saves what the device will forget, and keeps it from interrupting.
    ///
    /// What was under way is to be taken out by [`silence`](Self::silence) before. An
    /// operation that was not stays, and its deadline hands it back after `restore`. One that
    /// has ended stays as well, and is drained then.
    pub fn save(&mut self) -> Saved {
        self.registers.write(Register::Status, 0);
        self.acknowledge_all();
        Saved {
            // The register reads as the complement of what it was given.
            liveness: !self.registers.read(Register::Liveness),
            computing: self.registers.read(Register::Status) & STATUS_COMPUTING != 0,
            counters: self.counters,
        }
    }

    /// Gives the device back what it has forgotten, and lets it interrupt. To be called
    /// under the interrupt lock.
    ///
    /// A device that computed when it was left may do so still, or owe an interrupt: the
    /// next operation waits for that, as after a deadline.
    pub fn restore(&mut self, saved: Saved) {
        self.counters = saved.counters;
        self.registers.write(Register::Liveness, saved.liveness);
        self.acknowledge_all();
        self.registers.write(Register::Status, STATUS_INTERRUPT);
        if self.engine.mode == Mode::Silent {
            self.engine.mode = if saved.computing {
                Mode::Draining(0)
            } else {
                Mode::Free
            };
        }
    }
}

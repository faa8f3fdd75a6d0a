//! Operations and where the engine stands with them.

/// What the device is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Compute `n!` modulo 2^32.
    Factorial {
        /// The operand.
        n: u32,
    },
    /// Raise an interrupt with these causes; not zero.
    Raise {
        /// Bits of the interrupt status.
        mask: u32,
    },
}

/// Watchdog ticks that an operation may take, at least one.
///
/// Ticks rather than a clock: the watchdog timer counts them down in its critical
/// section, so nothing under the lock has to ask for the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Deadline(u32);

impl Deadline {
    /// A deadline at least `ticks` full tick periods from now.
    ///
    /// One more is counted, because the first tick comes after a part of a period.
    #[must_use]
    pub const fn after_ticks(ticks: u32) -> Self {
        Self(ticks.saturating_add(1))
    }

    /// Counts one tick; true when the deadline has passed.
    pub(crate) const fn tick(&mut self) -> bool {
        self.0 = self.0.saturating_sub(1);
        self.0 == 0
    }
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The factorial of `n`.
    Factorial {
        /// The operand.
        n: u32,
        /// `n!` modulo 2^32, as the device computed it.
        value: u32,
    },
    /// The raised interrupt came.
    Raised {
        /// The interrupt status that the ISR read and acknowledged.
        causes: u32,
    },
}

/// An operation's end, with what the operation belonged to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ended<T> {
    /// What moved in with the operation.
    pub owner: T,
    /// How it ended.
    pub outcome: Outcome,
}

/// An operation that was not taken; its owner comes back.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused<T> {
    /// The controller is silent: before `enable`, after `silence`.
    Silent(T),
    /// An operation is under way, or no room is left for a result.
    Busy(T),
}

/// An operation in the engine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Armed<T> {
    pub(crate) owner: T,
    pub(crate) operation: Operation,
    pub(crate) deadline: Deadline,
}

/// Where the engine stands; the crate's page draws it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Engine<T> {
    /// The device is not to be touched.
    Silent,
    /// Nothing is under way.
    Idle,
    /// The device works on this operation.
    Armed(Armed<T>),
    /// The device computes a factorial that nobody waits for any more. It would
    /// drop a new operand without a word, and its interrupt is still to come. Holds the
    /// ticks for which it has looked quiet nevertheless.
    Draining(u32),
    /// As `Draining`; this operation is programmed when that interrupt has come.
    Waiting(Armed<T>, u32),
}

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

/// Why an operation or a transfer was not taken; its owner is left where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The controller is silent: before `enable`, after `silence`.
    Silent,
    /// Another one is under way, or its end waits for the DPC; or there is no owner.
    Busy,
}

/// Where the engine stands; the crate's page draws it.
///
/// What the device does and whose operation is inside are two things: the end of an
/// operation waits for its DPC whether or not the device was silenced meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Engine<T> {
    pub(crate) mode: Mode,
    /// The one operation, from when it is taken until it is taken out.
    pub(crate) inside: Option<Inside<T>>,
}

/// What the device can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    /// Nothing: it is not to be touched.
    Silent,
    /// An operation.
    Free,
    /// It computes a factorial that nobody waits for any more. It would drop a new operand
    /// without a word, and its interrupt is still to come. Holds the ticks for which it has
    /// looked quiet nevertheless.
    Draining(u32),
}

/// An operation in the engine. Its owner stays where it is until it is taken out: the ISR
/// writes the stage, and nothing is moved under the lock.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Inside<T> {
    pub(crate) owner: T,
    pub(crate) operation: Operation,
    pub(crate) stage: Stage,
}

/// How far an operation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// It is programmed when the device has ended what it is draining.
    Waiting(Deadline),
    /// The device works on it.
    Programmed(Deadline),
    /// The device has answered with this: the factorial, or the causes. It is the DPC's.
    Ended(u32),
}

impl<T> Engine<T> {
    pub(crate) const fn new() -> Self {
        Self {
            mode: Mode::Silent,
            inside: None,
        }
    }

    /// Takes the operation out that has not ended.
    pub(crate) fn take_under_way(&mut self) -> Option<Inside<T>> {
        self.inside
            .take_if(|inside| !matches!(inside.stage, Stage::Ended(_)))
    }

    /// Takes the operation out that has ended.
    pub(crate) fn take_ended(&mut self) -> Option<Ended<T>> {
        let inside = self
            .inside
            .take_if(|inside| matches!(inside.stage, Stage::Ended(_)))?;
        let Stage::Ended(answer) = inside.stage else {
            return None;
        };
        Some(Ended {
            owner: inside.owner,
            outcome: match inside.operation {
                Operation::Factorial { n } => Outcome::Factorial { n, value: answer },
                Operation::Raise { .. } => Outcome::Raised { causes: answer },
            },
        })
    }
}

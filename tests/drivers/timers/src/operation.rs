//! An operation and its time-out: the state that the ISR, DpcForIsr, IoTimer and a
//! custom DPC share.
//!
//! ```text
//!   None --begin--> Running --interrupt--> Done
//!                    ^   |
//!        interrupt,  |   | no time left: the device is reset
//!        tried again |   v
//!                   Resetting --no time left--> Lost --custom DPC--> Failed
//! ```

/// Seconds that an operation may take, and one more: the next tick can come at once.
const OPERATION_SECONDS: u32 = 1 + 1;
/// Ticks that a reset may take.
const RESET_SECONDS: u32 = 1;

/// Where an operation stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Operation {
    /// There was none.
    #[default]
    None,
    /// The device is at it.
    Running {
        /// Ticks left.
        seconds: u32,
        /// It is not the first attempt.
        is_again: bool,
    },
    /// It was late, and the device was reset, which it confirms by an interrupt.
    Resetting {
        /// Ticks left.
        seconds: u32,
    },
    /// The reset was late too.
    Lost,
    /// Its interrupt has come.
    Done {
        /// It took two attempts.
        is_again: bool,
    },
    /// It was given up.
    Failed,
}

/// What a tick finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Late {
    /// Nothing is late.
    No,
    /// The operation is: the device is to be reset.
    Operation,
    /// The reset is: nothing helps.
    Lost,
}

impl Operation {
    /// StartIo's part.
    pub(crate) const fn begin() -> Self {
        Self::Running {
            seconds: OPERATION_SECONDS,
            is_again: false,
        }
    }

    /// An interrupt has come. Whether the operation is to be tried again.
    pub(crate) fn interrupted(&mut self) -> bool {
        match *self {
            Self::Running { is_again, .. } => {
                *self = Self::Done { is_again };
                false
            }
            Self::Resetting { .. } => {
                *self = Self::Running {
                    seconds: OPERATION_SECONDS,
                    is_again: true,
                };
                true
            }
            Self::None | Self::Lost | Self::Done { .. } | Self::Failed => false,
        }
    }

    /// A second has passed.
    pub(crate) fn second_passed(&mut self) -> Late {
        match self {
            Self::Running { seconds, .. } => {
                *seconds = seconds.saturating_sub(1);
                if *seconds > 0 {
                    return Late::No;
                }
                *self = Self::Resetting {
                    seconds: RESET_SECONDS,
                };
                Late::Operation
            }
            Self::Resetting { seconds } => {
                *seconds = seconds.saturating_sub(1);
                if *seconds > 0 {
                    return Late::No;
                }
                *self = Self::Lost;
                Late::Lost
            }
            Self::None | Self::Lost | Self::Done { .. } | Self::Failed => Late::No,
        }
    }

    /// The custom DPC gives it up.
    pub(crate) fn fail(&mut self) {
        if *self == Self::Lost {
            *self = Self::Failed;
        }
    }
}

//! What can happen: one step, with what the device does within it.

use std::fmt;

use crate::{device::DeviceStep, request::Id, wire::Meanwhile};

/// What a device leaves D0 or its resources for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Next {
    /// STOP_DEVICE: a start follows.
    Stop,
    /// A sleep.
    Sleep,
    /// A removal.
    Removal,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The next request is sent.
    Send,
    /// StartIo takes the next operation.
    StartIo,
    /// StartIo's critical section.
    Arm,
    /// AdapterControl and its critical section.
    StartTransfer,
    /// The device.
    Device(DeviceStep),
    /// The ISR, on whatever processor.
    Isr,
    /// The ISR, for nothing.
    Spurious,
    /// DpcForIsr's critical section.
    DpcForIsr,
    /// It completes the next of what it has drained.
    Complete,
    /// The CustomDpc.
    DpcForDma,
    /// The watchdog.
    Tick,
    /// More than a second.
    LongTime,
    /// A request is cancelled.
    Cancel(Id),
    /// A stop, a sleep or a removal begins.
    Leave(Next),
    /// The device is silenced for it.
    Silence,
    /// The DPCs are flushed, and the interrupt is disconnected.
    Disconnect,
    /// It looks whether a transfer has ended whose interrupt may not come.
    Look,
    /// START_DEVICE.
    Start,
    /// The device wakes up.
    Wake,
    /// The device goes.
    Vanish,
}

impl Action {
    /// Whether it is a critical section with several accesses to registers.
    pub(crate) const fn accesses_registers(self) -> bool {
        matches!(
            self,
            Self::Isr | Self::Spurious | Self::Tick | Self::Cancel(_) | Self::Look | Self::Silence
        )
    }
}

/// One step, and what the device does within it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Step {
    /// What happens.
    pub action: Action,
    /// What the device does meanwhile.
    pub meanwhile: Option<Meanwhile>,
}

impl fmt::Debug for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.action.fmt(formatter)?;
        match self.meanwhile {
            Some(Meanwhile { step, before }) => {
                write!(formatter, " with {step:?} after {before} accesses")
            }
            None => Ok(()),
        }
    }
}

/// More accesses than a critical section makes before its last one.
pub(crate) const MOST_ACCESSES: u8 = 4;

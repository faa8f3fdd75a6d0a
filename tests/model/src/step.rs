//! What can happen: one step, with what the device does within it.

use std::fmt;

use crate::{
    device::{DeviceStep, Resources},
    request::{File, Id},
    wire::Meanwhile,
};

/// What a device leaves D0 or its resources for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Next {
    /// STOP_DEVICE: a start follows.
    Stop,
    /// A sleep.
    Sleep,
    /// SURPRISE_REMOVAL or REMOVE_DEVICE.
    Removal,
}

/// One step. Each is what one routine does in one critical section, or under one lock, with
/// what it does before and after for itself alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The next request is sent: the dispatch routine queues it.
    Send,
    /// The I/O manager takes the next packet off its queue, and StartIo's thunk looks at it.
    StartIo,
    /// StartIo's critical section.
    Arm,
    /// StartIo's thunk looks whether the packet was given up meanwhile.
    CatchUp,
    /// StartIo's thunk holds a packet that the device does not take.
    Hold,
    /// The AdapterControl routine begins.
    AdapterControl,
    /// The critical section in which a transfer is programmed.
    ArmTransfer,
    /// The AdapterControl routine has returned.
    HasReturned,
    /// The device.
    Device(DeviceStep),
    /// The ISR, on whatever processor.
    Isr,
    /// The ISR, for nothing.
    Spurious,
    /// DpcForIsr's critical section.
    DpcForIsr,
    /// Somebody completes what it has taken out: the one at this place.
    Complete(u8),
    /// The CustomDpc's critical section.
    DpcForDma,
    /// What it does with the transfer that it has found.
    EndTransfer,
    /// A request for events looks.
    LookForEvents(Id),
    /// It is queued.
    QueueForEvents(Id),
    /// Those that wait for events are answered.
    Answer,
    /// The watchdog.
    Tick,
    /// Nothing happens for a long time but ticks of the watchdog, until one has an effect.
    LongTime,
    /// A request is cancelled, wherever it is.
    Cancel(Id),
    /// The packet in StartIo's or the device's hands, which was given up, is taken out.
    TakeBack(Id),
    /// IRP_MJ_CLEANUP of a handle: what waits is cancelled.
    Cleanup(File),
    /// It comes to the transfer that has the turn.
    CleanUpTurn(File),
    /// A stop, a sleep or a removal begins: packets are held or fail, no transfer is begun.
    Leave(Next),
    /// It looks whether a transfer has ended whose interrupt may not come.
    Look,
    /// It has waited for the transfer for long enough.
    StopWaiting,
    /// The device is silenced.
    Silence,
    /// The watchdog is stopped, and the DPCs are flushed; then as much as comes before the
    /// interrupt is disconnected.
    StopWatchdog,
    /// The interrupt is disconnected, or made inactive.
    Disconnect,
    /// What was under way is held.
    HoldUnderWay,
    /// START_DEVICE, with these resources.
    Start(Resources),
    /// The device wakes up.
    Wake,
    /// The same, and it has forgotten everything.
    WakeAfterPowerCut,
}

impl Action {
    /// Whether it is a critical section with several accesses to registers.
    pub(crate) const fn accesses_registers(self) -> bool {
        matches!(
            self,
            Self::Isr
                | Self::Spurious
                | Self::ArmTransfer
                | Self::DpcForDma
                | Self::Tick
                | Self::CatchUp
                | Self::TakeBack(_)
                | Self::Look
                | Self::Silence
                | Self::StopWatchdog
                | Self::Disconnect
                | Self::Start(_)
                | Self::Wake
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

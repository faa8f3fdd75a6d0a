//! What is chosen for an exploration: how much happens, and what is wrong on purpose.

use edu_controller::Register;

/// A mistake that is made on purpose, to show that it would be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mistake {
    /// None.
    Nothing,
    /// Writes to this register are lost.
    Swallows(Register),
    /// DpcForIsr takes one result and forgets that there may be more.
    DropsResults,
    /// A request is completed with its result, and left to the watchdog as well.
    CompletesTwice,
    /// Cancellation completes a request that the device has still.
    CancelsBlindly,
    /// The device is stopped with what it is at.
    StopsUnsilenced,
    /// DpcForIsr ignores whose result it is.
    MixesResults,
    /// The memory of a transfer is given back when it is cancelled.
    FreesMemoryEarly,
    /// The DPC is not requested.
    ForgetsDpc,
    /// A request that is cancelled while the device sleeps is looked for in the device.
    TouchesSleeping,
    /// StartIo takes the next operation while one is under way.
    StartsTwo,
}

/// As often as may be.
pub const ALWAYS: u8 = u8::MAX;

/// How much of what is possible happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Ticks of the watchdog.
    pub ticks: u8,
    /// Times that so long passes that every deadline is over, or [`ALWAYS`].
    pub long_times: u8,
    /// Requests that are cancelled.
    pub cancels: u8,
    /// Calls of the ISR for nothing.
    pub spurious: u8,
    /// Stops and starts.
    pub stops: u8,
    /// Sleeps.
    pub sleeps: u8,
    /// Removals, 0 or 1.
    pub removals: u8,
    /// The device goes without a word, 0 or 1.
    pub surprises: u8,
}

//! What is chosen for an exploration: how much happens, and what is wrong on purpose.

use edu_controller::Register;

/// A mistake that is made on purpose, to show that it would be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mistake {
    /// None.
    Nothing,
    /// Writes to this register are lost.
    Swallows(Register),
    /// DpcForIsr takes a result and forgets it.
    DropsResults,
    /// StartIo is given the next packet as soon as the ISR has ended one, and an operation that
    /// is armed takes the place of an end that was not drained.
    OverwritesEnd,
    /// A request is completed with its result, and left to the watchdog as well.
    CompletesTwice,
    /// Cancellation completes a request that the device has still.
    CancelsBlindly,
    /// The device is stopped with what it is at.
    StopsUnsilenced,
    /// DpcForIsr ignores whose result it is.
    MixesResults,
    /// A CLEANUP ends the requests of all handles.
    CleansUpEverything,
    /// A watchdog that counts twice in each tick.
    TicksTwice,
    /// The memory of a transfer is given back when it is cancelled.
    FreesMemoryEarly,
    /// The DPC is not requested.
    ForgetsDpc,
    /// The CustomDpc throws the events away that it finds.
    DropsEvents,
    /// A request that is cancelled while the device sleeps is looked for in the device.
    TouchesSleeping,
    /// A start goes on with the registers of the one before.
    KeepsOldRegisters,
    /// StartIo takes the next operation while one is under way.
    StartsTwo,
    /// Who waits for events does not look again when it has queued.
    LooksOnce,
    /// AdapterControl returns, and nobody begins the next transfer.
    ForgetsReturn,
    /// The one that a stop finds under way is not held.
    ForgetsHeld,
    /// A packet that the device does not take is offered to it again, without end.
    OffersForEver,
}

/// As often as may be.
pub const ALWAYS: u8 = u8::MAX;

/// How much of what is possible happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Ticks of the watchdog at any moment, even before the device had time for anything.
    pub ticks: u8,
    /// Times that so long passes that every deadline is over, or [`ALWAYS`].
    pub long_times: u8,
    /// Requests that are cancelled.
    pub cancels: u8,
    /// Handles that are closed.
    pub cleanups: u8,
    /// Calls of the ISR for nothing.
    pub spurious: u8,
    /// Stops and starts.
    pub stops: u8,
    /// Starts get other resources: the registers are elsewhere, the interrupt is of the other
    /// kind.
    pub moves: u8,
    /// Sleeps.
    pub sleeps: u8,
    /// Sleeps in which the device really loses its power.
    pub power_cuts: u8,
    /// Removals, 0 or 1.
    pub removals: u8,
    /// The device goes without a word, 0 or 1.
    pub surprises: u8,
}

/// Nothing happens but what is asked for.
pub const QUIET: Limits = Limits {
    ticks: 0,
    long_times: 0,
    cancels: 0,
    cleanups: 0,
    spurious: 0,
    stops: 0,
    moves: 0,
    sleeps: 0,
    power_cuts: 0,
    removals: 0,
    surprises: 0,
};

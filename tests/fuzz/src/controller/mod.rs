//! The controller, given any sequence of critical sections and a device that may answer
//! anything to anything.
//!
//! There is no device here: each read of a register takes its answer from the input, mostly
//! one that a device could give, and now and then all ones or any number. So interrupts come
//! at any time, causes are anybody's, transfers end early, late and twice. Whatever it is
//! told, the controller must keep what it promises to the rest of the driver:
//!
//! * every owner that it takes in it hands back once, to one, and none stays inside;
//! * the device is told of transfers only that end inside its buffer and within its reach;
//! * a silent device is not asked to do anything;
//! * an operation ends at its deadline at the latest, and with a result that was read;
//! * what waits for a DPC was announced to one; events keep their numbers;
//! * the counters add up.

mod answers;
mod ledger;
mod run;
mod step;

pub use run::run;

/// What is wrong with the driver that is tried: nothing with edu.sys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// Nothing.
    None,
    /// One result of each drain is dropped.
    ResultDropped,
    /// An operation that was taken back is taken back once more.
    TakenTwice,
    /// A transfer is one byte longer than was asked for.
    OneByteMore,
    /// A silent device is asked whether it is alive.
    SilentTouched,
    /// The watchdog looks at every other tick only.
    TicksSkipped,
    /// The ISR does not ask for its DPC.
    DpcForgotten,
    /// The ISR acknowledges half of the causes.
    HalfAcknowledged,
}

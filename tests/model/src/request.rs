//! Requests: what they ask for, where they are, how they end.

/// The number of a request.
pub type Id = u8;

/// The number of a handle.
pub type File = u8;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `n!`.
    Factorial(u32),
    /// An interrupt with these causes.
    Raise(u32),
    /// The complement of this.
    Liveness(u32),
    /// As many transfers of the DMA engine, one after the other.
    Write(u8),
    /// To be told of the interrupts from this number on.
    Events(u64),
}

/// A request, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// The handle that it is sent by.
    pub file: File,
    /// What it asks for.
    pub kind: Kind,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// As it should.
    Success,
    /// Past its deadline.
    TimedOut,
    /// Cancelled, or its handle was closed.
    Cancelled,
    /// The device is going, or gone.
    Gone,
    /// The device had no room for it, or was silent.
    Refused,
    /// It was not sent: its handle was closed before.
    NotSent,
    /// It asks for interrupts that are further ahead than the next one.
    Invalid,
}

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Not sent yet.
    Unsent,
    /// The driver has it.
    Pending,
    /// Completed.
    Ended(End),
}

/// Where the memory of one of its transfers is.
pub(crate) fn memory_of(id: Id, piece: u8) -> u32 {
    0x1_0000 * (u32::from(id) + 1) + 0x1000 * u32::from(piece)
}

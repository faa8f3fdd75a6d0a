//! Requests: what they ask for, where they are, how they end.

/// The number of a request.
pub type Id = u8;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `n!`.
    Factorial(u32),
    /// An interrupt with these causes.
    Raise(u32),
    /// A transfer of the DMA engine.
    Write,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// As it should.
    Success,
    /// Past its deadline.
    TimedOut,
    /// Cancelled.
    Cancelled,
    /// The device is going, or gone.
    Gone,
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

/// Where the memory of a transfer is.
pub(crate) fn memory_of(id: Id) -> u32 {
    0x1000 * (u32::from(id) + 1)
}

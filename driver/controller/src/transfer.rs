//! What the DMA engine can be told: a transfer that it cannot do harm with.

/// Bytes of the device's buffer that transfers reach.
///
/// It has one more. QEMU up to version 9.0 aborts the machine when a transfer touches
/// the last byte.
pub const BUFFER_BYTES: u32 = 4095;
/// Address bits of the device. It drops all others without a word.
pub const ADDRESS_BITS: u32 = 28;

/// Where the device's buffer begins in the address space of its DMA engine.
const BUFFER: u32 = 0x4_0000;
/// First address that is out of the device's reach.
const END_OF_MEMORY: u64 = 1 << ADDRESS_BITS;

/// Which way the data of a transfer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From memory to the device's buffer: a write.
    ToDevice,
    /// From the device's buffer to memory: a read.
    FromDevice,
}

/// A transfer between memory and the device's buffer.
///
/// There is none whose range is not inside both: [`new`](Self::new) makes none. So whatever
/// was asked for, the device is never told to leave its buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transfer {
    memory: u32,
    position: u32,
    count: u32,
    direction: Direction,
}

impl Transfer {
    /// A transfer of `count` bytes between logical address `memory` and byte `position` of
    /// the device's buffer.
    ///
    /// `None` if it has no bytes, ends behind [`BUFFER_BYTES`], or is not in what
    /// [`ADDRESS_BITS`] reach.
    #[must_use]
    pub const fn new(memory: u64, position: u32, count: u32, direction: Direction) -> Option<Self> {
        let (Some(end), Some(end_of_memory)) = (
            position.checked_add(count),
            memory.checked_add(count as u64),
        ) else {
            return None;
        };
        if count == 0 || end > BUFFER_BYTES || end_of_memory > END_OF_MEMORY {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "below the end of what 28 bits reach, looked at above"
        )]
        let memory = memory as u32;
        Some(Self {
            memory,
            position,
            count,
            direction,
        })
    }

    /// How many bytes, at least one.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Which way.
    #[must_use]
    pub const fn direction(&self) -> Direction {
        self.direction
    }

    /// What the source register is given.
    pub(crate) const fn source(&self) -> u32 {
        match self.direction {
            Direction::ToDevice => self.memory,
            Direction::FromDevice => self.in_buffer(),
        }
    }

    /// What the destination register is given.
    pub(crate) const fn destination(&self) -> u32 {
        match self.direction {
            Direction::ToDevice => self.in_buffer(),
            Direction::FromDevice => self.memory,
        }
    }

    /// The position as an address; it is less than [`BUFFER_BYTES`], so nothing carries.
    const fn in_buffer(&self) -> u32 {
        BUFFER | self.position
    }
}

/// How a transfer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransferOutcome {
    /// All bytes were moved.
    Done,
    /// It was not done at its deadline. The device has let go of the memory since.
    TimedOut,
    /// It was [given up](crate::Controller::give_up_transfer). As above.
    Aborted,
    /// The device is gone.
    Gone,
}

/// A transfer's end, with what the transfer belonged to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EndedTransfer<D> {
    /// What moved in with the transfer.
    pub owner: D,
    /// How it ended.
    pub outcome: TransferOutcome,
}

#[cfg(test)]
mod tests {
    use super::{BUFFER_BYTES, Direction, Transfer};

    const TOP: u64 = 1 << 28;

    fn exists(memory: u64, position: u32, count: u32) -> bool {
        let there = Transfer::new(memory, position, count, Direction::ToDevice);
        let back = Transfer::new(memory, position, count, Direction::FromDevice);
        assert_eq!(there.is_some(), back.is_some());
        there.is_some()
    }

    #[test]
    fn a_transfer_is_inside_the_buffer_and_within_reach() {
        assert!(exists(0x1000, 0, 1));
        assert!(exists(0x1000, 0, BUFFER_BYTES));
        assert!(exists(0x1000, BUFFER_BYTES - 1, 1));
        assert!(exists(TOP - 1, 7, 1));
        assert!(exists(TOP - 100, 7, 100));

        assert!(!exists(0x1000, 0, 0));
        assert!(!exists(0x1000, 0, BUFFER_BYTES + 1));
        assert!(!exists(0x1000, BUFFER_BYTES, 1));
        assert!(!exists(0x1000, BUFFER_BYTES, 0));
        assert!(!exists(0x1000, 1, BUFFER_BYTES));
        assert!(!exists(0x1000, u32::MAX, 1));
        assert!(!exists(0x1000, u32::MAX, u32::MAX));
        assert!(!exists(0x1000, 1, u32::MAX));
        assert!(!exists(TOP, 0, 1));
        assert!(!exists(TOP - 100, 7, 101));
        assert!(!exists(u64::MAX, 0, 1));
        assert!(!exists(u64::from(u32::MAX) + 1, 0, 1));
    }

    #[test]
    fn the_registers_are_told_both_ends() {
        let there = Transfer::new(0x123_4567, 9, 20, Direction::ToDevice);
        let back = Transfer::new(0x123_4567, 9, 20, Direction::FromDevice);
        let ends = |transfer: Option<Transfer>| {
            transfer.map(|transfer| (transfer.source(), transfer.destination()))
        };
        assert_eq!(ends(there), Some((0x123_4567, 0x4_0009)));
        assert_eq!(ends(back), Some((0x4_0009, 0x123_4567)));
    }
}

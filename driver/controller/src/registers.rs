//! The device's registers, as measured and as QEMU's `edu.rst` documents them.
//!
//! All registers used here are 32 bits wide and take accesses of exactly that
//! width: below 0x80 the device answers any other width with nonsense.

/// Offset of a register in BAR 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Register {
    /// Read only: [`Identification`].
    Identification = 0x00,
    /// Reads as the bitwise inverse of what was last written.
    Liveness = 0x04,
    /// Writing `n` starts the computation of `n!` unless one is under way, in which
    /// case the write is dropped; reads as the result.
    Factorial = 0x08,
    /// [`STATUS_COMPUTING`] (read only) and [`STATUS_INTERRUPT`].
    Status = 0x20,
    /// Read only: causes of the interrupt that have not been acknowledged.
    InterruptStatus = 0x24,
    /// Write only: sets bits of the interrupt status, and interrupts.
    RaiseInterrupt = 0x60,
    /// Write only: clears bits of the interrupt status. Needed for messages too.
    Acknowledge = 0x64,
    /// Where a DMA transfer reads. This register and the next three take 64 bits or 32, of
    /// which each write sets all.
    DmaSource = 0x80,
    /// Where it writes.
    DmaDestination = 0x88,
    /// How many bytes it moves.
    DmaCount = 0x90,
    /// Bit 0: run, which starts a transfer and is clear when it has ended; bit 1: to memory;
    /// bit 2: interrupt at the end. While one runs, all four registers ignore what is written.
    DmaCommand = 0x98,
}

/// [`Register::Status`]: a factorial is being computed.
pub const STATUS_COMPUTING: u32 = 0x01;
/// [`Register::Status`]: interrupt when the factorial is ready.
pub const STATUS_INTERRUPT: u32 = 0x80;
/// [`Register::DmaCommand`]: a transfer is under way.
pub(crate) const DMA_RUNNING: u32 = 0x01;
/// [`Register::DmaCommand`]: from the device's buffer to memory.
pub(crate) const DMA_TO_MEMORY: u32 = 0x02;
/// [`Register::DmaCommand`]: interrupt when the transfer has ended.
pub(crate) const DMA_INTERRUPT: u32 = 0x04;
/// [`Register::InterruptStatus`]: a transfer has ended.
pub(crate) const CAUSE_DMA: u32 = 0x100;
/// [`Register::InterruptStatus`]: a factorial is ready.
pub(crate) const CAUSE_FACTORIAL: u32 = 0x001;
/// What every register of a device that is gone reads as.
pub(crate) const ABSENT: u32 = u32::MAX;

/// Access to the registers of one device.
pub trait Registers {
    /// Reads a register.
    fn read(&mut self, register: Register) -> u32;
    /// Writes a register.
    fn write(&mut self, register: Register, value: u32);
}

/// The identification register: `0xRRrr00ed`, revision RR.rr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identification(u32);

impl Identification {
    /// Accepts the value if an `edu` device says it.
    #[must_use]
    pub const fn from_register(value: u32) -> Option<Self> {
        if value & 0xffff == 0x00ed {
            Some(Self(value))
        } else {
            None
        }
    }

    /// The register's value.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Identification;

    #[test]
    fn an_edu_device_of_any_revision_identifies_itself() {
        for value in [0x0100_00ed, 0x0207_00ed, 0x0000_00ed] {
            let identification = Identification::from_register(value);
            assert_eq!(identification.map(Identification::value), Some(value));
        }
        for value in [0x0100_00ee, 0x0100_01ed, 0x00ed_0100, 0, u32::MAX] {
            assert_eq!(Identification::from_register(value), None);
        }
    }
}

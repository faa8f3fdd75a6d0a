//! The registers of the `edu` device that the checks use.
//!
//! `edu-controller` has the whole device; a check wants to see single accesses.

use dirql::{io_mem::IoMem, irql::Passive, resources::MemoryResource, status::Result};

/// Bytes of BAR 0 that hold registers.
const LENGTH: usize = 0xa0;

const LIVENESS: usize = 0x04;
const FACTORIAL: usize = 0x08;
const STATUS: usize = 0x20;
const INTERRUPT_STATUS: usize = 0x24;
const RAISE: usize = 0x60;
const ACKNOWLEDGE: usize = 0x64;

/// BAR 0 of an `edu` device, mapped.
#[derive(Debug)]
pub struct EduBar(IoMem<LENGTH>);

impl EduBar {
    /// Maps the registers and silences what the device may still be doing: it has no
    /// reset.
    ///
    /// # Errors
    /// Those of [`IoMem::map`].
    pub fn map(irql: &mut Passive, resource: &MemoryResource<'_>) -> Result<Self> {
        let mut bar = Self(IoMem::map(irql, resource)?);
        bar.silence();
        Ok(bar)
    }

    /// No interrupt for factorials, and none pending.
    pub fn silence(&mut self) {
        self.0.write32(STATUS, 0);
        self.acknowledge(u32::MAX);
    }

    /// Asks the device for an interrupt with these causes.
    #[inline]
    pub fn raise(&mut self, causes: u32) {
        self.0.write32(RAISE, causes);
    }

    /// The causes that are pending; zero if the interrupt is not this device's.
    #[inline]
    #[must_use]
    pub fn causes(&self) -> u32 {
        self.0.read32(INTERRUPT_STATUS)
    }

    /// Ends these causes.
    #[inline]
    pub fn acknowledge(&mut self, causes: u32) {
        self.0.write32(ACKNOWLEDGE, causes);
    }

    /// Writes the register whose complement [`liveness`](Self::liveness) reads.
    #[inline]
    pub fn set_liveness(&mut self, value: u32) {
        self.0.write32(LIVENESS, value);
    }

    /// The complement of what was last written.
    #[inline]
    #[must_use]
    pub fn liveness(&self) -> u32 {
        self.0.read32(LIVENESS)
    }

    /// Starts a factorial; an interrupt says when it is done.
    #[inline]
    pub fn start_factorial(&mut self, n: u32) {
        const INTERRUPT_WHEN_DONE: u32 = 0x80;
        self.0.write32(STATUS, INTERRUPT_WHEN_DONE);
        self.0.write32(FACTORIAL, n);
    }

    /// The factorial, once its interrupt has come.
    #[inline]
    #[must_use]
    pub fn factorial(&self) -> u32 {
        self.0.read32(FACTORIAL)
    }
}

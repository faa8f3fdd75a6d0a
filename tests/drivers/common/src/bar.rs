//! The registers of the `edu` device that the checks use.
//!
//! `edu-controller` has the whole device; a check wants to see single accesses.

use dirql::{
    io_mem::{IoMem, ReadOnly, ReadWrite, Register, WriteOnly},
    irql::Passive,
    resources::MemoryResource,
    status::Result,
};

/// Bytes of BAR 0 that hold registers.
const LENGTH: usize = 0xa0;

/// A register of the device: it takes 32 bits at a time.
type Is<const OFFSET: usize, A> = Register<LENGTH, OFFSET, u32, A>;

const LIVENESS: Is<0x04, ReadWrite> = Is::new();
const FACTORIAL: Is<0x08, ReadWrite> = Is::new();
const STATUS: Is<0x20, ReadWrite> = Is::new();
const INTERRUPT_STATUS: Is<0x24, ReadOnly> = Is::new();
const RAISE: Is<0x60, WriteOnly> = Is::new();
const ACKNOWLEDGE: Is<0x64, WriteOnly> = Is::new();

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
        self.0.write(STATUS, 0);
        self.acknowledge(u32::MAX);
    }

    /// Asks the device for an interrupt with these causes.
    #[inline]
    pub fn raise(&mut self, causes: u32) {
        self.0.write(RAISE, causes);
    }

    /// The causes that are pending; zero if the interrupt is not this device's.
    #[inline]
    #[must_use]
    pub fn causes(&self) -> u32 {
        self.0.read(INTERRUPT_STATUS)
    }

    /// Ends these causes.
    #[inline]
    pub fn acknowledge(&mut self, causes: u32) {
        self.0.write(ACKNOWLEDGE, causes);
    }

    /// Writes the register whose complement [`liveness`](Self::liveness) reads.
    #[inline]
    pub fn set_liveness(&mut self, value: u32) {
        self.0.write(LIVENESS, value);
    }

    /// The complement of what was last written.
    #[inline]
    #[must_use]
    pub fn liveness(&self) -> u32 {
        self.0.read(LIVENESS)
    }

    /// Starts a factorial; an interrupt says when it is done.
    #[inline]
    pub fn start_factorial(&mut self, n: u32) {
        const INTERRUPT_WHEN_DONE: u32 = 0x80;
        self.0.write(STATUS, INTERRUPT_WHEN_DONE);
        self.0.write(FACTORIAL, n);
    }

    /// Whether a factorial is being computed; not if the device is gone.
    #[inline]
    #[must_use]
    pub fn is_computing(&self) -> bool {
        const COMPUTING: u32 = 0x01;
        let status = self.0.read(STATUS);
        status != u32::MAX && status & COMPUTING != 0
    }

    /// The factorial, once its interrupt has come.
    #[inline]
    #[must_use]
    pub fn factorial(&self) -> u32 {
        self.0.read(FACTORIAL)
    }
}

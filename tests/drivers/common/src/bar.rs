//! The registers of the `edu` device that the checks use.
//!
//! `edu-controller` has the whole device; a check wants to see single accesses.

use dirql::{
    dma::LogicalAddress,
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
const DMA_SOURCE: Is<0x80, ReadWrite> = Is::new();
const DMA_DESTINATION: Is<0x88, ReadWrite> = Is::new();
const DMA_COUNT: Is<0x90, ReadWrite> = Is::new();
const DMA_COMMAND: Is<0x98, ReadWrite> = Is::new();

/// Where the device's own buffer begins, in its address space.
const DEVICE_BUFFER: u32 = 0x4_0000;
/// Bits of the DMA engine's command.
const RUN: u32 = 1;
const TO_MEMORY: u32 = 2;
const INTERRUPT_WHEN_DONE: u32 = 4;

/// One transfer by the device's DMA engine.
#[derive(Clone, Copy, Debug)]
pub struct DmaCommand {
    /// Where the memory is, for the device.
    pub memory: LogicalAddress,
    /// Where in the device's buffer.
    pub position: u32,
    /// How many bytes: fewer than the device's buffer has.
    pub count: u32,
    /// From memory to the device, or back.
    pub to_device: bool,
}

/// BAR 0 of an `edu` device, mapped.
#[derive(Debug)]
pub struct EduBar(IoMem<LENGTH>);

impl EduBar {
    /// The cause of the interrupt that ends a DMA transfer.
    pub const DMA_DONE: u32 = 0x100;

    /// Starts a DMA transfer; an interrupt says when it is done. None may be running.
    #[inline]
    pub fn start_dma(&mut self, command: DmaCommand) {
        let device = DEVICE_BUFFER.wrapping_add(command.position);
        // The device has 28 address bits, and its adapter knows.
        let (memory, _) = command.memory.halves();
        let (source, destination, direction) = if command.to_device {
            (memory, device, 0)
        } else {
            (device, memory, TO_MEMORY)
        };
        self.0.write(DMA_SOURCE, source);
        self.0.write(DMA_DESTINATION, destination);
        self.0.write(DMA_COUNT, command.count);
        self.0
            .write(DMA_COMMAND, direction | INTERRUPT_WHEN_DONE | RUN);
    }

    /// Whether a DMA transfer is running; none is in a device that is gone.
    #[inline]
    #[must_use]
    pub fn is_dma_running(&self) -> bool {
        let command = self.0.read(DMA_COMMAND);
        command != u32::MAX && command & RUN != 0
    }

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

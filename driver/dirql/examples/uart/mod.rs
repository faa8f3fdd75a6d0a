//! The device of the examples: bytes come in and go out, each with an interrupt.

use dirql::{
    dma::LogicalAddress,
    interrupt::{Claim, ServiceRoutine},
    io_mem::{IoMem, ReadOnly, Register, WriteOnly},
    irql::{Dirql, Passive},
    resources::{MemoryResource, Resources},
    status::Result,
};

const LENGTH: usize = 0x20;
const DATA: Register<LENGTH, 0x00, u8, ReadOnly> = Register::new();
const SEND: Register<LENGTH, 0x04, u8, WriteOnly> = Register::new();
const CAUSES: Register<LENGTH, 0x08, u32, ReadOnly> = Register::new();
const ACKNOWLEDGE: Register<LENGTH, 0x0c, u32, WriteOnly> = Register::new();
const DMA_ADDRESS: Register<LENGTH, 0x18, u64, WriteOnly> = Register::new();
const DMA_LENGTH: Register<LENGTH, 0x14, u32, WriteOnly> = Register::new();
const ENABLE: Register<LENGTH, 0x10, u32, WriteOnly> = Register::new();

/// A byte has come in.
const RECEIVED: u32 = 1;
/// A byte has gone out.
const SENT: u32 = 2;

/// All that the ISR shares: the registers, and what it has seen.
#[derive(Debug)]
pub struct Uart {
    registers: IoMem<LENGTH>,
    events: Events,
    /// Ticks of a timer until what was sent counts as lost; zero if nothing was.
    patience: u32,
}

/// What has happened since somebody last looked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Events {
    /// Bytes that came in.
    pub received: u32,
    /// The last of them.
    pub last: u8,
    /// Bytes that went out.
    pub sent: u32,
}

impl Uart {
    /// The device whose registers are the first range of memory.
    ///
    /// # Errors
    /// As [`IoMem::map`], and if the device has no memory.
    pub fn map(irql: &mut Passive, resources: &Resources<'_>) -> Result<Self> {
        Self::at(irql, &resources.memory(0)?)
    }

    /// The device whose registers are there.
    ///
    /// # Errors
    /// As [`IoMem::map`].
    pub fn at(irql: &mut Passive, memory: &MemoryResource<'_>) -> Result<Self> {
        Ok(Self {
            registers: IoMem::map(irql, memory)?,
            events: Events::default(),
            patience: 0,
        })
    }

    /// Lets the device interrupt. It asks for the level of a critical section, which nobody
    /// has before the interrupt is connected.
    pub fn enable(&mut self, _irql: &mut Dirql) {
        self.registers.write(ENABLE, RECEIVED | SENT);
    }

    /// Keeps the device from interrupting.
    pub fn silence(&mut self) {
        self.registers.write(ENABLE, 0);
        let pending = self.registers.read(CAUSES);
        self.registers.write(ACKNOWLEDGE, pending);
        self.patience = 0;
    }

    /// Sends a byte, which is to be out within so many ticks.
    pub fn send(&mut self, byte: u8, patience: u32) {
        self.patience = patience;
        self.registers.write(SEND, byte);
    }

    /// Sends bytes from memory, which the device reads by itself; they count as one.
    pub fn send_from(&mut self, memory: LogicalAddress, length: u32) {
        self.registers.write(DMA_ADDRESS, memory.to_bits());
        self.registers.write(DMA_LENGTH, length);
    }

    /// What has happened since the last call.
    pub fn take_events(&mut self) -> Events {
        core::mem::take(&mut self.events)
    }

    /// A tick has passed; whether it was the last of those that a byte had.
    pub fn tick(&mut self) -> bool {
        let waiting = self.patience > 0;
        self.patience = self.patience.saturating_sub(1);
        waiting && self.patience == 0
    }

    /// Quiets the device and saves what has happened; whether it was this device.
    pub fn acknowledge(&mut self) -> bool {
        let causes = self.registers.read(CAUSES);
        if causes & (RECEIVED | SENT) == 0 {
            return false;
        }
        self.registers.write(ACKNOWLEDGE, causes);
        if causes & RECEIVED != 0 {
            self.events.last = self.registers.read(DATA);
            self.events.received = self.events.received.saturating_add(1);
        }
        if causes & SENT != 0 {
            self.events.sent = self.events.sent.saturating_add(1);
            self.patience = 0;
        }
        true
    }
}

impl ServiceRoutine for Uart {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        if self.acknowledge() {
            Claim::OursRequestDpc
        } else {
            Claim::NotOurs
        }
    }
}

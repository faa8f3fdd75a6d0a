//! What the ISR shares, and the ISR: `CONTROLLER` and `InterruptMessageService` in
//! `reference.c`.

use dirql::{
    interrupt::{Claim, ServiceRoutine},
    io_mem::{IoMem, ReadOnly, Register, WriteOnly},
    irql::{Dirql, Passive},
    resources::MemoryResource,
    status::Result,
};

/// Bytes of the registers.
const LENGTH: usize = 0x68;
const CAUSES: Register<LENGTH, 0x24, u32, ReadOnly> = Register::new();
const RAISE: Register<LENGTH, 0x60, u32, WriteOnly> = Register::new();
const ACKNOWLEDGE: Register<LENGTH, 0x64, u32, WriteOnly> = Register::new();

/// The registers, and what the ISR has seen.
#[derive(Debug)]
pub(crate) struct Controller {
    registers: IoMem<LENGTH>,
    pending: u32,
    last: u32,
}

impl Controller {
    pub(crate) fn map(irql: &mut Passive, resource: &MemoryResource<'_>) -> Result<Self> {
        Ok(Self {
            registers: IoMem::map(irql, resource)?,
            pending: 0,
            last: 0,
        })
    }

    /// Has the device interrupt.
    pub(crate) fn raise(&mut self, causes: u32) {
        self.last = causes;
        self.registers.write(RAISE, causes);
    }

    /// Has it stop.
    pub(crate) fn acknowledge(&mut self, causes: u32) {
        self.last = causes;
        self.registers.write(ACKNOWLEDGE, causes);
    }

    /// Takes what the ISR has saved.
    pub(crate) fn drain(&mut self) -> u32 {
        core::mem::take(&mut self.pending)
    }
}

impl ServiceRoutine for Controller {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        let causes = self.registers.read(CAUSES);
        if causes == 0 {
            return Claim::NotOurs;
        }
        self.registers.write(ACKNOWLEDGE, causes);
        self.pending |= causes;
        Claim::OursRequestDpc
    }
}

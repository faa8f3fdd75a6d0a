//! The device's registers in BAR 0, and its interrupt service.

use dirql::{
    interrupt::{Claim, ServiceRoutine},
    io_mem::IoMem,
    irql::{Dirql, Passive},
    resources::MemoryResource,
    status::Result,
};
use edu_controller::{Register, Registers, Service};

use crate::EduController;

/// Bytes of the BAR that the driver uses: all registers up to the DMA command.
const LENGTH: usize = 0xa0;

/// BAR 0, mapped.
#[derive(Debug)]
pub(crate) struct Bar(IoMem<LENGTH>);

impl Bar {
    pub(crate) fn map(irql: &mut Passive, resource: &MemoryResource<'_>) -> Result<Self> {
        IoMem::map(irql, resource).map(Self)
    }
}

impl Registers for Bar {
    #[inline]
    fn read(&mut self, register: Register) -> u32 {
        self.0.read32(register as usize)
    }

    #[inline]
    fn write(&mut self, register: Register, value: u32) {
        self.0.write32(register as usize, value);
    }
}

/// `EduController` is a type of another crate; the ISR is this crate's.
#[derive(Debug)]
pub(crate) struct Shared(pub(crate) EduController);

impl ServiceRoutine for Shared {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        match self.0.service() {
            Service::NotOurs => Claim::NotOurs,
            Service::Claimed => Claim::Ours,
            Service::ResultReady => Claim::OursRequestDpc,
        }
    }
}

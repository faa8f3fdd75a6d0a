//! The device's registers in BAR 0, and its interrupt service.

use dirql::{
    interrupt::{Claim, DpcSet, ServiceRoutine},
    io_mem::IoMem,
    irql::{Dirql, Passive},
    processor,
    resources::MemoryResource,
    status::Result,
    time::Stamp,
};
use edu_controller::{Dpcs, Noted, Register, Registers, Service};

use crate::{EduController, recorder::FlightRecorder};

/// Bytes of the BAR that the driver uses: all registers up to the DMA command.
const LENGTH: usize = 0xa0;

/// The DMA engine's DPC, the first of those that the interrupt is connected with.
const TRANSFER_ENDED: DpcSet = DpcSet::custom::<0>();

/// BAR 0, mapped.
#[derive(Debug)]
pub(crate) struct Bar(IoMem<LENGTH>);

impl Bar {
    pub(crate) fn map(irql: &mut Passive, resource: &MemoryResource<'_>) -> Result<Self> {
        IoMem::map(irql, resource).map(Self)
    }
}

/// The registers with their access: the device takes 32 bits at a time.
mod register {
    use dirql::io_mem::{ReadOnly, ReadWrite, Register, WriteOnly};
    use edu_controller::Register as At;

    use super::LENGTH;

    type Is<const OFFSET: usize, A> = Register<LENGTH, OFFSET, u32, A>;

    pub(super) const IDENTIFICATION: Is<{ At::Identification as usize }, ReadOnly> = Is::new();
    pub(super) const LIVENESS: Is<{ At::Liveness as usize }, ReadWrite> = Is::new();
    pub(super) const FACTORIAL: Is<{ At::Factorial as usize }, ReadWrite> = Is::new();
    pub(super) const STATUS: Is<{ At::Status as usize }, ReadWrite> = Is::new();
    pub(super) const INTERRUPT_STATUS: Is<{ At::InterruptStatus as usize }, ReadOnly> = Is::new();
    pub(super) const RAISE_INTERRUPT: Is<{ At::RaiseInterrupt as usize }, WriteOnly> = Is::new();
    pub(super) const ACKNOWLEDGE: Is<{ At::Acknowledge as usize }, WriteOnly> = Is::new();
    pub(super) const DMA_SOURCE: Is<{ At::DmaSource as usize }, ReadWrite> = Is::new();
    pub(super) const DMA_DESTINATION: Is<{ At::DmaDestination as usize }, ReadWrite> = Is::new();
    pub(super) const DMA_COUNT: Is<{ At::DmaCount as usize }, ReadWrite> = Is::new();
    pub(super) const DMA_COMMAND: Is<{ At::DmaCommand as usize }, ReadWrite> = Is::new();
}

/// The controller names its register at each call, and the call is inlined, so of each
/// `match` one access is left.
impl Registers for Bar {
    #[inline]
    fn read(&mut self, register: Register) -> u32 {
        match register {
            Register::Identification => self.0.read(register::IDENTIFICATION),
            Register::Liveness => self.0.read(register::LIVENESS),
            Register::Factorial => self.0.read(register::FACTORIAL),
            Register::Status => self.0.read(register::STATUS),
            Register::InterruptStatus => self.0.read(register::INTERRUPT_STATUS),
            Register::DmaSource => self.0.read(register::DMA_SOURCE),
            Register::DmaDestination => self.0.read(register::DMA_DESTINATION),
            Register::DmaCount => self.0.read(register::DMA_COUNT),
            Register::DmaCommand => self.0.read(register::DMA_COMMAND),
            // As the device answers.
            Register::RaiseInterrupt | Register::Acknowledge => u32::MAX,
        }
    }

    #[inline]
    fn write(&mut self, register: Register, value: u32) {
        match register {
            Register::Liveness => self.0.write(register::LIVENESS, value),
            Register::Factorial => self.0.write(register::FACTORIAL, value),
            Register::Status => self.0.write(register::STATUS, value),
            Register::RaiseInterrupt => self.0.write(register::RAISE_INTERRUPT, value),
            Register::Acknowledge => self.0.write(register::ACKNOWLEDGE, value),
            Register::DmaSource => self.0.write(register::DMA_SOURCE, value),
            Register::DmaDestination => self.0.write(register::DMA_DESTINATION, value),
            Register::DmaCount => self.0.write(register::DMA_COUNT, value),
            Register::DmaCommand => self.0.write(register::DMA_COMMAND, value),
            // As the device takes it.
            Register::Identification | Register::InterruptStatus => {}
        }
    }
}

/// What the ISR shares: the controller, and where the ISR is recorded.
#[derive(Debug)]
pub(crate) struct Shared(pub(crate) EduController, pub(crate) FlightRecorder);

impl ServiceRoutine for Shared {
    const DPCS: usize = 1;

    /// The ISR writes no record of an interrupt that it claims: it notes what is missing of one
    /// beside the interrupt, and whoever takes that from it writes the record. Nobody takes
    /// what it does not claim, and there it has time.
    fn service(&mut self, irql: &mut Dirql) -> Claim {
        let start = Stamp::now();
        let Self(controller, recorder) = self;
        match controller.service(start.0) {
            Service::NotOurs => {
                recorder.end_foreign_isr(irql, start);
                Claim::NotOurs
            }
            Service::Claimed(dpcs) => {
                if recorder.is_on() {
                    controller.note(Noted {
                        end: Stamp::now().0,
                        processor: processor::current(irql),
                    });
                }
                claim(dpcs)
            }
        }
    }
}

const fn claim(Dpcs { for_isr, dma }: Dpcs) -> Claim {
    match (for_isr, dma) {
        (false, false) => Claim::Ours,
        (true, false) => Claim::OursRequestDpc,
        (false, true) => Claim::OursQueue(TRANSFER_ENDED),
        (true, true) => Claim::OursQueue(DpcSet::FOR_ISR.and(TRANSFER_ENDED)),
    }
}

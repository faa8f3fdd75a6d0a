//! Row 1: the ISR. It tells whose interrupt it is, quiets the source, saves what would be
//! lost, and asks for DpcForIsr as its last act; for a line and for messages alike.
//!
//! The full example is the test driver `interrupt`.

pub mod uart;

use dirql::{
    device::Device,
    driver::{DpcForIsr, Driver, Routines, Stop},
    interrupt::{Claim, Interrupt, ServiceRoutine},
    irp::{Dispatched, Irp},
    irql::{Dirql, Dispatch, Passive, UpToDispatch},
    resources::Resources,
    start_io::Packet,
    status::{NtError, Result},
};
use uart::Uart;
use uuid::Uuid;

/// The state of the ISR, which knows its messages apart.
#[derive(Debug)]
pub struct Port {
    uart: Uart,
    interrupts: [u32; 2],
}

impl ServiceRoutine for Port {
    fn service(&mut self, irql: &mut Dirql) -> Claim {
        self.uart.service(irql)
    }

    /// All messages share one lock, so this needs no other to count.
    fn service_message(&mut self, irql: &mut Dirql, message: u32) -> Claim {
        let place = usize::try_from(message).unwrap_or(usize::MAX);
        if let Some(count) = self.interrupts.get_mut(place) {
            *count = count.saturating_add(1);
        }
        self.service(irql)
    }
}

pin_project_lite::pin_project! {
    /// The device extension.
    #[derive(Debug)]
    pub struct Ports {
        #[pin]
        interrupt: Interrupt<Port>,
    }
}

impl Driver for Ports {
    const ROUTINES: Routines<Self> = Routines::new().dpc_for_isr();

    const INTERFACE: Option<Uuid> = None;

    fn add_device(_irql: &mut Passive) -> Result<Self> {
        Ok(Self {
            interrupt: Interrupt::new(),
        })
    }

    fn start_device(
        device: &Device<Self>,
        irql: &mut Passive,
        resources: &Resources<'_>,
    ) -> Result<()> {
        let port = Port {
            uart: Uart::map(irql, resources)?,
            interrupts: [0; 2],
        };
        let line = resources.interrupt()?;
        let interrupt = device.pinned().project_ref().interrupt;
        // The closure runs last, under the interrupt lock, when the ISR may come.
        interrupt.connect(device, irql, &line, port, |irql, port| {
            port.uart.enable(irql);
        })?;
        Ok(())
    }

    fn stop_device(device: &Device<Self>, irql: &mut Passive, _why: Stop) -> Option<Packet> {
        device
            .interrupt
            .synchronize(irql, |_, port| port.uart.silence());
        // Returns when no ISR runs any more; the registers are unmapped with the state.
        drop(device.interrupt.disconnect(irql));
        None
    }

    fn device_control(_device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        irp.complete(irql, Err(NtError::STATUS_INVALID_DEVICE_REQUEST))
    }
}

impl DpcForIsr for Ports {
    fn dpc_for_isr(device: &Device<Self>, irql: &mut Dispatch) {
        let _events = device
            .interrupt
            .synchronize(irql, |_, port| port.uart.take_events());
    }
}

dirql::driver_entry!(Ports);

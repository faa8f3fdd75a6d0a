//! Row 10: PnP and power. While the device sleeps its registers are out of reach, for they are part
//! of the state that the interrupt lends to nobody; what was saved is not.
//!
//! The full example is the test driver `power`.

pub mod uart;

use dirql::{
    device::Device,
    driver::{DpcForIsr, Driver, Routines, Stop},
    interrupt::{Claim, Interrupt, ServiceRoutine, Suspend},
    irp::{Dispatched, Irp},
    irql::{Dirql, Dispatch, Passive, UpToDispatch},
    power::{DeviceState, Power},
    resources::Resources,
    start_io::Packet,
    status::{NtError, Result},
};
use uart::Uart;
use uuid::Uuid;

/// The state of the ISR, with what the device forgets in its sleep.
#[derive(Debug)]
pub struct Port {
    uart: Uart,
    resumed: u32,
}

/// What is kept while the device has no power: plain data.
#[derive(Clone, Copy, Debug)]
pub struct Saved {
    resumed: u32,
}

impl ServiceRoutine for Port {
    fn service(&mut self, irql: &mut Dirql) -> Claim {
        self.uart.service(irql)
    }
}

impl Suspend for Port {
    type Saved = Saved;

    fn save(&mut self, _irql: &mut Dirql) -> Saved {
        self.uart.silence();
        Saved {
            resumed: self.resumed,
        }
    }

    fn restore(&mut self, irql: &mut Dirql, saved: Saved) {
        self.resumed = saved.resumed.saturating_add(1);
        self.uart.enable(irql);
    }
}

pin_project_lite::pin_project! {
    /// The device extension.
    #[derive(Debug)]
    pub struct Sleeper {
        #[pin]
        interrupt: Interrupt<Port, Saved>,
    }
}

impl Driver for Sleeper {
    const ROUTINES: Routines<Self> = Routines::new().dpc_for_isr().power();

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
            resumed: 0,
        };
        let line = resources.interrupt()?;
        let pinned = device.pinned().project_ref();
        pinned
            .interrupt
            .connect(device, irql, &line, port, |irql, port| {
                port.uart.enable(irql);
            })?;
        Ok(())
    }

    fn stop_device(device: &Device<Self>, irql: &mut Passive, _why: Stop) -> Option<Packet> {
        device
            .interrupt
            .synchronize(irql, |_, port| port.uart.silence());
        drop(device.interrupt.disconnect(irql));
        None
    }

    fn device_control(_device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        irp.complete(irql, Err(NtError::STATUS_INVALID_DEVICE_REQUEST))
    }
}

impl Power for Sleeper {
    /// No packet is in the device's hands: this driver has none.
    fn power_down(device: &Device<Self>, irql: &mut Passive, _to: DeviceState) -> Option<Packet> {
        device.interrupt.suspend(irql);
        // The registers cannot be named here, but what was saved can.
        let _resumed = device
            .interrupt
            .with_disconnected(irql, |saved| saved.resumed);
        None
    }

    fn power_up(device: &Device<Self>, irql: &mut Passive) -> Result<()> {
        device.interrupt.resume(irql);
        Ok(())
    }
}

impl DpcForIsr for Sleeper {
    fn dpc_for_isr(device: &Device<Self>, irql: &mut Dispatch) {
        let _events = device
            .interrupt
            .synchronize(irql, |_, port| port.uart.take_events());
    }
}

dirql::driver_entry!(Sleeper);

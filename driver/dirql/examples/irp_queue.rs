//! Row 9: cancel routines and cancel-safe queues. Requests wait for bytes; one that is cancelled, or
//! whose handle is closed, is completed by the queue, exactly once.
//!
//! The full example is the test driver `queues`.

pub mod uart;

use dirql::{
    device::Device,
    driver::{DpcForIsr, Driver, Routines, Stop},
    interrupt::Interrupt,
    irp::{Buffers, Dispatched, Irp},
    irp_queue::IrpQueue,
    irql::{Dispatch, Passive, UpToDispatch},
    resources::Resources,
    start_io::Packet,
    status::Result,
};
use uart::Uart;
use uuid::Uuid;

pin_project_lite::pin_project! {
    /// The device extension.
    #[derive(Debug)]
    pub struct Reader {
        #[pin]
        interrupt: Interrupt<Uart>,
        #[pin]
        readers: IrpQueue,
    }
}

impl Driver for Reader {
    const ROUTINES: Routines<Self> = Routines::new().dpc_for_isr();

    const INTERFACE: Option<Uuid> = None;

    fn add_device(_irql: &mut Passive) -> Result<Self> {
        Ok(Self {
            interrupt: Interrupt::new(),
            readers: IrpQueue::new(),
        })
    }

    fn start_device(
        device: &Device<Self>,
        irql: &mut Passive,
        resources: &Resources<'_>,
    ) -> Result<()> {
        let uart = Uart::map(irql, resources)?;
        let line = resources.interrupt()?;
        let pinned = device.pinned().project_ref();
        pinned.readers.initialize(device, irql)?;
        pinned
            .interrupt
            .connect(device, irql, &line, uart, |irql, uart| uart.enable(irql))?;
        Ok(())
    }

    fn stop_device(device: &Device<Self>, irql: &mut Passive, _why: Stop) -> Option<Packet> {
        device.interrupt.synchronize(irql, |_, uart| uart.silence());
        drop(device.interrupt.disconnect(irql));
        None
    }

    fn device_control(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        if let Err(error) = irp.expect_output::<u8>() {
            return irp.complete(irql, Err(error));
        }
        irp.pend(|irp| {
            // Refused while the device goes: the IRP comes back with the reason.
            if let Err(refused) = device.readers.insert(irql, irp) {
                refused.complete(irql);
            }
        })
    }
}

impl DpcForIsr for Reader {
    fn dpc_for_isr(device: &Device<Self>, irql: &mut Dispatch) {
        let Some(events) = device
            .interrupt
            .synchronize(irql, |_, uart| uart.take_events())
        else {
            return;
        };
        for _ in 0..events.received {
            let Some(mut irp) = device.readers.remove_next(irql) else {
                return;
            };
            let written = irp.write_output(&events.last);
            irp.complete(irql, written);
        }
    }
}

dirql::driver_entry!(Reader);

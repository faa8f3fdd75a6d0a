//! Row 8: timers. A one-shot timer gives an operation its deadline; the device's IoTimer, which
//! ticks about once a second, counts down what the ISR sets back.
//!
//! The full example is the test driver `timers`.

pub mod uart;

use dirql::{
    device::Device,
    driver::{DpcForIsr, Driver, Routines, Stop},
    interrupt::Interrupt,
    io_timer::IoTimer,
    irp::{Dispatched, Irp},
    irql::{Dispatch, Passive, UpToDispatch},
    resources::Resources,
    start_io::Packet,
    status::{NtError, Result},
    time::Due,
    timer::{CustomTimerDpc, Timer},
};
use uart::Uart;
use uuid::Uuid;

pin_project_lite::pin_project! {
    /// The device extension.
    #[derive(Debug)]
    pub struct Patient {
        #[pin]
        interrupt: Interrupt<Uart>,
        #[pin]
        deadline: Timer<Deadline>,
    }
}

impl Driver for Patient {
    const ROUTINES: Routines<Self> = Routines::new().dpc_for_isr().io_timer();

    const INTERFACE: Option<Uuid> = None;

    fn add_device(_irql: &mut Passive) -> Result<Self> {
        Ok(Self {
            interrupt: Interrupt::new(),
            deadline: Timer::new(),
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
        pinned.deadline.initialize(device, irql)?;
        pinned
            .interrupt
            .connect(device, irql, &line, uart, |irql, uart| uart.enable(irql))?;
        Ok(())
    }

    fn stop_device(device: &Device<Self>, irql: &mut Passive, _why: Stop) -> Option<Packet> {
        device.interrupt.synchronize(irql, |_, uart| uart.silence());
        device.stop_io_timer(irql);
        // Cancelled and flushed: afterwards the routine does not run.
        device.deadline.stop(irql);
        drop(device.interrupt.disconnect(irql));
        None
    }

    fn device_control(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        let sent = device
            .interrupt
            .synchronize(irql, |_, uart| uart.send(b'!', 2));
        let started = sent
            .ok_or(NtError::STATUS_DEVICE_NOT_READY)
            .and_then(|()| device.start_io_timer(irql))
            .and_then(|()| device.deadline.start_once(irql, Due::after_ms(1_500)));
        irp.complete(irql, started.map(|_was_pending| 0))
    }
}

/// Runs when the time is over.
#[derive(Debug)]
pub struct Deadline;

impl CustomTimerDpc for Deadline {
    type Extension = Patient;

    fn expired(device: &Device<Patient>, irql: &mut Dispatch) {
        device.interrupt.synchronize(irql, |_, uart| uart.silence());
    }
}

impl IoTimer for Patient {
    /// It may not stop itself: that takes a token that it has not got.
    fn io_timer(device: &Device<Self>, irql: &mut Dispatch) {
        let lost = device.interrupt.synchronize(irql, |_, uart| uart.tick());
        if lost == Some(true) {
            device.interrupt.synchronize(irql, |_, uart| uart.silence());
        }
    }
}

impl DpcForIsr for Patient {
    fn dpc_for_isr(device: &Device<Self>, irql: &mut Dispatch) {
        let events = device
            .interrupt
            .synchronize(irql, |_, uart| uart.take_events());
        if events.is_some_and(|events| events.sent > 0) {
            let _was_pending = device.deadline.cancel(irql);
        }
    }
}

dirql::driver_entry!(Patient);

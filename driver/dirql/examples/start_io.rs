//! Row 2: StartIo. It has one packet at a time, programs the device in one critical section, and
//! can be cancelled wherever its packet is: whoever takes the packet out completes it.
//!
//! The full example is the test driver `queues`.

pub mod uart;

use dirql::{
    device::Device,
    driver::{DpcForIsr, Driver, Routines, Stop},
    interrupt::Interrupt,
    irp::{Buffers, Dispatched, Irp},
    irql::{Dispatch, Passive, UpToDispatch},
    resources::Resources,
    spin_lock::SpinLock,
    start_io::{Packet, PacketId, Start, StartIo, TakeBack},
    status::Result,
};
use uart::Uart;
use uuid::Uuid;

pin_project_lite::pin_project! {
    /// The device extension.
    #[derive(Debug)]
    pub struct Sender {
        #[pin]
        interrupt: Interrupt<Uart>,
        // The packet in the device's hands. The ISR needs no packet, so this is no part of
        // what the interrupt owns.
        current: SpinLock<Option<Packet>>,
    }
}

impl Driver for Sender {
    const ROUTINES: Routines<Self> = Routines::new().start_io().take_back().dpc_for_isr();

    const INTERFACE: Option<Uuid> = None;

    fn add_device(_irql: &mut Passive) -> Result<Self> {
        Ok(Self {
            interrupt: Interrupt::new(),
            current: SpinLock::new(None),
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
        pinned
            .interrupt
            .connect(device, irql, &line, uart, |irql, uart| uart.enable(irql))?;
        Ok(())
    }

    fn stop_device(device: &Device<Self>, irql: &mut Passive, _why: Stop) -> Option<Packet> {
        device.interrupt.synchronize(irql, |_, uart| uart.silence());
        drop(device.interrupt.disconnect(irql));
        device.current.with(irql, |_, current| current.take())
    }

    /// As much as possible is done here, where the thread can be preempted. Short requests
    /// first: the length is the key.
    fn device_control(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        match irp.input::<[u8; 2]>() {
            Ok([length, _byte]) => {
                irp.pend(|irp| device.start_packet_by_key(irql, irp, u32::from(length)))
            }
            Err(error) => irp.complete(irql, Err(error)),
        }
    }
}

impl StartIo for Sender {
    fn start_io(device: &Device<Self>, irql: &mut Dispatch, packet: Packet) -> Start {
        let byte = match packet.input::<[u8; 2]>() {
            Ok([_length, byte]) => byte,
            Err(error) => {
                packet.fail(irql, error);
                return Start::Accepted;
            }
        };
        let before = device
            .current
            .with(irql, |_, current| current.replace(packet));
        debug_assert!(before.is_none(), "packets come one at a time");
        let sent = device
            .interrupt
            .synchronize(irql, |_, uart| uart.send(byte, 0));
        // Not connected: the device is stopped, and the packet waits until it is not.
        let refused = match sent {
            Some(()) => None,
            None => device.current.with(irql, |_, current| current.take()),
        };
        refused.map_or(Start::Accepted, Start::Refused)
    }
}

impl TakeBack for Sender {
    /// The request is cancelled, or its file closed: it is given back if it is still here.
    fn take_back(device: &Device<Self>, irql: &mut UpToDispatch, id: PacketId) -> Option<Packet> {
        device.current.with(irql, |_, current| {
            current.take_if(|packet| packet.id() == id)
        })
    }
}

impl DpcForIsr for Sender {
    fn dpc_for_isr(device: &Device<Self>, irql: &mut Dispatch) {
        let events = device
            .interrupt
            .synchronize(irql, |_, uart| uart.take_events());
        if events.is_none_or(|events| events.sent == 0) {
            return;
        }
        if let Some(packet) = device.current.with(irql, |_, current| current.take()) {
            // Shortest first, from here on.
            packet.complete_by_key(irql, 0, Ok([0_u8; 0]));
        }
    }
}

dirql::driver_entry!(Sender);

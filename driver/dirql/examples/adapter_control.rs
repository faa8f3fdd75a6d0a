//! Row 6: AdapterControl. The packet's buffer is mapped part by part, as the map registers go
//! round; each part is given to the device in one critical section and flushed when its
//! interrupt has come. The packet cannot be completed in between: the mapping owns it.
//!
//! The full example, with scatter/gather lists and a common buffer, is the test driver `dma`.

pub mod uart;

use dirql::{
    device::Device,
    dma::{
        Action, AdapterControl, DmaAdapter, DmaDescription, Grant, MapRegisters, Mapped, Refused,
    },
    driver::{DirectIo, DpcForIsr, Driver, Routines, Stop},
    interrupt::Interrupt,
    irp::{Dispatched, Irp},
    irql::{Dispatch, Passive, UpToDispatch, at_dispatch},
    resources::Resources,
    spin_lock::SpinLock,
    start_io::{Packet, Start, StartIo},
    status::{NtError, Result},
};
use uart::Uart;
use uuid::Uuid;

/// Bytes that the device sends in one go.
const MOST: u32 = 4096;

pin_project_lite::pin_project! {
    /// The device extension.
    #[derive(Debug)]
    pub struct Writer {
        #[pin]
        interrupt: Interrupt<Uart>,
        #[pin]
        adapter: DmaAdapter,
        // The part that the device reads, and in it the packet.
        under_way: SpinLock<Option<Mapped<Packet>>>,
    }
}

impl Driver for Writer {
    const ROUTINES: Routines<Self> = Routines::new().start_io().dpc_for_isr().direct_io();

    const INTERFACE: Option<Uuid> = None;

    fn add_device(_irql: &mut Passive) -> Result<Self> {
        Ok(Self {
            interrupt: Interrupt::new(),
            adapter: DmaAdapter::new(),
            under_way: SpinLock::new(None),
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
        let description = DmaDescription {
            address_width: 32,
            maximum_length: MOST,
            scatter_gather: false,
        };
        pinned.adapter.open(device, irql, &description)?;
        pinned
            .interrupt
            .connect(device, irql, &line, uart, |irql, uart| uart.enable(irql))?;
        Ok(())
    }

    fn stop_device(device: &Device<Self>, irql: &mut Passive, _why: Stop) -> Option<Packet> {
        // The device reads no memory any more,
        device.interrupt.synchronize(irql, |_, uart| uart.silence());
        drop(device.interrupt.disconnect(irql));
        // so what it was reading can be taken from it.
        let mapped = device.under_way.with(irql, |_, under_way| under_way.take());
        let packet = mapped.map(|mapped| at_dispatch(irql, |irql| mapped.abort(irql).free(irql)));
        device.adapter.close(irql);
        packet
    }

    fn device_control(_device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        irp.complete(irql, Err(NtError::STATUS_INVALID_DEVICE_REQUEST))
    }
}

impl DirectIo for Writer {
    fn write(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        irp.pend(|irp| device.start_packet(irql, irp))
    }
}

impl StartIo for Writer {
    fn start_io(device: &Device<Self>, irql: &mut Dispatch, packet: Packet) -> Start {
        let adapter = device.pinned().project_ref().adapter;
        match adapter.allocate_channel::<Send>(device, irql, packet) {
            Ok(()) => Start::Accepted,
            Err(Refused {
                request,
                error: NtError::STATUS_DEVICE_NOT_READY,
            }) => Start::Refused(request),
            Err(Refused { request, error }) => {
                request.fail(irql, error);
                Start::Accepted
            }
        }
    }
}

/// The map registers are there.
#[derive(Debug)]
pub struct Send;

impl AdapterControl for Send {
    type Extension = Writer;
    type Request = Packet;

    fn adapter_control(
        device: &Device<Writer>,
        irql: &mut Dispatch,
        grant: Grant<Packet>,
    ) -> Action {
        let (registers, action) = grant.keep();
        send_next(device, irql, registers);
        action
    }
}

/// Gives the device the next part, or completes the packet if there is none.
fn send_next(device: &Device<Writer>, irql: &mut Dispatch, registers: MapRegisters<Packet>) {
    let mapped = match registers.map(irql, usize::try_from(MOST).unwrap_or(usize::MAX)) {
        Ok(mapped) => mapped,
        Err((registers, _nothing_remains)) => {
            let transferred = registers.transferred();
            let packet = registers.free(irql);
            packet.complete_transfer(irql, Ok(transferred));
            return;
        }
    };
    let (memory, length) = (mapped.address(), mapped.length());
    // Before the device is told: the interrupt may come at once.
    let before = device
        .under_way
        .with(irql, |_, under_way| under_way.replace(mapped));
    debug_assert!(before.is_none(), "packets come one at a time");
    let sent = device
        .interrupt
        .synchronize(irql, |_, uart| uart.send_from(memory, length));
    if sent.is_some() {
        return;
    }
    // The device is being stopped: whoever takes the part out ends it.
    let mapped = device.under_way.with(irql, |_, under_way| under_way.take());
    if let Some(mapped) = mapped {
        let packet = mapped.abort(irql).free(irql);
        packet.fail(irql, NtError::STATUS_DEVICE_NOT_READY);
    }
}

impl DpcForIsr for Writer {
    /// The device has done with its part: flushed first, then looked at.
    fn dpc_for_isr(device: &Device<Self>, irql: &mut Dispatch) {
        let events = device
            .interrupt
            .synchronize(irql, |_, uart| uart.take_events());
        if events.is_none_or(|events| events.sent == 0) {
            return;
        }
        let mapped = device.under_way.with(irql, |_, under_way| under_way.take());
        let Some(mapped) = mapped else {
            return;
        };
        match mapped.flush(irql) {
            (registers, Ok(())) => send_next(device, irql, registers),
            (registers, Err(error)) => registers.free(irql).fail(irql, error),
        }
    }
}

dirql::driver_entry!(Writer);

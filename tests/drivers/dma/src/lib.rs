//! Reads and writes of a device's buffer by DMA.
//!
//! | request | way |
//! |---|---|
//! | read, write | StartIo asks for the channel; AdapterControl maps what the map registers cover and programs the device; DpcForIsr flushes, maps the next part, and completes after the last |
//! | direct control codes | a list routine keeps the scatter/gather list; the device takes it piece by piece; DpcForIsr puts it and gets the next |
//! | checks | a common buffer, and the processor's own copies of a locked buffer |
//!
//! The device has one DMA engine, for which all of them line up (`engine`). Nothing is
//! completed before its memory is out of the device's reach: the types have it so.

#![no_std]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::float_arithmetic,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]
#![forbid(unsafe_code)]

#[cfg(not(windows))]
extern crate std;

mod channel;
mod checks;
mod copies;
mod engine;
mod list;
mod shared;

use dirql::{
    device::Device,
    dma::{CommonBuffer, DmaAdapter, DmaDescription},
    driver::{DirectIo, DpcForIsr, Driver, Routines, Stop},
    interrupt::Interrupt,
    irp::{Buffers, Dispatched, Irp},
    irql::{Dispatch, Passive, UpToDispatch},
    resources::Resources,
    spin_lock::SpinLock,
    start_io::{Packet, Start, StartIo},
    status::{NtError, Result},
};
use test_driver::EduBar;
use test_protocol::{COPY_IN, COPY_OUT, LIST_READ, LIST_WRITE};
use uuid::Uuid;

use engine::Engine;
use shared::Shared;

/// Bytes of the device's own buffer that it lets be reached: a transfer that ends where
/// the buffer does stops QEMU up to version 9.0.
pub(crate) const DEVICE_BUFFER: usize = 4095;
/// Bytes of the common buffer.
const COMMON_BUFFER: usize = 1000;
/// Address bits that the device has.
const ADDRESS_WIDTH: u32 = 28;

pin_project_lite::pin_project! {
    /// The device extension.
    #[derive(Debug)]
    struct Dma {
        #[pin]
        interrupt: Interrupt<Shared>,
        // For AdapterControl: the device takes one piece.
        #[pin]
        channel: DmaAdapter,
        // For lists: the driver gives the device piece after piece.
        #[pin]
        lists: DmaAdapter,
        #[pin]
        common: CommonBuffer<COMMON_BUFFER>,
        engine: SpinLock<Engine>,
    }
}

impl Driver for Dma {
    const ROUTINES: Routines<Self> = Routines::new().start_io().dpc_for_isr().direct_io();

    const INTERFACE: Option<Uuid> =
        Some(Uuid::from_u128(0x6b5f_9d7a_0a0e_4bb1_8f6e_5f8d_2f1c_0006));

    fn add_device(_irql: &mut Passive) -> Result<Self> {
        Ok(Self {
            interrupt: Interrupt::new(),
            channel: DmaAdapter::new(),
            lists: DmaAdapter::new(),
            common: CommonBuffer::new(),
            engine: SpinLock::new(Engine::new()),
        })
    }

    fn start_device(
        device: &Device<Self>,
        irql: &mut Passive,
        resources: &Resources<'_>,
    ) -> Result<()> {
        let bar = EduBar::map(irql, &resources.memory(0)?)?;
        let this = device.pinned().project_ref();
        let mut description = DmaDescription {
            address_width: ADDRESS_WIDTH,
            maximum_length: u32::try_from(DEVICE_BUFFER)
                .map_err(|_| NtError::STATUS_INVALID_PARAMETER)?,
            scatter_gather: false,
        };
        let granted = this.channel.open(device, irql, &description)?;
        description.scatter_gather = true;
        this.lists.open(device, irql, &description)?;
        this.common.allocate(device, irql, this.channel)?;
        let line = resources.interrupt()?;
        this.interrupt
            .connect(device, irql, &line, Shared::new(bar), |_, _| ())?;
        device.engine.with(irql, |_, engine| engine.open(granted));
        Ok(())
    }

    fn stop_device(device: &Device<Self>, irql: &mut Passive, why: Stop) -> Option<Packet> {
        engine::stop(device, irql, why);
        device
            .interrupt
            .synchronize(irql, |_, shared| shared.silence());
        drop(device.interrupt.disconnect(irql));
        device.common.free(irql);
        device.lists.close(irql);
        device.channel.close(irql);
        engine::take_returned(device, irql)
    }

    fn device_control(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        match irp.control_code() {
            Some(LIST_READ | LIST_WRITE) => list::dispatch(device, irql, irp),
            Some(COPY_IN) => copies::copy_in(irql, irp),
            Some(COPY_OUT) => copies::copy_out(irql, irp),
            _ => test_driver::answer(irql, irp, |irql, number, arguments| {
                checks::run(device, irql, number, arguments)
            }),
        }
    }
}

impl DirectIo for Dma {
    fn read(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        channel::dispatch(device, irql, irp)
    }

    fn write(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        channel::dispatch(device, irql, irp)
    }
}

impl StartIo for Dma {
    fn start_io(device: &Device<Self>, irql: &mut Dispatch, packet: Packet) -> Start {
        channel::start(device, irql, packet)
    }
}

impl DpcForIsr for Dma {
    fn dpc_for_isr(device: &Device<Self>, irql: &mut Dispatch) {
        let done = device
            .interrupt
            .synchronize(irql, |_, shared| shared.take_done());
        if done == Some(true) {
            engine::step_done(device, irql);
        }
    }
}

dirql::driver_entry!(Dma);

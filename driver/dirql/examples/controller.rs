//! Row 7: ControllerControl. Two device objects share one piece of hardware; the controller
//! object says whose turn it is, and the routine that has the turn programs the hardware in a
//! critical section. Only a driver without PnP may have one.
//!
//! The full example is the test driver `controller`.

pub mod uart;

use dirql::{
    interrupt::Interrupt,
    irp::{Dispatched, Irp},
    irql::{Dispatch, Passive, UpToDispatch},
    legacy::{
        AllocatedController, Allocation, Controller, DeviceName, HardwareResources, KeptController,
        LegacyDevice, LegacyDriver, PciId,
    },
    registry::ServiceKey,
    spin_lock::SpinLock,
    start_io::Packet,
    status::Result,
    unicode,
};
use uart::Uart;

/// The extension of each device object.
#[derive(Debug)]
pub struct Unit {
    byte: u8,
}

pin_project_lite::pin_project! {
    /// The controller extension, which the device objects share.
    #[derive(Debug)]
    pub struct Hardware {
        #[pin]
        interrupt: Interrupt<Uart>,
        // Whose turn it is, from ControllerControl to DpcForIsr.
        turn: SpinLock<Option<Turn>>,
    }
}

/// A turn that lasts until an interrupt.
#[derive(Debug)]
struct Turn {
    controller: KeptController,
    packet: Packet,
}

impl LegacyDriver for Unit {
    type Controller = Hardware;

    const HARDWARE: PciId = PciId {
        vendor: 0x1234,
        device: 0x5678,
    };

    const DEVICES: &'static [DeviceName] = &[
        DeviceName {
            device: unicode!(r"\Device\Uart0"),
            link: unicode!(r"\DosDevices\Uart0"),
        },
        DeviceName {
            device: unicode!(r"\Device\Uart1"),
            link: unicode!(r"\DosDevices\Uart1"),
        },
    ];

    fn driver_entry(_irql: &mut Passive, _service: &ServiceKey<'_>) -> Result<Hardware> {
        Ok(Hardware {
            interrupt: Interrupt::new(),
            turn: SpinLock::new(None),
        })
    }

    fn create_device(_irql: &mut Passive, number: usize) -> Result<Self> {
        let byte = if number == 0 { b'0' } else { b'1' };
        Ok(Self { byte })
    }

    fn start(
        controller: &Controller<Self>,
        irql: &mut Passive,
        resources: &HardwareResources<'_>,
    ) -> Result<()> {
        let memory = resources.memory(irql, 0)?;
        let line = resources.interrupt(irql)?;
        let uart = Uart::at(irql, &memory)?;
        let interrupt = controller.pinned().project_ref().interrupt;
        interrupt.connect_legacy(controller, irql, &line, uart, |irql, uart| {
            uart.enable(irql);
        })?;
        Ok(())
    }

    fn stop(controller: &Controller<Self>, irql: &mut Passive) {
        controller
            .interrupt
            .synchronize(irql, |_, uart| uart.silence());
        drop(controller.interrupt.disconnect(irql));
    }

    fn device_control(
        device: &LegacyDevice<Self>,
        irql: &mut UpToDispatch,
        irp: Irp,
    ) -> Dispatched {
        irp.pend(|irp| device.queue_packet(irql, irp))
    }

    /// A packet waits for its turn.
    fn start_io(device: &LegacyDevice<Self>, irql: &mut Dispatch, packet: Packet) {
        device.allocate_controller(irql, packet);
    }

    /// It is this device's turn, and stays so until the interrupt. What is not kept would
    /// be given back at once, by `controller.deallocate()`.
    fn controller_control(
        device: &LegacyDevice<Self>,
        irql: &mut Dispatch,
        controller: AllocatedController<'_>,
        packet: Packet,
    ) -> Allocation {
        let hardware = device.controller();
        controller.keep(|controller| {
            // Before the hardware is told: DpcForIsr may come at once.
            let before = hardware
                .turn
                .with(irql, |_, turn| turn.replace(Turn { controller, packet }));
            debug_assert!(before.is_none(), "turns come one at a time");
            hardware
                .interrupt
                .synchronize(irql, |_, uart| uart.send(device.byte, 0));
        })
    }

    fn dpc_for_isr(controller: &Controller<Self>, irql: &mut Dispatch) {
        let events = controller
            .interrupt
            .synchronize(irql, |_, uart| uart.take_events());
        if events.is_none_or(|events| events.sent == 0) {
            return;
        }
        if let Some(turn) = controller.turn.with(irql, |_, turn| turn.take()) {
            turn.controller.free(irql);
            turn.packet.complete(irql, Ok([0_u8; 0]));
        }
    }
}

dirql::legacy_driver_entry!(Unit);

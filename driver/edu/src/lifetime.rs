//! Adding, starting and stopping the device.

use dirql::{
    device::Device,
    driver::{Driver, Routines, Stop},
    file::FileObject,
    interrupt::Interrupt,
    irp::{Dispatched, Irp},
    irql::{Passive, UpToDispatch, at_dispatch},
    resources::Resources,
    spin_lock::SpinLock,
    start_io::Packet,
    status::{NtError, Result},
    time::{Due, Reading},
    timer::Timer,
    wait,
};
use edu_controller::Controller;
use edu_interface::{DEVICE_INTERFACE, Section};
use edu_requests::TICK_MS;
use uuid::Uuid;

use crate::{
    Edu, EduController, Kept,
    bar::{Bar, Shared},
    events::{self, Events},
    operations,
    power::silence,
    recorder::FlightRecorder,
    requests,
    transfers::{self, Transfers},
};

/// Longest time that a device may go on with what it was doing before the start. The
/// largest factorial takes it some seconds.
const QUIET_MS: u32 = 30_000;
/// How often a start looks whether the device is quiet.
const QUIET_POLL_MS: u32 = 5;
/// How many times in a row it must be: the interrupt of a factorial comes a moment
/// after the device has stopped computing.
const QUIET_POLLS: u32 = 4;

impl Driver for Edu {
    const ROUTINES: Routines<Self> = Routines::new()
        .start_io()
        .take_back()
        .dpc_for_isr()
        .direct_io()
        .power()
        .completing();

    const INTERFACE: Option<Uuid> = Some(DEVICE_INTERFACE);

    fn add_device(irql: &mut Passive) -> Result<Self> {
        Ok(Self {
            interrupt: Interrupt::new(),
            transfers: Transfers::new(),
            watchdog: Timer::new(),
            kept: SpinLock::new(Kept::default()),
            events: Events::new(irql)?,
            recorder: FlightRecorder::new(irql)?,
            added: Reading::now(),
        })
    }

    /// The controller is a plain value until `connect` gives it to the interrupt: the
    /// device has no reset, so it is silenced and waited for first.
    fn start_device(
        device: &Device<Self>,
        irql: &mut Passive,
        resources: &Resources<'_>,
    ) -> Result<()> {
        events::initialize(device, irql)?;
        let line = resources.interrupt()?;
        let bar = Bar::map(irql, &resources.memory(0)?)?;
        let counters = device.kept.with(irql, |_, kept| kept.counters);
        let mut controller = Controller::with_events(bar, counters, events::batch(irql)?);
        let identification = controller
            .identify()
            .ok_or(NtError::STATUS_NO_SUCH_DEVICE)?
            .value();
        device
            .kept
            .with(irql, |_, kept| kept.identification = identification);
        quiet(irql, &mut controller)?;
        transfers::open(device, irql)?;
        let shared = Shared(controller, device.recorder.clone());
        let pinned = device.pinned().project_ref();
        let dpc = pinned.transfers.project_ref().ended.ready();
        let dpc = dpc.ok_or(NtError::STATUS_DEVICE_NOT_READY)?;
        let info = pinned.interrupt.connect_with_dpcs(
            device,
            irql,
            &line,
            &[dpc],
            shared,
            |_, shared| {
                // Those who have waited for an event since before could not say so.
                shared.0.expect_event();
                shared.0.enable();
            },
        )?;
        device.kept.with(irql, |_, kept| kept.info = Some(info));
        pinned.watchdog.initialize(device, irql)?;
        device
            .watchdog
            .start_periodic(irql, Due::after_ms(TICK_MS), TICK_MS)?;
        transfers::resume(device, irql);
        Ok(())
    }

    fn stop_device(device: &Device<Self>, irql: &mut Passive, why: Stop) -> Option<Packet> {
        transfers::stop(device, irql, why);
        let under_way = silence(device, irql, Section::Pnp);
        device.watchdog.stop(irql);
        // The interrupt of a factorial that ended just then comes a little late, and a
        // line that nobody acknowledges would stay asserted.
        let _already_taken = silence(device, irql, Section::Pnp);
        // Of a device that sleeps the counters are with what was saved.
        let saved = device
            .interrupt
            .with_disconnected(irql, |saved| saved.counters);
        let mut left_in_device = None;
        if let Some(Shared(mut controller, _)) = device.interrupt.disconnect(irql) {
            // The DPC may not have come to what the ISR saved last.
            events::drain_disconnected(device, irql, &mut controller);
            if let Some(ended) = controller.drain() {
                at_dispatch(irql, |irql| operations::complete(irql, ended));
            }
            let mut counters = saved.unwrap_or_else(|| controller.counters());
            left_in_device = controller.into_transfer(&mut counters);
            device.kept.with(irql, |_, kept| {
                kept.counters = counters;
                kept.info = None;
                kept.asleep = false;
            });
        }
        transfers::close(device, irql, left_in_device);
        under_way
    }

    fn cleanup(device: &Device<Self>, irql: &mut UpToDispatch, file: FileObject) {
        transfers::clean_up(device, irql, file);
    }

    fn device_control(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        requests::device_control(device, irql, irp)
    }
}

/// Silences the device and waits out what it is still doing.
fn quiet(irql: &mut Passive, controller: &mut EduController) -> Result<()> {
    let mut waited_ms: u32 = 0;
    let mut quiet_polls: u32 = 0;
    while quiet_polls < QUIET_POLLS {
        if waited_ms >= QUIET_MS {
            return Err(NtError::STATUS_IO_TIMEOUT);
        }
        let nothing_under_way = controller.silence();
        debug_assert!(
            nothing_under_way.is_none(),
            "a new controller has no operation"
        );
        wait::delay(irql, QUIET_POLL_MS);
        waited_ms = waited_ms.saturating_add(QUIET_POLL_MS);
        quiet_polls = if controller.is_quiet() {
            quiet_polls.saturating_add(1)
        } else {
            0
        };
    }
    Ok(())
}

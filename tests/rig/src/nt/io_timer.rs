//! The timer that each device object can have: IoInitializeTimer, IoStartTimer, IoStopTimer.
//!
//! # Model
//! One tick a second for all: the clock of processor 0 queues a DPC of the executive's,
//! each second on the next processor, which calls the routines of all devices whose timer
//! is started. Stopping does not wait for a routine that runs; KeFlushQueuedDpcs does,
//! because a DPC runs it.
//!
//! # Soundness
//! 1. A registration is forgotten when its device object is deleted, and none is deleted
//!    while its routine runs: [`forget`] stops the run.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use wdk_sys::{KDPC, NTSTATUS, PDEVICE_OBJECT, PIO_TIMER_ROUTINE, PVOID};
use x86_64::instructions::interrupts::without_interrupts;

use crate::machine::cpu::{self, MAX_PROCESSORS};
use crate::machine::sync::IrqLock;
use crate::machine::time::system_time_100ns;
use crate::nt::callout::{Callback, call_out};
use crate::nt::device::Device;
use crate::nt::kernel_memory::allocate_object;
use crate::nt::routine::Routine;
use crate::nt::status::{STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS};
use crate::nt::violation::check;
use crate::nt::{address, dpc, fault};

/// From tick to tick, in 100 ns.
const SECOND: u64 = 10_000_000;

/// A device's timer.
#[derive(Clone, Copy)]
struct Registration {
    routine: PIO_TIMER_ROUTINE,
    context: usize,
    is_started: bool,
}

/// Registrations by the device object's address.
static REGISTRATIONS: IrqLock<BTreeMap<usize, Registration>> = IrqLock::new(BTreeMap::new());
/// The device whose routine each processor is in, by address; zero for none.
static RUNNING: [AtomicUsize; MAX_PROCESSORS] = [const { AtomicUsize::new(0) }; MAX_PROCESSORS];
/// When the next tick is due; zero before the first registration.
static NEXT_TICK: AtomicU64 = AtomicU64::new(0);
/// Ticks so far.
static TICKS: AtomicUsize = AtomicUsize::new(0);
/// The DPC of each processor, by address; zero before the first registration.
static DPCS: IrqLock<[usize; MAX_PROCESSORS]> = IrqLock::new([0; MAX_PROCESSORS]);

/// IoInitializeTimer.
pub(crate) unsafe extern "C" fn io_initialize_timer(
    device: PDEVICE_OBJECT,
    timer_routine: PIO_TIMER_ROUTINE,
    context: PVOID,
) -> NTSTATUS {
    let routine = Routine::IoInitializeTimer;
    routine.enter();
    let device = Device::expect(routine, device);
    if fault::strikes(routine) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let registration = Registration {
        routine: timer_routine,
        context: address::of(context),
        is_started: false,
    };
    let before = REGISTRATIONS.with(|all| all.insert(address::of(device.pointer()), registration));
    check!(
        Tmr05,
        routine,
        before.is_none(),
        "The IoTimer of the device object at {:p} is initialised a second time.",
        device.pointer()
    );
    begin_ticking();
    STATUS_SUCCESS
}

/// IoStartTimer.
pub(crate) unsafe extern "C" fn io_start_timer(device: PDEVICE_OBJECT) {
    set_started(Routine::IoStartTimer, device, true);
}

/// IoStopTimer.
pub(crate) unsafe extern "C" fn io_stop_timer(device: PDEVICE_OBJECT) {
    let routine = Routine::IoStopTimer;
    let running = without_interrupts(|| {
        RUNNING
            .get(cpu::current_processor())
            .map_or(0, |running| running.load(Ordering::Relaxed))
    });
    check!(
        Tmr05,
        routine,
        running == 0 || running != address::of(device),
        "The IoTimer of the device object at {device:p} is stopped by its own routine."
    );
    set_started(routine, device, false);
}

fn set_started(routine: Routine, device: PDEVICE_OBJECT, is_started: bool) {
    routine.enter();
    let known = REGISTRATIONS.with(|all| {
        all.get_mut(&address::of(device))
            .map(|registration| registration.is_started = is_started)
    });
    check!(
        Tmr05,
        routine,
        known.is_some(),
        "The device object at {device:p} has no IoTimer."
    );
}

/// Sees to the clock and the DPCs, once.
fn begin_ticking() {
    let first = system_time_100ns() + SECOND;
    if NEXT_TICK
        .compare_exchange(0, first, Ordering::AcqRel, Ordering::Relaxed)
        .is_err()
    {
        return;
    }
    let mut dpcs = [0; MAX_PROCESSORS];
    for (processor, slot) in dpcs.iter_mut().enumerate().take(cpu::processor_count()) {
        let object = allocate_object::<KDPC>().as_ptr();
        // SAFETY: Memory for a DPC that nobody else knows.
        unsafe { dpc::initialize_of_executive(object, processor, tick) };
        *slot = address::of(object);
    }
    DPCS.with(|all| *all = dpcs);
}

/// The clock interrupt's part, on processor 0.
pub(crate) fn clock() {
    let next = NEXT_TICK.load(Ordering::Acquire);
    if cpu::current_processor() != 0 || next == 0 || system_time_100ns() < next {
        return;
    }
    NEXT_TICK.store(next + SECOND, Ordering::Release);
    if REGISTRATIONS.with(|all| all.is_empty()) {
        // After the driver's unload its DPCs are forgotten, and these with them.
        return;
    }
    let turn = TICKS.fetch_add(1, Ordering::Relaxed) % cpu::processor_count();
    let object = DPCS.with(|all| all.get(turn).copied().unwrap_or_default());
    if object != 0 {
        // One that is still queued from the tick before runs once for both.
        let _inserted: bool = dpc::insert(
            "IoTimer",
            address::to_pointer(object),
            null_mut(),
            null_mut(),
            dpc::Source::Executive,
        );
    }
}

/// The DPC: calls the routines of all devices whose timer is started.
unsafe extern "C" fn tick(_dpc: *mut KDPC, _context: PVOID, _argument1: PVOID, _argument2: PVOID) {
    let devices: Vec<usize> = REGISTRATIONS.with(|all| all.keys().copied().collect());
    let running = &RUNNING[cpu::current_processor() % MAX_PROCESSORS];
    for device in devices {
        let started = REGISTRATIONS.with(|all| {
            let registration = all.get(&device).filter(|found| found.is_started)?;
            // Under the lock: whoever deletes the device finds it running from here on.
            running.store(device, Ordering::Release);
            Some(*registration)
        });
        let Some(registration) = started else {
            continue;
        };
        if let Some(routine) = registration.routine {
            let object: PDEVICE_OBJECT = address::to_pointer(device);
            let context = address::to_pointer(registration.context);
            // SAFETY: The driver gave the routine to IoInitializeTimer for exactly this
            // call, at DISPATCH_LEVEL; by fact 1 the device object is there.
            call_out(Callback::IoTimer, || unsafe { routine(object, context) });
        }
        running.store(0, Ordering::Release);
    }
}

/// Forgets the registration of a device object that is being deleted.
pub(crate) fn forget(routine: &str, device: Device) {
    let object = address::of(device.pointer());
    REGISTRATIONS.with(|all| all.remove(&object));
    let processor = RUNNING
        .iter()
        .position(|running| running.load(Ordering::Acquire) == object);
    check!(
        Dpc08,
        routine,
        processor.is_none(),
        "The IoTimer routine of the device object at {:p} runs on processor {}.",
        device.pointer(),
        processor.unwrap_or_default()
    );
}

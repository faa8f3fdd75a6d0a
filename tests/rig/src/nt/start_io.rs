//! The device queue: IoStartPacket, IoStartNextPacket, IoSetStartIoAttributes.
//!
//! # Model
//! ```text
//! idle --IoStartPacket--> busy (StartIo with that IRP)
//! busy --IoStartPacket--> busy (queued)
//! busy --IoStartNextPacket--> busy (StartIo with the next) | idle (none waits)
//! ```
//! `DeviceObject->CurrentIrp` is the IRP that StartIo was given last, null when idle.
//!
//! The queue is the executive's own and not linked through the IRPs: drivers that
//! reach into `DeviceObject->DeviceQueue` themselves need routines that no driver
//! here imports.

use alloc::collections::{BTreeMap, VecDeque};

use wdk_sys::{BOOLEAN, PDEVICE_OBJECT, PDRIVER_CANCEL, PIRP, PULONG, ULONG};

use crate::machine::cpu;
use crate::machine::log::log;
use crate::machine::sync::IrqLock;
use crate::nt::callout::{Callback, call_out};
use crate::nt::device::Device;
use crate::nt::irp::{Irp, ledger};
use crate::nt::irql::{DISPATCH_LEVEL, raised};
use crate::nt::routine::Routine;
use crate::nt::violation::check;
use crate::nt::{address, cancel, load};

/// A device's queue.
#[derive(Default)]
struct Queue {
    /// The IRP that StartIo was given last; none while the device is idle.
    current: Option<usize>,
    waiting: VecDeque<Waiting>,
    deferred: bool,
    non_cancelable: bool,
    /// IoStartNextPacket was called while StartIo had not returned, with this
    /// value of Cancelable.
    deferred_call: Option<bool>,
    /// StartIo is being called, under deferral.
    in_start_io: bool,
}

/// A packet that waits.
struct Waiting {
    key: ULONG,
    irp: Irp,
}

/// Queues of the devices that have started a packet or set attributes.
static QUEUES: IrqLock<BTreeMap<usize, Queue>> = IrqLock::new(BTreeMap::new());

/// Runs `routine` on a device's queue.
fn with_queue<R>(device: Device, routine: impl FnOnce(&mut Queue) -> R) -> R {
    QUEUES.with(|queues| routine(queues.entry(address::of(device.pointer())).or_default()))
}

/// Forgets a device's queue: the device is being deleted.
pub(crate) fn forget(device: Device) {
    QUEUES.with(|queues| queues.remove(&address::of(device.pointer())));
}

/// IoSetStartIoAttributes.
pub(crate) unsafe extern "C" fn io_set_start_io_attributes(
    device: PDEVICE_OBJECT,
    deferred: BOOLEAN,
    non_cancelable: BOOLEAN,
) {
    let routine = Routine::IoSetStartIoAttributes;
    routine.enter();
    with_queue(Device::expect(routine, device), |queue| {
        queue.deferred = deferred != 0;
        queue.non_cancelable = non_cancelable != 0;
    });
}

/// IoStartPacket.
pub(crate) unsafe extern "C" fn io_start_packet(
    device: PDEVICE_OBJECT,
    irp: PIRP,
    key: PULONG,
    cancel_routine: PDRIVER_CANCEL,
) {
    let routine = Routine::IoStartPacket;
    routine.enter();
    let device = Device::expect(routine, device);
    let irp = ledger::live(routine.name(), irp);
    assert_has_start_io(routine, device);
    let key = if key.is_null() {
        None
    } else {
        // SAFETY: (Pointer) not null, so it is a variable of the driver's.
        Some(unsafe { key.read() })
    };
    raised(DISPATCH_LEVEL, || {
        // The cancel lock guards the queue for those who may cancel, and spans the
        // step from "set" to "queued or current".
        let old_irql = cancel_routine.map(|_| cancel::acquire(routine));
        if let Some(cancel_routine) = cancel_routine {
            cancel::set_routine(&irp, cancel_routine);
        }
        let is_current = begin_or_queue(routine, device, &irp, key);
        match (is_current, old_irql) {
            (true, old_irql) => {
                if let Some(old_irql) = old_irql {
                    cancel::release(routine, old_irql);
                }
                start_io(device, irp.clone());
            }
            (false, Some(old_irql)) => release_or_cancel(routine, &irp, old_irql),
            (false, None) => {}
        }
    });
}

/// Makes the IRP the current one when the device is idle, else queues it.
fn begin_or_queue(routine: Routine, device: Device, irp: &Irp, key: Option<ULONG>) -> bool {
    assert_current_untouched(routine, device);
    with_queue(device, |queue| {
        if queue.current.is_none() {
            make_current(device, queue, Some(irp));
            return true;
        }
        let waiting = Waiting {
            key: key.unwrap_or_default(),
            irp: irp.clone(),
        };
        let position = match key {
            None | Some(0) => queue.waiting.len(),
            Some(key) => queue
                .waiting
                .iter()
                .position(|other| other.key > key)
                .unwrap_or(queue.waiting.len()),
        };
        queue.waiting.insert(position, waiting);
        false
    })
}

/// Gives up the cancel lock after queueing; an IRP that was cancelled before it
/// had a cancel routine is cancelled now.
fn release_or_cancel(routine: Routine, irp: &Irp, old_irql: u8) {
    let cancel_routine = if irp.cancel() == 0 {
        None
    } else {
        cancel::take_routine(irp)
    };
    match cancel_routine {
        None => cancel::release(routine, old_irql),
        Some(cancel_routine) => {
            irp.set_cancel_irql(old_irql);
            cancel::call(irp, cancel_routine, old_irql);
        }
    }
}

/// IoStartNextPacket.
pub(crate) unsafe extern "C" fn io_start_next_packet(device: PDEVICE_OBJECT, cancelable: BOOLEAN) {
    let routine = Routine::IoStartNextPacket;
    routine.enter();
    let irql = cpu::irql();
    check!(
        Sio02,
        routine,
        irql == DISPATCH_LEVEL,
        "IoStartNextPacket was called at IRQL {irql}."
    );
    let device = Device::expect(routine, device);
    assert_has_start_io(routine, device);
    let cancelable = cancelable != 0;
    let (is_deferred, is_second) = with_queue(device, |queue| {
        let is_deferred = queue.deferred && queue.in_start_io;
        let earlier = if is_deferred {
            queue.deferred_call.replace(cancelable)
        } else {
            None
        };
        (is_deferred, earlier.is_some())
    });
    check!(
        Sio02,
        routine,
        !is_second,
        "IoStartNextPacket was called twice for one packet."
    );
    if !is_deferred && let Some(irp) = take_next(routine, device, cancelable) {
        start_io(device, irp);
    }
}

/// Makes the next packet the current one, if one waits.
fn take_next(routine: Routine, device: Device, cancelable: bool) -> Option<Irp> {
    let old_irql = cancelable.then(|| cancel::acquire(routine));
    assert_current_untouched(routine, device);
    let was_busy = with_queue(device, |queue| queue.current.is_some());
    check!(
        Sio02,
        routine,
        was_busy,
        "IoStartNextPacket was called for a device whose queue is idle."
    );
    let next = with_queue(device, |queue| {
        let next = queue.waiting.pop_front().map(|waiting| waiting.irp);
        make_current(device, queue, next.as_ref());
        next
    });
    if let Some(old_irql) = old_irql {
        cancel::release(routine, old_irql);
    }
    next
}

/// Sets CurrentIrp. The queue's lock is held.
fn make_current(device: Device, queue: &mut Queue, irp: Option<&Irp>) {
    let pointer = irp.map_or(core::ptr::null_mut(), Irp::pointer);
    queue.current = irp.map(|irp| address::of(irp.pointer()));
    device.set_current_irp(pointer);
    if queue.non_cancelable
        && let Some(irp) = irp
    {
        // The driver said that what StartIo has is not cancelled any more.
        let _cleared = cancel::take_routine(irp);
    }
}

/// Calls StartIo; with deferral, again for the packet that IoStartNextPacket would
/// have started meanwhile.
fn start_io(device: Device, irp: Irp) {
    let mut next = Some(irp);
    while let Some(irp) = next {
        with_queue(device, |queue| queue.in_start_io = queue.deferred);
        call_start_io(device, &irp);
        // Not `with_queue`: the device may be gone by now, and its queue with it.
        let deferred_call = QUEUES.with(|queues| {
            let queue = queues.get_mut(&address::of(device.pointer()))?;
            queue.in_start_io = false;
            queue.deferred_call.take()
        });
        next = deferred_call
            .and_then(|cancelable| take_next(Routine::IoStartNextPacket, device, cancelable));
    }
}

/// Calls StartIo once.
fn call_start_io(device: Device, irp: &Irp) {
    let Some(routine) = load::driver_object(device.driver()).and_then(|driver| driver.start_io())
    else {
        return;
    };
    // SAFETY: (Caller) the driver put the routine into its driver object to be
    // called so, at DISPATCH_LEVEL. (Pointer) `device` was found; the IRP is
    // alive: `irp` holds it.
    call_out(Callback::StartIo, || unsafe {
        routine(device.pointer(), irp.pointer());
    });
}

/// Checks that the driver has a StartIo routine.
fn assert_has_start_io(routine: Routine, device: Device) {
    let has_start_io =
        load::driver_object(device.driver()).is_some_and(|driver| driver.start_io().is_some());
    check!(
        Sio01,
        routine,
        has_start_io,
        "{routine:?} was called by a driver without a StartIo routine."
    );
}

/// Checks that the driver left CurrentIrp alone.
fn assert_current_untouched(routine: Routine, device: Device) {
    let (expected, found) = with_queue(device, |queue| {
        (
            queue.current.unwrap_or_default(),
            address::of(device.current_irp()),
        )
    });
    check!(
        Sio06,
        routine,
        expected == found,
        "CurrentIrp of {:p} was {expected:#x} and is {found:#x}: the driver wrote it.",
        device.pointer()
    );
}

/// Writes the state of every device queue to the log, for a run that hangs.
pub(crate) fn describe() {
    QUEUES.with(|queues| {
        for (device, queue) in queues.iter() {
            log!(
                "The device queue of {device:#x}: {}, current IRP {:#x}, {} waiting, StartIo {}.",
                if queue.current.is_some() {
                    "busy"
                } else {
                    "idle"
                },
                queue.current.unwrap_or_default(),
                queue.waiting.len(),
                if queue.in_start_io {
                    "running"
                } else {
                    "not running"
                }
            );
        }
    });
}

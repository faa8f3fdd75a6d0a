//! The device queue and StartIo: IoStartPacket, IoStartNextPacket and its form by key,
//! IoSetStartIoAttributes.
//!
//! # Model
//! ```text
//! idle --IoStartPacket--> busy (StartIo with that IRP)
//! busy --IoStartPacket--> busy (queued)
//! busy --IoStartNextPacket--> busy (StartIo with the next) | idle (none waits)
//! ```
//! `DeviceObject->CurrentIrp` is the IRP that StartIo was given last, null when idle.
//! What waits is in the device object's own queue ([`device_queue`]), so a driver can
//! take a cancelled IRP out of it with KeRemoveEntryDeviceQueue.

use alloc::collections::BTreeMap;
use core::mem::offset_of;

use arrayvec::ArrayVec;
use wdk_sys::{
    BOOLEAN, IRP, KDEVICE_QUEUE_ENTRY, PDEVICE_OBJECT, PDRIVER_CANCEL, PIRP, PULONG, ULONG,
};

use crate::machine::cpu;
use crate::machine::log::log;
use crate::machine::sync::IrqLock;
use crate::nt::callout::{Callback, call_out};
use crate::nt::device::Device;
use crate::nt::irp::{Irp, ledger};
use crate::nt::irql::{DISPATCH_LEVEL, raised};
use crate::nt::routine::Routine;
use crate::nt::violation::check;
use crate::nt::{address, cancel, device_queue, load, pnp};

/// What the executive keeps beside a device's queue.
#[derive(Default)]
struct Queue {
    /// The IRP that StartIo was given last; none while the device is idle.
    current: Option<Current>,
    deferred: bool,
    non_cancelable: bool,
    /// IoStartNextPacket was called while StartIo had not returned, and for what.
    deferred_call: Option<Next>,
    /// StartIo is being called, under deferral.
    in_start_io: bool,
    /// One bit for each processor that is in StartIo.
    processors: u64,
}

/// The packet in StartIo's hands.
#[derive(Clone, Copy)]
struct Current {
    irp: usize,
    /// It was started with a cancel routine.
    is_cancelable: bool,
    /// IoStartNextPacket was called for it.
    is_over: bool,
}

/// Which packet is to be the next one.
#[derive(Clone, Copy)]
struct Next {
    is_cancelable: bool,
    key: Option<ULONG>,
}

/// Queues of the devices that have started a packet or set attributes.
static QUEUES: IrqLock<BTreeMap<usize, Queue>> = IrqLock::new(BTreeMap::new());

/// Runs `routine` on a device's queue.
fn with_queue<R>(device: Device, routine: impl FnOnce(&mut Queue) -> R) -> R {
    QUEUES.with(|queues| routine(queues.entry(address::of(device.pointer())).or_default()))
}

/// Forgets a device's queue: the device is being deleted. Every packet must have led to
/// a call of IoStartNextPacket by then, which leaves the queue idle.
pub(crate) fn forget(routine: Routine, device: Device) {
    let queue = QUEUES.with(|queues| queues.remove(&address::of(device.pointer())));
    let current = queue.and_then(|queue| queue.current);
    let waiting = device_queue::forget(device.queue_address());
    check!(
        Sio05,
        routine,
        current.is_none() && waiting == 0,
        "The device object is deleted while its queue is busy with the IRP {:#x}, behind which {waiting} wait: nobody called IoStartNextPacket for it.",
        current.map_or(0, |current| current.irp)
    );
}

/// Whether this IRP is its device's CurrentIrp, and IoStartNextPacket was not called for
/// it: a call that is deferred until StartIo returns leaves CurrentIrp as it is.
pub(crate) fn is_current(irp: &Irp) -> bool {
    let irp = address::of(irp.pointer());
    QUEUES.with(|queues| {
        queues
            .values()
            .filter_map(|queue| queue.current)
            .any(|current| current.irp == irp && !current.is_over)
    })
}

/// Some of the packets that drivers have started and that were given a cancel routine, as
/// many as there is room for: those in StartIo's hands, and of those that wait others each
/// turn.
pub(crate) fn some_cancelable_packets<const ROOM: usize>(turn: usize) -> ArrayVec<usize, ROOM> {
    let mut packets = ArrayVec::new();
    let devices: alloc::vec::Vec<usize> = QUEUES.with(|queues| {
        let current = queues
            .values()
            .filter_map(|queue| queue.current.filter(|current| current.is_cancelable))
            .map(|current| current.irp);
        packets.extend(current.take(ROOM));
        queues.keys().copied().collect()
    });
    for device in devices {
        if let Some(device) = Device::find(address::to_pointer(device)) {
            device_queue::look_at_some(
                device.queue_address(),
                turn,
                packets.remaining_capacity(),
                |entry| packets.push(irp_of_entry(entry)),
            );
        }
    }
    packets
}

/// Whether this is such a packet.
pub(crate) fn is_cancelable_packet(packet: usize) -> bool {
    let (devices, is_current): (alloc::vec::Vec<usize>, bool) = QUEUES.with(|queues| {
        let is_current = queues
            .values()
            .filter_map(|queue| queue.current)
            .any(|current| current.is_cancelable && current.irp == packet);
        (queues.keys().copied().collect(), is_current)
    });
    is_current
        || devices
            .into_iter()
            .filter_map(|device| Device::find(address::to_pointer(device)))
            .any(|device| {
                device_queue::has_cancelable(device.queue_address(), packet + ENTRY_OFFSET)
            })
}

/// Where an IRP's entry in a device queue is.
const ENTRY_OFFSET: usize = offset_of!(IRP, Tail);

/// The address of an IRP's queue entry.
pub(crate) fn entry_of(irp: &Irp) -> usize {
    // The first member of the overlay, whose layout the tests of the ABI compare.
    const { assert!(size_of::<KDEVICE_QUEUE_ENTRY>() == 24) };
    address::of(irp.pointer()) + ENTRY_OFFSET
}

/// The address of the IRP that an entry is part of.
fn irp_of_entry(entry: usize) -> usize {
    entry - ENTRY_OFFSET
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
    irp.assert_marked_pending(routine);
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
        let is_current = begin_or_queue(routine, device, &irp, key, cancel_routine.is_some());
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

/// Makes the IRP the current one when the device is idle, else queues it. A key of zero
/// is none.
fn begin_or_queue(
    routine: Routine,
    device: Device,
    irp: &Irp,
    key: Option<ULONG>,
    is_cancelable: bool,
) -> bool {
    assert_current_untouched(routine, device);
    let queue = device.queue_address();
    let key = key.filter(|key| *key != 0);
    if key.is_some() {
        irp.admission().note_key();
    }
    let is_queued = device_queue::insert(routine, queue, entry_of(irp), key, is_cancelable);
    if !is_queued {
        make_current(device, Some((irp, is_cancelable)));
    }
    !is_queued
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
    let next = Next {
        is_cancelable: cancelable != 0,
        key: None,
    };
    start_next(routine, device, next);
}

/// IoStartNextPacketByKey.
pub(crate) unsafe extern "C" fn io_start_next_packet_by_key(
    device: PDEVICE_OBJECT,
    cancelable: BOOLEAN,
    key: ULONG,
) {
    let routine = Routine::IoStartNextPacketByKey;
    routine.enter();
    let next = Next {
        is_cancelable: cancelable != 0,
        key: Some(key),
    };
    start_next(routine, device, next);
}

/// Starts the next packet, now or when StartIo has returned.
fn start_next(routine: Routine, device: PDEVICE_OBJECT, next: Next) {
    let irql = cpu::irql();
    check!(
        Sio02,
        routine,
        irql == DISPATCH_LEVEL,
        "{routine:?} was called at IRQL {irql}."
    );
    let device = Device::expect(routine, device);
    assert_has_start_io(routine, device);
    let bit = 1 << cpu::current_processor();
    let (is_deferred, is_nested, is_second) = with_queue(device, |queue| {
        if let Some(current) = &mut queue.current {
            current.is_over = true;
        }
        let is_deferred = queue.deferred && queue.in_start_io;
        let is_nested = !queue.deferred && queue.processors & bit != 0;
        let is_second = is_deferred && queue.deferred_call.replace(next).is_some();
        (is_deferred, is_nested, is_second)
    });
    check!(
        Sio02,
        routine,
        !is_second,
        "{routine:?} was called twice for one packet."
    );
    check!(
        Sio04,
        routine,
        !is_nested,
        "StartIo called {routine:?} and did not ask for DeferredStartIo: it would be called from inside itself for each packet that waits."
    );
    if !is_deferred && let Some(irp) = take_next(routine, device, next) {
        start_io(device, irp);
    }
}

/// Makes the next packet the current one, if one waits.
fn take_next(routine: Routine, device: Device, next: Next) -> Option<Irp> {
    let old_irql = next.is_cancelable.then(|| cancel::acquire(routine));
    assert_current_untouched(routine, device);
    let ended = with_queue(device, |queue| queue.current);
    check!(
        Sio02,
        routine,
        ended.is_some(),
        "{routine:?} was called for a device whose queue is idle."
    );
    let (_, waiting_cancelable) = device_queue::count(device.queue_address());
    let has_cancelable = waiting_cancelable != 0 || ended.is_some_and(|ended| ended.is_cancelable);
    check!(
        Sio03,
        routine,
        has_cancelable == next.is_cancelable,
        "{routine:?} was called with Cancelable {}, and the packets were started {} a cancel routine.",
        next.is_cancelable,
        if has_cancelable { "with" } else { "without" }
    );
    let entry = device_queue::remove(routine, device.queue_address(), next.key);
    let irp = entry.map(|entry| {
        let irp = ledger::live(
            routine.name(),
            address::to_pointer(irp_of_entry(entry.address)),
        );
        (irp, entry.is_cancelable)
    });
    make_current(
        device,
        irp.as_ref().map(|(irp, cancelable)| (irp, *cancelable)),
    );
    if let Some(old_irql) = old_irql {
        cancel::release(routine, old_irql);
    }
    irp.map(|(irp, _)| irp)
}

/// Sets CurrentIrp.
fn make_current(device: Device, irp: Option<(&Irp, bool)>) {
    let pointer = irp.map_or(core::ptr::null_mut(), |(irp, _)| irp.pointer());
    let non_cancelable = with_queue(device, |queue| {
        queue.current = irp.map(|(irp, is_cancelable)| Current {
            irp: address::of(irp.pointer()),
            is_cancelable,
            is_over: false,
        });
        device.set_current_irp(pointer);
        queue.non_cancelable
    });
    if non_cancelable && let Some((irp, _)) = irp {
        // The driver said that what StartIo has is not cancelled any more.
        let _cleared = cancel::take_routine(irp);
    }
}

/// Calls StartIo; with deferral, again for the packet that IoStartNextPacket would
/// have started meanwhile.
fn start_io(device: Device, irp: Irp) {
    let mut next = Some(irp);
    while let Some(irp) = next {
        let bit = 1 << cpu::current_processor();
        with_queue(device, |queue| {
            queue.in_start_io = queue.deferred;
            queue.processors |= bit;
        });
        call_start_io(device, &irp);
        // Not `with_queue`: the device may be gone by now, and its queue with it.
        let deferred_call = QUEUES.with(|queues| {
            let queue = queues.get_mut(&address::of(device.pointer()))?;
            queue.in_start_io = false;
            queue.processors &= !bit;
            queue.deferred_call.take()
        });
        next = deferred_call.and_then(|next| take_next(Routine::IoStartNextPacket, device, next));
    }
}

/// Calls StartIo once.
fn call_start_io(device: Device, irp: &Irp) {
    let Some(routine) = load::driver_object(device.driver()).and_then(|driver| driver.start_io())
    else {
        return;
    };
    pnp::requests::assert_turn(irp);
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
            queue.current.map_or(0, |current| current.irp),
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
            let waiting = Device::find(address::to_pointer(*device))
                .map_or(0, |device| device_queue::count(device.queue_address()).0);
            log!(
                "The device queue of {device:#x}: {}, current IRP {:#x}, {waiting} waiting, StartIo {}.",
                if queue.current.is_some() {
                    "busy"
                } else {
                    "idle"
                },
                queue.current.map_or(0, |current| current.irp),
                if queue.in_start_io {
                    "running"
                } else {
                    "not running"
                }
            );
        }
    });
}

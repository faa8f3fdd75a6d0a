//! Device queues: KeInitializeDeviceQueue, KeInsertDeviceQueue, KeRemoveDeviceQueue
//! and their kin. Under IoStartPacket, too: the queue in the device object is one.
//!
//! # Model
//! ```text
//! not busy --insert: FALSE, nothing is queued--> busy
//! busy     --insert: TRUE--> busy, one entry more
//! busy     --remove--> busy, one entry less | not busy (there was none)
//! ```
//! Which entries a queue has is in the executive's books, by address; what a driver
//! may look at in an entry (`Inserted`, `SortKey`) is written there.
//!
//! # Soundness
//! 1. An entry is the driver's or lies in an IRP that is alive. While it is queued
//!    nobody else may touch it, which KeInsertDeviceQueue's documentation demands.

use alloc::collections::{BTreeMap, VecDeque};
use core::ops::Range;

use wdk_sys::{
    BOOLEAN, CSHORT, KDEVICE_QUEUE, KDEVICE_QUEUE_ENTRY, PKDEVICE_QUEUE, PKDEVICE_QUEUE_ENTRY,
    ULONG,
};

use crate::machine::sync::IrqLock;
use crate::nt::address;
use crate::nt::routine::Routine;
use crate::nt::violation::{check, fatal};

/// `DeviceQueueObject`.
const TYPE: CSHORT = 20;

/// What waits in a queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Address of the KDEVICE_QUEUE_ENTRY.
    pub(crate) address: usize,
    key: ULONG,
    /// It was queued with a cancel routine.
    pub(crate) is_cancelable: bool,
}

/// A queue.
#[derive(Default)]
struct Queue {
    is_busy: bool,
    entries: VecDeque<Entry>,
}

/// Every queue that was initialised, by the address of its KDEVICE_QUEUE.
static QUEUES: IrqLock<BTreeMap<usize, Queue>> = IrqLock::new(BTreeMap::new());

/// Runs `work` on the queue at this address, which must be one.
fn with_queue<R>(routine: Routine, queue: usize, work: impl FnOnce(&mut Queue) -> R) -> R {
    QUEUES
        .with(|queues| queues.get_mut(&queue).map(work))
        .unwrap_or_else(|| {
            fatal(
                "DEVICE-QUEUE",
                routine.name(),
                format_args!("There is no device queue at {queue:#x}."),
            )
        })
}

/// Makes the queue at this address an empty one.
pub(crate) fn initialize(queue: PKDEVICE_QUEUE) {
    // SAFETY: (Pointer) a KDEVICE_QUEUE that is being made: the caller's alone.
    unsafe { (*queue).Type = TYPE };
    // SAFETY: As above.
    unsafe {
        (*queue).Size = CSHORT::try_from(size_of::<KDEVICE_QUEUE>()).unwrap_or(CSHORT::MAX);
    };
    QUEUES.with(|queues| queues.insert(address::of(queue), Queue::default()));
}

/// Forgets a queue whose memory goes away; what was left in it.
pub(crate) fn forget(queue: usize) -> usize {
    QUEUES
        .with(|queues| queues.remove(&queue))
        .map_or(0, |queue| queue.entries.len())
}

/// Checks that no entry in a queue lies in memory that goes away.
pub(crate) fn assert_none_within(routine: &str, memory: &Range<usize>) {
    let entry = QUEUES.with(|queues| {
        queues
            .values()
            .flat_map(|queue| &queue.entries)
            .map(|entry| entry.address)
            .find(|address| memory.contains(address))
    });
    check!(
        Pool06,
        routine,
        entry.is_none(),
        "The memory that is freed holds the entry of a device queue at {:#x}, which is queued.",
        entry.unwrap_or_default()
    );
}

/// Calls `see` with the addresses of at most so many entries that were queued with a cancel
/// routine; of more, with others each turn.
pub(crate) fn look_at_some(queue: usize, turn: usize, most: usize, see: impl FnMut(usize)) {
    QUEUES.with(|queues| {
        let Some(queue) = queues.get(&queue) else {
            return;
        };
        let count = queue.entries.len();
        (0..most.min(count))
            .filter_map(|index| queue.entries.get(turn.wrapping_add(index) % count))
            .filter(|entry| entry.is_cancelable)
            .map(|entry| entry.address)
            .for_each(see);
    });
}

/// Whether an entry was queued with a cancel routine, and is queued still.
pub(crate) fn has_cancelable(queue: usize, address: usize) -> bool {
    QUEUES.with(|queues| {
        queues.get(&queue).is_some_and(|queue| {
            queue
                .entries
                .iter()
                .any(|entry| entry.is_cancelable && entry.address == address)
        })
    })
}

/// How many entries a queue has, and how many of those were queued with a cancel
/// routine.
pub(crate) fn count(queue: usize) -> (usize, usize) {
    QUEUES.with(|queues| {
        queues.get(&queue).map_or((0, 0), |queue| {
            let cancelable = queue.entries.iter().filter(|entry| entry.is_cancelable);
            (queue.entries.len(), cancelable.count())
        })
    })
}

/// Queues an entry, behind all others or by its key; `false`, and nothing is queued,
/// when the queue was not busy, which it is from now on.
pub(crate) fn insert(
    routine: Routine,
    queue: usize,
    entry: usize,
    key: Option<ULONG>,
    is_cancelable: bool,
) -> bool {
    let (is_queued, is_second) = with_queue(routine, queue, |queue| {
        if queue.entries.iter().any(|other| other.address == entry) {
            return (true, true);
        }
        write(entry, key.unwrap_or_default(), queue.is_busy);
        if !queue.is_busy {
            queue.is_busy = true;
            return (false, false);
        }
        let new = Entry {
            address: entry,
            key: key.unwrap_or_default(),
            is_cancelable,
        };
        let position = match key {
            None => queue.entries.len(),
            Some(key) => queue
                .entries
                .iter()
                .position(|other| other.key > key)
                .unwrap_or(queue.entries.len()),
        };
        queue.entries.insert(position, new);
        (true, false)
    });
    if is_second {
        fatal(
            "DEVICE-QUEUE",
            routine.name(),
            format_args!("The entry at {entry:#x} is queued already."),
        )
    }
    is_queued
}

/// Takes the first entry, or the first whose key is at least `key` and else the
/// first; a queue without entries is not busy afterwards.
pub(crate) fn remove(routine: Routine, queue: usize, key: Option<ULONG>) -> Option<Entry> {
    let (was_busy, removed) = with_queue(routine, queue, |queue| {
        let position = key
            .and_then(|key| queue.entries.iter().position(|entry| entry.key >= key))
            .unwrap_or(0);
        let removed = queue.entries.remove(position);
        let was_busy = core::mem::replace(&mut queue.is_busy, removed.is_some());
        (was_busy, removed)
    });
    if !was_busy {
        fatal(
            "DEVICE-QUEUE",
            routine.name(),
            format_args!("An entry is removed from the queue at {queue:#x}, which is not busy."),
        )
    }
    if let Some(entry) = removed {
        write(entry.address, entry.key, false);
    }
    removed
}

/// Takes this entry out, if it is queued. The queue stays as busy as it is.
fn remove_entry(routine: Routine, queue: usize, entry: usize) -> bool {
    let removed = with_queue(routine, queue, |queue| {
        let position = queue
            .entries
            .iter()
            .position(|other| other.address == entry);
        position.and_then(|position| queue.entries.remove(position))
    });
    if let Some(entry) = removed {
        write(entry.address, entry.key, false);
    }
    removed.is_some()
}

/// Writes what a driver may see of an entry.
fn write(entry: usize, key: ULONG, is_inserted: bool) {
    let entry: *mut KDEVICE_QUEUE_ENTRY = address::to_pointer(entry);
    // SAFETY: Fact 1.
    unsafe { (*entry).SortKey = key };
    // SAFETY: Fact 1.
    unsafe { (*entry).Inserted = BOOLEAN::from(is_inserted) };
}

/// An entry as drivers get it.
fn pointer(entry: Option<Entry>) -> PKDEVICE_QUEUE_ENTRY {
    entry.map_or(core::ptr::null_mut(), |entry| {
        address::to_pointer(entry.address)
    })
}

/// KeInitializeDeviceQueue.
pub(crate) extern "C" fn ke_initialize_device_queue(queue: PKDEVICE_QUEUE) {
    Routine::KeInitializeDeviceQueue.enter();
    initialize(queue);
}

/// KeInsertDeviceQueue.
pub(crate) extern "C" fn ke_insert_device_queue(
    queue: PKDEVICE_QUEUE,
    entry: PKDEVICE_QUEUE_ENTRY,
) -> BOOLEAN {
    let routine = Routine::KeInsertDeviceQueue;
    routine.enter();
    let is_queued = insert(routine, address::of(queue), address::of(entry), None, false);
    BOOLEAN::from(is_queued)
}

/// KeInsertByKeyDeviceQueue.
pub(crate) extern "C" fn ke_insert_by_key_device_queue(
    queue: PKDEVICE_QUEUE,
    entry: PKDEVICE_QUEUE_ENTRY,
    key: ULONG,
) -> BOOLEAN {
    let routine = Routine::KeInsertByKeyDeviceQueue;
    routine.enter();
    let is_queued = insert(
        routine,
        address::of(queue),
        address::of(entry),
        Some(key),
        false,
    );
    BOOLEAN::from(is_queued)
}

/// KeRemoveDeviceQueue.
pub(crate) extern "C" fn ke_remove_device_queue(queue: PKDEVICE_QUEUE) -> PKDEVICE_QUEUE_ENTRY {
    let routine = Routine::KeRemoveDeviceQueue;
    routine.enter();
    pointer(remove(routine, address::of(queue), None))
}

/// KeRemoveByKeyDeviceQueue.
pub(crate) extern "C" fn ke_remove_by_key_device_queue(
    queue: PKDEVICE_QUEUE,
    key: ULONG,
) -> PKDEVICE_QUEUE_ENTRY {
    let routine = Routine::KeRemoveByKeyDeviceQueue;
    routine.enter();
    pointer(remove(routine, address::of(queue), Some(key)))
}

/// KeRemoveEntryDeviceQueue.
pub(crate) extern "C" fn ke_remove_entry_device_queue(
    queue: PKDEVICE_QUEUE,
    entry: PKDEVICE_QUEUE_ENTRY,
) -> BOOLEAN {
    let routine = Routine::KeRemoveEntryDeviceQueue;
    routine.enter();
    BOOLEAN::from(remove_entry(
        routine,
        address::of(queue),
        address::of(entry),
    ))
}

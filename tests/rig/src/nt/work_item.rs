//! Work items: IoAllocateWorkItem, IoInitializeWorkItem, IoQueueWorkItem and relatives.
//!
//! # Model
//! One queue, several system worker threads. A work item leaves the queue before its
//! routine is called, at PASSIVE_LEVEL, so it can be queued again, freed, or run on
//! another thread, meanwhile. Its device object stays until the routine has returned,
//! even if it is deleted.
//!
//! # Soundness
//! 1. A routine is in the driver's image, which stays until no work item is queued or
//!    running.
//!
//! An `IO_WORKITEM` is only a name: what there is to know is in [`ITEMS`].

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::ops::Range;

use wdk_sys::{
    PDEVICE_OBJECT, PIO_WORKITEM, PIO_WORKITEM_ROUTINE, PIO_WORKITEM_ROUTINE_EX, PVOID, ULONG,
    WORK_QUEUE_TYPE,
};

use crate::machine::log::log;
use crate::machine::sync::IrqLock;
use crate::nt::callout::{Callback, call_out};
use crate::nt::dispatcher::{wait_until, wake_waiters};
use crate::nt::kernel_memory;
use crate::nt::routine::Routine;
use crate::nt::thread::{self, WaitQueue};
use crate::nt::violation::check;
use crate::nt::{address, device, fault};

/// `DelayedWorkQueue`, the one that drivers may use.
const DELAYED_WORK_QUEUE: WORK_QUEUE_TYPE = 1;
/// Threads that run work items; routines may wait for each other.
const WORKERS: usize = 4;
/// Their priority.
const PRIORITY: u8 = 12;
/// Bytes of a work item, which hold nothing.
const SIZE: u16 = 64;

/// What a work item's routine is called with.
#[derive(Clone, Copy)]
enum Work {
    /// IoQueueWorkItem's.
    Plain(unsafe extern "C" fn(PDEVICE_OBJECT, PVOID)),
    /// IoQueueWorkItemEx's.
    Extended(unsafe extern "C" fn(PVOID, PVOID, PIO_WORKITEM)),
}

/// What is known of a work item.
#[derive(Clone, Copy)]
struct Item {
    /// The device or driver object that it was made for.
    object: usize,
    /// IoAllocateWorkItem made it, so IoFreeWorkItem ends it.
    is_allocated: bool,
    is_queued: bool,
}

/// A work item that was queued.
#[derive(Clone, Copy)]
struct Entry {
    item: usize,
    object: usize,
    work: Work,
    context: usize,
}

/// Everything about work items.
struct Items {
    known: BTreeMap<usize, Item>,
    queue: VecDeque<Entry>,
    running: Vec<Entry>,
    /// Memory of deleted objects that is spoiled when their last routine has returned.
    to_spoil: Vec<(usize, Range<usize>)>,
}

static ITEMS: IrqLock<Items> = IrqLock::new(Items {
    known: BTreeMap::new(),
    queue: VecDeque::new(),
    running: Vec::new(),
    to_spoil: Vec::new(),
});

/// Worker threads that have nothing to do.
static IDLE: WaitQueue = WaitQueue::new();

/// Begins the worker threads. PASSIVE_LEVEL, once.
pub(crate) fn start() {
    for _ in 0..WORKERS {
        thread::spawn("system worker", PRIORITY, None, || {
            loop {
                run(&IDLE.wait_for("a work item", take));
            }
        });
    }
}

/// IoAllocateWorkItem.
pub(crate) unsafe extern "C" fn io_allocate_work_item(device: PDEVICE_OBJECT) -> PIO_WORKITEM {
    Routine::IoAllocateWorkItem.enter();
    if fault::strikes_with_null(Routine::IoAllocateWorkItem) {
        return core::ptr::null_mut();
    }
    // Never given back to the heap, so that a late use is told from a new item.
    let item: PIO_WORKITEM = kernel_memory::allocate(usize::from(SIZE)).as_ptr().cast();
    add(item, address::of(device), true);
    item
}

/// IoSizeofWorkItem.
pub(crate) extern "C" fn io_sizeof_work_item() -> ULONG {
    Routine::IoSizeofWorkItem.enter();
    ULONG::from(SIZE)
}

/// IoInitializeWorkItem.
pub(crate) unsafe extern "C" fn io_initialize_work_item(object: PVOID, item: PIO_WORKITEM) {
    Routine::IoInitializeWorkItem.enter();
    add(item, address::of(object), false);
}

/// Notes a new work item.
fn add(item: PIO_WORKITEM, object: usize, is_allocated: bool) {
    let new = Item {
        object,
        is_allocated,
        is_queued: false,
    };
    ITEMS.with(|items| items.known.insert(address::of(item), new));
}

/// IoFreeWorkItem.
pub(crate) unsafe extern "C" fn io_free_work_item(item: PIO_WORKITEM) {
    remove(Routine::IoFreeWorkItem, item, true);
}

/// IoUninitializeWorkItem.
pub(crate) unsafe extern "C" fn io_uninitialize_work_item(item: PIO_WORKITEM) {
    remove(Routine::IoUninitializeWorkItem, item, false);
}

/// Forgets a work item, which must be known, made so, and in no queue.
fn remove(routine: Routine, item: PIO_WORKITEM, is_allocated: bool) {
    routine.enter();
    let removed = ITEMS.with(|items| items.known.remove(&address::of(item)));
    check!(
        Wki02,
        routine,
        removed.is_some_and(|removed| removed.is_allocated == is_allocated),
        "There is no work item at {item:p} that {routine:?} could end."
    );
    check!(
        Wki02,
        routine,
        removed.is_some_and(|removed| !removed.is_queued),
        "The work item at {item:p} is still queued."
    );
}

/// IoQueueWorkItem.
pub(crate) unsafe extern "C" fn io_queue_work_item(
    item: PIO_WORKITEM,
    routine: PIO_WORKITEM_ROUTINE,
    queue: WORK_QUEUE_TYPE,
    context: PVOID,
) {
    Routine::IoQueueWorkItem.enter();
    let work = routine.map(Work::Plain);
    insert(Routine::IoQueueWorkItem, item, work, queue, context);
}

/// IoQueueWorkItemEx.
pub(crate) unsafe extern "C" fn io_queue_work_item_ex(
    item: PIO_WORKITEM,
    routine: PIO_WORKITEM_ROUTINE_EX,
    queue: WORK_QUEUE_TYPE,
    context: PVOID,
) {
    Routine::IoQueueWorkItemEx.enter();
    let work = routine.map(Work::Extended);
    insert(Routine::IoQueueWorkItemEx, item, work, queue, context);
}

/// Puts a work item into the queue.
fn insert(
    routine: Routine,
    item: PIO_WORKITEM,
    work: Option<Work>,
    queue: WORK_QUEUE_TYPE,
    context: PVOID,
) {
    check!(
        Wki01,
        routine,
        queue == DELAYED_WORK_QUEUE && work.is_some(),
        "The work item at {item:p} has no routine, or is for the queue {queue}; drivers use DelayedWorkQueue."
    );
    let Some(work) = work else { return };
    let key = address::of(item);
    let was_queued = ITEMS.with(|items| {
        let known = items.known.get_mut(&key)?;
        let was_queued = core::mem::replace(&mut known.is_queued, true);
        items.queue.push_back(Entry {
            item: key,
            object: known.object,
            work,
            context: address::of(context),
        });
        Some(was_queued)
    });
    check!(
        Wki01,
        routine,
        was_queued == Some(false),
        "The work item at {item:p} is {}.",
        if was_queued.is_some() {
            "queued already"
        } else {
            "not initialised, or was freed"
        }
    );
    IDLE.tell_one();
}

/// Takes a work item out of the queue, to be run.
fn take() -> Option<Entry> {
    ITEMS.with(|items| {
        let entry = items.queue.pop_front()?;
        if let Some(item) = items.known.get_mut(&entry.item) {
            item.is_queued = false;
        }
        items.running.push(entry);
        Some(entry)
    })
}

/// Calls the routine of a work item that was taken out of the queue.
fn run(entry: &Entry) {
    let context: PVOID = address::to_pointer(entry.context);
    call_out(Callback::WorkItem, || match entry.work {
        // SAFETY: (Caller) the driver gave the routine to IoQueueWorkItem to be called
        // so, with this context, at PASSIVE_LEVEL; fact 1.
        Work::Plain(routine) => unsafe { routine(address::to_pointer(entry.object), context) },
        // SAFETY: As above, to IoQueueWorkItemEx.
        Work::Extended(routine) => unsafe {
            routine(
                address::to_pointer(entry.object),
                context,
                address::to_pointer(entry.item),
            );
        },
    });
    let spoiled: Vec<_> = ITEMS.with(|items| {
        let position = items
            .running
            .iter()
            .position(|other| other.item == entry.item && other.context == entry.context);
        if let Some(position) = position {
            items.running.swap_remove(position);
        }
        if items.is_at_work_for(entry.object) {
            return Vec::new();
        }
        items
            .to_spoil
            .extract_if(.., |(object, _)| *object == entry.object)
            .collect()
    });
    for (_, memory) in spoiled {
        device::spoil(&memory);
    }
    wake_waiters();
}

impl Items {
    /// Whether a routine runs or will for this object.
    fn is_at_work_for(&self, object: usize) -> bool {
        let mut entries = self.queue.iter().chain(&self.running);
        entries.any(|entry| entry.object == object)
    }
}

/// Has the memory of an object that is deleted spoiled: at once, or when the last of
/// its work items' routines has returned.
pub(crate) fn spoil_when_idle(object: usize, memory: &Range<usize>) {
    let is_kept = ITEMS.with(|items| {
        let is_kept = items.is_at_work_for(object);
        if is_kept {
            items.to_spoil.push((object, memory.clone()));
        }
        is_kept
    });
    if !is_kept {
        device::spoil(memory);
    }
}

/// Waits until no work item is queued or running: a driver is unloaded only then.
pub(crate) fn wait_until_idle() {
    // Without a deadline the wait ends in one way only.
    let _idle: bool = wait_until("the driver's work items", None, || {
        ITEMS.with(|items| items.queue.is_empty() && items.running.is_empty())
    });
}

/// Checks that no work item inside `memory`, which is about to go away, is queued, and
/// forgets those that are there.
pub(crate) fn assert_none_within(routine: &str, memory: &Range<usize>) {
    let queued = ITEMS.with(|items| {
        items
            .known
            .range(memory.clone())
            .find(|(_, item)| item.is_queued)
            .map(|(item, _)| *item)
    });
    check!(
        Wki02,
        routine,
        queued.is_none(),
        "The work item at {:#x} is still queued.",
        queued.unwrap_or_default()
    );
    ITEMS.with(|items| {
        items
            .known
            .retain(|item, state| state.is_allocated || !memory.contains(item));
    });
}

/// Checks that a driver that was unloaded has left no work item.
pub(crate) fn assert_none_left() {
    let left = ITEMS.with(|items| items.known.keys().next().copied());
    check!(
        Pnp16,
        "unload",
        left.is_none(),
        "The work item at {:#x} was never freed.",
        left.unwrap_or_default()
    );
}

/// Writes what is queued or running to the log, for a run that hangs.
pub(crate) fn describe() {
    ITEMS.with(|items| {
        for entry in &items.running {
            log!("The work item at {:#x} runs.", entry.item);
        }
        for entry in &items.queue {
            log!("The work item at {:#x} is queued.", entry.item);
        }
    });
}

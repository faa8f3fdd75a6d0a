//! Remove locks: the routines behind IoInitializeRemoveLock, IoAcquireRemoveLock,
//! IoReleaseRemoveLock and IoReleaseRemoveLockAndWait.
//!
//! The lock's memory is the driver's, its contents are the executive's; here it
//! only serves as the name under which the ledger knows the tags that hold it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;

use wdk_sys::{NTSTATUS, PCSTR, PIO_REMOVE_LOCK, PVOID, ULONG};

use crate::machine::sync::IrqLock;
use crate::nt::address;
use crate::nt::dispatcher::{wait_until, wake_waiters};
use crate::nt::irp::ledger;
use crate::nt::patience::Patience;
use crate::nt::routine::Routine;
use crate::nt::status::{STATUS_DELETE_PENDING, STATUS_SUCCESS};
use crate::nt::violation::check;
use crate::nt::{load, pnp};

/// How long a remove lock may be held for an IRP that has ended, in milliseconds.
const PATIENCE: u64 = 5_000;

/// What is known of a remove lock.
#[derive(Default)]
struct Record {
    /// A tag for each time that it is held.
    tags: Vec<usize>,
    is_removed: bool,
}

static LOCKS: IrqLock<BTreeMap<usize, Record>> = IrqLock::new(BTreeMap::new());

/// Runs `work` on the record of a lock; ends the run when there is none.
fn with_record<R>(
    routine: Routine,
    lock: PIO_REMOVE_LOCK,
    work: impl FnOnce(&mut Record) -> R,
) -> Option<R> {
    let result = LOCKS.with(|locks| locks.get_mut(&address::of(lock)).map(work));
    check!(
        Rml03,
        routine,
        result.is_some(),
        "The remove lock at {lock:p} was never initialised, or its memory is gone."
    );
    result
}

/// IoInitializeRemoveLockEx.
pub(crate) unsafe extern "C" fn io_initialize_remove_lock_ex(
    lock: PIO_REMOVE_LOCK,
    _allocate_tag: ULONG,
    _max_locked_minutes: ULONG,
    _high_watermark: ULONG,
    _size: ULONG,
) {
    let routine = Routine::IoInitializeRemoveLockEx;
    routine.enter();
    let was_known =
        LOCKS.with(|locks| locks.insert(address::of(lock), Record::default()).is_some());
    check!(
        Rml03,
        routine,
        !was_known,
        "The remove lock at {lock:p} is initialised a second time."
    );
}

/// IoAcquireRemoveLockEx.
pub(crate) unsafe extern "C" fn io_acquire_remove_lock_ex(
    lock: PIO_REMOVE_LOCK,
    tag: PVOID,
    _file: PCSTR,
    _line: ULONG,
    _size: ULONG,
) -> NTSTATUS {
    let routine = Routine::IoAcquireRemoveLockEx;
    routine.enter();
    let acquired = with_record(routine, lock, |record| {
        if record.is_removed {
            return false;
        }
        record.tags.push(address::of(tag));
        true
    });
    if acquired == Some(true) {
        STATUS_SUCCESS
    } else {
        STATUS_DELETE_PENDING
    }
}

/// IoReleaseRemoveLockEx.
pub(crate) unsafe extern "C" fn io_release_remove_lock_ex(
    lock: PIO_REMOVE_LOCK,
    tag: PVOID,
    _size: ULONG,
) {
    let routine = Routine::IoReleaseRemoveLockEx;
    routine.enter();
    release(routine, lock, tag);
    wake_waiters();
}

/// Takes one tag off a lock.
fn release(routine: Routine, lock: PIO_REMOVE_LOCK, tag: PVOID) {
    let released = with_record(routine, lock, |record| {
        let position = record
            .tags
            .iter()
            .position(|held| *held == address::of(tag));
        position.map(|position| record.tags.swap_remove(position))
    });
    check!(
        Rml01,
        routine,
        released.flatten().is_some(),
        "The remove lock at {lock:p} is not held with the tag {tag:p}."
    );
}

/// IoReleaseRemoveLockAndWaitEx.
pub(crate) unsafe extern "C" fn io_release_remove_lock_and_wait_ex(
    lock: PIO_REMOVE_LOCK,
    tag: PVOID,
    _size: ULONG,
) {
    let routine = Routine::IoReleaseRemoveLockAndWaitEx;
    routine.enter();
    check!(
        Rml02,
        routine,
        pnp::is_removing() || load::may_remove_legacy(),
        "IoReleaseRemoveLockAndWait was called while no REMOVE_DEVICE is being handled."
    );
    let was_removed = with_record(routine, lock, |record| {
        core::mem::replace(&mut record.is_removed, true)
    });
    check!(
        Rml02,
        routine,
        was_removed == Some(false),
        "IoReleaseRemoveLockAndWait was called a second time for the lock at {lock:p}."
    );
    release(routine, lock, tag);
    let held = || {
        LOCKS.with(|locks| {
            locks
                .get(&address::of(lock))
                .map_or_else(Vec::new, |record| record.tags.clone())
        })
    };
    let is_free = || held().is_empty();
    let patience = Patience::begin();
    // Without a deadline the wait ends in one way only.
    let _over: bool = wait_until(routine.name(), None, || {
        is_free() || patience.has_lasted(PATIENCE)
    });
    if !is_free() {
        // Who has completed an IRP gives its lock back in the next moment.
        let lost = held().into_iter().find(|tag| ledger::has_ended(*tag));
        check!(
            Rml01,
            routine,
            lost.is_none(),
            "The remove lock at {lock:p} is still held for the IRP at {:#x}, which was completed.",
            lost.unwrap_or_default()
        );
        // As above.
        let _free: bool = wait_until(routine.name(), None, is_free);
    }
}

/// Checks that no remove lock inside `memory`, which is about to go away, is held,
/// and forgets those that are there.
pub(crate) fn assert_none_held_within(routine: &str, memory: &Range<usize>) {
    let held = LOCKS.with(|locks| {
        locks
            .range(memory.clone())
            .find(|(_, record)| !record.tags.is_empty())
            .map(|(lock, record)| (*lock, record.tags.len()))
    });
    check!(
        Rml01,
        routine,
        held.is_none(),
        "The remove lock at {:#x} is still held {} times.",
        held.map_or(0, |(lock, _)| lock),
        held.map_or(0, |(_, times)| times)
    );
    LOCKS.with(|locks| locks.retain(|lock, _| !memory.contains(lock)));
}

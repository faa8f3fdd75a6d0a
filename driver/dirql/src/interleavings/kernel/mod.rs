//! A kernel with several processors, as its documentation promises it, on loom's locks.
//!
//! Each run of a flow has a kernel of its own. Threads of the flow are put onto processors; a
//! processor has one thread at a time at DISPATCH_LEVEL or above, and an ISR that interrupts
//! whatever it does. What the kernel itself keeps is behind one lock, so its routines
//! synchronise among themselves, and with nothing of the driver's before that lock is taken.
//!
//! The routines replace those of the same names in `sys::host`, which has one processor.

#![expect(
    non_snake_case,
    reason = "the kernel's own names, as in the bindings that this stands for"
)]

mod cancel;
mod csq;
mod dpc;
mod event;
mod interrupt;
mod io;
mod level;
mod lock;
mod processor;
mod remove_lock;
mod start_io;
mod timer;

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, vec::Vec};

pub(super) use cancel::field;
pub(crate) use cancel::{IoAcquireCancelSpinLock, IoReleaseCancelSpinLock};
pub(crate) use csq::{IoCsqInitializeEx, IoCsqInsertIrpEx, IoCsqRemoveIrp, IoCsqRemoveNextIrp};
pub(crate) use dpc::{
    KeFlushQueuedDpcs, KeInitializeDpc, KeInitializeThreadedDpc, KeInsertQueueDpc,
    KeRemoveQueueDpc, KeSetImportanceDpc, KeSetTargetProcessorDpcEx,
};
pub(crate) use event::{
    KeClearEvent, KeInitializeEvent, KeReadStateEvent, KeResetEvent, KeSetEvent,
    KeWaitForSingleObject,
};
pub(crate) use interrupt::{
    IoConnectInterruptEx, IoDisconnectInterruptEx, IoReportInterruptActive,
    IoReportInterruptInactive, KeAcquireInterruptSpinLock, KeReleaseInterruptSpinLock,
    KeSynchronizeExecution,
};
pub(crate) use io::{
    IoAttachDeviceToDeviceStack, IoCreateDevice, IoDeleteDevice, IoDetachDevice,
    IoForwardIrpSynchronously, IoSetStartIoAttributes, IofCallDriver, IofCompleteRequest,
};
pub(crate) use level::{KeDelayExecutionThread, KeGetCurrentIrql, KeLowerIrql, KfRaiseIrql};
pub(crate) use lock::{
    KeAcquireSpinLockAtDpcLevel, KeAcquireSpinLockForDpc, KeAcquireSpinLockRaiseToDpc,
    KeReleaseSpinLock, KeReleaseSpinLockForDpc, KeReleaseSpinLockFromDpcLevel,
};
pub(crate) use processor::{
    KeGetCurrentProcessorNumberEx, KeGetProcessorNumberFromIndex, KeQueryActiveProcessorCountEx,
    KeRevertToUserGroupAffinityThread, KeSetSystemGroupAffinityThread,
};
pub(crate) use remove_lock::{
    IoAcquireRemoveLockEx, IoInitializeRemoveLockEx, IoReleaseRemoveLockAndWaitEx,
    IoReleaseRemoveLockEx,
};
pub(crate) use start_io::{IoStartNextPacket, IoStartPacket, KeRemoveEntryDeviceQueue};
pub(crate) use timer::{KeCancelTimer, KeInitializeTimerEx, KeSetCoalescableTimer, KeSetTimerEx};

pub(super) use level::{DIRQL, later, take_later};
use lock::Lock;
use loom::sync::atomic::AtomicUsize;

use super::tracked::Tracked;

/// Atomics, and cells, that the library may have in one run.
const ATOMICS: usize = 40;
const CELLS: usize = 24;

/// A kernel, for one run of a flow.
pub(crate) struct Kernel {
    /// For what the library has that is first used by nobody knows which thread: loom wants a
    /// thing made before those that use it.
    atomics: RefCell<Vec<Rc<AtomicUsize>>>,
    cells: RefCell<Vec<Rc<Tracked<()>>>>,
    /// Held by what runs at DISPATCH_LEVEL or above there.
    processors: Vec<Lock>,
    /// Spin locks, by the address of their word.
    spin_locks: RefCell<BTreeMap<usize, Rc<Lock>>>,
    cancel: cancel::Cancel,
    queues: csq::Queues,
    device_queue: start_io::DeviceQueue,
    dpcs: dpc::Dpcs,
    events: event::Events,
    timers: timer::Timers,
    interrupts: interrupt::Interrupts,
    io: io::Io,
    remove_locks: remove_lock::RemoveLocks,
}

std::thread_local! {
    /// All threads of a model are coroutines of one thread.
    static CURRENT: RefCell<Option<Rc<Kernel>>> = const { RefCell::new(None) };
}

/// The kernel of this run.
pub(super) fn current() -> Rc<Kernel> {
    CURRENT.with_borrow(|kernel| Rc::clone(kernel.as_ref().expect("a flow runs")))
}

/// An atomic that nobody has, of value zero.
pub(super) fn atomic() -> Rc<AtomicUsize> {
    let atomic = current().atomics.borrow_mut().pop();
    atomic.expect("fewer atomics than a kernel is made with")
}

/// A cell that nobody has.
pub(super) fn cell() -> Rc<Tracked<()>> {
    let cell = current().cells.borrow_mut().pop();
    cell.expect("fewer cells than a kernel is made with")
}

/// The run is over; nothing of it may be left in the model.
pub(super) fn end() {
    drop(CURRENT.take());
}

/// Puts the calling thread, which begins, onto a processor.
pub(super) fn start_on(processor: usize) {
    level::be_on(processor);
}

impl Kernel {
    /// Makes a kernel that is the current one until [`end`].
    pub(super) fn begin(processors: usize) {
        let kernel = Self {
            atomics: RefCell::new((0..ATOMICS).map(|_| Rc::new(AtomicUsize::new(0))).collect()),
            cells: RefCell::new((0..CELLS).map(|_| Rc::new(Tracked::new(()))).collect()),
            processors: (0..processors).map(|_| Lock::new()).collect(),
            spin_locks: RefCell::new(BTreeMap::new()),
            cancel: cancel::Cancel::new(),
            queues: csq::Queues::new(),
            device_queue: start_io::DeviceQueue::new(),
            dpcs: dpc::Dpcs::new(),
            events: event::Events::new(),
            timers: timer::Timers::new(),
            interrupts: interrupt::Interrupts::new(),
            io: io::Io::new(),
            remove_locks: remove_lock::RemoveLocks::new(),
        };
        CURRENT.set(Some(Rc::new(kernel)));
    }
}

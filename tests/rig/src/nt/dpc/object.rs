//! KDPC objects: which there are, what they were made for, where they are queued.
//!
//! # Soundness
//! 1. An [`Object`] is a KDPC that was initialised and whose memory has not gone since:
//!    [`Object::expect`] looks, and the driver keeps it while it uses it.
//! 2. `KDPC.DpcData` is the executive's: null while the DPC is in no queue, else
//!    the queue's number plus one. It is accessed atomically.
//! 3. A KDPC's other fields are written by the routine that initialises it, by
//!    KeSetImportanceDpc and KeSetTargetProcessorDpc(Ex) while it is in no queue, and its
//!    arguments by whoever moved `DpcData` away from null, under the queue's lock.
//! 4. A queued KDPC is alive: memory that holds one cannot be freed, because
//!    `assert_none_within` stops the run.

use alloc::collections::BTreeMap;
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

use wdk_sys::{KDPC, LIST_ENTRY, PKDEFERRED_ROUTINE, PRKDPC, PVOID, UCHAR, USHORT};

use crate::machine::cpu;
use crate::machine::sync::IrqLock;
use crate::nt::address;
use crate::nt::irql::DISPATCH_LEVEL;
use crate::nt::kernel_memory::fields;
use crate::nt::routine::Routine;
use crate::nt::violation::check;

/// The type byte of a DPC object.
const DPC_OBJECT: UCHAR = 0x13;
/// The type byte of a threaded DPC object.
const THREADED_DPC_OBJECT: UCHAR = 0x18;

/// `KDPC_IMPORTANCE`.
pub(super) mod importance {
    pub(crate) const LOW: u8 = 0;
    pub(crate) const MEDIUM: u8 = 1;
    pub(crate) const HIGH: u8 = 2;
    pub(crate) const MEDIUM_HIGH: u8 = 3;
}

/// Who puts a DPC into its queue, decided by the first use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Nobody,
    /// KeInsertQueueDpc.
    Driver,
    /// A timer that was set with it.
    Timer,
}

/// Every KDPC that was initialised and whose memory is still there.
static INITIALISED: IrqLock<BTreeMap<usize, Owner>> = IrqLock::new(BTreeMap::new());

/// What a DPC is called with.
#[derive(Clone, Copy)]
pub(super) struct Contents {
    pub(super) routine: PKDEFERRED_ROUTINE,
    pub(super) context: PVOID,
    pub(super) argument1: PVOID,
    pub(super) argument2: PVOID,
}

/// An initialised KDPC.
#[derive(Clone, Copy)]
pub(super) struct Object(PRKDPC);

fields!(Object {
    kind: UCHAR = Type;
    importance / set_importance: UCHAR = Importance;
    number / set_number: USHORT = Number;
    routine: PKDEFERRED_ROUTINE = DeferredRoutine;
    context: PVOID = DeferredContext;
    argument1 / set_argument1: PVOID = SystemArgument1;
    argument2 / set_argument2: PVOID = SystemArgument2;
});

impl Object {
    /// Initialises a KDPC.
    ///
    /// # Safety
    /// `dpc` is memory for a DPC that is in no queue.
    pub(super) unsafe fn initialise(
        dpc: PRKDPC,
        is_threaded: bool,
        routine: PKDEFERRED_ROUTINE,
        context: PVOID,
    ) {
        // SAFETY: (Pointer) the contract. (Aliasing) it is in no queue, fact 3.
        unsafe {
            dpc.write(KDPC {
                Type: if is_threaded {
                    THREADED_DPC_OBJECT
                } else {
                    DPC_OBJECT
                },
                Importance: importance::MEDIUM,
                Number: 0,
                DpcListEntry: LIST_ENTRY {
                    Flink: core::ptr::null_mut(),
                    Blink: core::ptr::null_mut(),
                },
                DeferredRoutine: routine,
                DeferredContext: context,
                SystemArgument1: core::ptr::null_mut(),
                SystemArgument2: core::ptr::null_mut(),
                DpcData: core::ptr::null_mut(),
            });
        };
        INITIALISED.with(|known| known.insert(address::of(dpc), Owner::Nobody));
    }

    /// The KDPC at this address; the run ends if there is none.
    pub(super) fn expect(routine: &str, dpc: PRKDPC) -> Self {
        check!(
            Dpc01,
            routine,
            INITIALISED.with(|known| known.contains_key(&address::of(dpc))),
            "The DPC at {dpc:p} was never initialised, or its memory is gone."
        );
        Self(dpc)
    }

    /// A KDPC that is in a queue.
    ///
    /// # Safety
    /// It is, by fact 4, and that queue's lock is held.
    pub(super) unsafe fn queued(address: usize) -> Self {
        Self(address::to_pointer(address))
    }

    pub(super) const fn pointer(self) -> PRKDPC {
        self.0
    }

    pub(super) fn address(self) -> usize {
        address::of(self.0)
    }

    /// `DpcData`: the number of the queue that it is in, plus one, or zero.
    pub(super) fn queue(self) -> &'static AtomicUsize {
        // SAFETY: (Pointer) fact 1.
        let field = unsafe { &raw mut (*self.0).DpcData };
        // SAFETY: (Pointer) as above, and a pointer's size and alignment are those of
        // usize. (Aliasing) fact 2.
        unsafe { AtomicUsize::from_ptr(field.cast()) }
    }

    pub(super) fn is_queued(self) -> bool {
        self.queue().load(Ordering::Acquire) != 0
    }

    pub(super) fn is_threaded(self) -> bool {
        self.kind() == THREADED_DPC_OBJECT
    }

    /// The processor that it was told to run on.
    pub(super) fn target(self) -> Option<usize> {
        usize::from(self.number()).checked_sub(1)
    }

    pub(super) fn set_target(self, processor: u8) {
        self.set_number(USHORT::from(processor) + 1);
    }

    /// Stores the arguments; whoever calls has just claimed the DPC, under the lock of the
    /// queue.
    pub(super) fn set_arguments(self, argument1: PVOID, argument2: PVOID) {
        self.set_argument1(argument1);
        self.set_argument2(argument2);
    }

    /// What it is to be called with. The lock of its queue is held.
    pub(super) fn contents(self) -> Contents {
        Contents {
            routine: self.routine(),
            context: self.context(),
            argument1: self.argument1(),
            argument2: self.argument2(),
        }
    }

    /// Notes that the driver queues it by itself.
    pub(super) fn give_to_driver(self, routine: &str) {
        self.give_to(routine, Owner::Driver);
    }

    /// Notes that a timer queues it.
    pub(super) fn give_to_timer(self, routine: &str) {
        self.give_to(routine, Owner::Timer);
    }

    fn give_to(self, routine: &str, owner: Owner) {
        let before =
            INITIALISED.with(|known| known.insert(self.address(), owner).unwrap_or(Owner::Nobody));
        check!(
            Tmr01,
            routine,
            before == Owner::Nobody || before == owner,
            "The DPC at {:p} was used by {} before.",
            self.0,
            if before == Owner::Timer {
                "a timer"
            } else {
                "KeInsertQueueDpc"
            }
        );
    }
}

/// An ISR queues a DPC that is queued already, whose arguments stay as they are: `queued`.
pub(super) fn assert_same_arguments(
    routine: Routine,
    dpc: PRKDPC,
    queued: (PVOID, PVOID),
    argument1: PVOID,
    argument2: PVOID,
) {
    if cpu::irql() <= DISPATCH_LEVEL {
        return;
    }
    check!(
        Dpc03,
        routine,
        queued == (argument1, argument2),
        "The DPC at {dpc:p} is queued with the arguments {:p} and {:p}, which it has not been called with yet; those of another interrupt, {argument1:p} and {argument2:p}, are lost.",
        queued.0,
        queued.1
    );
}

/// Whether there is an initialised KDPC at this address.
pub(super) fn is_initialised(dpc: PRKDPC) -> bool {
    INITIALISED.with(|known| known.contains_key(&address::of(dpc)))
}

/// Forgets those in memory that goes away.
pub(super) fn forget_within(memory: &Range<usize>) {
    INITIALISED.with(|known| known.retain(|dpc, _| !memory.contains(dpc)));
}

//! What the executive knows about each processor: the spin locks that it holds; and
//! about each thread: how often it raised its IRQL.
//!
//! Only the processor itself looks at its own entry, but interrupts on it do so
//! too, hence the locks. A spin lock is held at DISPATCH_LEVEL and above, where the
//! thread does not change; KeRaiseIrql can stop at APC_LEVEL, where it does.

use x86_64::instructions::interrupts;

use crate::machine::cpu::{self, MAX_PROCESSORS};
use crate::machine::sync::IrqLock;
use crate::nt::budget::Budget;
use crate::nt::{counters, thread};

/// Most spin locks that one processor may hold; real drivers hold two or three.
const MAX_HELD: usize = 16;

/// Which routines acquire and release a spin lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockKind {
    /// KeAcquireSpinLock and KeReleaseSpinLock.
    Executive,
    /// KeAcquireSpinLockAtDpcLevel and KeReleaseSpinLockFromDpcLevel.
    ExecutiveAtDispatch,
    /// KeAcquireSpinLockForDpc and KeReleaseSpinLockForDpc.
    ExecutiveForDpc,
    /// KeAcquireInStackQueuedSpinLock and KeReleaseInStackQueuedSpinLock.
    Queued,
    /// KeAcquireInStackQueuedSpinLockAtDpcLevel and
    /// KeReleaseInStackQueuedSpinLockFromDpcLevel.
    QueuedAtDispatch,
    /// KeAcquireInStackQueuedSpinLockForDpc and KeReleaseInStackQueuedSpinLockForDpc.
    QueuedForDpc,
    /// The interrupt's, around the ISR and in KeSynchronizeExecution.
    Interrupt,
    /// KeAcquireInterruptSpinLock and KeReleaseInterruptSpinLock.
    InterruptByHand,
    /// IoAcquireCancelSpinLock and IoReleaseCancelSpinLock.
    Cancel,
}

impl LockKind {
    /// Whether the lock's word heads a queue of those who wait.
    pub(crate) const fn is_queued(self) -> bool {
        matches!(
            self,
            Self::Queued | Self::QueuedAtDispatch | Self::QueuedForDpc
        )
    }
}

impl AsRef<str> for LockKind {
    fn as_ref(&self) -> &str {
        match self {
            Self::Executive => "KeAcquireSpinLock",
            Self::ExecutiveAtDispatch => "KeAcquireSpinLockAtDpcLevel",
            Self::ExecutiveForDpc => "KeAcquireSpinLockForDpc",
            Self::Queued => "KeAcquireInStackQueuedSpinLock",
            Self::QueuedAtDispatch => "KeAcquireInStackQueuedSpinLockAtDpcLevel",
            Self::QueuedForDpc => "KeAcquireInStackQueuedSpinLockForDpc",
            Self::Interrupt => "KeSynchronizeExecution",
            Self::InterruptByHand => "KeAcquireInterruptSpinLock",
            Self::Cancel => "IoAcquireCancelSpinLock",
        }
    }
}

/// A spin lock that a processor holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// Address of the lock's word.
    pub(crate) lock: usize,
    /// How it was acquired.
    pub(crate) kind: LockKind,
    /// IRQL before the acquisition.
    pub(crate) old_irql: u8,
    /// When it was acquired, by [`Budget::begin`].
    pub(crate) since: u64,
}

impl Held {
    /// Counts the time for which the lock was held, which is about to be released.
    fn spend(&self) {
        if cpu::counts_irql_times() {
            let is_interrupt = matches!(self.kind, LockKind::Interrupt | LockKind::InterruptByHand);
            counters::held_for_100ns(is_interrupt, Budget::taken_since(self.since));
        }
        let budget = match self.kind {
            // The routine that runs under it is measured.
            LockKind::Interrupt => return,
            LockKind::InterruptByHand => Budget::CriticalSection,
            _ => Budget::SpinLock,
        };
        budget.spend(self.kind.as_ref(), self.since);
    }
}

/// A KeRaiseIrql that was not undone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raise {
    /// IRQL before.
    pub(crate) old: u8,
    /// IRQL that it raised to.
    pub(crate) new: u8,
}

/// The KeRaiseIrql calls of a thread that were not undone.
pub(crate) struct Raises([Option<Raise>; MAX_HELD]);

impl Raises {
    /// None.
    pub(crate) const fn new() -> Self {
        Self([None; MAX_HELD])
    }
}

/// One processor's entry.
struct Processor {
    held: [Option<Held>; MAX_HELD],
}

static PROCESSORS: [IrqLock<Processor>; MAX_PROCESSORS] = [const {
    IrqLock::new(Processor {
        held: [None; MAX_HELD],
    })
}; MAX_PROCESSORS];

/// Runs `routine` on this processor's entry.
fn with_own<R>(routine: impl FnOnce(&mut Processor) -> R) -> R {
    interrupts::without_interrupts(|| {
        let index = cpu::current_processor();
        assert!(
            index < MAX_PROCESSORS,
            "more processors than the rig supports"
        );
        PROCESSORS[index].with(routine)
    })
}

/// Notes that this processor acquired a lock.
pub(crate) fn push_held(held: Held) {
    let stored = with_own(|own| {
        own.held
            .iter_mut()
            .find(|slot| slot.is_none())
            .map(|slot| *slot = Some(held))
    });
    assert!(
        stored.is_some(),
        "a processor holds more than {MAX_HELD} spin locks"
    );
}

/// Forgets a lock that this processor is about to release, and says how it was
/// acquired; `None` when this processor does not hold it.
pub(crate) fn take_held(lock: usize) -> Option<Held> {
    let held = with_own(|own| {
        own.held
            .iter_mut()
            .find(|slot| slot.is_some_and(|held| held.lock == lock))?
            .take()
    })?;
    held.spend();
    Some(held)
}

/// The spin locks that this processor holds.
pub(crate) fn held() -> [Option<Held>; MAX_HELD] {
    with_own(|own| own.held)
}

/// Whether this processor holds the spin lock at this address.
pub(crate) fn holds(lock: usize) -> bool {
    with_own(|own| own.held.iter().flatten().any(|held| held.lock == lock))
}

/// Whether this processor holds an interrupt's spin lock.
pub(crate) fn is_in_critical_section() -> bool {
    with_own(|own| {
        own.held
            .iter()
            .flatten()
            .any(|held| matches!(held.kind, LockKind::Interrupt | LockKind::InterruptByHand))
    })
}

/// How many spin locks this processor holds.
pub(crate) fn held_count() -> usize {
    with_own(|own| own.held.iter().flatten().count())
}

/// Notes a KeRaiseIrql.
pub(crate) fn push_raise(raise: Raise) {
    let stored = thread::current().raises(|raises| {
        raises
            .0
            .iter_mut()
            .find(|slot| slot.is_none())
            .map(|slot| *slot = Some(raise))
    });
    assert!(
        stored.is_some(),
        "KeRaiseIrql is nested more than {MAX_HELD} deep"
    );
}

/// Takes back the last KeRaiseIrql, if any.
pub(crate) fn take_raise() -> Option<Raise> {
    thread::current().raises(|raises| {
        raises
            .0
            .iter_mut()
            .rev()
            .find(|slot| slot.is_some())
            .and_then(Option::take)
    })
}

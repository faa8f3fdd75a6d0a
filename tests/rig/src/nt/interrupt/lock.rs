//! KeAcquireInterruptSpinLock, KeReleaseInterruptSpinLock: an interrupt's lock taken by
//! itself instead of around a SynchCritSection routine.

use alloc::sync::Arc;
use wdk_sys::{KIRQL, PKINTERRUPT};

use crate::machine::cpu;
use crate::nt::counters;
use crate::nt::interrupt::{Connection, find, is_connected};
use crate::nt::processor::LockKind;
use crate::nt::routine::Routine;
use crate::nt::violation::{check, fatal};

/// KeAcquireInterruptSpinLock.
pub(crate) unsafe extern "C" fn ke_acquire_interrupt_spin_lock(interrupt: PKINTERRUPT) -> KIRQL {
    let routine = Routine::KeAcquireInterruptSpinLock;
    routine.enter();
    let connection = connected(routine, interrupt);
    assert_not_passive(routine, &connection);
    let old_irql = cpu::irql();
    check!(
        Syn01,
        routine,
        old_irql <= connection.synchronize_irql,
        "The interrupt's spin lock was acquired at IRQL {old_irql}; its SynchronizeIrql is {}.",
        connection.synchronize_irql
    );
    cpu::set_irql(connection.synchronize_irql);
    let lock = connection.lock();
    check!(
        Syn02,
        routine,
        !lock.is_mine(),
        "This processor holds the spin lock of the same interrupt: waiting for it would never end."
    );
    counters::CRITICAL_SECTIONS.add();
    lock.acquire(LockKind::InterruptByHand, old_irql);
    old_irql
}

/// KeReleaseInterruptSpinLock.
pub(crate) unsafe extern "C" fn ke_release_interrupt_spin_lock(
    interrupt: PKINTERRUPT,
    new_irql: KIRQL,
) {
    let routine = Routine::KeReleaseInterruptSpinLock;
    routine.enter();
    let connection = connected(routine, interrupt);
    assert_not_passive(routine, &connection);
    let held = connection.lock().release();
    check!(
        Syn06,
        routine,
        held.as_ref()
            .is_some_and(|held| held.kind == LockKind::InterruptByHand && held.old_irql == new_irql),
        "The interrupt's spin lock is released to IRQL {new_irql}, but it was {}.",
        match &held {
            None => "not acquired by this processor",
            Some(held) if held.kind == LockKind::InterruptByHand => "acquired at another",
            Some(_) => "not acquired by KeAcquireInterruptSpinLock",
        }
    );
    cpu::set_irql(new_irql);
}

/// The interrupt, which must be connected.
fn connected(routine: Routine, interrupt: PKINTERRUPT) -> Arc<Connection> {
    match find(interrupt).filter(is_connected) {
        Some(connection) => connection,
        None => fatal(
            "INVALID-INTERRUPT",
            routine.name(),
            format_args!("The interrupt object {interrupt:p} is not connected."),
        ),
    }
}

/// Checks that the interrupt has a spin lock at all.
fn assert_not_passive(routine: Routine, connection: &Connection) {
    check!(
        Int13,
        routine,
        !connection.is_passive(),
        "The ISR of the interrupt at {:p} runs at PASSIVE_LEVEL: there is an event in place of a spin lock.",
        connection.pointer()
    );
}

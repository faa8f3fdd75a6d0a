//! KeSynchronizeExecution: a critical section that excludes the ISR.

use wdk_sys::{BOOLEAN, PKINTERRUPT, PKSYNCHRONIZE_ROUTINE, PVOID};

use crate::machine::cpu;
use crate::nt::callout::{Callback, call_out};
use crate::nt::counters;
use crate::nt::interrupt::{find, is_connected};
use crate::nt::irql::raised;
use crate::nt::processor::LockKind;
use crate::nt::routine::Routine;
use crate::nt::violation::{check, fatal};

/// KeSynchronizeExecution.
pub(crate) unsafe extern "C" fn ke_synchronize_execution(
    interrupt: PKINTERRUPT,
    critical_section: PKSYNCHRONIZE_ROUTINE,
    context: PVOID,
) -> BOOLEAN {
    let routine = Routine::KeSynchronizeExecution;
    routine.enter();
    let connection = find(interrupt).filter(is_connected);
    let (Some(connection), Some(critical_section)) = (connection, critical_section) else {
        fatal(
            "INVALID-INTERRUPT",
            routine.name(),
            format_args!(
                "The interrupt object {interrupt:p} is not connected, or the routine is null."
            ),
        )
    };
    let irql = cpu::irql();
    check!(
        Syn01,
        routine,
        irql <= connection.synchronize_irql,
        "KeSynchronizeExecution was called at IRQL {irql}; the interrupt's SynchronizeIrql is {}.",
        connection.synchronize_irql
    );
    if connection.is_passive() {
        counters::CRITICAL_SECTIONS.add();
        return connection.event.with(routine, || {
            // SAFETY: (Caller) the driver passes the routine to be called so, with this
            // context, at PASSIVE_LEVEL, with the interrupt's event held.
            call_out(Callback::SynchCritSection, || unsafe {
                critical_section(context)
            })
        });
    }
    let lock = connection.lock();
    counters::CRITICAL_SECTIONS.add();
    raised(connection.synchronize_irql, || {
        // Up here the thread stays on this processor.
        check!(
            Syn02,
            routine,
            !lock.is_mine(),
            "This processor is inside a critical section or the ISR of the same interrupt: waiting for its lock would never end."
        );
        lock.acquire(LockKind::Interrupt, irql);
        // SAFETY: (Caller) the driver passes the routine to be called so, with
        // this context, at this IRQL, under this lock.
        let result = call_out(Callback::SynchCritSection, || unsafe {
            critical_section(context)
        });
        connection.release(lock);
        result
    })
}

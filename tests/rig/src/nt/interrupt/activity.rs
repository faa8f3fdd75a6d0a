//! IoReportInterruptActive, IoReportInterruptInactive: soft connect and disconnect.
//!
//! The registration stays; an interrupt that comes while it is inactive finds no ISR.
//! Neither call says that an ISR which has been entered already is over, so neither
//! waits for it here.

use core::sync::atomic::Ordering;

use alloc::sync::Arc;
use wdk_sys::IO_DISCONNECT_INTERRUPT_PARAMETERS;

use crate::nt::device_state::{assert_not_enabled_yet, assert_silenced};
use crate::nt::interrupt::disconnect::named_by;
use crate::nt::interrupt::{Connection, family, is_connected};
use crate::nt::routine::Routine;
use crate::nt::violation::check;

/// `IO_REPORT_INTERRUPT_ACTIVE_STATE_PARAMETERS`, which the headers lack and which has
/// the fields of the structure for disconnecting; tests/abi compares the two.
type ActiveState = IO_DISCONNECT_INTERRUPT_PARAMETERS;

/// IoReportInterruptActive.
pub(crate) unsafe extern "C" fn io_report_interrupt_active(parameters: *const ActiveState) {
    let routine = Routine::IoReportInterruptActive;
    routine.enter();
    // SAFETY: (Pointer) the driver's parameters, which it does not touch during the
    // call.
    let Some(connection) = connection(routine, unsafe { &*parameters }) else {
        return;
    };
    if !connection.is_active.load(Ordering::Acquire) {
        assert_not_enabled_yet(routine.name(), &connection.node);
        set_active(&connection, true);
    }
}

/// IoReportInterruptInactive.
pub(crate) unsafe extern "C" fn io_report_interrupt_inactive(parameters: *const ActiveState) {
    let routine = Routine::IoReportInterruptInactive;
    routine.enter();
    // SAFETY: As above.
    let Some(connection) = connection(routine, unsafe { &*parameters }) else {
        return;
    };
    if connection.is_active.load(Ordering::Acquire) {
        assert_silenced(routine.name(), &connection.node);
        set_active(&connection, false);
    }
}

/// Lets the ISRs of a connect call be found, or hides them.
fn set_active(connection: &Arc<Connection>, active: bool) {
    for connection in family(connection) {
        connection.is_active.store(active, Ordering::Release);
    }
}

/// The connection that the parameters name, which must be as the connect call left it.
fn connection(routine: Routine, parameters: &ActiveState) -> Option<Arc<Connection>> {
    let named = named_by(parameters).filter(is_connected);
    check!(
        Int06,
        routine,
        named
            .as_ref()
            .is_some_and(|connection| connection.version == parameters.Version),
        "The call names version {} and a context that no connect call returned, or one that was disconnected.",
        parameters.Version
    );
    named
}

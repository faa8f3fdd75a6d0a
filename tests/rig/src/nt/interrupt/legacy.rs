//! IoConnectInterrupt and IoDisconnectInterrupt, for drivers without a PDO.

use wdk_sys::{
    BOOLEAN, KAFFINITY, KINTERRUPT_MODE, KIRQL, NTSTATUS, PKINTERRUPT, PKSERVICE_ROUTINE,
    PKSPIN_LOCK, PVOID, ULONG,
};

use crate::nt::device_state::{assert_not_enabled_yet, assert_silenced};
use crate::nt::interrupt::{Plan, Service, attach, detach, find};
use crate::nt::legacy::hardware;
use crate::nt::routine::Routine;
use crate::nt::status::{STATUS_INVALID_PARAMETER, STATUS_SUCCESS};
use crate::nt::violation::check;

/// The version of such a connection, which no IoConnectInterruptEx call returns.
const VERSION: ULONG = 0;

/// IoConnectInterrupt.
pub(crate) unsafe extern "C" fn io_connect_interrupt(
    object: *mut PKINTERRUPT,
    routine: PKSERVICE_ROUTINE,
    context: PVOID,
    lock: PKSPIN_LOCK,
    vector: ULONG,
    irql: KIRQL,
    synchronize_irql: KIRQL,
    mode: KINTERRUPT_MODE,
    share_vector: BOOLEAN,
    processors: KAFFINITY,
    _floating_save: BOOLEAN,
) -> NTSTATUS {
    let export = Routine::IoConnectInterrupt;
    export.enter();
    let (Some(node), Some(routine)) = (hardware::with_vector(vector), routine) else {
        return STATUS_INVALID_PARAMETER;
    };
    hardware::assert_follows_hal(
        &node,
        (irql, synchronize_irql),
        mode,
        share_vector != 0,
        processors,
    );
    assert_not_enabled_yet(export.name(), &node);
    let connection = attach(Plan {
        vector: node.interrupt().vector,
        message: 0,
        node,
        service: Service::Line(routine),
        context,
        lock,
        synchronize_irql,
        version: VERSION,
    });
    // SAFETY: The driver passes a variable of its own for the result.
    unsafe { object.write(connection.pointer()) };
    STATUS_SUCCESS
}

/// IoDisconnectInterrupt.
pub(crate) unsafe extern "C" fn io_disconnect_interrupt(object: PKINTERRUPT) {
    let routine = Routine::IoDisconnectInterrupt;
    routine.enter();
    let connection = find(object).filter(|connection| connection.version == VERSION);
    check!(
        Int06,
        routine,
        connection.is_some(),
        "The interrupt object {object:p} is none that IoConnectInterrupt returned."
    );
    let Some(connection) = connection else { return };
    assert_silenced(routine.name(), &connection.node);
    check!(
        Int06,
        routine,
        detach(&connection),
        "The interrupt object {object:p} is disconnected a second time."
    );
}

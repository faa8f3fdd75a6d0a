//! IoDisconnectInterruptEx.

use core::sync::atomic::Ordering;

use alloc::sync::Arc;
use wdk_sys::{CONNECT_MESSAGE_BASED, IO_DISCONNECT_INTERRUPT_PARAMETERS};

use crate::nt::address;
use crate::nt::device_state::assert_silenced;
use crate::nt::interrupt::connect::MessageTable;
use crate::nt::interrupt::{CONNECTIONS, Connection, detach, family};
use crate::nt::kernel_memory::DELETED_BYTE;
use crate::nt::routine::Routine;
use crate::nt::violation::check;

/// IoDisconnectInterruptEx.
pub(crate) unsafe extern "C" fn io_disconnect_interrupt_ex(
    parameters: *mut IO_DISCONNECT_INTERRUPT_PARAMETERS,
) {
    let routine = Routine::IoDisconnectInterruptEx;
    routine.enter();
    // SAFETY: (Pointer) the driver's parameters, which it does not touch during
    // the call.
    let parameters = unsafe { &*parameters };
    let context = context_of(parameters);
    let connection = named_by(parameters);
    check!(
        Int06,
        routine,
        connection
            .as_ref()
            .is_some_and(|connection| connection.version == parameters.Version),
        "The disconnect names version {} and context {context:#x}, which no connect call returned.",
        parameters.Version
    );
    let Some(connection) = connection else { return };
    assert_silenced(routine.name(), &connection.node);
    // Every one of them, even if an earlier one was not connected any more.
    let mut was_connected = true;
    for connection in family(&connection) {
        was_connected &= detach(&connection);
    }
    check!(
        Int06,
        routine,
        was_connected,
        "The interrupt with context {context:#x} is disconnected a second time."
    );
    forget_message_table(&connection);
}

/// The connection context that these parameters hold.
fn context_of(parameters: &IO_DISCONNECT_INTERRUPT_PARAMETERS) -> usize {
    // SAFETY: All arms of this union are one pointer.
    address::of(unsafe { parameters.ConnectionContext.Generic })
}

/// The connection that these parameters name, connected or not.
pub(super) fn named_by(parameters: &IO_DISCONNECT_INTERRUPT_PARAMETERS) -> Option<Arc<Connection>> {
    let context = context_of(parameters);
    let is_table = parameters.Version == CONNECT_MESSAGE_BASED;
    CONNECTIONS.with(|connections| find(connections.values(), context, is_table))
}

/// The connection whose context this is.
fn find<'a>(
    mut connections: impl Iterator<Item = &'a Arc<Connection>>,
    context: usize,
    is_table: bool,
) -> Option<Arc<Connection>> {
    connections
        .find(|connection| {
            if is_table {
                connection.message_table.load(Ordering::Acquire) == context
            } else {
                connection.name == context
            }
        })
        .cloned()
}

/// Spoils the message table, which the driver may not use any more.
fn forget_message_table(connection: &Connection) {
    let table = connection.message_table.load(Ordering::Acquire);
    if table != 0 {
        let table: *mut MessageTable = address::to_pointer(table);
        // SAFETY: The table is memory of `kernel_memory`, never freed, and the
        // driver gave it up with this call.
        unsafe {
            table
                .cast::<u8>()
                .write_bytes(DELETED_BYTE, size_of::<MessageTable>());
        };
    }
}

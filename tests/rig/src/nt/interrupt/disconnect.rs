//! IoDisconnectInterruptEx.

use core::sync::atomic::Ordering;

use alloc::sync::Arc;
use wdk_sys::{
    CONNECT_MESSAGE_BASED, IO_DISCONNECT_INTERRUPT_PARAMETERS, IO_INTERRUPT_MESSAGE_INFO,
};

use crate::nt::address;
use crate::nt::interrupt::{CONNECTIONS, Connection, detach};
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
    // SAFETY: All arms of this union are one pointer.
    let context = address::of(unsafe { parameters.ConnectionContext.Generic });
    let is_table = parameters.Version == CONNECT_MESSAGE_BASED;
    let connection = CONNECTIONS.with(|connections| find(connections.values(), context, is_table));
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
    let was_connected = detach(&connection);
    check!(
        Int06,
        routine,
        was_connected,
        "The interrupt with context {context:#x} is disconnected a second time."
    );
    forget_message_table(&connection);
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
                address::of(connection.pointer()) == context
            }
        })
        .cloned()
}

/// Spoils the message table, which the driver may not use any more.
fn forget_message_table(connection: &Connection) {
    let table = connection.message_table.load(Ordering::Acquire);
    if table != 0 {
        let table: *mut IO_INTERRUPT_MESSAGE_INFO = address::to_pointer(table);
        // SAFETY: The table is memory of `kernel_memory`, never freed, and the
        // driver gave it up with this call.
        unsafe {
            table
                .cast::<u8>()
                .write_bytes(DELETED_BYTE, size_of::<IO_INTERRUPT_MESSAGE_INFO>());
        };
    }
}

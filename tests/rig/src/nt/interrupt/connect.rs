//! IoConnectInterruptEx: three ways to ask, and what is answered to each.

use core::mem::offset_of;
use core::sync::atomic::Ordering;

use alloc::sync::Arc;
use alloc::vec::Vec;
use rig_protocol::IrqKind;
use wdk_sys::{
    CONNECT_FULLY_SPECIFIED, CONNECT_FULLY_SPECIFIED_GROUP, CONNECT_LINE_BASED,
    CONNECT_MESSAGE_BASED, IO_CONNECT_INTERRUPT_FULLY_SPECIFIED_PARAMETERS,
    IO_CONNECT_INTERRUPT_LINE_BASED_PARAMETERS, IO_CONNECT_INTERRUPT_MESSAGE_BASED_PARAMETERS,
    IO_CONNECT_INTERRUPT_PARAMETERS, IO_INTERRUPT_MESSAGE_INFO, IO_INTERRUPT_MESSAGE_INFO_ENTRY,
    KINTERRUPT_MODE, KIRQL, KSPIN_LOCK, LARGE_INTEGER, NTSTATUS, PDEVICE_OBJECT, ULONG,
};

use crate::machine::interrupts::message_for;
use crate::nt::interrupt::{Connection, Occasion, Plan, Service, attach, refusal};
use crate::nt::irql::{PASSIVE_LEVEL, raised};
use crate::nt::kernel_memory::allocate_object;
use crate::nt::node::{self, MAX_MESSAGES, Node, NodeRef};
use crate::nt::options::{self, ConnectForms};
use crate::nt::routine::Routine;
use crate::nt::status::{
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER, STATUS_INVALID_PARAMETER_1,
    STATUS_INVALID_PARAMETER_10, STATUS_NOT_FOUND, STATUS_NOT_SUPPORTED, STATUS_SUCCESS,
};
use crate::nt::violation::check;
use crate::nt::{address, fault, pnp};

/// `LevelSensitive`.
const LEVEL_SENSITIVE: KINTERRUPT_MODE = 0;
/// `Latched`.
const LATCHED: KINTERRUPT_MODE = 1;

/// IoConnectInterruptEx.
pub(crate) unsafe extern "C" fn io_connect_interrupt_ex(
    parameters: *mut IO_CONNECT_INTERRUPT_PARAMETERS,
) -> NTSTATUS {
    Routine::IoConnectInterruptEx.enter();
    // SAFETY: (Pointer) the driver's parameters, which it does not touch during
    // the call. (Aliasing) it is their only user.
    let parameters = unsafe { &mut *parameters };
    let form = parameters.Version;
    let is_refused = options::get().connect == ConnectForms::FullySpecifiedOnly
        && matches!(form, CONNECT_LINE_BASED | CONNECT_MESSAGE_BASED);
    // SAFETY: Each arm of the union begins with the PDO.
    let pdo = unsafe { parameters.__bindgen_anon_1.FullySpecified }.PhysicalDeviceObject;
    refusal::note(pdo, is_refused);
    if fault::strikes(Routine::IoConnectInterruptEx) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    match form {
        CONNECT_LINE_BASED | CONNECT_MESSAGE_BASED if is_refused => {
            parameters.Version = CONNECT_FULLY_SPECIFIED;
            STATUS_NOT_SUPPORTED
        }
        CONNECT_LINE_BASED => {
            // SAFETY: The version says which arm of the union the driver filled.
            let line = unsafe { parameters.__bindgen_anon_1.LineBased };
            // SAFETY: The driver filled it as this form is documented.
            unsafe { connect_line(&line) }
        }
        CONNECT_MESSAGE_BASED => {
            // SAFETY: As above.
            let message = unsafe { parameters.__bindgen_anon_1.MessageBased };
            // SAFETY: As above.
            unsafe { connect_message(&message, &mut parameters.Version) }
        }
        CONNECT_FULLY_SPECIFIED | CONNECT_FULLY_SPECIFIED_GROUP => {
            // SAFETY: As above.
            let full = unsafe { parameters.__bindgen_anon_1.FullySpecified };
            // SAFETY: As above.
            unsafe { connect_fully_specified(&full, form) }
        }
        _ => STATUS_INVALID_PARAMETER_1,
    }
}

/// The device whose PDO the parameters name.
fn node_of(pdo: PDEVICE_OBJECT) -> Result<NodeRef, NTSTATUS> {
    let node = node::of_pdo(pdo).ok_or(STATUS_INVALID_PARAMETER)?;
    pnp::assert_may_use_hardware(Routine::IoConnectInterruptEx, &node);
    Ok(node)
}

/// The IRQL for a connection that leaves it to the system: a request is a floor.
fn synchronize_irql(node: &Node, requested: KIRQL) -> u8 {
    requested.max(node.interrupt().irql())
}

/// Whether a connection with this lock and this SynchronizeIrql can be made: that of a
/// passive-level interrupt has no spin lock and is at PASSIVE_LEVEL.
fn is_fit(node: &Node, lock: *const KSPIN_LOCK, synchronize_irql: KIRQL) -> bool {
    !node.interrupt().is_passive || (lock.is_null() && synchronize_irql == PASSIVE_LEVEL)
}

/// CONNECT_LINE_BASED.
///
/// # Safety
/// The parameters are filled as documented, and what they point to is resident
/// while the interrupt is connected.
unsafe fn connect_line(line: &IO_CONNECT_INTERRUPT_LINE_BASED_PARAMETERS) -> NTSTATUS {
    let (node, routine) = match (node_of(line.PhysicalDeviceObject), line.ServiceRoutine) {
        (Ok(node), Some(routine)) => (node, routine),
        (Err(status), _) => return status,
        (_, None) => return STATUS_INVALID_PARAMETER,
    };
    if node.interrupt().kind != IrqKind::Intx {
        return STATUS_NOT_FOUND;
    }
    if !is_fit(&node, line.SpinLock, line.SynchronizeIrql) {
        return STATUS_INVALID_PARAMETER;
    }
    let connection = attach(Plan {
        synchronize_irql: synchronize_irql(&node, line.SynchronizeIrql),
        vector: node.interrupt().vector,
        message: 0,
        node,
        service: Service::Line(routine),
        context: line.ServiceContext,
        lock: line.SpinLock,
        version: CONNECT_LINE_BASED,
    });
    // SAFETY: By the contract: a variable of the driver's for the result.
    unsafe { line.InterruptObject.write(connection.pointer()) };
    run_early(&connection);
    STATUS_SUCCESS
}

/// CONNECT_MESSAGE_BASED, with its fallback to the line.
///
/// # Safety
/// As for [`connect_line`].
unsafe fn connect_message(
    message: &IO_CONNECT_INTERRUPT_MESSAGE_BASED_PARAMETERS,
    version: &mut ULONG,
) -> NTSTATUS {
    let node = match node_of(message.PhysicalDeviceObject) {
        Ok(node) => node,
        Err(status) => return status,
    };
    if node.interrupt().is_passive {
        // Only the other two forms are for passive-level interrupts.
        return STATUS_INVALID_PARAMETER;
    }
    if node.interrupt().kind == IrqKind::Intx {
        // SAFETY: All arms of this union are one pointer to the driver's variable.
        let interrupt_object = unsafe { message.ConnectionContext.InterruptObject };
        *version = CONNECT_LINE_BASED;
        // SAFETY: By the contract; the fallback takes the same context.
        return unsafe {
            connect_line(&IO_CONNECT_INTERRUPT_LINE_BASED_PARAMETERS {
                PhysicalDeviceObject: message.PhysicalDeviceObject,
                InterruptObject: interrupt_object,
                ServiceRoutine: message.FallBackServiceRoutine,
                ServiceContext: message.ServiceContext,
                SpinLock: message.SpinLock,
                SynchronizeIrql: message.SynchronizeIrql,
                FloatingSave: message.FloatingSave,
            })
        };
    }
    let Some(routine) = message.MessageServiceRoutine else {
        return STATUS_INVALID_PARAMETER;
    };
    let connections = attach_messages(&Plan {
        synchronize_irql: synchronize_irql(&node, message.SynchronizeIrql),
        vector: node.interrupt().vector,
        message: 0,
        node,
        service: Service::Message(routine),
        context: message.ServiceContext,
        lock: message.SpinLock,
        version: CONNECT_MESSAGE_BASED,
    });
    let table = message_table(&connections);
    // SAFETY: As above.
    let result = unsafe { message.ConnectionContext.InterruptMessageTable };
    // SAFETY: By the contract: a variable of the driver's for the result.
    unsafe { result.write(table) };
    for connection in &connections {
        run_early(connection);
    }
    STATUS_SUCCESS
}

/// Attaches one connection for each message of a device.
fn attach_messages(plan: &Plan) -> Vec<Arc<Connection>> {
    (0..)
        .zip(plan.node.interrupt().vectors())
        .map(|(message, vector)| {
            attach(Plan {
                message,
                vector,
                ..plan.clone()
            })
        })
        .collect()
}

/// An `IO_INTERRUPT_MESSAGE_INFO` with room for all messages, where the headers have one.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct MessageTable {
    unified_irql: KIRQL,
    message_count: ULONG,
    messages: [IO_INTERRUPT_MESSAGE_INFO_ENTRY; MAX_MESSAGES],
}

const _: () = assert!(
    offset_of!(MessageTable, messages) == offset_of!(IO_INTERRUPT_MESSAGE_INFO, MessageInfo)
        && offset_of!(MessageTable, message_count)
            == offset_of!(IO_INTERRUPT_MESSAGE_INFO, MessageCount),
    "the messages are where the headers have them"
);

/// The message table of connections.
fn message_table(connections: &[Arc<Connection>]) -> *mut IO_INTERRUPT_MESSAGE_INFO {
    let table = allocate_object::<MessageTable>().as_ptr();
    let mut contents = MessageTable {
        unified_irql: 0,
        message_count: 0,
        messages: [IO_INTERRUPT_MESSAGE_INFO_ENTRY::default(); MAX_MESSAGES],
    };
    for (entry, connection) in contents.messages.iter_mut().zip(connections) {
        contents.unified_irql = connection.synchronize_irql;
        contents.message_count += 1;
        *entry = message_entry(connection);
        connection
            .message_table
            .store(address::of(table), Ordering::Release);
    }
    // SAFETY: `allocate_object` just gave the memory, which nobody else knows.
    unsafe { table.write(contents) };
    table.cast()
}

/// A message's entry in the table.
fn message_entry(connection: &Connection) -> IO_INTERRUPT_MESSAGE_INFO_ENTRY {
    let interrupt = connection.node.interrupt();
    let message = message_for(connection.vector, interrupt.processor);
    IO_INTERRUPT_MESSAGE_INFO_ENTRY {
        MessageAddress: LARGE_INTEGER {
            QuadPart: message.address.cast_signed(),
        },
        TargetProcessorSet: interrupt.affinity(),
        InterruptObject: connection.pointer(),
        MessageData: message.data,
        Vector: ULONG::from(connection.vector),
        Irql: connection.vector >> 4,
        Mode: LATCHED,
        // InterruptPolarityUnknown: messages have none.
        Polarity: 0,
    }
}

/// CONNECT_FULLY_SPECIFIED: the driver repeats its translated descriptor.
///
/// # Safety
/// As for [`connect_line`].
unsafe fn connect_fully_specified(
    full: &IO_CONNECT_INTERRUPT_FULLY_SPECIFIED_PARAMETERS,
    version: ULONG,
) -> NTSTATUS {
    let (node, routine) = match (node_of(full.PhysicalDeviceObject), full.ServiceRoutine) {
        (Ok(node), Some(routine)) => (node, routine),
        (Err(status), _) => return status,
        (_, None) => return STATUS_INVALID_PARAMETER,
    };
    if full.ProcessorEnableMask == 0 {
        return STATUS_INVALID_PARAMETER_10;
    }
    if full.Vector != ULONG::from(node.interrupt().vector) {
        return STATUS_NOT_FOUND;
    }
    if !is_fit(&node, full.SpinLock, full.SynchronizeIrql) {
        return STATUS_INVALID_PARAMETER;
    }
    assert_follows_descriptor(&node, full);
    let connection = attach(Plan {
        synchronize_irql: full.SynchronizeIrql,
        vector: node.interrupt().vector,
        message: 0,
        node,
        service: Service::Line(routine),
        context: full.ServiceContext,
        lock: full.SpinLock,
        version,
    });
    // SAFETY: By the contract: a variable of the driver's for the result.
    unsafe { full.InterruptObject.write(connection.pointer()) };
    run_early(&connection);
    STATUS_SUCCESS
}

/// Checks a fully specified connection against the translated descriptor.
fn assert_follows_descriptor(node: &Node, full: &IO_CONNECT_INTERRUPT_FULLY_SPECIFIED_PARAMETERS) {
    let interrupt = node.interrupt();
    let is_line = interrupt.kind == IrqKind::Intx;
    let mode = if is_line { LEVEL_SENSITIVE } else { LATCHED };
    let follows = full.Irql == interrupt.irql()
        && full.SynchronizeIrql >= full.Irql
        && full.InterruptMode == mode
        && (full.ShareVector != 0) == is_line
        && full.ProcessorEnableMask == interrupt.affinity();
    check!(
        Int12,
        Routine::IoConnectInterruptEx,
        follows,
        "The connection says IRQL {}, SynchronizeIrql {}, mode {}, shared {}, processors {:#x}; the translated descriptor says IRQL {}, mode {mode}, shared {}, processors {:#x}.",
        full.Irql,
        full.SynchronizeIrql,
        full.InterruptMode,
        full.ShareVector,
        full.ProcessorEnableMask,
        interrupt.irql(),
        u8::from(is_line),
        interrupt.affinity()
    );
}

/// Calls the ISR before the connect call returns, if the run asks for it: on a
/// shared line this can happen at any time.
fn run_early(connection: &Arc<Connection>) {
    if !options::get().early_isr {
        return;
    }
    let claimed = raised(connection.synchronize_irql, || {
        connection.serve(Occasion::Connecting)
    });
    check!(
        Int03,
        Routine::IoConnectInterruptEx,
        !claimed,
        "The ISR claimed an interrupt while its device was not to interrupt yet."
    );
    let beyond = ULONG::try_from(connection.node.interrupt().vectors().count()).unwrap_or(0);
    let claimed = raised(connection.synchronize_irql, || {
        connection.serve_message(beyond, Occasion::Connecting, None)
    });
    check!(
        Int11,
        Routine::IoConnectInterruptEx,
        !claimed,
        "The ISR claimed message {beyond}, which the device does not have."
    );
}

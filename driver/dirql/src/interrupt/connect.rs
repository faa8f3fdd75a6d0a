//! The three versions of `IoConnectInterruptEx`, in order, and the way back.
//!
//! The call rewrites `Version` to say what it did, and that decides what the
//! connection context points to: an interrupt object, or a table of messages. See
//! "IoConnectInterruptEx" and "Using the CONNECT_... Version" in the documentation.

use core::ptr::null_mut;

use super::{Info, Kind};
use crate::{
    resources::InterruptResource,
    status::{NtError, Result},
    sys,
};

pub(super) const FULLY_SPECIFIED: u32 = 4;
pub(super) const LINE_BASED: u32 = 2;
pub(super) const MESSAGE_BASED: u32 = 3;
/// No version of IoConnectInterruptEx: what IoConnectInterrupt made.
const WITHOUT_PNP: u32 = 0;

/// An established connection.
#[derive(Debug)]
pub(super) struct Connection {
    /// What KeSynchronizeExecution is given.
    pub(super) object: *mut sys::KINTERRUPT,
    pub(super) info: Info,
    /// `Version` as the connect call left it, and the context that goes with it.
    version: u32,
    context: sys::PVOID,
}

/// The routines that the kernel is to call, for a line and for messages.
#[derive(Clone, Copy)]
pub(super) struct Routines {
    pub(super) line: unsafe extern "C" fn(*mut sys::KINTERRUPT, sys::PVOID) -> sys::BOOLEAN,
    pub(super) message: unsafe extern "C" fn(*mut sys::KINTERRUPT, sys::PVOID, u32) -> sys::BOOLEAN,
}

/// All that the attempts have in common.
pub(super) struct Attempts {
    pub(super) physical: *mut sys::DEVICE_OBJECT,
    pub(super) routines: Routines,
    pub(super) context: sys::PVOID,
    /// The lock that all messages share; NULL for one that the system supplies to each.
    pub(super) lock: *mut sys::KSPIN_LOCK,
}

impl Attempts {
    /// Message, line, fully specified: the first that stands.
    pub(super) fn connect(&self, resource: &InterruptResource<'_>) -> Result<Connection> {
        self.message_based(resource)
            .or_else(|_| self.line_based(resource))
            .or_else(|_| self.fully_specified(resource))
    }

    /// Messages, or the device's lines if it was given no messages.
    pub(super) fn message_based(&self, resource: &InterruptResource<'_>) -> Result<Connection> {
        let mut context: sys::PVOID = null_mut();
        let mut parameters = sys::IO_CONNECT_INTERRUPT_PARAMETERS {
            Version: MESSAGE_BASED,
            ..Default::default()
        };
        parameters.__bindgen_anon_1.MessageBased =
            sys::IO_CONNECT_INTERRUPT_MESSAGE_BASED_PARAMETERS {
                PhysicalDeviceObject: self.physical,
                ConnectionContext: sys::MessageConnectionContext {
                    Generic: &raw mut context,
                },
                MessageServiceRoutine: Some(self.routines.message),
                ServiceContext: self.context,
                SpinLock: self.lock,
                SynchronizeIrql: 0,
                FloatingSave: 0,
                FallBackServiceRoutine: Some(self.routines.line),
            };
        call(&mut parameters)?;
        match parameters.Version {
            MESSAGE_BASED => Connection::to_messages(context.cast()),
            LINE_BASED => Connection::to_line(context.cast(), Kind::Line, resource),
            version => {
                disconnect(version, context);
                Err(NtError::STATUS_NOT_SUPPORTED)
            }
        }
    }

    fn line_based(&self, resource: &InterruptResource<'_>) -> Result<Connection> {
        let mut object: *mut sys::KINTERRUPT = null_mut();
        let mut parameters = sys::IO_CONNECT_INTERRUPT_PARAMETERS {
            Version: LINE_BASED,
            ..Default::default()
        };
        parameters.__bindgen_anon_1.LineBased = sys::IO_CONNECT_INTERRUPT_LINE_BASED_PARAMETERS {
            PhysicalDeviceObject: self.physical,
            InterruptObject: &raw mut object,
            ServiceRoutine: Some(self.routines.line),
            ServiceContext: self.context,
            // One lock for all lines, which the system supplies.
            SpinLock: null_mut(),
            SynchronizeIrql: 0,
            FloatingSave: 0,
        };
        call(&mut parameters)?;
        Connection::to_line(object, Kind::Line, resource)
    }

    /// What the translated descriptor says, for a platform without the other forms.
    fn fully_specified(&self, resource: &InterruptResource<'_>) -> Result<Connection> {
        let mut object: *mut sys::KINTERRUPT = null_mut();
        let line = (self.physical, self.routines.line, self.context);
        call(&mut fully_specified(line, resource, &raw mut object))?;
        Connection::to_line(object, Kind::FullySpecified, resource)
    }
}

/// Device, routine and context of a line.
type Line = (
    *mut sys::DEVICE_OBJECT,
    unsafe extern "C" fn(*mut sys::KINTERRUPT, sys::PVOID) -> sys::BOOLEAN,
    sys::PVOID,
);

/// The parameters of `CONNECT_FULLY_SPECIFIED`: the translated descriptor, repeated, with the
/// lock that the system supplies, or the event for a passive-level interrupt.
fn fully_specified(
    (physical, routine, context): Line,
    resource: &InterruptResource<'_>,
    object: *mut *mut sys::KINTERRUPT,
) -> sys::IO_CONNECT_INTERRUPT_PARAMETERS {
    let mut parameters = sys::IO_CONNECT_INTERRUPT_PARAMETERS {
        Version: FULLY_SPECIFIED,
        ..Default::default()
    };
    parameters.__bindgen_anon_1.FullySpecified =
        sys::IO_CONNECT_INTERRUPT_FULLY_SPECIFIED_PARAMETERS {
            PhysicalDeviceObject: physical,
            InterruptObject: object,
            ServiceRoutine: Some(routine),
            ServiceContext: context,
            SpinLock: null_mut(),
            SynchronizeIrql: resource.level,
            FloatingSave: 0,
            ShareVector: resource.shared.into(),
            Vector: resource.vector,
            Irql: resource.level,
            InterruptMode: if resource.latched {
                sys::LATCHED
            } else {
                sys::LEVEL_SENSITIVE
            },
            ProcessorEnableMask: resource.affinity,
            Group: resource.group,
        };
    parameters
}

/// A connection of one passive-level interrupt.
pub(super) struct PassiveAttempt {
    pub(super) physical: *mut sys::DEVICE_OBJECT,
    pub(super) routine: unsafe extern "C" fn(*mut sys::KINTERRUPT, sys::PVOID) -> sys::BOOLEAN,
    pub(super) context: sys::PVOID,
}

impl PassiveAttempt {
    /// Fully specified, as the translated descriptor says, with the event that the system
    /// supplies in place of a lock.
    pub(super) fn connect(&self, resource: &InterruptResource<'_>) -> Result<Connection> {
        let mut object: *mut sys::KINTERRUPT = null_mut();
        let line = (self.physical, self.routine, self.context);
        call(&mut fully_specified(line, resource, &raw mut object))?;
        Connection::to_line(object, Kind::FullySpecified, resource)
    }
}

impl Attempts {
    /// For a driver without PnP, which has no physical device object. Wraps
    /// `IoConnectInterrupt`.
    pub(super) fn without_pnp(&self, resource: &InterruptResource<'_>) -> Result<Connection> {
        let mut object: *mut sys::KINTERRUPT = null_mut();
        let mode = if resource.latched {
            sys::LATCHED
        } else {
            sys::LEVEL_SENSITIVE
        };
        // SAFETY: (IRQL) `Interrupt::connect_legacy` has a `Passive` token. (Pointer) the
        // service context is alive until the disconnect, facts 2 and 40. (Ready) the ISR
        // may run from here on, and all that it reads is written.
        let status = unsafe {
            sys::IoConnectInterrupt(
                &raw mut object,
                Some(self.routines.line),
                self.context,
                null_mut(),
                resource.vector,
                resource.level,
                resource.level,
                mode,
                resource.shared.into(),
                resource.affinity,
                0,
            )
        };
        NtError::check(status)?;
        let connection = Connection::to_line(object, Kind::FullySpecified, resource)?;
        Ok(Connection {
            version: WITHOUT_PNP,
            ..connection
        })
    }
}

fn call(parameters: &mut sys::IO_CONNECT_INTERRUPT_PARAMETERS) -> Result<()> {
    // SAFETY: (IRQL) `Interrupt::connect`, which alone gets here, has a `Passive`
    // token. (Pointer) the parameters are complete for their version and live across
    // the call; the service context is alive until the disconnect, facts 2 and 3.
    // (Ready) the ISR may run from here on, and all that it reads is written.
    let status = unsafe { sys::IoConnectInterruptEx(parameters) };
    NtError::check(status).map(|_| ())
}

impl Connection {
    /// A success without an interrupt object is a failure: there is nothing to
    /// synchronise with, nor anything by which to disconnect.
    fn to_line(
        object: *mut sys::KINTERRUPT,
        kind: Kind,
        resource: &InterruptResource<'_>,
    ) -> Result<Self> {
        if object.is_null() {
            return Err(NtError::STATUS_UNSUCCESSFUL);
        }
        Ok(Self {
            object,
            info: Info {
                kind,
                vector: resource.vector,
                synchronize_irql: resource.level,
                messages: 0,
            },
            version: match kind {
                Kind::FullySpecified => FULLY_SPECIFIED,
                Kind::Line | Kind::Message => LINE_BASED,
            },
            context: object.cast(),
        })
    }

    fn to_messages(table: *mut sys::IO_INTERRUPT_MESSAGE_INFO) -> Result<Self> {
        if table.is_null() {
            return Err(NtError::STATUS_UNSUCCESSFUL);
        }
        // SAFETY: (Pointer) the kernel's table, which stands until the disconnect, fact 10.
        let unified_irql = unsafe { (*table).UnifiedIrql };
        // SAFETY: (Pointer) as above, fact 10.
        let messages = unsafe { (*table).MessageCount };
        // SAFETY: (Pointer) as above; a message connection has at least one message, fact
        // 10.
        let [message] = unsafe { (*table).MessageInfo };
        let connection = Self {
            object: message.InterruptObject,
            info: Info {
                kind: Kind::Message,
                vector: message.Vector,
                synchronize_irql: unified_irql,
                messages,
            },
            version: MESSAGE_BASED,
            context: table.cast(),
        };
        if connection.object.is_null() || messages == 0 {
            connection.disconnect();
            return Err(NtError::STATUS_UNSUCCESSFUL);
        }
        Ok(connection)
    }

    /// The interrupt object of a message; `None` if there is no such message.
    pub(super) fn message_object(&self, message: usize) -> Option<*mut sys::KINTERRUPT> {
        let count = usize::try_from(self.info.messages).ok()?;
        if message >= count {
            return None;
        }
        let table = self.context.cast::<sys::IO_INTERRUPT_MESSAGE_INFO>();
        // SAFETY: (Pointer) only a message connection counts messages, and its context is
        // the kernel's table, which stands until the disconnect, fact 10.
        let entries = unsafe { &raw const (*table).MessageInfo };
        let first = entries.cast::<sys::IO_INTERRUPT_MESSAGE_INFO_ENTRY>();
        // SAFETY: (Pointer) the table has `MessageCount` entries, looked at above, fact 10.
        let entry = unsafe { first.add(message) };
        // SAFETY: (Ready) the kernel has filled it in, fact 10.
        let object = unsafe { (*entry).InterruptObject };
        (!object.is_null()).then_some(object)
    }

    /// Makes the ISR active or inactive, which it is or is not already without harm.
    pub(super) fn set_active(&self, active: bool) {
        if self.version == WITHOUT_PNP {
            // Such a connection has no inactive state; the ISR answers "not mine" meanwhile.
            return;
        }
        let mut parameters = sys::IO_DISCONNECT_INTERRUPT_PARAMETERS {
            Version: self.version,
            ConnectionContext: sys::DisconnectContext {
                Generic: self.context,
            },
        };
        if active {
            // SAFETY: (IRQL) `Interrupt::resume` has a `Passive` token. (Pointer) version
            // and context are what the connect call left, in a structure of this layout,
            // facts 5 and 10.
            unsafe { sys::IoReportInterruptActive(&raw mut parameters) };
        } else {
            // SAFETY: as above, for `Interrupt::suspend`, facts 5 and 10.
            unsafe { sys::IoReportInterruptInactive(&raw mut parameters) };
        }
    }

    /// Takes the connection down; returns when no ISR of it runs any more.
    pub(super) fn disconnect(self) {
        disconnect(self.version, self.context);
    }
}

/// Ends the connection of this version and context, if there is one.
#[inline(never)]
fn disconnect(version: u32, context: sys::PVOID) {
    if context.is_null() {
        return;
    }
    if version == WITHOUT_PNP {
        // SAFETY: (IRQL) `Interrupt::disconnect` has a `Passive` token. (Pointer) the object
        // that IoConnectInterrupt returned, fact 10.
        unsafe { sys::IoDisconnectInterrupt(context.cast()) };
        return;
    }
    let mut parameters = sys::IO_DISCONNECT_INTERRUPT_PARAMETERS {
        Version: version,
        ConnectionContext: sys::DisconnectContext { Generic: context },
    };
    // SAFETY: (IRQL) `Interrupt::connect` and `disconnect`, which alone get here, have a
    // `Passive` token. (Pointer) version and context are what a connect call left, facts 5
    // and 10.
    unsafe { sys::IoDisconnectInterruptEx(&raw mut parameters) };
}

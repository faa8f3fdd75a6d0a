//! The rig as a [`System`]: its second serial port, which QEMU offers as a Unix
//! socket.
//!
//! Besides what every system does, the rig can be asked for what only a kernel
//! knows: to stop or remove a device, and for what it counted.

mod connection;
mod handle;
mod incoming;
mod request;

use std::{os::unix::net::UnixStream, path::Path, sync::Arc, time::Duration};

use rig_protocol::{Action, IrqKind, PROTOCOL_VERSION, Reply, Report, Request, TracedEvent};

use crate::{
    status::{Failure, NtStatus},
    transport::{Open, Operation, System, Transport, TransportError},
};

use connection::Connection;
pub use connection::Pending;
pub use handle::RigHandle;
pub use request::PendingControl;

/// How long the rig may take for anything but a control request or a PnP
/// action: it only looks something up.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// How long a PnP action may take. A removal waits for the requests that are
/// under way, and those end with their time-out at the latest.
const PNP_LIMIT: Duration = Duration::from_mins(2);

/// What the rig says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Processors that run.
    pub processors: u32,
    /// Kind of interrupt resource that the devices were given.
    pub irq: IrqKind,
    /// Devices that the driver was given.
    pub devices: u32,
}

/// A rig that runs.
pub struct Rig {
    connection: Arc<Connection>,
    hello: Hello,
}

impl Rig {
    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// [`TransportError::NoDevice`] when nothing listens there,
    /// [`TransportError::Lost`] when what listens is no rig of this version.
    pub fn connect(path: &Path) -> Result<Self, TransportError> {
        let stream = UnixStream::connect(path).map_err(|error| {
            TransportError::NoDevice(format!(
                "no rig listens at {}: {error}. `cargo xtask rig -- COMMAND` starts one and runs \
                 the command in it.",
                path.display()
            ))
        })?;
        Self::over(stream)
    }

    /// Greets the rig at the other end of `stream`.
    ///
    /// # Errors
    /// [`TransportError::Lost`] when it does not answer as a rig of this version.
    pub fn over(stream: UnixStream) -> Result<Self, TransportError> {
        let operation = Operation::Rig("greeting the rig");
        let connection = Connection::over(stream)?;
        match connection.request(operation, Request::Hello, ANSWER_LIMIT)? {
            Reply::Hello {
                version: PROTOCOL_VERSION,
                processors,
                irq,
                devices,
            } => Ok(Self {
                connection,
                hello: Hello {
                    processors,
                    irq,
                    devices,
                },
            }),
            Reply::Hello { version, .. } => Err(TransportError::Lost {
                operation,
                reason: format!(
                    "the rig speaks version {version} of the command channel and this program \
                     version {PROTOCOL_VERSION}; build both from the same sources"
                ),
            }),
            other => Err(unexpected(operation, &other)),
        }
    }

    /// What the rig said about itself.
    #[must_use]
    pub const fn hello(&self) -> Hello {
        self.hello
    }

    /// What the rig has counted so far.
    ///
    /// # Errors
    /// [`TransportError::Lost`] when it does not answer.
    pub fn report(&self) -> Result<Report, TransportError> {
        self.report_to(
            Operation::Rig("asking the rig for its report"),
            Request::Report,
            ANSWER_LIMIT,
        )
    }

    /// Takes the oldest event that a driver has traced and nobody has taken yet, if there is
    /// one, and how many were lost so far.
    ///
    /// # Errors
    /// [`TransportError::Lost`] when it does not answer.
    pub fn take_traced(&self) -> Result<(Option<TracedEvent>, u64), TransportError> {
        let operation = Operation::Rig("taking what was traced");
        let answer = self
            .connection
            .request(operation, Request::TakeTraced, ANSWER_LIMIT)?;
        match answer {
            Reply::Traced { event, lost } => Ok((event, lost)),
            other => Err(unexpected(operation, &other)),
        }
    }

    /// Removes the devices, unloads the driver and powers off. The report is
    /// from the moment after.
    ///
    /// # Errors
    /// [`TransportError::Lost`] when it does not answer: a rule was broken, and
    /// the rig's log says which.
    pub fn shut_down(self) -> Result<Report, TransportError> {
        self.report_to(
            Operation::Rig("shutting the rig down"),
            Request::Shutdown,
            PNP_LIMIT,
        )
    }

    /// Does `action` to a device, as the PnP manager would.
    ///
    /// # Errors
    /// [`TransportError::Failed`] when the driver refuses it,
    /// [`TransportError::Lost`] when the rig does not answer.
    pub fn pnp(&self, device: u32, action: Action) -> Result<(), TransportError> {
        let operation = Operation::Rig("a PnP action");
        let request = Request::Pnp { device, action };
        match self.connection.request(operation, request, PNP_LIMIT)? {
            Reply::Completed { status, .. } => succeeded(operation, status),
            other => Err(unexpected(operation, &other)),
        }
    }

    /// Sends any request and returns at once.
    ///
    /// # Errors
    /// [`TransportError::Lost`] when it cannot be sent.
    pub fn send(&self, request: Request) -> Result<Pending, TransportError> {
        self.connection.send(
            Operation::Rig("a request to the rig"),
            request,
            ANSWER_LIMIT,
        )
    }

    /// Opens a device; the handle also has what only the rig can do with one.
    ///
    /// # Errors
    /// As [`System::open`].
    pub fn open_handle(&self, open: &Open<'_>) -> Result<RigHandle, TransportError> {
        let operation = Operation::Open;
        let device = u32::try_from(open.device)
            .ok()
            .filter(|device| *device < self.hello.devices)
            .ok_or_else(|| {
                TransportError::NoDevice(format!(
                    "there is no device {} in the rig: it has {} device(s), counted from 0",
                    open.device, self.hello.devices
                ))
            })?;
        let request = Request::Open(rig_protocol::Open {
            device,
            read: open.read,
            write: open.write,
            trailing_name: open.trailing_name.to_owned(),
        });
        match self.connection.request(operation, request, ANSWER_LIMIT)? {
            Reply::Opened { handle } => Ok(RigHandle::new(Arc::clone(&self.connection), handle)),
            Reply::Completed { status, .. } => Err(failed(operation, status)),
            other => Err(unexpected(operation, &other)),
        }
    }

    fn report_to(
        &self,
        operation: Operation,
        request: Request,
        limit: Duration,
    ) -> Result<Report, TransportError> {
        match self.connection.request(operation, request, limit)? {
            Reply::Report(report) => Ok(report),
            other => Err(unexpected(operation, &other)),
        }
    }
}

impl System for Rig {
    fn device_count(&self) -> Result<usize, TransportError> {
        usize::try_from(self.hello.devices).map_err(|_| TransportError::Lost {
            operation: Operation::Find,
            reason: format!("the rig claims {} devices", self.hello.devices),
        })
    }

    fn open(&self, open: &Open<'_>) -> Result<Box<dyn Transport>, TransportError> {
        Ok(Box::new(self.open_handle(open)?))
    }
}

/// `Ok` for a success status. Informational values count as success, warnings
/// do not: no request of edu.sys ends with one.
fn succeeded(operation: Operation, status: u32) -> Result<(), TransportError> {
    const STATUS_PENDING: u32 = 0x103;
    if status == STATUS_PENDING {
        return Err(TransportError::Lost {
            operation,
            reason: "the request was completed with STATUS_PENDING, which is no result".to_owned(),
        });
    }
    if status < 0x8000_0000 {
        Ok(())
    } else {
        Err(failed(operation, status))
    }
}

const fn failed(operation: Operation, status: u32) -> TransportError {
    TransportError::Failed {
        operation,
        failure: Failure::Nt(NtStatus(status)),
    }
}

fn unexpected(operation: Operation, reply: &Reply) -> TransportError {
    let reason = match reply {
        Reply::Refused { reason } => format!("the rig refuses: {reason}"),
        other => format!("the rig answered with something else: {other:?}"),
    };
    TransportError::Lost { operation, reason }
}

//! What user mode and edu.sys agree on: control codes, request and reply
//! layouts, the device interface GUID.
//!
//! One definition serves the driver and the companion program, so neither can
//! drift from the other. All layouts are little-endian, without padding, and
//! only ever grow at their end: a driver refuses an input buffer that is shorter
//! than the request it knows, and [`Identity::version`] tells which one it knows.

#![no_std]
#![forbid(unsafe_code)]

mod control_code;
mod events;
mod layouts;
mod records;

pub use control_code::{Access, ControlCode, Method};
pub use events::{Clock, Event, EventsHeader, EventsRequest, FROM_NOW, Moment};
pub use layouts::{
    Causes, Factorial, FactorialRequest, INTERFACE_VERSION, Identity, InterruptKind, Liveness,
    LivenessRequest, RaiseRequest, Raised, Statistics,
};
pub use records::{Record, RecordKind, RecorderRequest, RecordsHeader, RecordsRequest, Section};

use uuid::{Uuid, uuid};

/// The device interface class by which user mode finds the device.
pub const DEVICE_INTERFACE: Uuid = uuid!("6d7e0c5b-3f0a-4c7e-9a41-215de88c7b13");

/// Longest time-out that a request may ask for, in milliseconds.
///
/// The factorial of `u32::MAX` keeps the device busy for some seconds; a minute
/// leaves room for a slow host and still bounds how long a request can pend.
pub const MAX_TIMEOUT_MS: u32 = 60_000;

/// Time-out of a request that asks for none (`timeout_ms` is zero), in milliseconds.
pub const DEFAULT_TIMEOUT_MS: u32 = 10_000;

/// Reads the identification: [`Identity`] out.
pub const IDENTIFY: ControlCode = ControlCode::vendor(0x800, Access::Read);
/// Liveness check of the device: [`LivenessRequest`] in, [`Liveness`] out.
pub const LIVENESS: ControlCode = ControlCode::vendor(0x801, Access::ReadWrite);
/// Computes a factorial: [`FactorialRequest`] in, [`Factorial`] out.
pub const FACTORIAL: ControlCode = ControlCode::vendor(0x802, Access::ReadWrite);
/// Makes the device interrupt: [`RaiseRequest`] in, [`Raised`] out.
pub const RAISE_INTERRUPT: ControlCode = ControlCode::vendor(0x803, Access::ReadWrite);
/// Takes a snapshot of the driver's counters: [`Statistics`] out.
pub const STATISTICS: ControlCode = ControlCode::vendor(0x804, Access::Read);
/// Sets the driver's counters to zero; what they were comes back: [`Statistics`] out.
pub const RESET_STATISTICS: ControlCode = ControlCode::vendor(0x805, Access::ReadWrite);
/// Waits for interrupts: [`EventsRequest`] in, an [`EventsHeader`] and as many [`Event`]s
/// as fit behind it out. Pends until there is one.
pub const WAIT_EVENTS: ControlCode = ControlCode::vendor(0x806, Access::Read);
/// Switches the flight recorder: [`RecorderRequest`] in.
pub const SWITCH_RECORDER: ControlCode = ControlCode::vendor(0x807, Access::ReadWrite);
/// Reads the flight recorder: [`RecordsRequest`] in, a [`RecordsHeader`] and as many
/// [`Record`]s as fit behind it out.
pub const READ_RECORDS: ControlCode = ControlCode::vendor(0x808, Access::Read);

/// Bytes of the device's buffer that `ReadFile` and `WriteFile` reach, from file offset 0.
///
/// The buffer has 4096 bytes. QEMU up to 9.0 aborts the whole virtual machine when a
/// transfer touches the last one, so the driver leaves it alone on every version.
pub const DEVICE_BUFFER_BYTES: u32 = 4095;

/// All control codes that edu.sys knows, with their names.
pub const CONTROL_CODES: [(ControlCode, &str); 9] = [
    (IDENTIFY, "IDENTIFY"),
    (LIVENESS, "LIVENESS"),
    (FACTORIAL, "FACTORIAL"),
    (RAISE_INTERRUPT, "RAISE_INTERRUPT"),
    (STATISTICS, "STATISTICS"),
    (RESET_STATISTICS, "RESET_STATISTICS"),
    (WAIT_EVENTS, "WAIT_EVENTS"),
    (SWITCH_RECORDER, "SWITCH_RECORDER"),
    (READ_RECORDS, "READ_RECORDS"),
];

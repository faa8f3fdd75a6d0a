//! The power manager: system power IRPs when the machine sleeps and wakes, device power
//! IRPs when a driver asks for them.
//!
//! # Model
//! ```text
//! working --SLEEP: query S3, set S3 to every stack--> asleep --WAKE: set S0--> working
//!
//! system IRP --> policy owner --PoRequestPowerIrp--> device IRP --> bus driver
//!                     ^                                                  |
//!                     '-------- completion function, system IRP ends ----'
//! ```
//! At most one device set-power IRP is under way in a stack; the others wait. They are
//! sent by whoever finds the power manager's queue not empty ([`queue`]): at
//! PASSIVE_LEVEL to a stack whose top is DO_POWER_PAGABLE, else at DISPATCH_LEVEL.
//!
//! While a device is not in D0 its registers do not answer: the pages through which a
//! driver has them mapped are closed ([`mmio`](crate::nt::mmio)), and what it had
//! written to them is lost ([`device_state`](crate::nt::device_state)).

mod ask;
pub(crate) mod bus;
pub(crate) mod dispatching;
pub(crate) mod exports;
pub(crate) mod manager;
pub(crate) mod queue;
pub(crate) mod record;
pub(crate) mod rules;

pub(crate) use ask::{PowerAsk, ended};

use core::fmt;

use wdk_sys::{DEVICE_POWER_STATE, IRP_MJ_POWER, POWER_STATE, SYSTEM_POWER_STATE};

use crate::nt::irp::{Irp, Originator, Request};
use crate::nt::status::STATUS_NOT_SUPPORTED;

/// Minor function codes.
pub(crate) mod minor {
    pub(crate) const WAIT_WAKE: u8 = 0;
    pub(crate) const SET_POWER: u8 = 2;
    pub(crate) const QUERY_POWER: u8 = 3;
}

/// `PowerDeviceUnspecified`: nothing was said yet.
pub(crate) const UNSPECIFIED: DEVICE_POWER_STATE = 0;
/// `PowerDeviceD0`.
pub(crate) const D0: DEVICE_POWER_STATE = 1;
/// `PowerDeviceD3`.
pub(crate) const D3: DEVICE_POWER_STATE = 4;
/// `PowerSystemWorking`.
const WORKING: SYSTEM_POWER_STATE = 1;
/// `PowerSystemSleeping3`.
const SLEEPING3: SYSTEM_POWER_STATE = 4;

/// `SystemPowerState`.
const SYSTEM: i32 = 0;
/// `DevicePowerState`.
pub(crate) const DEVICE: i32 = 1;

/// IRP_MJ_POWER as a stack location has it.
pub(crate) const MAJOR: u8 = IRP_MJ_POWER.to_le_bytes()[0];

/// What a power IRP asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A system power state.
    System(SYSTEM_POWER_STATE),
    /// A device power state.
    Device(DEVICE_POWER_STATE),
}

impl Target {
    /// Of a stack location's parameters.
    pub(crate) fn of(kind: i32, state: POWER_STATE) -> Self {
        // SAFETY: Both arms of the union are one integer.
        let state = unsafe { state.SystemState };
        if kind == SYSTEM {
            Self::System(state)
        } else {
            Self::Device(state)
        }
    }

    /// As a stack location's parameters have it.
    pub(crate) const fn parameters(self) -> (i32, POWER_STATE) {
        match self {
            Self::System(state) => (SYSTEM, POWER_STATE { SystemState: state }),
            Self::Device(state) => (DEVICE, POWER_STATE { DeviceState: state }),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(state) => write!(formatter, "S{}", state - 1),
            Self::Device(state) => write!(formatter, "D{}", state - 1),
        }
    }
}

/// A power IRP, before any driver has seen it.
fn make(ask: PowerAsk) -> Irp {
    let top = ask.node().pdo().top_of_stack();
    let target = ask.target();
    let irp = Irp::create(
        usize::try_from(top.stack_size()).unwrap_or(1),
        Request {
            major: MAJOR,
            minor: ask.code(),
            status: STATUS_NOT_SUPPORTED,
            mode: 0,
            file: core::ptr::null_mut(),
            buffer: None,
            originator: Originator::Power(ask),
        },
    );
    irp.first_location().set_power_target(target);
    irp
}

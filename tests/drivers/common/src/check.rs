//! How a check runs and reports.
//!
//! A check ends at the first thing that is not as it should be, and says in which
//! line of the driver that was: the host prints it.

use core::panic::Location;

use dirql::{
    irp::{Buffers, Dispatched, Irp},
    irql::{Passive, UpToDispatch},
    status::{NtError, Result},
    wait,
};
use test_protocol::{Arguments, Findings, check_number};

/// Why a check failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed {
    line: u32,
    status: u32,
}

/// What a check found: its figures, or where it failed.
pub type Outcome = core::result::Result<[u64; 8], Failed>;

impl Failed {
    /// Something in the caller's line is not as it should be.
    #[must_use]
    #[track_caller]
    pub const fn here() -> Self {
        Self {
            line: Location::caller().line(),
            status: 0,
        }
    }
}

/// A call that failed, so that `?` tells its line.
impl From<NtError> for Failed {
    #[track_caller]
    fn from(error: NtError) -> Self {
        Self {
            line: Location::caller().line(),
            status: error.status().cast_unsigned(),
        }
    }
}

/// Ends the check, with this line, unless the condition holds.
#[macro_export]
macro_rules! check {
    ($condition:expr) => {
        if !$condition {
            return Err($crate::Failed::here());
        }
    };
}

/// The check that a request asks for, and its arguments.
///
/// # Errors
/// STATUS_INVALID_DEVICE_REQUEST if it is no request for a check; if a buffer is too
/// small, the status that says so.
pub fn request(irp: &impl Buffers) -> Result<(u32, Arguments)> {
    let number = irp.control_code().and_then(check_number);
    let number = number.ok_or(NtError::STATUS_INVALID_DEVICE_REQUEST)?;
    irp.expect_output::<Findings>()?;
    irp.input().map(|arguments| (number, arguments))
}

/// The reply that carries an outcome.
#[must_use]
pub fn reply(outcome: Outcome) -> Findings {
    match outcome {
        Ok(values) => Findings {
            values,
            ..Findings::default()
        },
        Err(Failed { line, status }) => Findings {
            failed_line: line,
            status,
            ..Findings::default()
        },
    }
}

/// Runs the check that a request asks for and completes the request with what it
/// found.
pub fn answer(
    irql: &mut UpToDispatch,
    mut irp: Irp,
    run: impl FnOnce(&mut UpToDispatch, u32, [u64; 4]) -> Outcome,
) -> Dispatched {
    let written = request(&irp).and_then(|(number, arguments)| {
        let findings = reply(run(irql, number, arguments.values));
        irp.write_output(&findings)
    });
    irp.complete(irql, written)
}

/// Longest time that [`until`] waits.
const LIMIT_MS: u32 = 5_000;

/// Waits until `is_so`.
///
/// # Errors
/// The caller's line, when that takes longer than five seconds.
#[track_caller]
pub fn until(
    irql: &mut Passive,
    mut is_so: impl FnMut(&mut Passive) -> bool,
) -> core::result::Result<(), Failed> {
    for _ in 0..LIMIT_MS {
        if is_so(irql) {
            return Ok(());
        }
        wait::delay(irql, 1);
    }
    Err(Failed::here())
}

/// These figures, and zeros.
#[must_use]
pub fn figures<const N: usize>(found: [u64; N]) -> [u64; 8] {
    let mut values = [0; 8];
    for (place, value) in values.iter_mut().zip(found) {
        *place = value;
    }
    values
}

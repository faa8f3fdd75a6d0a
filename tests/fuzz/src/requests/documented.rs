//! A second opinion on what is to come of a request, from the documentation of the
//! interface: which sizes a request has, and what its words may say.
//!
//! It shares no code with the driver's parser but the names of what comes out.

use dirql::status::{NtError, Result};
use edu_controller::{Deadline, Operation};
use edu_interface::{CONTROL_CODES, DEFAULT_TIMEOUT_MS, MAX_TIMEOUT_MS};
use edu_requests::{Asked, Packeted, TICK_MS};

use super::Control;

/// Bytes of the device's buffer that may be reached.
pub const BUFFER_BYTES: u128 = 4_095;

/// What is to come of a control request.
///
/// # Errors
/// The status with which it is to be refused.
pub fn control(control: &Control) -> Result<Asked> {
    let known = CONTROL_CODES
        .iter()
        .find(|(code, _)| code.value() == control.code)
        .map(|(_, name)| *name);
    // Bytes of the request, and of the shortest reply.
    let (request, reply) = match known {
        Some("IDENTIFY") => (0, 24),
        Some("LIVENESS") => (4, 4),
        Some("FACTORIAL" | "RAISE_INTERRUPT") => (8, 8),
        Some("RESET_STATISTICS") if control.output_length == 0 => (0, 0),
        Some("STATISTICS" | "RESET_STATISTICS") => (0, 144),
        Some("WAIT_EVENTS") => (8, 64 + 24),
        Some("SWITCH_RECORDER") => (4, 0),
        Some("READ_RECORDS") => (8, 64 + 32),
        _ => return Err(NtError::STATUS_INVALID_DEVICE_REQUEST),
    };
    if control.input.len() < request {
        return Err(NtError::STATUS_INFO_LENGTH_MISMATCH);
    }
    if control.output_length < reply {
        return Err(NtError::STATUS_BUFFER_TOO_SMALL);
    }
    let word = |index: usize| {
        let bytes = control.input.iter().skip(index * 4).take(4).rev();
        bytes.fold(0, |word, byte| word << 8 | u32::from(*byte))
    };
    let after = u64::from(word(1)) << 32 | u64::from(word(0));
    Ok(match known {
        Some("IDENTIFY") => Asked::Identify,
        Some("LIVENESS") => Asked::Packeted(Packeted::Liveness { value: word(0) }),
        Some("FACTORIAL") => operation(Operation::Factorial { n: word(0) }, word(1))?,
        Some("RAISE_INTERRUPT") if word(0) == 0 => return Err(NtError::STATUS_INVALID_PARAMETER),
        Some("RAISE_INTERRUPT") => operation(Operation::Raise { mask: word(0) }, word(1))?,
        Some("STATISTICS") => Asked::Statistics,
        Some("RESET_STATISTICS") => Asked::ResetStatistics { wanted: reply > 0 },
        Some("WAIT_EVENTS") => Asked::WaitEvents { after },
        Some("SWITCH_RECORDER") if word(0) > 1 => return Err(NtError::STATUS_INVALID_PARAMETER),
        Some("SWITCH_RECORDER") => Asked::SwitchRecorder { on: word(0) == 1 },
        _ => Asked::ReadRecords { after },
    })
}

fn operation(operation: Operation, timeout_ms: u32) -> Result<Asked> {
    let timeout_ms = if timeout_ms == 0 {
        DEFAULT_TIMEOUT_MS
    } else {
        timeout_ms
    };
    if timeout_ms > MAX_TIMEOUT_MS {
        return Err(NtError::STATUS_INVALID_PARAMETER);
    }
    // No earlier than asked for, and less than a tick later.
    let ticks = timeout_ms / TICK_MS + u32::from(!timeout_ms.is_multiple_of(TICK_MS));
    Ok(Asked::Packeted(Packeted::Operation {
        operation,
        deadline: Deadline::after_ticks(ticks),
    }))
}

/// What is to come of a read or a write.
///
/// # Errors
/// The status with which it is to be refused.
pub fn transfer(offset: Option<u64>, length: usize, to_device: bool) -> Result<()> {
    if length == 0 {
        return Ok(());
    }
    let Some(offset) = offset.map(u128::from) else {
        return Err(NtError::STATUS_INVALID_PARAMETER);
    };
    if offset >= BUFFER_BYTES && !to_device {
        return Err(NtError::STATUS_END_OF_FILE);
    }
    if offset + length as u128 > BUFFER_BYTES {
        return Err(NtError::STATUS_INVALID_PARAMETER);
    }
    Ok(())
}

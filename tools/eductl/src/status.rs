//! Why a request failed: the driver's `NTSTATUS`, or the Win32 error that
//! Windows makes of it.
//!
//! One table holds both, so that a check names the documented status and holds
//! on either transport, and so that every error comes with what to do about it.

use std::fmt;

/// An `NTSTATUS` that means failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NtStatus(pub u32);

impl NtStatus {
    /// The general failure, `STATUS_UNSUCCESSFUL`.
    pub const UNSUCCESSFUL: Self = Self(0xc000_0001);
    /// The input buffer is not as long as the request.
    pub const INFO_LENGTH_MISMATCH: Self = Self(0xc000_0004);
    /// A field of the request has a value that means nothing.
    pub const INVALID_PARAMETER: Self = Self(0xc000_000d);
    /// There is no such device.
    pub const NO_SUCH_DEVICE: Self = Self(0xc000_000e);
    /// The device has as many requests of this kind as it takes.
    pub const DEVICE_BUSY: Self = Self(0x8000_0011);
    /// The driver does not know the control code.
    pub const INVALID_DEVICE_REQUEST: Self = Self(0xc000_0010);
    /// The offset of a read is at or behind the end.
    pub const END_OF_FILE: Self = Self(0xc000_0011);
    /// The handle was not opened for this.
    pub const ACCESS_DENIED: Self = Self(0xc000_0022);
    /// The output buffer is shorter than the reply.
    pub const BUFFER_TOO_SMALL: Self = Self(0xc000_0023);
    /// The driver has no names below its device.
    pub const OBJECT_NAME_NOT_FOUND: Self = Self(0xc000_0034);
    /// The device is being removed.
    pub const DELETE_PENDING: Self = Self(0xc000_0056);
    /// Not enough memory or other resources.
    pub const INSUFFICIENT_RESOURCES: Self = Self(0xc000_009a);
    /// The device is not started.
    pub const DEVICE_NOT_READY: Self = Self(0xc000_00a3);
    /// The operation passed its deadline.
    pub const IO_TIMEOUT: Self = Self(0xc000_00b5);
    /// The request was cancelled.
    pub const CANCELLED: Self = Self(0xc000_0120);
    /// There is nothing of that name or number.
    pub const NOT_FOUND: Self = Self(0xc000_0225);
    /// The device is gone.
    pub const DEVICE_REMOVED: Self = Self(0xc000_02b6);

    fn row(self) -> Option<&'static Row> {
        TABLE.iter().find(|row| row.status == self)
    }
}

impl fmt::Display for NtStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row() {
            Some(row) => write!(formatter, "{} (0x{:08X})", row.name, self.0),
            None => write!(formatter, "NTSTATUS 0x{:08X}", self.0),
        }
    }
}

/// How a request failed, as the system reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The status itself.
    Nt(NtStatus),
    /// A Win32 error code: what `GetLastError` gives for a status.
    Win32(u32),
}

impl Failure {
    /// Whether this failure is `status`, or what Windows makes of `status`.
    #[must_use]
    pub fn is(self, status: NtStatus) -> bool {
        match self {
            Self::Nt(failed) => failed == status,
            Self::Win32(code) => status.row().is_some_and(|row| row.win32 == code),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nt(status) => {
                write!(formatter, "{status}")?;
                status.row().map_or(Ok(()), |row| {
                    write!(formatter, ": {}; {}", row.meaning, row.advice)
                })
            }
            Self::Win32(code) => {
                write!(formatter, "Windows error {code}")?;
                let mut separator = ":";
                for row in TABLE.iter().filter(|row| row.win32 == *code) {
                    write!(
                        formatter,
                        "{separator} {}: {}; {}",
                        row.name, row.meaning, row.advice
                    )?;
                    separator = ", or";
                }
                Ok(())
            }
        }
    }
}

struct Row {
    status: NtStatus,
    name: &'static str,
    /// `RtlNtStatusToDosError` of the status.
    win32: u32,
    meaning: &'static str,
    advice: &'static str,
}

const fn row(
    status: NtStatus,
    name: &'static str,
    win32: u32,
    meaning: &'static str,
    advice: &'static str,
) -> Row {
    Row {
        status,
        name,
        win32,
        meaning,
        advice,
    }
}

static TABLE: [Row; 17] = [
    row(
        NtStatus::UNSUCCESSFUL,
        "STATUS_UNSUCCESSFUL",
        31,
        "the driver gave no reason",
        "look at the driver's debug output",
    ),
    row(
        NtStatus::INFO_LENGTH_MISMATCH,
        "STATUS_INFO_LENGTH_MISMATCH",
        24,
        "the input buffer is shorter than the request",
        "use an eductl of the driver's interface version",
    ),
    row(
        NtStatus::INVALID_PARAMETER,
        "STATUS_INVALID_PARAMETER",
        87,
        "a value in the request means nothing",
        "a raise needs a mask that is not zero, `eductl --help` gives the longest time-out and the \
         length of the device's buffer",
    ),
    row(
        NtStatus::NO_SUCH_DEVICE,
        "STATUS_NO_SUCH_DEVICE",
        2,
        "the device is gone",
        "check that it is still plugged in",
    ),
    row(
        NtStatus::INVALID_DEVICE_REQUEST,
        "STATUS_INVALID_DEVICE_REQUEST",
        1,
        "the driver does not know this control code",
        "use an eductl of the driver's interface version",
    ),
    row(
        NtStatus::DEVICE_BUSY,
        "STATUS_DEVICE_BUSY",
        170,
        "too many requests are waiting for events",
        "wait until some have ended, and try again",
    ),
    row(
        NtStatus::END_OF_FILE,
        "STATUS_END_OF_FILE",
        38,
        "the offset is at or behind the end of the device's buffer",
        "`eductl read --help` gives its length",
    ),
    row(
        NtStatus::ACCESS_DENIED,
        "STATUS_ACCESS_DENIED",
        5,
        "the handle was not opened for this kind of access",
        "open the device for reading and writing, as an administrator",
    ),
    row(
        NtStatus::BUFFER_TOO_SMALL,
        "STATUS_BUFFER_TOO_SMALL",
        122,
        "the output buffer is shorter than the reply",
        "use an eductl of the driver's interface version",
    ),
    row(
        NtStatus::OBJECT_NAME_NOT_FOUND,
        "STATUS_OBJECT_NAME_NOT_FOUND",
        2,
        "the device has no such name below it",
        "open the device itself",
    ),
    row(
        NtStatus::DELETE_PENDING,
        "STATUS_DELETE_PENDING",
        5,
        "the device is being removed",
        "close this handle and open the device again when it is back",
    ),
    row(
        NtStatus::INSUFFICIENT_RESOURCES,
        "STATUS_INSUFFICIENT_RESOURCES",
        1450,
        "the system is out of memory",
        "try again later",
    ),
    row(
        NtStatus::DEVICE_NOT_READY,
        "STATUS_DEVICE_NOT_READY",
        21,
        "the device is not started",
        "start it, and look at its state in the Device Manager if it does not start",
    ),
    row(
        NtStatus::IO_TIMEOUT,
        "STATUS_IO_TIMEOUT",
        121,
        "the device did not finish before the time-out",
        "give the operation more time with --timeout-ms",
    ),
    row(
        NtStatus::CANCELLED,
        "STATUS_CANCELLED",
        995,
        "the request was cancelled",
        "send it again if it is still wanted",
    ),
    row(
        NtStatus::NOT_FOUND,
        "STATUS_NOT_FOUND",
        1168,
        "there is no such request",
        "nothing needs to be done if it has just ended",
    ),
    row(
        NtStatus::DEVICE_REMOVED,
        "STATUS_DEVICE_REMOVED",
        1617,
        "the device is gone",
        "check that it is still plugged in",
    ),
];

#[cfg(test)]
mod tests {
    use super::{Failure, NtStatus, TABLE};

    #[test]
    fn a_failure_is_its_status_and_no_other() {
        let failure = Failure::Nt(NtStatus::IO_TIMEOUT);
        assert!(failure.is(NtStatus::IO_TIMEOUT));
        assert!(!failure.is(NtStatus::CANCELLED));
        assert!(Failure::Win32(121).is(NtStatus::IO_TIMEOUT));
        assert!(!Failure::Win32(121).is(NtStatus::CANCELLED));
    }

    #[test]
    fn a_win32_error_names_every_status_that_it_stands_for() {
        let text = Failure::Win32(5).to_string();
        assert!(text.contains("STATUS_ACCESS_DENIED"), "{text}");
        assert!(text.contains("STATUS_DELETE_PENDING"), "{text}");
    }

    #[test]
    fn an_unknown_status_is_shown_in_full() {
        let text = Failure::Nt(NtStatus(0xc000_0999)).to_string();
        assert_eq!(text, "NTSTATUS 0xC0000999");
        assert!(!Failure::Win32(9999).is(NtStatus(0xc000_0999)));
    }

    #[test]
    fn no_status_stands_twice_in_the_table() {
        for (index, row) in TABLE.iter().enumerate() {
            assert!(
                TABLE[index + 1..]
                    .iter()
                    .all(|other| other.status != row.status),
                "{}",
                row.name
            );
        }
    }
}

//! `NTSTATUS` in types. Wraps `NTSTATUS`, `NT_SUCCESS`.
//!
//! # Model
//!
//! A routine that can fail returns [`Result`]; its error holds failing codes only, so
//! `Err(STATUS_SUCCESS)` cannot exist, and a failure cannot be completed as a success. See
//! "Using NTSTATUS Values".
//!
//! # Not here
//!
//! Warnings and informational codes: to a caller they are successes.

use core::fmt;

use crate::sys::NTSTATUS;

/// What a kernel routine or a driver callback returns.
pub type Result<T, E = NtError> = core::result::Result<T, E>;

/// An `NTSTATUS` that says that something failed (`NT_SUCCESS` is false).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NtError(NTSTATUS);

/// A failing code, at compile time; one that succeeds does not compile.
///
/// # Panics
/// At compile time, for a code that says success or information.
const fn failing(status: u32) -> NTSTATUS {
    let status = status.cast_signed();
    assert!(status < 0, "this NTSTATUS says that something succeeded");
    status
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        impl NtError {
            $($(#[$doc])* pub const $name: Self = Self(failing($value));)*
        }

        /// The constants above, for checking them against the bindings.
        #[cfg(windows)]
        const _: () = {
            $(assert!(
                NtError::$name.0 == wdk_sys::$name,
                "an NTSTATUS here differs from the WDK's"
            );)*
        };
    };
}

codes! {
    /// The buffer holds a part of the data only.
    STATUS_BUFFER_OVERFLOW = 0x8000_0005;
    /// The driver gave up the request without an answer.
    STATUS_REQUEST_ABORTED = 0xC000_0240;
    /// The request was cancelled, or its file closed.
    STATUS_CANCELLED = 0xC000_0120;
    /// The data is not what it should be.
    STATUS_DATA_ERROR = 0xC000_003E;
    /// A read begins where the data ends, or behind that.
    STATUS_END_OF_FILE = 0xC000_0011;
    /// The object is about to be deleted: the device was removed.
    STATUS_DELETE_PENDING = 0xC000_0056;
    /// Another use of the device is in the way.
    STATUS_DEVICE_BUSY = 0x8000_0011;
    /// The device's resources are not what its driver needs.
    STATUS_DEVICE_CONFIGURATION_ERROR = 0xC000_0182;
    /// The device is not started.
    STATUS_DEVICE_NOT_READY = 0xC000_00A3;
    /// An address or a length is not a multiple of what it must be.
    STATUS_DATATYPE_MISALIGNMENT = 0x8000_0002;
    /// The buffer is shorter than the request.
    STATUS_INFO_LENGTH_MISMATCH = 0xC000_0004;
    /// Memory or another resource is short.
    STATUS_INSUFFICIENT_RESOURCES = 0xC000_009A;
    /// The driver does not know the request.
    STATUS_INVALID_DEVICE_REQUEST = 0xC000_0010;
    /// The data are longer than is taken.
    STATUS_INVALID_BUFFER_SIZE = 0xC000_0206;
    /// An argument is out of its range.
    STATUS_INVALID_PARAMETER = 0xC000_000D;
    /// The operation passed its deadline.
    STATUS_IO_TIMEOUT = 0xC000_00B5;
    /// The output buffer is shorter than the reply.
    STATUS_BUFFER_TOO_SMALL = 0xC000_0023;
    /// The name is longer than a name can be.
    STATUS_NAME_TOO_LONG = 0xC000_0106;
    /// There is no such device.
    STATUS_NO_SUCH_DEVICE = 0xC000_000E;
    /// There is no such thing.
    STATUS_NOT_FOUND = 0xC000_0225;
    /// It is not supported.
    STATUS_NOT_SUPPORTED = 0xC000_00BB;
    /// There is no file of that name.
    STATUS_OBJECT_NAME_NOT_FOUND = 0xC000_0034;
    /// It is there, and of another type than was asked for.
    STATUS_OBJECT_TYPE_MISMATCH = 0xC000_0024;
    /// It failed, and nothing more is known.
    STATUS_UNSUCCESSFUL = 0xC000_0001;
}

/// A status that says success or information where a failure was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnError(pub NTSTATUS);

impl TryFrom<NTSTATUS> for NtError {
    type Error = NotAnError;

    fn try_from(status: NTSTATUS) -> core::result::Result<Self, NotAnError> {
        Self::from_status(status).ok_or(NotAnError(status))
    }
}

impl From<NtError> for NTSTATUS {
    fn from(error: NtError) -> Self {
        error.0
    }
}

impl NtError {
    /// The error with this status; `None` if the status does not say that something failed.
    ///
    /// # IRQL
    /// Any.
    ///
    /// ```
    /// use dirql::status::NtError;
    ///
    /// const CANCELLED: NtError = match NtError::from_status(0xC000_0120_u32.cast_signed()) {
    ///     Some(error) => error,
    ///     None => NtError::STATUS_UNSUCCESSFUL,
    /// };
    /// assert_eq!(CANCELLED.status(), 0xC000_0120_u32.cast_signed());
    /// assert_eq!(NtError::from_status(0), None);
    /// ```
    #[must_use]
    pub const fn from_status(status: NTSTATUS) -> Option<Self> {
        if status < 0 { Some(Self(status)) } else { None }
    }

    /// The status as the kernel writes it.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn status(self) -> NTSTATUS {
        self.0
    }

    /// Separates success from failure as `NT_SUCCESS` does.
    ///
    /// # Errors
    /// The status, if it says that something failed.
    pub(crate) const fn check(status: NTSTATUS) -> Result<NTSTATUS> {
        match Self::from_status(status) {
            Some(error) => Err(error),
            None => Ok(status),
        }
    }
}

impl fmt::Debug for NtError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "NTSTATUS {:#010x}", self.0)
    }
}

/// The status that stands for a result.
pub(crate) const fn status_of<T>(result: &Result<T>) -> NTSTATUS {
    match result {
        Ok(_) => 0,
        Err(error) => error.0,
    }
}

#[cfg(test)]
mod tests {
    use super::{NotAnError, NtError, status_of};

    #[test]
    fn holds_failing_codes_only() {
        for status in [0, 1, 0x103, 0x4000_0000, i32::MAX] {
            assert_eq!(NtError::from_status(status), None);
            assert_eq!(NtError::try_from(status), Err(NotAnError(status)));
            assert_eq!(NtError::check(status), Ok(status));
        }
        for status in [-1, i32::MIN, 0x8000_0005_u32.cast_signed()] {
            let error = NtError::try_from(status).expect("a warning or an error");
            assert_eq!(i32::from(error), status);
            assert_eq!(NtError::check(status), Err(error));
            assert_eq!(status_of::<()>(&Err(error)), status);
        }
    }

    #[test]
    fn prints_the_code_as_the_documentation_writes_it() {
        let text = std::format!("{:?}", NtError::STATUS_DEVICE_NOT_READY);
        assert_eq!(text, "NTSTATUS 0xc00000a3");
    }
}

//! `NTSTATUS` in types.
//!
//! A routine that can fail returns [`Result`]; its error holds failing codes only,
//! so `Err(STATUS_SUCCESS)` cannot exist.

use core::fmt;

use crate::sys::NTSTATUS;

/// What a kernel routine or a driver callback returns.
pub type Result<T, E = NtError> = core::result::Result<T, E>;

/// An `NTSTATUS` that says that something failed (`NT_SUCCESS` is false).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NtError(NTSTATUS);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        impl NtError {
            $($(#[$doc])* pub const $name: Self = Self(($value as u32).cast_signed());)*
        }

        /// The constants above, for checking them against the bindings.
        #[cfg(windows)]
        const _: () = {
            $(assert!(
                NtError::$name.0 == wdk_sys::$name && NtError::$name.0 < 0,
                "an NTSTATUS here differs from the WDK's"
            );)*
        };
    };
}

codes! {
    /// The driver gave up the request without an answer.
    STATUS_REQUEST_ABORTED = 0xC000_0240;
    /// The object is about to be deleted: the device was removed.
    STATUS_DELETE_PENDING = 0xC000_0056;
    /// Another use of the device is in the way.
    STATUS_DEVICE_BUSY = 0x8000_0011;
    /// The device's resources are not what its driver needs.
    STATUS_DEVICE_CONFIGURATION_ERROR = 0xC000_0182;
    /// The device is not started.
    STATUS_DEVICE_NOT_READY = 0xC000_00A3;
    /// The buffer is shorter than the request.
    STATUS_INFO_LENGTH_MISMATCH = 0xC000_0004;
    /// Memory or another resource is short.
    STATUS_INSUFFICIENT_RESOURCES = 0xC000_009A;
    /// The driver does not know the request.
    STATUS_INVALID_DEVICE_REQUEST = 0xC000_0010;
    /// An argument is out of its range.
    STATUS_INVALID_PARAMETER = 0xC000_000D;
    /// The operation passed its deadline.
    STATUS_IO_TIMEOUT = 0xC000_00B5;
    /// The output buffer is shorter than the reply.
    STATUS_BUFFER_TOO_SMALL = 0xC000_0023;
    /// There is no such device.
    STATUS_NO_SUCH_DEVICE = 0xC000_000E;
    /// There is no such thing.
    STATUS_NOT_FOUND = 0xC000_0225;
    /// It is not supported.
    STATUS_NOT_SUPPORTED = 0xC000_00BB;
    /// There is no file of that name.
    STATUS_OBJECT_NAME_NOT_FOUND = 0xC000_0034;
    /// It failed, and nothing more is known.
    STATUS_UNSUCCESSFUL = 0xC000_0001;
}

impl NtError {
    /// The status as the kernel writes it.
    #[must_use]
    pub const fn status(self) -> NTSTATUS {
        self.0
    }

    /// Separates success from failure as `NT_SUCCESS` does.
    ///
    /// # Errors
    /// The status, if it says that something failed.
    pub(crate) const fn check(status: NTSTATUS) -> Result<NTSTATUS> {
        if status < 0 {
            Err(Self(status))
        } else {
            Ok(status)
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

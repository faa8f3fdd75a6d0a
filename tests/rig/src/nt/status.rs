//! The status codes that the executive gives or looks at.
//!
//! Values as published in the [MS-ERREF] list. They are spelt out here because
//! the headers define them by casts, which bindgen does not evaluate.
//!
//! [MS-ERREF]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-erref/596a1078-e883-4972-9bbc-49e60bebca55

use wdk_sys::NTSTATUS;

/// The code with these bits.
const fn code(bits: u32) -> NTSTATUS {
    bits.cast_signed()
}

pub(crate) const STATUS_SUCCESS: NTSTATUS = code(0);
pub(crate) const STATUS_TIMEOUT: NTSTATUS = code(0x0000_0102);
pub(crate) const STATUS_PENDING: NTSTATUS = code(0x0000_0103);
pub(crate) const STATUS_OBJECT_NAME_EXISTS: NTSTATUS = code(0x4000_0000);
pub(crate) const STATUS_DEVICE_BUSY: NTSTATUS = code(0x8000_0011);
pub(crate) const STATUS_CONFLICTING_ADDRESSES: NTSTATUS = code(0xC000_0018);
pub(crate) const STATUS_OBJECT_NAME_COLLISION: NTSTATUS = code(0xC000_0035);
pub(crate) const STATUS_BUFFER_OVERFLOW: NTSTATUS = code(0x8000_0005);
pub(crate) const STATUS_NOT_FOUND: NTSTATUS = code(0xC000_0225);
pub(crate) const STATUS_INVALID_HANDLE: NTSTATUS = code(0xC000_0008);
pub(crate) const STATUS_INVALID_PARAMETER: NTSTATUS = code(0xC000_000D);
pub(crate) const STATUS_INVALID_PARAMETER_1: NTSTATUS = code(0xC000_00EF);
pub(crate) const STATUS_INVALID_PARAMETER_2: NTSTATUS = code(0xC000_00F0);
pub(crate) const STATUS_INVALID_PARAMETER_10: NTSTATUS = code(0xC000_00F8);
pub(crate) const STATUS_INVALID_DEVICE_REQUEST: NTSTATUS = code(0xC000_0010);
pub(crate) const STATUS_MORE_PROCESSING_REQUIRED: NTSTATUS = code(0xC000_0016);
pub(crate) const STATUS_ACCESS_DENIED: NTSTATUS = code(0xC000_0022);
pub(crate) const STATUS_BUFFER_TOO_SMALL: NTSTATUS = code(0xC000_0023);
pub(crate) const STATUS_OBJECT_NAME_NOT_FOUND: NTSTATUS = code(0xC000_0034);
pub(crate) const STATUS_DELETE_PENDING: NTSTATUS = code(0xC000_0056);
pub(crate) const STATUS_INSUFFICIENT_RESOURCES: NTSTATUS = code(0xC000_009A);
pub(crate) const STATUS_NOT_SUPPORTED: NTSTATUS = code(0xC000_00BB);
pub(crate) const STATUS_CANCELLED: NTSTATUS = code(0xC000_0120);
pub(crate) const STATUS_NO_SUCH_DEVICE: NTSTATUS = code(0xC000_000E);

/// Whether the code says success or gives information (`NT_SUCCESS`).
pub(crate) const fn is_success(status: NTSTATUS) -> bool {
    status >= 0
}

/// Whether the code says error (`NT_ERROR`); a warning is neither.
pub(crate) const fn is_error(status: NTSTATUS) -> bool {
    status.cast_unsigned() >> 30 == 3
}

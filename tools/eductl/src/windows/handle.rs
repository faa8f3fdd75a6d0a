//! An open device: `CreateFileW`, requests on it, `CloseHandle`.
//!
//! The handle is opened for overlapped I/O: the I/O manager lets only one
//! request at a time through a synchronous handle, and then the driver would
//! never see two threads at once.

use std::ptr;

use windows_sys::Win32::{
    Foundation::{CloseHandle, GENERIC_READ, GENERIC_WRITE, HANDLE, INVALID_HANDLE_VALUE},
    Storage::FileSystem::{
        CreateFileW, FILE_FLAG_OVERLAPPED, FILE_SHARE_READ, FILE_SHARE_WRITE, OPEN_EXISTING,
    },
};

use super::{event::last_error, request::OverlappedRequest};
use crate::{
    status::Failure,
    transport::{IoRequest, Open, Operation, Pending, Transport, TransportError},
};

/// An open handle to one device.
pub(super) struct DeviceHandle {
    /// None once it was closed.
    handle: Option<HANDLE>,
}

// SAFETY: a file handle is a number that the kernel checks; it may be used and
// closed from any thread.
unsafe impl Send for DeviceHandle {}
// SAFETY: as for Send; overlapped requests on one handle are independent of one
// another, each with an OVERLAPPED and buffers of its own.
unsafe impl Sync for DeviceHandle {}

impl DeviceHandle {
    pub(super) fn open(path: &[u16], open: &Open<'_>) -> Result<Self, TransportError> {
        let mut name = path.to_vec();
        if !open.trailing_name.is_empty() {
            name.push(u16::from(b'\\'));
            name.extend(open.trailing_name.encode_utf16());
        }
        name.push(0);
        let access =
            if open.read { GENERIC_READ } else { 0 } | if open.write { GENERIC_WRITE } else { 0 };
        // SAFETY: `name` ends with a zero and is alive across the call; the other
        // pointers are null, which is allowed.
        let handle = unsafe {
            CreateFileW(
                name.as_ptr(),
                access,
                FILE_SHARE_READ | FILE_SHARE_WRITE,
                ptr::null(),
                OPEN_EXISTING,
                FILE_FLAG_OVERLAPPED,
                ptr::null_mut(),
            )
        };
        if handle == INVALID_HANDLE_VALUE {
            return Err(failed(Operation::Open, last_error()));
        }
        Ok(Self {
            handle: Some(handle),
        })
    }

    fn close_now(&mut self) -> Result<(), TransportError> {
        let Some(handle) = self.handle.take() else {
            return Ok(());
        };
        // SAFETY: the handle came from CreateFileW, and taking it out of `self`
        // makes this the only place that closes it.
        let closed = unsafe { CloseHandle(handle) };
        if closed == 0 {
            return Err(failed(Operation::Close, last_error()));
        }
        Ok(())
    }
}

impl Transport for DeviceHandle {
    fn start(&self, request: &IoRequest<'_>) -> Result<Box<dyn Pending + '_>, TransportError> {
        let operation = request.operation();
        let handle = self.handle.as_ref().ok_or_else(|| TransportError::Lost {
            operation,
            reason: "the handle is closed".to_owned(),
        })?;
        let request =
            OverlappedRequest::start(handle, request).map_err(|error| failed(operation, error))?;
        Ok(Box::new(request))
    }

    fn for_cleanup(&self) -> &dyn Transport {
        self
    }

    fn close(mut self: Box<Self>) -> Result<(), TransportError> {
        self.close_now()
    }
}

impl Drop for DeviceHandle {
    fn drop(&mut self) {
        // Whoever wants to know of a failure calls `close`.
        drop(self.close_now());
    }
}

pub(super) const fn failed(operation: Operation, error: u32) -> TransportError {
    TransportError::Failed {
        operation,
        failure: Failure::Win32(error),
    }
}

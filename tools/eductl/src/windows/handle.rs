//! An open device: `CreateFileW`, `DeviceIoControl`, `CloseHandle`.
//!
//! The handle is opened for overlapped I/O: the I/O manager lets only one
//! request at a time through a synchronous handle, and then the driver would
//! never see two threads at once.

use std::{ptr, time::Duration};

use windows_sys::Win32::{
    Foundation::{
        CloseHandle, ERROR_IO_PENDING, ERROR_OPERATION_ABORTED, GENERIC_READ, GENERIC_WRITE,
        HANDLE, INVALID_HANDLE_VALUE,
    },
    Storage::FileSystem::{
        CreateFileW, FILE_FLAG_OVERLAPPED, FILE_SHARE_READ, FILE_SHARE_WRITE, OPEN_EXISTING,
    },
    System::IO::{CancelIoEx, DeviceIoControl, GetOverlappedResult, OVERLAPPED},
};

use super::event::{Event, last_error};
use crate::{
    status::Failure,
    transport::{CONTROL_LIMIT, Open, Operation, Transport, TransportError},
};

/// How long a driver may take to end a request that was cancelled.
const CANCEL_LIMIT: Duration = Duration::from_secs(10);

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
    fn device_io_control(
        &self,
        code: u32,
        input: &[u8],
        output_length: usize,
    ) -> Result<Vec<u8>, TransportError> {
        let operation = Operation::Control(code);
        let lost = |reason: String| TransportError::Lost { operation, reason };
        let handle = self
            .handle
            .ok_or_else(|| lost("the handle is closed".to_owned()))?;
        let mut request =
            Request::new(input, output_length).map_err(|error| failed(operation, error))?;
        request
            .start(handle, code)
            .map_err(|error| failed(operation, error))?;
        if !request.event.wait(CONTROL_LIMIT) {
            request.cancel(handle);
            if !request.event.wait(CANCEL_LIMIT) {
                // The kernel may still write to it at any time.
                Box::leak(request);
                return Err(lost(
                    "the driver has neither ended nor cancelled the request; restart the machine"
                        .to_owned(),
                ));
            }
        }
        request.result(handle).map_err(|error| {
            if error == ERROR_OPERATION_ABORTED {
                lost(format!(
                    "no answer within {} s, and the request was cancelled",
                    CONTROL_LIMIT.as_secs()
                ))
            } else {
                failed(operation, error)
            }
        })
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

/// All that the kernel uses while a request is under way. It lives in a box of
/// its own, so that it can be given up to the kernel for ever if need be.
struct Request {
    overlapped: OVERLAPPED,
    event: Event,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Request {
    fn new(input: &[u8], output_length: usize) -> Result<Box<Self>, u32> {
        let event = Event::new()?;
        let overlapped = OVERLAPPED {
            hEvent: event.handle(),
            ..OVERLAPPED::default()
        };
        Ok(Box::new(Self {
            overlapped,
            event,
            input: input.to_vec(),
            output: vec![0; output_length],
        }))
    }

    /// Starts the request. After `Ok` the event tells when it has ended.
    fn start(&mut self, handle: HANDLE, code: u32) -> Result<(), u32> {
        const ERROR_INVALID_PARAMETER: u32 = 87;
        let input_length = u32::try_from(self.input.len()).map_err(|_| ERROR_INVALID_PARAMETER)?;
        let output_length =
            u32::try_from(self.output.len()).map_err(|_| ERROR_INVALID_PARAMETER)?;
        // SAFETY: the handle is open, for its owner waits in the call above this
        // one. Both buffers and `overlapped` are in the box of this request, have
        // the lengths given, and stay where they are until the event says that
        // the kernel is done with them, or are leaked.
        let ended = unsafe {
            DeviceIoControl(
                handle,
                code,
                self.input.as_ptr().cast(),
                input_length,
                self.output.as_mut_ptr().cast(),
                output_length,
                ptr::null_mut(),
                &raw mut self.overlapped,
            )
        };
        if ended != 0 {
            return Ok(());
        }
        match last_error() {
            ERROR_IO_PENDING => Ok(()),
            error => Err(error),
        }
    }

    /// Asks for the end of the request; what came of it shows in the event.
    fn cancel(&mut self, handle: HANDLE) {
        // SAFETY: the handle is open and `overlapped` is that of a request that
        // was started on it. The call fails if the request has just ended, and
        // then the event is set.
        unsafe { CancelIoEx(handle, &raw const self.overlapped) };
    }

    /// The output of a request that has ended.
    fn result(mut self: Box<Self>, handle: HANDLE) -> Result<Vec<u8>, u32> {
        const DO_NOT_WAIT: i32 = 0;
        let mut written = 0;
        // SAFETY: the handle is open, and `overlapped` is that of a request which
        // has ended, as its event said; `written` is alive across the call.
        let succeeded = unsafe {
            GetOverlappedResult(
                handle,
                &raw const self.overlapped,
                &raw mut written,
                DO_NOT_WAIT,
            )
        };
        if succeeded == 0 {
            return Err(last_error());
        }
        let mut output = std::mem::take(&mut self.output);
        output.truncate(usize::try_from(written).unwrap_or(usize::MAX));
        Ok(output)
    }
}

const fn failed(operation: Operation, error: u32) -> TransportError {
    TransportError::Failed {
        operation,
        failure: Failure::Win32(error),
    }
}

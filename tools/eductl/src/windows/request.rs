//! Requests on an open handle: `DeviceIoControl`, `ReadFile`, `WriteFile`,
//! `CancelIoEx`, `GetOverlappedResult`.

use std::{marker::PhantomData, mem, ptr, time::Duration};

use windows_sys::Win32::{
    Foundation::{
        ERROR_INVALID_PARAMETER, ERROR_IO_PENDING, ERROR_NOT_FOUND, ERROR_OPERATION_ABORTED, HANDLE,
    },
    Storage::FileSystem::{ReadFile, WriteFile},
    System::IO::{
        CancelIoEx, DeviceIoControl, GetOverlappedResult, OVERLAPPED, OVERLAPPED_0, OVERLAPPED_0_0,
    },
};

use super::{
    event::{Event, last_error},
    handle::failed,
};
use crate::transport::{Answer, CONTROL_LIMIT, IoRequest, Operation, Pending, TransportError};

/// How long a driver may take to end a request that was cancelled.
const CANCEL_LIMIT: Duration = Duration::from_secs(10);

/// A request that is under way on a handle, which stays open at least as long.
pub(super) struct OverlappedRequest<'a> {
    operation: Operation,
    handle: HANDLE,
    /// None once the kernel is done with it, or it was given up to the kernel.
    shared: Option<Box<Shared>>,
    _open: PhantomData<&'a HANDLE>,
}

// SAFETY: a file handle and an event handle are numbers that the kernel checks, and
// the buffers belong to this value alone; any thread may wait for or cancel the request.
unsafe impl Send for OverlappedRequest<'_> {}

/// All that the kernel uses while a request is under way. It lives in a box of
/// its own, so that it can be given up to the kernel for ever if need be.
struct Shared {
    overlapped: OVERLAPPED,
    event: Event,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl<'a> OverlappedRequest<'a> {
    /// Starts a request; or the Win32 error with which it failed at once.
    pub(super) fn start(handle: &'a HANDLE, request: &IoRequest<'_>) -> Result<Self, u32> {
        let mut shared = Shared::new(request)?;
        shared.start(*handle, request)?;
        Ok(Self {
            operation: request.operation(),
            handle: *handle,
            shared: Some(shared),
            _open: PhantomData,
        })
    }

    fn lost(&self, reason: String) -> TransportError {
        TransportError::Lost {
            operation: self.operation,
            reason,
        }
    }

    /// Cancels the request and waits until the kernel is done with it; whether it is.
    fn end(&mut self) -> bool {
        // What the cancellation says does not matter: the event tells the end.
        drop(self.cancel());
        if self.ends_within(CANCEL_LIMIT) {
            return true;
        }
        if let Some(shared) = self.shared.take() {
            // The kernel may still write to it at any time.
            Box::leak(shared);
        }
        false
    }
}

impl Pending for OverlappedRequest<'_> {
    fn operation(&self) -> Operation {
        self.operation
    }

    fn ends_within(&mut self, limit: Duration) -> bool {
        self.shared
            .as_ref()
            .is_none_or(|shared| shared.event.wait(limit))
    }

    fn cancel(&mut self) -> Result<(), TransportError> {
        let Some(shared) = &self.shared else {
            return Ok(());
        };
        match shared.cancel(self.handle) {
            // Then it has just ended.
            Ok(()) | Err(ERROR_NOT_FOUND) => Ok(()),
            Err(error) => Err(self.lost(format!("CancelIoEx failed with Windows error {error}"))),
        }
    }

    fn wait(mut self: Box<Self>) -> Result<Answer, TransportError> {
        let in_time = self.ends_within(CONTROL_LIMIT);
        if !in_time && !self.end() {
            return Err(self.lost(
                "the driver has neither ended nor cancelled the request; restart the machine"
                    .to_owned(),
            ));
        }
        let Some(shared) = self.shared.take() else {
            return Err(self.lost("the request was given up".to_owned()));
        };
        shared.answer(self.handle).map_err(|error| {
            if error == ERROR_OPERATION_ABORTED && !in_time {
                self.lost(format!(
                    "no answer within {} s, and the request was cancelled",
                    CONTROL_LIMIT.as_secs()
                ))
            } else {
                failed(self.operation, error)
            }
        })
    }
}

impl Drop for OverlappedRequest<'_> {
    fn drop(&mut self) {
        if self.shared.is_some() {
            self.end();
        }
    }
}

impl Shared {
    fn new(request: &IoRequest<'_>) -> Result<Box<Self>, u32> {
        let (offset, input, output_length) = match *request {
            IoRequest::Control {
                input,
                output_length,
                ..
            } => (0, input, output_length),
            IoRequest::Read { offset, length } => (offset, &[][..], length),
            IoRequest::Write { offset, data } => (offset, data, 0),
        };
        let event = Event::new()?;
        let overlapped = OVERLAPPED {
            Anonymous: OVERLAPPED_0 {
                Anonymous: halves(offset),
            },
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
    fn start(&mut self, handle: HANDLE, request: &IoRequest<'_>) -> Result<(), u32> {
        let input_length = u32::try_from(self.input.len()).map_err(|_| ERROR_INVALID_PARAMETER)?;
        let output_length =
            u32::try_from(self.output.len()).map_err(|_| ERROR_INVALID_PARAMETER)?;
        let overlapped = &raw mut self.overlapped;
        let ended = match *request {
            // SAFETY: the handle is open, for this request borrows its owner. Both
            // buffers and `overlapped` are in the box of this request, have the lengths
            // given, and stay where they are until the event says that the kernel is
            // done with them, or are leaked.
            IoRequest::Control { code, .. } => unsafe {
                DeviceIoControl(
                    handle,
                    code,
                    self.input.as_ptr().cast(),
                    input_length,
                    self.output.as_mut_ptr().cast(),
                    output_length,
                    ptr::null_mut(),
                    overlapped,
                )
            },
            // SAFETY: as for DeviceIoControl above, with the output buffer alone.
            IoRequest::Read { .. } => unsafe {
                ReadFile(
                    handle,
                    self.output.as_mut_ptr(),
                    output_length,
                    ptr::null_mut(),
                    overlapped,
                )
            },
            // SAFETY: as for DeviceIoControl above, with the input buffer alone.
            IoRequest::Write { .. } => unsafe {
                WriteFile(
                    handle,
                    self.input.as_ptr(),
                    input_length,
                    ptr::null_mut(),
                    overlapped,
                )
            },
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
    fn cancel(&self, handle: HANDLE) -> Result<(), u32> {
        // SAFETY: the handle is open and `overlapped` is that of a request that
        // was started on it; it is only looked up by its address.
        let asked = unsafe { CancelIoEx(handle, &raw const self.overlapped) };
        if asked == 0 {
            return Err(last_error());
        }
        Ok(())
    }

    /// What a request that has ended brought.
    fn answer(mut self: Box<Self>, handle: HANDLE) -> Result<Answer, u32> {
        const DO_NOT_WAIT: i32 = 0;
        let mut information = 0;
        // SAFETY: the handle is open, and `overlapped` is that of a request which
        // has ended, as its event said; `information` is alive across the call.
        let succeeded = unsafe {
            GetOverlappedResult(
                handle,
                &raw const self.overlapped,
                &raw mut information,
                DO_NOT_WAIT,
            )
        };
        if succeeded == 0 {
            return Err(last_error());
        }
        let transferred = usize::try_from(information).unwrap_or(usize::MAX);
        let mut output = mem::take(&mut self.output);
        output.truncate(transferred);
        Ok(Answer {
            transferred,
            output,
        })
    }
}

/// An offset in the two halves in which the kernel takes it.
fn halves(offset: u64) -> OVERLAPPED_0_0 {
    let [b0, b1, b2, b3, b4, b5, b6, b7] = offset.to_le_bytes();
    OVERLAPPED_0_0 {
        Offset: u32::from_le_bytes([b0, b1, b2, b3]),
        OffsetHigh: u32::from_le_bytes([b4, b5, b6, b7]),
    }
}

#[cfg(test)]
mod tests {
    use super::halves;

    #[test]
    fn an_offset_comes_apart_in_the_middle() {
        let halves = halves(0x0123_4567_89ab_cdef);
        assert_eq!(
            (halves.Offset, halves.OffsetHigh),
            (0x89ab_cdef, 0x0123_4567)
        );
    }
}

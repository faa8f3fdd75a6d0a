//! An event object, by which one control request is waited for.

use std::{ptr, time::Duration};

use windows_sys::Win32::{
    Foundation::{CloseHandle, GetLastError, HANDLE, WAIT_OBJECT_0},
    System::Threading::{CreateEventW, WaitForSingleObject},
};

/// A manual-reset event.
pub(super) struct Event(HANDLE);

// SAFETY: an event handle is a number that the kernel checks; every function on
// it may be called from any thread.
unsafe impl Send for Event {}

impl Event {
    /// A new one, not signalled; or the Win32 error.
    pub(super) fn new() -> Result<Self, u32> {
        const MANUAL_RESET: i32 = 1;
        const NOT_SIGNALLED: i32 = 0;
        // SAFETY: null attributes and a null name are allowed, and no pointer of
        // ours is passed.
        let handle = unsafe { CreateEventW(ptr::null(), MANUAL_RESET, NOT_SIGNALLED, ptr::null()) };
        if handle.is_null() {
            return Err(last_error());
        }
        Ok(Self(handle))
    }

    pub(super) const fn handle(&self) -> HANDLE {
        self.0
    }

    /// Whether the event was signalled within `limit`.
    pub(super) fn wait(&self, limit: Duration) -> bool {
        // `INFINITE` is u32::MAX and must not come out of a long limit.
        let milliseconds = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX - 1);
        // SAFETY: the handle is open until this value is dropped.
        let result = unsafe { WaitForSingleObject(self.0, milliseconds) };
        result == WAIT_OBJECT_0
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: the handle came from CreateEventW and is closed only here.
        let closed = unsafe { CloseHandle(self.0) };
        debug_assert_ne!(closed, 0, "an event of our own can be closed");
    }
}

/// The calling thread's last Win32 error.
pub(super) fn last_error() -> u32 {
    // SAFETY: reads a thread-local value and has no conditions.
    unsafe { GetLastError() }
}

//! Ctrl-C: a wish to stop, and handles whose requests heed it.
//!
//! Nothing is torn down from a signal handler. It sets a flag; whoever waits for a
//! request through an [`Interruptible`] sees it, has the request cancelled and waits
//! for its end, so that when the program ends nothing of it is left in the driver.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    status::NtStatus,
    transport::{
        Answer, CONTROL_LIMIT, IoRequest, Open, Operation, Pending, System, Transport,
        TransportError,
    },
};

/// How long it takes at most until a wish to stop is seen.
const SLICE: Duration = Duration::from_millis(20);

/// Whether somebody wants this to stop. Clones are of the same wish.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Wishes that it stop. There is no way back.
    pub fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether that was wished.
    #[must_use]
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Sleeps for `duration`, or until the wish comes; whether it came.
    #[must_use]
    pub fn comes_within(&self, duration: Duration) -> bool {
        let end = Instant::now() + duration;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if self.requested() || left.is_zero() {
                return self.requested();
            }
            thread::sleep(left.min(SLICE));
        }
    }
}

/// A system or a handle whose requests end when a [`Stop`] is requested: those under
/// way are cancelled, and later ones are not sent.
pub struct Interruptible<T> {
    inner: T,
    stop: Stop,
}

impl<T> Interruptible<T> {
    /// Has requests through `inner` heed `stop`.
    #[must_use]
    pub const fn new(inner: T, stop: Stop) -> Self {
        Self { inner, stop }
    }
}

impl System for Interruptible<Box<dyn System>> {
    fn device_count(&self) -> Result<usize, TransportError> {
        self.inner.device_count()
    }

    fn open(&self, open: &Open<'_>) -> Result<Box<dyn Transport>, TransportError> {
        let handle = self.inner.open(open)?;
        Ok(Box::new(Interruptible::new(handle, self.stop.clone())))
    }
}

impl Transport for Interruptible<Box<dyn Transport>> {
    fn start(&self, request: &IoRequest<'_>) -> Result<Box<dyn Pending + '_>, TransportError> {
        if self.stop.requested() {
            return Err(TransportError::Interrupted(request.operation()));
        }
        Ok(Box::new(InterruptiblePending {
            inner: self.inner.start(request)?,
            stop: &self.stop,
            cancelled: false,
        }))
    }

    fn for_cleanup(&self) -> &dyn Transport {
        self.inner.for_cleanup()
    }

    fn close(self: Box<Self>) -> Result<(), TransportError> {
        self.inner.close()
    }
}

/// A request that is cancelled when the wish to stop comes while it is waited for.
struct InterruptiblePending<'a> {
    inner: Box<dyn Pending + 'a>,
    stop: &'a Stop,
    /// Whether it was cancelled for that reason.
    cancelled: bool,
}

impl Pending for InterruptiblePending<'_> {
    fn operation(&self) -> Operation {
        self.inner.operation()
    }

    fn ends_within(&mut self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if self.inner.ends_within(left.min(SLICE)) {
                return true;
            }
            if left.is_zero() {
                return false;
            }
            if self.stop.requested() && !self.cancelled {
                self.cancelled = true;
                if self.inner.cancel().is_err() {
                    // The same failure comes from waiting, which reports it.
                    return true;
                }
            }
        }
    }

    fn cancel(&mut self) -> Result<(), TransportError> {
        self.inner.cancel()
    }

    fn wait(mut self: Box<Self>) -> Result<Answer, TransportError> {
        self.ends_within(CONTROL_LIMIT);
        let operation = self.operation();
        match self.inner.wait() {
            Err(TransportError::Failed { failure, .. })
                if self.cancelled && failure.is(NtStatus::CANCELLED) =>
            {
                Err(TransportError::Interrupted(operation))
            }
            outcome => outcome,
        }
    }
}

#[cfg(all(test, unix))]
mod tests;

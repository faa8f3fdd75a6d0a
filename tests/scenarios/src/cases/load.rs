//! Requests of all kinds, from several threads, while something happens to the device.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use eductl::{Device, DeviceError, NtStatus, TransportError, rig::RigHandle};

use super::{
    support::{computes, fails_with},
    transfers::{pattern, read, write},
};

/// Threads that ask.
const WORKERS: u32 = 3;
/// Bytes of the device's buffer that each of them has.
const PART: u32 = 1_000;
/// How long it may take until so many requests more are done as somebody waits for.
const LIMIT: Duration = Duration::from_mins(1);
/// Between two looks.
const POLL: Duration = Duration::from_millis(5);

/// Requests to one device.
pub(super) struct Load<'a> {
    handle: &'a RigHandle,
    timeout_ms: u32,
    may_fail: &'a [NtStatus],
    is_over: AtomicBool,
    done: AtomicU64,
    failed: AtomicU64,
}

impl<'a> Load<'a> {
    /// Requests on `handle` with this time-out, which may also end with one of `may_fail`.
    pub(super) const fn new(
        handle: &'a RigHandle,
        timeout_ms: u32,
        may_fail: &'a [NtStatus],
    ) -> Self {
        Self {
            handle,
            timeout_ms,
            may_fail,
            is_over: AtomicBool::new(false),
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// Has several threads ask until `meanwhile` has returned. Each answer must be right.
    /// `meanwhile` begins when requests are being done.
    pub(super) fn during<R>(
        &self,
        meanwhile: impl FnOnce() -> anyhow::Result<R>,
    ) -> anyhow::Result<R> {
        thread::scope(|scope| {
            let workers: Vec<_> = (0..WORKERS)
                .map(|worker| scope.spawn(move || self.work(worker)))
                .collect();
            let result = self.goes_on().and_then(|()| meanwhile());
            self.is_over.store(true, Ordering::Release);
            // A wrong answer explains what went wrong meanwhile.
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().ok().context("a thread panicked")?)?;
            result
        })
    }

    /// Waits until some requests more are done than now.
    pub(super) fn goes_on(&self) -> anyhow::Result<()> {
        let before = self.done();
        self.until("requests are done", || {
            self.done() >= before + 2 * u64::from(WORKERS)
        })
    }

    /// Waits until some requests more have ended than now, done or failed.
    pub(super) fn moves_on(&self) -> anyhow::Result<()> {
        let before = self.done() + self.failed();
        self.until("requests end", || {
            self.done() + self.failed() >= before + 3 * u64::from(WORKERS)
        })
    }

    /// Waits until some requests more have failed than now.
    pub(super) fn fails(&self) -> anyhow::Result<()> {
        let before = self.failed();
        self.until("requests fail", || self.failed() > before)
    }

    /// Requests that were done.
    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Acquire)
    }

    /// Requests that failed, in a way in which they may.
    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Acquire)
    }

    fn until(&self, what: &str, is_so: impl Fn() -> bool) -> anyhow::Result<()> {
        let began = Instant::now();
        while !is_so() {
            ensure!(began.elapsed() < LIMIT, "no {what} any more");
            if self.is_over.load(Ordering::Acquire) {
                bail!("the load has ended");
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    fn work(&self, worker: u32) -> anyhow::Result<()> {
        let device = Device::new(self.handle);
        for round in 0.. {
            if self.is_over.load(Ordering::Acquire) {
                break;
            }
            if let Err(error) = self.judge(self.ask(&device, worker, worker + round)) {
                self.is_over.store(true, Ordering::Release);
                return Err(error);
            }
        }
        Ok(())
    }

    /// One request, whose answer is right, or that fails.
    fn ask(&self, device: &Device<'_>, worker: u32, number: u32) -> anyhow::Result<()> {
        match number % 3 {
            0 => computes(device, number % 40, self.timeout_ms),
            1 => {
                let mask = 2 << worker;
                let causes = device.raise(mask, self.timeout_ms)?;
                ensure!(causes & mask == mask, "{mask:#x} was raised as {causes:#x}");
                Ok(())
            }
            _ => self.move_bytes(worker, number),
        }
    }

    /// Writes to a part of the device's buffer that is this thread's, and reads it.
    fn move_bytes(&self, worker: u32, number: u32) -> anyhow::Result<()> {
        let offset = u64::from(worker * PART);
        let bytes = pattern(number, PART as usize);
        write(self.handle, offset, &bytes)?;
        let found = read(self.handle, offset, bytes.len())?;
        ensure!(
            found == bytes,
            "what was read at {offset} is not what was written"
        );
        Ok(())
    }

    fn judge(&self, answer: anyhow::Result<()>) -> anyhow::Result<()> {
        let Err(error) = answer else {
            self.done.fetch_add(1, Ordering::AcqRel);
            return Ok(());
        };
        let failure = match error.downcast::<TransportError>() {
            Ok(failure) => DeviceError::from(failure),
            Err(error) => error.downcast()?,
        };
        fails_with::<(), _>("a request of the load", Err(failure), self.may_fail)?;
        self.failed.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }
}

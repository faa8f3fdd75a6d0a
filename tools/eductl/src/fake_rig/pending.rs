//! Requests that have not ended, so that they can be cancelled.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

/// All of them, by the number of the frame.
#[derive(Default)]
pub(super) struct Outstanding(Mutex<HashMap<u32, Entry>>);

struct Entry {
    handle: u32,
    cancelled: Arc<AtomicBool>,
}

/// One of them, for as long as this lives.
pub(super) struct Request<'a> {
    outstanding: &'a Outstanding,
    number: u32,
    cancelled: Arc<AtomicBool>,
}

impl Outstanding {
    pub(super) fn begin(&self, number: u32, handle: u32) -> Request<'_> {
        let cancelled = Arc::<AtomicBool>::default();
        let entry = Entry {
            handle,
            cancelled: Arc::clone(&cancelled),
        };
        let before = self.0.lock().unwrap().insert(number, entry);
        assert!(before.is_none(), "request {number} is outstanding already");
        Request {
            outstanding: self,
            number,
            cancelled,
        }
    }

    /// Cancels one; whether it was there.
    pub(super) fn cancel(&self, number: u32) -> bool {
        self.cancel_if(|other, _| other == number) > 0
    }

    /// Cancels those of a handle that is closed.
    pub(super) fn cancel_of(&self, handle: u32) {
        self.cancel_if(|_, entry| entry.handle == handle);
    }

    /// Cancels all, for nobody can hear of them any more.
    pub(super) fn cancel_all(&self) {
        self.cancel_if(|_, _| true);
    }

    fn cancel_if(&self, which: impl Fn(u32, &Entry) -> bool) -> usize {
        let entries = self.0.lock().unwrap();
        let chosen = entries
            .iter()
            .filter(|(number, entry)| which(**number, entry));
        chosen
            .map(|(_, entry)| entry.cancelled.store(true, Ordering::Relaxed))
            .count()
    }
}

impl Request<'_> {
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        self.outstanding.0.lock().unwrap().remove(&self.number);
    }
}

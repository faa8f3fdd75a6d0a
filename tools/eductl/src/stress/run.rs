//! What the threads of a run share.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use super::{Plan, tally::Tally};
use crate::commands::CommandError;

/// The number of interrupts before it is known.
const UNKNOWN: u64 = u64::MAX;

/// What the threads of a run share.
pub(super) struct Run<'p> {
    pub(super) plan: &'p Plan,
    pub(super) tally: Tally,
    is_over: AtomicBool,
    interrupts: AtomicU64,
    failure: Mutex<Option<CommandError>>,
    has_failed: AtomicBool,
}

impl<'p> Run<'p> {
    pub(super) fn new(plan: &'p Plan) -> Self {
        Self {
            plan,
            tally: Tally::default(),
            is_over: AtomicBool::new(false),
            interrupts: AtomicU64::new(UNKNOWN),
            failure: Mutex::new(None),
            has_failed: AtomicBool::new(false),
        }
    }

    /// Nothing new is to be begun.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Ends the run; what is under way may end as it likes.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    /// Something went wrong: what is under way is cancelled.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Acquire)
    }

    /// Keeps the result of a thread, or its failure if it is the first.
    pub(super) fn keep<T>(&self, result: Result<T, CommandError>) -> Option<T> {
        let error = match result {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
        self.has_failed.store(true, Ordering::Release);
        self.end();
        None
    }

    /// The first failure.
    pub(super) fn failure(self) -> Option<CommandError> {
        self.failure
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// How many interrupts the run caused, once all its requests have ended.
    pub(super) fn interrupts(&self) -> Option<u64> {
        Some(self.interrupts.load(Ordering::Acquire)).filter(|interrupts| *interrupts != UNKNOWN)
    }

    /// All requests have ended, after so many interrupts.
    pub(super) fn set_interrupts(&self, interrupts: u64) {
        self.interrupts.store(interrupts, Ordering::Release);
    }
}

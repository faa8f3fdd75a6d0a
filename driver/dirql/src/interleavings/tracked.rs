//! A value whose accesses the checker must see ordered.

use loom::cell::UnsafeCell;

/// Stands in memory that one owner at a time may change: two accesses, one of them a change,
/// that nothing orders end the exploration.
pub(crate) struct Tracked<T>(UnsafeCell<T>);

// SAFETY: (Aliasing) all threads of a model are coroutines of one thread, fact 11; whether they
// would be alone with the value is what the checker finds out.
unsafe impl<T> Sync for Tracked<T> {}
// SAFETY: as above, fact 11.
unsafe impl<T> Send for Tracked<T> {}

impl<T> Tracked<T> {
    /// Only inside a model.
    pub(crate) fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    #[track_caller]
    pub(crate) fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        // SAFETY: (Aliasing) the checker has seen that nobody changes it, fact 11.
        self.0.with(|value| look(unsafe { &*value }))
    }

    #[track_caller]
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: (Aliasing) the checker has seen that nobody else is at it, fact 11.
        self.0.with_mut(|value| change(unsafe { &mut *value }))
    }
}

impl<T> core::fmt::Debug for Tracked<T> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("Tracked")
    }
}

/// Memory that is there until its owner drops this.
#[derive(Debug)]
pub(crate) struct Ground(Tracked<bool>);

impl Ground {
    pub(crate) fn new() -> Self {
        Self(Tracked::new(true))
    }

    /// Whoever uses the memory says so.
    #[track_caller]
    pub(crate) fn touch(&self) {
        assert!(self.0.read(|is_there| *is_there), "used after it was freed");
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.change(|is_there| *is_there = false);
        }
    }
}

//! The cells that this crate keeps behind locks: asking for the place counts as a change, so two
//! that are not ordered are found. What is done with the place afterwards is not seen.

use std::{rc::Rc, sync::OnceLock};

use super::{kernel, tracked::Tracked};

/// As `UnsafeCell`, for data that one owner at a time reaches.
pub(crate) struct GuardedUnsafeCell<T> {
    value: core::cell::UnsafeCell<T>,
    /// One that the modelled kernel was made with.
    asked: OnceLock<Rc<Tracked<()>>>,
}

impl<T> GuardedUnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self {
            value: core::cell::UnsafeCell::new(value),
            asked: OnceLock::new(),
        }
    }

    #[track_caller]
    pub(crate) fn get(&self) -> *mut T {
        if !std::thread::panicking() {
            self.asked.get_or_init(kernel::cell).change(|()| ());
        }
        self.value.get()
    }
}

// SAFETY: (Aliasing) all threads of a model are coroutines of one thread, fact 11.
unsafe impl<T> Send for GuardedUnsafeCell<T> {}

impl<T> core::fmt::Debug for GuardedUnsafeCell<T> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("GuardedUnsafeCell")
    }
}

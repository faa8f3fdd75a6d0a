//! Fields of the kernel's that several change at a time, such as an IRP's cancel routine.
//!
//! The field stays where the kernel has it; each access is a step that the checker orders, and
//! whoever comes later sees all that came before.

use std::sync::atomic::{self, Ordering};

use super::kernel;

macro_rules! fields {
    ($($name:ident $(<$parameter:ident>)?($kind:ty))*) => {
        $(
            #[doc = concat!("As `core::sync::atomic::", stringify!($name), "`, in its place.")]
            #[repr(transparent)]
            pub(crate) struct $name $(<$parameter>)?(atomic::$name $(<$parameter>)?);

            impl $(<$parameter>)? $name $(<$parameter>)? {
                /// # Safety
                /// As `core`'s `from_ptr`.
                pub(crate) const unsafe fn from_ptr<'a>(place: *mut $kind) -> &'a Self {
                    // SAFETY: (Pointer) the contract; it is `core`'s type and nothing else, fact
                    // 12.
                    unsafe { &*place.cast::<Self>() }
                }
            }
        )*
    };
}

fields! {
    AtomicPtr<T>(*mut T)
    AtomicU8(u8)
}

impl<T> AtomicPtr<T> {
    pub(crate) fn swap(&self, value: *mut T, _: Ordering) -> *mut T {
        kernel::step(core::ptr::from_ref(self).addr());
        self.0.swap(value, Ordering::Relaxed)
    }
}

impl AtomicU8 {
    pub(crate) fn load(&self, _: Ordering) -> u8 {
        kernel::step(core::ptr::from_ref(self).addr());
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn store(&self, value: u8, _: Ordering) {
        kernel::step(core::ptr::from_ref(self).addr());
        self.0.store(value, Ordering::Relaxed);
    }
}

//! Fields of the kernel's that several change at a time, such as an IRP's cancel routine.
//!
//! The place of the field tells which it is; the value is the checker's, so a load may have an
//! older one, as the memory model lets it.

use std::{
    panic::Location,
    sync::atomic::{self, Ordering},
};

use super::{atomic::access, kernel};

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
    #[track_caller]
    pub(crate) fn swap(&self, value: *mut T, _: Ordering) -> *mut T {
        let field = kernel::field(core::ptr::from_ref(self).addr());
        let place = Location::caller();
        // The kernel's own exchange of this field is a full barrier.
        let before = access(place, "AtomicPtr.swap", Ordering::SeqCst, |order| {
            field.swap(value.expose_provenance(), order)
        });
        core::ptr::with_exposed_provenance_mut(before)
    }
}

impl AtomicU8 {
    #[track_caller]
    pub(crate) fn load(&self, order: Ordering) -> u8 {
        let field = kernel::field(core::ptr::from_ref(self).addr());
        let word = access(Location::caller(), "AtomicU8.load", order, |order| {
            field.load(order)
        });
        u8::try_from(word).expect("it was a byte")
    }

    #[track_caller]
    pub(crate) fn store(&self, value: u8, order: Ordering) {
        let field = kernel::field(core::ptr::from_ref(self).addr());
        access(Location::caller(), "AtomicU8.store", order, |order| {
            field.store(value.into(), order);
        });
    }
}

//! What the kernel keeps the address of, and how to make it let go.
//!
//! Interrupts, DPCs and timers enter themselves when they are first used, so REMOVE takes
//! them down before the extension goes away even if the driver's own stop routine left
//! them. That is why nothing rests on a handle's `Drop`. (A stop routine that keeps a
//! packet makes REMOVE wait for ever, as in C; it corrupts nothing.)
//!
//! The order is: first what starts something (interrupts), last what is started (DPCs and
//! timers). Nothing enters once that has begun.

use core::marker::PhantomData;

use crate::{
    irql::Passive,
    spin_lock::SpinLock,
    status::{NtError, Result},
};

/// Objects that one device may have.
const CAPACITY: usize = 32;

/// An object and its way out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registered<'a> {
    object: *const (),
    length: usize,
    /// What `quiesce` is, with the object's type forgotten.
    typed: fn(),
    quiesce: unsafe fn(fn(), *const (), &mut Passive),
    is_last: bool,
    borrowed: PhantomData<&'a ()>,
}

// SAFETY: a pointer to a `Sync` object (`new` asks for it) and functions, fact 2.
unsafe impl Send for Registered<'_> {}

impl<'a> Registered<'a> {
    /// `quiesce` makes the kernel forget `object`; doing so twice does no harm.
    pub(crate) fn new<T: Sync>(object: &'a T, quiesce: fn(&T, &mut Passive)) -> Self {
        /// # Safety
        /// `typed` is a `fn(&T, &mut Passive)` and `object` a `&T` that is alive.
        unsafe fn call<T>(typed: fn(), object: *const (), irql: &mut Passive) {
            // SAFETY: the contract says that this is what it was, fact 2.
            let quiesce = unsafe { core::mem::transmute::<fn(), fn(&T, &mut Passive)>(typed) };
            // SAFETY: the contract says so, fact 2.
            quiesce(unsafe { &*object.cast::<T>() }, irql);
        }
        Self {
            object: core::ptr::from_ref(object).cast(),
            length: size_of::<T>(),
            // SAFETY: function pointers have one layout; `call` turns it back, fact 2.
            typed: unsafe { core::mem::transmute::<fn(&T, &mut Passive), fn()>(quiesce) },
            quiesce: call::<T>,
            is_last: false,
            borrowed: PhantomData,
        }
    }

    /// To be quiesced after all that are not last: those may still start it.
    #[must_use]
    pub(crate) const fn last(mut self) -> Self {
        self.is_last = true;
        self
    }

    /// Whether the object lies in these bytes.
    fn lies_in(&self, start: usize, length: usize) -> bool {
        let offset = self.object.addr().checked_sub(start);
        offset.is_some_and(|offset| {
            offset
                .checked_add(self.length)
                .is_some_and(|end| end <= length)
        })
    }
}

/// What the table's lock protects.
#[derive(Clone, Copy, Debug)]
struct Entries {
    /// `'static` stands for "as long as the extension", which the table is a part of.
    objects: [Option<Registered<'static>>; CAPACITY],
    /// The device is being removed: nothing enters any more.
    is_closed: bool,
}

/// The objects of one device.
#[derive(Debug)]
pub(crate) struct ObjectTable {
    entries: SpinLock<Entries>,
}

impl ObjectTable {
    pub(crate) const fn new() -> Self {
        Self {
            entries: SpinLock::new(Entries {
                objects: [None; CAPACITY],
                is_closed: false,
            }),
        }
    }

    /// Enters an object that lies in `[start, start + length)`; once is enough.
    ///
    /// # Errors
    /// STATUS_INVALID_PARAMETER if it lies elsewhere, STATUS_INSUFFICIENT_RESOURCES if the
    /// table is full, STATUS_DELETE_PENDING once the device is being removed.
    // Once for each object of a device; a copy at each of them would only make the image larger.
    #[inline(never)]
    pub(crate) fn register(
        &self,
        irql: &mut Passive,
        start: usize,
        length: usize,
        object: Registered<'_>,
    ) -> Result<()> {
        if !object.lies_in(start, length) {
            return Err(NtError::STATUS_INVALID_PARAMETER);
        }
        let object = Registered {
            borrowed: PhantomData,
            ..object
        };
        self.entries.with(irql, |_, entries| {
            if entries.is_closed {
                return Err(NtError::STATUS_DELETE_PENDING);
            }
            let known = |slot: &&mut Option<Registered<'static>>| {
                slot.as_ref()
                    .is_none_or(|known| known.object == object.object)
            };
            let slot = entries.objects.iter_mut().find(known);
            let slot = slot.ok_or(NtError::STATUS_INSUFFICIENT_RESOURCES)?;
            *slot = Some(object);
            Ok(())
        })
    }

    /// Makes the kernel forget every object.
    ///
    /// # Safety
    /// The extension is still alive.
    pub(crate) unsafe fn quiesce_all(&self, irql: &mut Passive) {
        let objects = self.entries.with(irql, |_, entries| {
            entries.is_closed = true;
            entries.objects
        });
        for is_last in [false, true] {
            let objects = objects.iter().flatten();
            for object in objects.filter(|object| object.is_last == is_last) {
                // SAFETY: `Registered::new` put the two together; the object lies in the
                // extension, which the contract says is alive, fact 2.
                unsafe { (object.quiesce)(object.typed, object.object, irql) };
            }
        }
    }
}

#[cfg(test)]
mod tests;

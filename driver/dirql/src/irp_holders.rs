//! Which objects of a device hold IRPs, and how they are made to let go of them.
//!
//! IRP_MJ_CLEANUP ends those of a file; a removal ends all, before it waits for the
//! remove lock, which each of them holds. So a driver that forgets its queues is
//! neither left with requests of a closed file nor keeps its device from going.

use core::marker::PhantomData;

use crate::{
    file::FileObject,
    irql::{AtMostDispatch, Passive, UpToDispatch},
    spin_lock::SpinLock,
    status::{NtError, Result},
};

/// Objects with IRPs that one device may have.
const CAPACITY: usize = 16;

/// Whose IRPs are meant.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whose {
    /// Everybody's.
    All,
    /// Those that were sent on this file.
    File(FileObject),
}

/// An object that holds IRPs.
pub(crate) trait HoldsIrps: Sync {
    /// From now on it takes none and fails them with this; or takes them again.
    fn close(&self, closed: Option<NtError>);

    /// Completes IRPs that it has with this error.
    fn end(&self, irql: &mut UpToDispatch, whose: Whose, error: NtError);
}

/// An entry of the table.
#[derive(Clone, Copy)]
pub(crate) struct Holder<'a> {
    object: *const (),
    close: unsafe fn(*const (), Option<NtError>),
    end: unsafe fn(*const (), &mut UpToDispatch, Whose, NtError),
    borrowed: PhantomData<&'a ()>,
}

// SAFETY: a pointer to a `Sync` object (the trait asks for it) and functions, facts 1 and
// 2.
unsafe impl Send for Holder<'_> {}

impl core::fmt::Debug for Holder<'_> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "Holder({:p})", self.object)
    }
}

impl<'a> Holder<'a> {
    /// The entry for an object.
    pub(crate) fn new<T: HoldsIrps>(object: &'a T) -> Self {
        /// # Safety
        /// `object` is a `&T` that is alive.
        unsafe fn close<T: HoldsIrps>(object: *const (), closed: Option<NtError>) {
            // SAFETY: (Pointer) the contract, facts 1 and 2.
            unsafe { &*object.cast::<T>() }.close(closed);
        }
        /// # Safety
        /// `object` is a `&T` that is alive.
        unsafe fn end<T: HoldsIrps>(
            object: *const (),
            irql: &mut UpToDispatch,
            whose: Whose,
            error: NtError,
        ) {
            // SAFETY: (Pointer) the contract, facts 1 and 2.
            unsafe { &*object.cast::<T>() }.end(irql, whose, error);
        }
        Self {
            object: core::ptr::from_ref(object).cast(),
            close: close::<T>,
            end: end::<T>,
            borrowed: PhantomData,
        }
    }

    fn close(&self, closed: Option<NtError>) {
        // SAFETY: (Pointer) `new` put the two together; what is in the table lies in the
        // extension that the table is a part of, facts 1 and 2.
        unsafe { (self.close)(self.object, closed) };
    }

    fn end(&self, irql: &mut UpToDispatch, whose: Whose, error: NtError) {
        // SAFETY: as in `close`, facts 1 and 2.
        unsafe { (self.end)(self.object, irql, whose, error) };
    }
}

/// The holders of one device.
#[derive(Debug)]
pub(crate) struct IrpHolders {
    content: SpinLock<Content>,
}

#[derive(Clone, Copy, Debug)]
struct Content {
    /// `'static` stands for "as long as the extension", which the table is a part of.
    holders: [Option<Holder<'static>>; CAPACITY],
    closed: Option<NtError>,
}

impl IrpHolders {
    pub(crate) const fn new() -> Self {
        Self {
            content: SpinLock::new(Content {
                holders: [None; CAPACITY],
                closed: None,
            }),
        }
    }

    /// Enters an object of this device's extension, which is closed if the others are.
    ///
    /// # Errors
    /// STATUS_INSUFFICIENT_RESOURCES if the table is full.
    pub(crate) fn enter(&self, irql: &mut Passive, holder: Holder<'_>) -> Result<()> {
        let holder = Holder {
            borrowed: PhantomData,
            ..holder
        };
        self.content.with(irql, |_, content| {
            // Inside the lock, so that no closing comes in between.
            holder.close(content.closed);
            let known = |slot: &&mut Option<Holder<'static>>| {
                slot.as_ref()
                    .is_none_or(|known| known.object == holder.object)
            };
            let slot = content.holders.iter_mut().find(known);
            *slot.ok_or(NtError::STATUS_INSUFFICIENT_RESOURCES)? = Some(holder);
            Ok(())
        })
    }

    /// No holder takes IRPs any more, and those that are there fail with this.
    pub(crate) fn close(&self, irql: &mut Passive, error: NtError) {
        self.switch(irql, Some(error));
        self.end(irql, Whose::All, error);
    }

    /// The holders take IRPs again.
    pub(crate) fn open(&self, irql: &mut Passive) {
        self.switch(irql, None);
    }

    fn switch(&self, irql: &mut Passive, closed: Option<NtError>) {
        self.content.with(irql, |_, content| {
            content.closed = closed;
            for holder in content.holders.iter().flatten() {
                holder.close(closed);
            }
        });
    }

    /// Completes the IRPs of a file with STATUS_CANCELLED.
    pub(crate) fn clean_up<I: AtMostDispatch>(&self, irql: &mut I, file: FileObject) {
        self.end(irql, Whose::File(file), NtError::STATUS_CANCELLED);
    }

    fn end<I: AtMostDispatch>(&self, irql: &mut I, whose: Whose, error: NtError) {
        let holders = self.content.with(irql, |_, content| content.holders);
        // SAFETY: (IRQL) the token says at most DISPATCH_LEVEL, and is borrowed meanwhile,
        // fact 5.
        let mut irql = unsafe { UpToDispatch::assume() };
        for holder in holders.iter().flatten() {
            holder.end(&mut irql, whose, error);
        }
    }
}

#[cfg(test)]
mod tests;

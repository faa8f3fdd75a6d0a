//! A list of IRPs that allocates nothing: linked through `Tail.Overlay.ListEntry`,
//! which an IRP's owner may use.
//!
//! The list's own end points are not linked to, so a list that is empty may be moved.

use core::ptr::null_mut;

use crate::{
    stop_code::{Reason, stop},
    sys,
};

/// IRPs, the oldest first.
#[derive(Debug)]
pub(crate) struct IrpList {
    first: *mut sys::IRP,
    last: *mut sys::IRP,
}

// SAFETY: IRPs belong to no thread; whoever has the list owns those in it, fact 4.
unsafe impl Send for IrpList {}

impl IrpList {
    /// A list without IRPs.
    pub(crate) const fn new() -> Self {
        Self {
            first: null_mut(),
            last: null_mut(),
        }
    }

    /// The oldest IRP; NULL if there is none.
    pub(crate) const fn first(&self) -> *mut sys::IRP {
        self.first
    }

    /// The IRP behind this one; NULL if it is the last.
    ///
    /// # Safety
    /// `irp` is in this list.
    #[expect(
        clippy::unused_self,
        reason = "the list is what keeps the links from changing meanwhile"
    )]
    pub(crate) unsafe fn next(&self, irp: *mut sys::IRP) -> *mut sys::IRP {
        // SAFETY: (Pointer) the contract: what is in a list is alive, fact 4.
        unsafe { sys::links(irp) }.0
    }

    /// Adds an IRP behind all others.
    ///
    /// # Safety
    /// `irp` is alive until it is removed, and is in no list; nobody else uses its
    /// list entry.
    pub(crate) unsafe fn push(&mut self, irp: *mut sys::IRP) {
        // SAFETY: (Pointer) the contract, fact 4.
        unsafe { sys::set_links(irp, null_mut(), self.last) };
        if self.last.is_null() {
            self.first = irp;
        } else {
            // SAFETY: (Pointer) `last` is in the list, so it is alive, fact 4.
            unsafe { sys::set_next(self.last, irp) };
        }
        self.last = irp;
    }

    /// Takes an IRP out. A list whose links do not fit together stops the machine, as
    /// the kernel's own lists do.
    ///
    /// # Safety
    /// `irp` is in this list.
    pub(crate) unsafe fn remove(&mut self, irp: *mut sys::IRP) {
        // SAFETY: (Pointer) the contract: what is in a list is alive, fact 4.
        let (next, previous) = unsafe { sys::links(irp) };
        if previous.is_null() {
            self.expect(self.first == irp, irp);
            self.first = next;
        } else {
            // SAFETY: (Pointer) a neighbour in the list is alive, fact 4.
            self.expect(unsafe { sys::links(previous) }.0 == irp, irp);
            // SAFETY: as above, fact 4.
            unsafe { sys::set_next(previous, next) };
        }
        if next.is_null() {
            self.expect(self.last == irp, irp);
            self.last = previous;
        } else {
            // SAFETY: as above, fact 4.
            self.expect(unsafe { sys::links(next) }.1 == irp, irp);
            // SAFETY: as above, fact 4.
            unsafe { sys::set_previous(next, previous) };
        }
        // SAFETY: (Pointer) the contract, fact 4.
        unsafe { sys::set_links(irp, null_mut(), null_mut()) };
    }

    #[expect(clippy::unused_self, reason = "a property of the list")]
    fn expect(&self, fits: bool, irp: *mut sys::IRP) {
        if !fits {
            stop(Reason::ListCorrupt, irp.addr());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::IrpList;
    use crate::sys;

    fn content(list: &IrpList) -> std::vec::Vec<*mut sys::IRP> {
        let mut found = std::vec::Vec::new();
        let mut irp = list.first();
        while !irp.is_null() {
            found.push(irp);
            // SAFETY: the loop follows the list, fact 11.
            irp = unsafe { list.next(irp) };
        }
        found
    }

    #[test]
    fn keeps_order_whichever_is_taken_out() {
        for taken in 0..3 {
            let mut irps = [sys::zeroed_irp(), sys::zeroed_irp(), sys::zeroed_irp()];
            let pointers = irps.each_mut().map(core::ptr::from_mut);
            let mut list = IrpList::new();
            for irp in pointers {
                // SAFETY: the array outlives the list, fact 11.
                unsafe { list.push(irp) };
            }
            assert_eq!(content(&list), pointers);
            // SAFETY: it was put there, fact 11.
            unsafe { list.remove(pointers[taken]) };
            let left: std::vec::Vec<_> = (0..3)
                .filter(|n| *n != taken)
                .map(|n| pointers[n])
                .collect();
            assert_eq!(content(&list), left);
            // SAFETY: it was taken out, fact 11.
            unsafe { list.push(pointers[taken]) };
            assert_eq!(content(&list).last(), Some(&pointers[taken]));
            for irp in pointers {
                // SAFETY: all three are there, fact 11.
                unsafe { list.remove(irp) };
            }
            assert!(list.first().is_null());
        }
    }

    #[test]
    #[should_panic(expected = "bug check")]
    fn an_irp_of_another_list_stops_the_machine() {
        let (mut one, mut other) = (sys::zeroed_irp(), sys::zeroed_irp());
        let (mut list, mut another) = (IrpList::new(), IrpList::new());
        // SAFETY: both outlive the lists, fact 11.
        unsafe { list.push(&raw mut one) };
        // SAFETY: as above, fact 11.
        unsafe { another.push(&raw mut other) };
        // SAFETY: broken on purpose: it is in another list. Nothing is dereferenced but the
        // two IRPs, which are alive, fact 11.
        unsafe { list.remove(&raw mut other) };
    }
}

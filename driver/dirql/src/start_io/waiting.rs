//! The packets that wait for StartIo, which the driver must find again when their file
//! is closed: the I/O manager's own queue cannot be searched.

use super::{PacketId, cancel::is_current};
use crate::{
    cancel_lock,
    device::Header,
    file::FileObject,
    irp::PendingIrp,
    irp_list::IrpList,
    irql::{AtMostDispatch, Dispatch, UpToDispatch},
    spin_lock::SpinLock,
    status::NtError,
    sys,
};

/// Those that wait, and who was started last.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// Taken inside the cancel lock, where both are held.
    content: SpinLock<Content>,
}

#[derive(Debug)]
struct Content {
    list: IrpList,
    /// The IRP that is on its way to StartIo and is to be completed there, for its file
    /// was closed; its address, zero for none. (While a call of IoStartNextPacket is
    /// deferred, CurrentIrp is one that has ended, whose memory another may have; that one
    /// is then completed a little later than it could be.)
    doomed: usize,
    /// Number of the packet that was started last, and its file.
    started: u64,
    file: Option<FileObject>,
}

/// A packet that begins.
pub(super) struct Begun {
    pub(super) id: PacketId,
    /// Its file was closed while it was on its way.
    pub(super) is_doomed: bool,
}

impl Waiting {
    pub(super) const fn new() -> Self {
        Self {
            content: SpinLock::new(Content {
                list: IrpList::new(),
                doomed: 0,
                started: 0,
                file: None,
            }),
        }
    }

    /// Adds an IRP that is about to be given to IoStartPacket.
    ///
    /// # Safety
    /// The caller owns the IRP and gives it to the device queue (fact 32).
    pub(super) unsafe fn add<I: AtMostDispatch>(&self, irql: &mut I, irp: *mut sys::IRP) {
        self.content.with(irql, |_, content| {
            // SAFETY: (Pointer) the contract: alive until it is taken out, and in no list,
            // fact 32.
            unsafe { content.list.push(irp) };
        });
    }

    /// Takes out an IRP that is waiting no more.
    ///
    /// # Safety
    /// The IRP is in the list, and the cancel lock is held.
    pub(super) unsafe fn remove(&self, irql: &mut Dispatch, irp: *mut sys::IRP) {
        self.content.with(irql, |_, content| {
            // SAFETY: (Pointer) the contract, fact 32.
            unsafe { content.list.remove(irp) };
            let _ends_anyway = content.take_doom(irp);
        });
    }

    /// Takes out an IRP whose turn it is, and numbers it.
    ///
    /// # Safety
    /// As [`remove`](Self::remove).
    pub(super) unsafe fn begin(&self, irql: &mut Dispatch, irp: *mut sys::IRP) -> Begun {
        self.content.with(irql, |_, content| {
            // SAFETY: (Pointer) the contract, fact 32.
            unsafe { content.list.remove(irp) };
            let is_doomed = content.take_doom(irp);
            content.started = content.started.wrapping_add(1);
            // SAFETY: (Pointer) the IRP is StartIo's, fact 4.
            content.file = FileObject::new(unsafe { sys::file_object(irp) });
            Begun {
                id: PacketId(content.started),
                is_doomed,
            }
        })
    }

    /// The packet that was started last, if it is one of this file.
    pub(crate) fn started_of<I: AtMostDispatch>(
        &self,
        irql: &mut I,
        file: FileObject,
    ) -> Option<PacketId> {
        self.content.with(irql, |_, content| {
            (content.file == Some(file)).then_some(PacketId(content.started))
        })
    }

    /// Completes those of a file with STATUS_CANCELLED; the one that is on its way to
    /// StartIo is completed there.
    pub(crate) fn clean_up(&self, header: &Header, irql: &mut UpToDispatch, file: FileObject) {
        while let Some(irp) = self.take_one(header, irql, file) {
            irp.complete(irql, Err(NtError::STATUS_CANCELLED));
        }
    }

    /// Takes one packet of a file out of the device queue.
    fn take_one(
        &self,
        header: &Header,
        irql: &mut UpToDispatch,
        file: FileObject,
    ) -> Option<PendingIrp> {
        cancel_lock::with(irql, |irql| {
            self.content.with(irql, |_, content| {
                let mut irp = content.list.first();
                while !irp.is_null() {
                    // SAFETY: (Pointer) what is in the list is alive, fact 32.
                    let own = FileObject::new(unsafe { sys::file_object(irp) });
                    if own == Some(file) && content.take(header, irp) {
                        // SAFETY: (Caller) `take` has taken it out of list and queue, fact
                        // 32.
                        return Some(unsafe { PendingIrp::from_raw(irp) });
                    }
                    // SAFETY: (Pointer) it is in the list still, fact 32.
                    irp = unsafe { content.list.next(irp) };
                }
                None
            })
        })
    }
}

impl Content {
    /// Whether this IRP was to be completed when it comes to StartIo; it comes no more.
    fn take_doom(&mut self, irp: *mut sys::IRP) -> bool {
        let is_doomed = self.doomed == irp.addr();
        if is_doomed {
            self.doomed = 0;
        }
        is_doomed
    }

    /// Takes an IRP of the list out of the device queue too; `false` if it is not there:
    /// on its way to StartIo, or into the queue. The cancel lock is held.
    fn take(&mut self, header: &Header, irp: *mut sys::IRP) -> bool {
        // SAFETY: (Pointer) what is in the list is alive. Fact 31: the cancel lock is held.
        let was_cancelable = unsafe { sys::set_cancel_routine(irp, None) };
        if !was_cancelable {
            self.doom_current(header, irp);
            return false;
        }
        // SAFETY: (Pointer) as above, facts 31 and 32.
        let entry = unsafe { sys::device_queue_entry(irp) };
        // SAFETY: (IRQL) DISPATCH_LEVEL, under both locks. (Pointer) the device's own
        // queue, and the entry of an IRP that is alive, facts 5, 10 and 32.
        let was_queued =
            unsafe { sys::KeRemoveEntryDeviceQueue(header.device_queue(), entry) } != 0;
        if was_queued {
            // SAFETY: (Pointer) it is in the list, fact 32.
            unsafe { self.list.remove(irp) };
            let _ends_here = self.take_doom(irp);
        } else {
            self.doom_current(header, irp);
        }
        was_queued
    }

    /// Has an IRP that is on its way to StartIo completed there. One that waits with the
    /// memory of a current IRP that has ended is taken out by its cancel routine, which
    /// takes this back.
    fn doom_current(&mut self, header: &Header, irp: *mut sys::IRP) {
        if is_current(header.object(), irp) {
            self.doomed = irp.addr();
        }
    }
}

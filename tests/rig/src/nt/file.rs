//! File objects: what an open handle of the command channel is to the driver.
//!
//! # Soundness
//! 1. The object lies in memory of `kernel_memory`, which is never freed.

use alloc::vec::Vec;
use core::ptr::NonNull;

use wdk_sys::{BOOLEAN, CSHORT, FILE_OBJECT, PDEVICE_OBJECT, PFILE_OBJECT, UNICODE_STRING};

use crate::machine::sync::IrqLock;
use crate::nt::kernel_memory::{allocate_object, fields};
use crate::nt::node::NodeRef;
use crate::nt::unicode;

/// `IO_TYPE_FILE`.
const TYPE: CSHORT = 5;
/// Access bits of a control code.
const READ_ACCESS: u32 = 1;
const WRITE_ACCESS: u32 = 2;

/// An open file.
pub(crate) struct File {
    object: NonNull<FILE_OBJECT>,
    node: NodeRef,
    can_read: bool,
    can_write: bool,
    /// The name that the object's `FileName` points into.
    _name: Vec<u16>,
    usage: IrqLock<Usage>,
}

/// Who still needs the file.
#[derive(Clone, Copy, Default)]
struct Usage {
    outstanding: usize,
    is_cleaned_up: bool,
    is_closed: bool,
}

// SAFETY: Fact 1; access to the object is by value.
unsafe impl Send for File {}
// SAFETY: As above; the rest is immutable or behind a lock.
unsafe impl Sync for File {}

fields!(File {
    _ / set_kind: CSHORT = Type;
    _ / set_size: CSHORT = Size;
    _ / set_device: PDEVICE_OBJECT = DeviceObject;
    _ / set_read_access: BOOLEAN = ReadAccess;
    _ / set_write_access: BOOLEAN = WriteAccess;
    _ / set_file_name: UNICODE_STRING = FileName;
});

impl File {
    /// A file on a device, opened for this, with this name behind the device's.
    pub(crate) fn create(node: NodeRef, can_read: bool, can_write: bool, name: &str) -> Self {
        let mut units = if name.is_empty() {
            Vec::new()
        } else {
            unicode::to_utf16(&alloc::format!(r"\{name}"))
        };
        let file_name = unicode::counted(&mut units);
        let file = Self {
            object: allocate_object::<FILE_OBJECT>(),
            can_read,
            can_write,
            _name: units,
            usage: IrqLock::new(Usage::default()),
            node,
        };
        file.set_kind(TYPE);
        file.set_size(CSHORT::try_from(size_of::<FILE_OBJECT>()).unwrap_or(CSHORT::MAX));
        file.set_device(file.node.pdo().pointer());
        file.set_read_access(BOOLEAN::from(can_read));
        file.set_write_access(BOOLEAN::from(can_write));
        file.set_file_name(file_name);
        file
    }

    /// The object.
    pub(crate) fn pointer(&self) -> PFILE_OBJECT {
        self.object.as_ptr()
    }

    /// The device that it was opened on.
    pub(crate) fn node(&self) -> &NodeRef {
        &self.node
    }

    /// What it was opened for, as the driver's CREATE sees it.
    pub(crate) fn desired_access(&self) -> u32 {
        u32::from(self.can_read) * READ_ACCESS + u32::from(self.can_write) * WRITE_ACCESS
    }

    /// Whether the access bits of a control code allow it on this file.
    pub(crate) fn allows(&self, code: u32) -> bool {
        let needed = code >> 14 & (READ_ACCESS | WRITE_ACCESS);
        self.desired_access() & needed == needed
    }

    /// Whether the file was opened for reading, or else for writing.
    pub(crate) fn is_opened_for(&self, reading: bool) -> bool {
        if reading {
            self.can_read
        } else {
            self.can_write
        }
    }

    /// A request begins on the file; `false` when its handle is closed.
    pub(crate) fn begin_request(&self) -> bool {
        self.usage.with(|usage| {
            let is_open = !usage.is_cleaned_up;
            usage.outstanding += usize::from(is_open);
            is_open
        })
    }

    /// A request has ended; `true` when IRP_MJ_CLOSE is due.
    pub(crate) fn end_request(&self) -> bool {
        self.usage.with(|usage| {
            usage.outstanding = usage.outstanding.saturating_sub(1);
            usage.take_close()
        })
    }

    /// The handle is being closed; `false` when it was before.
    pub(crate) fn begin_cleanup(&self) -> bool {
        self.usage
            .with(|usage| !core::mem::replace(&mut usage.is_cleaned_up, true))
    }

    /// Whether its handle is being closed, or was.
    pub(crate) fn is_closing(&self) -> bool {
        self.usage.with(|usage| usage.is_cleaned_up)
    }

    /// IRP_MJ_CLEANUP has ended; `true` when IRP_MJ_CLOSE is due.
    pub(crate) fn end_cleanup(&self) -> bool {
        self.usage.with(Usage::take_close)
    }
}

impl Usage {
    /// Whether IRP_MJ_CLOSE is due; it is so once.
    fn take_close(&mut self) -> bool {
        let is_due = self.is_cleaned_up && self.outstanding == 0 && !self.is_closed;
        self.is_closed |= is_due;
        is_due
    }
}

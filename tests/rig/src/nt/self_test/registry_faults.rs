//! Faults with the registry and handles.

use core::ptr;

use wdk_sys::{HANDLE, KEY_READ, NTSTATUS, OBJECT_ATTRIBUTES, UNICODE_STRING};

use crate::nt::registry::{zw_close, zw_open_key};
use crate::nt::rule::Rule;
use crate::nt::self_test::faults::{Fault, Hook, Place};
use crate::nt::status::STATUS_SUCCESS;
use crate::nt::unicode;

/// The faults; see [`irp_faults`](super::irp_faults) for what vouches for their calls.
pub(super) const FAULTS: &[Fault] = &[
    Fault {
        rule: Rule::Hnd01,
        hook: Hook::Connected,
        act: open_for_a_process,
    },
    Fault {
        rule: Rule::Hnd02,
        hook: Hook::Connected,
        act: close_unopened,
    },
];

fn open_for_a_process(_place: Place) -> NTSTATUS {
    let mut path = unicode::to_utf16(r"\Registry\Machine");
    let mut path: UNICODE_STRING = unicode::counted(&mut path);
    let mut attributes = OBJECT_ATTRIBUTES {
        Length: u32::try_from(size_of::<OBJECT_ATTRIBUTES>()).unwrap_or(u32::MAX),
        RootDirectory: ptr::null_mut(),
        ObjectName: &raw mut path,
        Attributes: 0,
        SecurityDescriptor: ptr::null_mut(),
        SecurityQualityOfService: ptr::null_mut(),
    };
    let mut handle: HANDLE = ptr::null_mut();
    // SAFETY: All are this function's own.
    let _status = unsafe { zw_open_key(&raw mut handle, KEY_READ, &raw mut attributes) };
    STATUS_SUCCESS
}

fn close_unopened(_place: Place) -> NTSTATUS {
    let _status = zw_close(ptr::without_provenance_mut(0x1234));
    STATUS_SUCCESS
}

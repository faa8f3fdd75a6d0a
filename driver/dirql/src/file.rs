//! Which open file a request belongs to.

use crate::sys;

/// The identity of a file object, to be compared and nothing else.
///
/// A file object's address may be given to another one after IRP_MJ_CLOSE; until then,
/// and so from CREATE to CLEANUP, two files never have the same identity. See
/// "FILE_OBJECT" in the Windows driver documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileObject(usize);

impl FileObject {
    /// The file object at this address; `None` for NULL.
    pub(crate) fn new(pointer: *mut sys::FILE_OBJECT) -> Option<Self> {
        (!pointer.is_null()).then(|| Self(pointer.addr()))
    }
}

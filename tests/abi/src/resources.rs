//! Hardware resources.
//!
//! The WDK packs these by 4, which Microsoft's metadata does not say, so the
//! numbers are those of the WDK's `#pragma pack` and not of `windows-sys`.

use core::mem::offset_of;

use wdk_sys::{CM_FULL_RESOURCE_DESCRIPTOR, CM_PARTIAL_RESOURCE_DESCRIPTOR, CM_RESOURCE_LIST};

const _: () = {
    assert!(size_of::<CM_PARTIAL_RESOURCE_DESCRIPTOR>() == 20);
    assert!(offset_of!(CM_PARTIAL_RESOURCE_DESCRIPTOR, Type) == 0);
    assert!(offset_of!(CM_PARTIAL_RESOURCE_DESCRIPTOR, ShareDisposition) == 1);
    assert!(offset_of!(CM_PARTIAL_RESOURCE_DESCRIPTOR, Flags) == 2);
    assert!(offset_of!(CM_PARTIAL_RESOURCE_DESCRIPTOR, u) == 4);
    assert!(offset_of!(CM_FULL_RESOURCE_DESCRIPTOR, PartialResourceList) == 8);
    assert!(offset_of!(CM_RESOURCE_LIST, List) == 4);
    assert!(size_of::<CM_RESOURCE_LIST>() == 4 + 8 + 8 + 20);
};

//! I/O requests.

use core::mem::offset_of;

use wdk_sys::IO_STACK_LOCATION;
use windows_sys::{Wdk::Foundation as wdk, Win32};

same_layout!(wdk_sys::IRP, wdk::IRP {
    Type, Size, MdlAddress, Flags, AssociatedIrp, ThreadListEntry, IoStatus, RequestorMode,
    PendingReturned, StackCount, CurrentLocation, Cancel, CancelIrql, AllocationFlags,
    UserIosb = Anonymous, UserEvent, Overlay, CancelRoutine, UserBuffer, Tail,
    AssociatedIrp.SystemBuffer,
    Tail.Overlay.__bindgen_anon_1 = Tail.Overlay.Anonymous1,
    Tail.Overlay.Thread,
    Tail.Overlay.__bindgen_anon_2.ListEntry = Tail.Overlay.Anonymous2.ListEntry,
    Tail.Overlay.__bindgen_anon_2.__bindgen_anon_1.CurrentStackLocation =
        Tail.Overlay.Anonymous2.Anonymous.CurrentStackLocation,
    Tail.Overlay.OriginalFileObject,
});
same_layout!(IO_STACK_LOCATION, wdk::IO_STACK_LOCATION {
    MajorFunction, MinorFunction, Flags, Control, Parameters, DeviceObject, FileObject,
    CompletionRoutine, Context,
    Parameters.Create.SecurityContext, Parameters.Create.Options,
    Parameters.DeviceIoControl.OutputBufferLength,
    Parameters.StartDevice.AllocatedResources,
    Parameters.StartDevice.AllocatedResourcesTranslated,
});
same_layout!(
    wdk_sys::MDL,
    wdk::MDL {
        Next,
        Size,
        MdlFlags,
        Process,
        MappedSystemVa,
        StartVa,
        ByteCount,
        ByteOffset,
    }
);
same_layout!(
    wdk_sys::IO_STATUS_BLOCK,
    Win32::System::IO::IO_STATUS_BLOCK { Information }
);
same_layout!(
    wdk_sys::UNICODE_STRING,
    Win32::Foundation::UNICODE_STRING {
        Length,
        MaximumLength,
        Buffer,
    }
);
same_layout!(
    wdk_sys::LIST_ENTRY,
    Win32::System::Kernel::LIST_ENTRY { Flink, Blink }
);

// The WDK aligns these to a pointer (`POINTER_ALIGNMENT`), which Microsoft's
// metadata does not say. The parameters start at 8, one pointer for each.
const _: () = {
    assert!(offset_of!(IO_STACK_LOCATION, Parameters.Create.Options) == 16);
    assert!(offset_of!(IO_STACK_LOCATION, Parameters.Create.FileAttributes) == 24);
    assert!(offset_of!(IO_STACK_LOCATION, Parameters.Create.ShareAccess) == 26);
    assert!(
        offset_of!(
            IO_STACK_LOCATION,
            Parameters.DeviceIoControl.OutputBufferLength
        ) == 8
    );
    assert!(
        offset_of!(
            IO_STACK_LOCATION,
            Parameters.DeviceIoControl.InputBufferLength
        ) == 16
    );
    assert!(offset_of!(IO_STACK_LOCATION, Parameters.DeviceIoControl.IoControlCode) == 24);
    assert!(
        offset_of!(
            IO_STACK_LOCATION,
            Parameters.DeviceIoControl.Type3InputBuffer
        ) == 32
    );
};

//! Connecting interrupts.

use windows_sys::Wdk::System::SystemServices as services;

same_layout!(
    wdk_sys::IO_CONNECT_INTERRUPT_PARAMETERS,
    services::IO_CONNECT_INTERRUPT_PARAMETERS { Version, __bindgen_anon_1 = Anonymous }
);
same_layout!(
    wdk_sys::IO_CONNECT_INTERRUPT_FULLY_SPECIFIED_PARAMETERS,
    services::IO_CONNECT_INTERRUPT_FULLY_SPECIFIED_PARAMETERS {
        PhysicalDeviceObject,
        InterruptObject,
        ServiceRoutine,
        ServiceContext,
        SpinLock,
        SynchronizeIrql,
        FloatingSave,
        ShareVector,
        Vector,
        Irql,
        InterruptMode,
        ProcessorEnableMask,
        Group,
    }
);
same_layout!(
    wdk_sys::IO_CONNECT_INTERRUPT_LINE_BASED_PARAMETERS,
    services::IO_CONNECT_INTERRUPT_LINE_BASED_PARAMETERS {
        PhysicalDeviceObject,
        InterruptObject,
        ServiceRoutine,
        ServiceContext,
        SpinLock,
        SynchronizeIrql,
        FloatingSave,
    }
);
same_layout!(
    wdk_sys::IO_CONNECT_INTERRUPT_MESSAGE_BASED_PARAMETERS,
    services::IO_CONNECT_INTERRUPT_MESSAGE_BASED_PARAMETERS {
        PhysicalDeviceObject,
        ConnectionContext,
        MessageServiceRoutine,
        ServiceContext,
        SpinLock,
        SynchronizeIrql,
        FloatingSave,
        FallBackServiceRoutine,
    }
);
same_layout!(
    wdk_sys::IO_DISCONNECT_INTERRUPT_PARAMETERS,
    services::IO_DISCONNECT_INTERRUPT_PARAMETERS {
        Version,
        ConnectionContext
    }
);
// The headers lack the structure for soft connects; it is used as the one above.
same_layout!(
    wdk_sys::IO_DISCONNECT_INTERRUPT_PARAMETERS,
    services::IO_REPORT_INTERRUPT_ACTIVE_STATE_PARAMETERS {
        Version,
        ConnectionContext
    }
);
same_layout!(
    wdk_sys::IO_INTERRUPT_MESSAGE_INFO,
    services::IO_INTERRUPT_MESSAGE_INFO {
        UnifiedIrql,
        MessageCount,
        MessageInfo
    }
);
same_layout!(
    wdk_sys::IO_INTERRUPT_MESSAGE_INFO_ENTRY,
    services::IO_INTERRUPT_MESSAGE_INFO_ENTRY {
        MessageAddress,
        TargetProcessorSet,
        InterruptObject,
        MessageData,
        Vector,
        Irql,
        Mode,
        Polarity,
    }
);

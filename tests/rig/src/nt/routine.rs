//! The kernel routines that a driver can import: names, IRQL ranges, addresses.
//!
//! One table is everything: a routine that is missing here is an import that the
//! loader refuses by name, and a routine whose row is missing cannot name itself
//! at its gate, so it does not compile.
//!
//! The ranges are those of each routine's reference page. Where a rule of its own
//! governs a routine's IRQL (completion, waits, spin locks, critical sections),
//! the row says "any" and the routine checks that rule, so that the stop names it. Of the
//! routines that may be called at any IRQL those are "any" that belong into an ISR or a
//! critical section; the others say "outside", and are refused where an interrupt's spin
//! lock is held.

use crate::machine::cpu;
use crate::nt::irql::{APC_LEVEL, DISPATCH_LEVEL, HIGH_LEVEL, PASSIVE_LEVEL};
use crate::nt::violation::check;
use crate::nt::{
    affinity, at_call, c_runtime, cancel, cancel_storm, counters, csq, debug, device, device_queue,
    dispatcher, dma, dpc, etw, event, interface, interrupt, io_timer, irp, irql, mdl, mmio, pool,
    power, processor, property, remove_lock, rtl, spin_lock, start_io, time, timer, work_item,
};

/// Defines [`Routine`] and the look-up by name from one line for each export.
macro_rules! exports {
    ($($name:ident $range:tt $function:path;)+) => {
        /// A routine that the executive exports.
        #[expect(non_camel_case_types, reason = "the C run-time's names")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Routine {
            $(#[doc = stringify!($name)] $name,)+
        }

        impl Routine {
            /// All of them, each at its own place as a number.
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)+];

            /// The name under which a driver imports it.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// Lowest and highest IRQL at which it may be called.
            const fn irql_range(self) -> (u8, u8) {
                match self { $(Self::$name => exports!(@range $range),)+ }
            }

            /// Whether it has no business where an interrupt's spin lock is held, and no
            /// rule of its own says so.
            const fn is_for_outside(self) -> bool {
                match self { $(Self::$name => exports!(@outside $range),)+ }
            }
        }

        /// The export with this name, and its address.
        fn find(name: &str) -> Option<(Routine, usize)> {
            match name {
                $(stringify!($name) => {
                    Some((Routine::$name, ($function as *const ()).expose_provenance()))
                })+
                _ => None,
            }
        }
    };
    (@range passive) => { (PASSIVE_LEVEL, PASSIVE_LEVEL) };
    (@range up_to_apc) => { (PASSIVE_LEVEL, APC_LEVEL) };
    (@range up_to_dispatch) => { (PASSIVE_LEVEL, DISPATCH_LEVEL) };
    (@range dispatch) => { (DISPATCH_LEVEL, DISPATCH_LEVEL) };
    (@range any) => { (PASSIVE_LEVEL, HIGH_LEVEL) };
    (@range outside) => { (PASSIVE_LEVEL, HIGH_LEVEL) };
    (@outside outside) => { true };
    (@outside $range:tt) => { false };
}

exports! {
    DbgPrint any debug::dbg_print;
    DbgPrintEx any debug::dbg_print_ex;
    EtwActivityIdControl any etw::activity::etw_activity_id_control;
    EtwEventEnabled any etw::provider::etw_event_enabled;
    EtwProviderEnabled any etw::provider::etw_provider_enabled;
    EtwRegister passive etw::provider::etw_register;
    EtwSetInformation passive etw::provider::etw_set_information;
    EtwUnregister passive etw::provider::etw_unregister;
    EtwWrite any etw::write::etw_write;
    EtwWriteEx any etw::write::etw_write_ex;
    EtwWriteString any etw::write::etw_write_string;
    EtwWriteTransfer any etw::write::etw_write_transfer;
    ExAllocatePool2 up_to_dispatch pool::ex_allocate_pool2;
    ExAllocatePoolWithTag up_to_dispatch pool::ex_allocate_pool_with_tag;
    ExFreePool up_to_dispatch pool::ex_free_pool;
    ExFreePoolWithTag up_to_dispatch pool::ex_free_pool_with_tag;
    IoAcquireCancelSpinLock up_to_dispatch cancel::io_acquire_cancel_spin_lock;
    IoAcquireRemoveLockEx up_to_dispatch remove_lock::io_acquire_remove_lock_ex;
    IoAllocateWorkItem up_to_dispatch work_item::io_allocate_work_item;
    IoAttachDeviceToDeviceStack up_to_dispatch device::io_attach_device_to_device_stack;
    IoCancelIrp up_to_dispatch cancel::io_cancel_irp;
    IoConnectInterruptEx passive interrupt::connect::io_connect_interrupt_ex;
    IoCreateDevice up_to_apc device::io_create_device;
    IoCsqInitialize outside csq::io_csq_initialize;
    IoCsqInitializeEx outside csq::io_csq_initialize_ex;
    IoCsqInsertIrp up_to_dispatch csq::io_csq_insert_irp;
    IoCsqInsertIrpEx up_to_dispatch csq::io_csq_insert_irp_ex;
    IoCsqRemoveIrp up_to_dispatch csq::io_csq_remove_irp;
    IoCsqRemoveNextIrp up_to_dispatch csq::io_csq_remove_next_irp;
    IoDeleteDevice up_to_apc device::io_delete_device;
    IoDetachDevice passive device::io_detach_device;
    IoDisconnectInterruptEx passive interrupt::disconnect::io_disconnect_interrupt_ex;
    IoForwardIrpSynchronously up_to_apc irp::forward::io_forward_irp_synchronously;
    IoFreeWorkItem up_to_dispatch work_item::io_free_work_item;
    IoGetDmaAdapter passive dma::io_get_dma_adapter;
    IoGetDeviceProperty passive property::io_get_device_property;
    IoInitializeTimer passive io_timer::io_initialize_timer;
    IoInitializeRemoveLockEx passive remove_lock::io_initialize_remove_lock_ex;
    IoInitializeWorkItem outside work_item::io_initialize_work_item;
    IoQueueWorkItem up_to_dispatch work_item::io_queue_work_item;
    IoQueueWorkItemEx up_to_dispatch work_item::io_queue_work_item_ex;
    IoRegisterDeviceInterface passive interface::io_register_device_interface;
    IoReleaseCancelSpinLock dispatch cancel::io_release_cancel_spin_lock;
    IoReleaseRemoveLockAndWaitEx passive remove_lock::io_release_remove_lock_and_wait_ex;
    IoReleaseRemoveLockEx up_to_dispatch remove_lock::io_release_remove_lock_ex;
    IoReportInterruptActive up_to_dispatch interrupt::activity::io_report_interrupt_active;
    IoReportInterruptInactive up_to_dispatch interrupt::activity::io_report_interrupt_inactive;
    IoSetCompletionRoutineEx up_to_dispatch irp::completion_ex::io_set_completion_routine_ex;
    IoSetDeviceInterfaceState passive interface::io_set_device_interface_state;
    IoSetStartIoAttributes outside start_io::io_set_start_io_attributes;
    IoStartNextPacket any start_io::io_start_next_packet;
    IoStartNextPacketByKey any start_io::io_start_next_packet_by_key;
    IoSizeofWorkItem outside work_item::io_sizeof_work_item;
    IoUninitializeWorkItem outside work_item::io_uninitialize_work_item;
    IoStartTimer up_to_dispatch io_timer::io_start_timer;
    IoStopTimer up_to_dispatch io_timer::io_stop_timer;
    IoStartPacket up_to_dispatch start_io::io_start_packet;
    IofCallDriver any irp::call::iof_call_driver;
    IofCompleteRequest any irp::complete::iof_complete_request;
    KeAcquireInterruptSpinLock any interrupt::lock::ke_acquire_interrupt_spin_lock;
    KeAcquireInStackQueuedSpinLock any spin_lock::queued::ke_acquire_in_stack_queued_spin_lock;
    KeAcquireInStackQueuedSpinLockAtDpcLevel any spin_lock::queued::ke_acquire_in_stack_queued_spin_lock_at_dpc_level;
    KeAcquireInStackQueuedSpinLockForDpc any spin_lock::queued::ke_acquire_in_stack_queued_spin_lock_for_dpc;
    KeAcquireSpinLockForDpc any spin_lock::ke_acquire_spin_lock_for_dpc;
    KeReleaseInStackQueuedSpinLock any spin_lock::queued::ke_release_in_stack_queued_spin_lock;
    KeReleaseInStackQueuedSpinLockForDpc any spin_lock::queued::ke_release_in_stack_queued_spin_lock_for_dpc;
    KeReleaseInStackQueuedSpinLockFromDpcLevel any spin_lock::queued::ke_release_in_stack_queued_spin_lock_from_dpc_level;
    KeReleaseSpinLockForDpc any spin_lock::ke_release_spin_lock_for_dpc;
    KeAcquireSpinLockAtDpcLevel any spin_lock::ke_acquire_spin_lock_at_dpc_level;
    KeAcquireSpinLockRaiseToDpc any spin_lock::ke_acquire_spin_lock_raise_to_dpc;
    KeBugCheckEx any debug::ke_bug_check_ex;
    KeCancelTimer up_to_dispatch timer::ke_cancel_timer;
    KeDelayExecutionThread any time::ke_delay_execution_thread;
    KeFlushQueuedDpcs passive dpc::ke_flush_queued_dpcs;
    KeGetCurrentIrql any time::ke_get_current_irql;
    KeGetProcessorNumberFromIndex outside affinity::ke_get_processor_number_from_index;
    KeGetCurrentProcessorNumberEx any time::ke_get_current_processor_number_ex;
    KfRaiseIrql any irql::kf_raise_irql;
    KeInitializeDeviceQueue outside device_queue::ke_initialize_device_queue;
    KeInitializeDpc outside dpc::ke_initialize_dpc;
    KeClearEvent up_to_dispatch event::ke_clear_event;
    KeInitializeEvent outside event::ke_initialize_event;
    KeInitializeSpinLock outside spin_lock::ke_initialize_spin_lock;
    KeInitializeThreadedDpc outside dpc::ke_initialize_threaded_dpc;
    KeInitializeTimer up_to_dispatch timer::ke_initialize_timer;
    KeInitializeTimerEx up_to_dispatch timer::ke_initialize_timer_ex;
    KeInsertByKeyDeviceQueue dispatch device_queue::ke_insert_by_key_device_queue;
    KeInsertDeviceQueue dispatch device_queue::ke_insert_device_queue;
    KeInsertQueueDpc any dpc::ke_insert_queue_dpc;
    KeLowerIrql any irql::ke_lower_irql;
    KeQueryActiveProcessorCountEx outside time::ke_query_active_processor_count_ex;
    KeQueryInterruptTimePrecise any time::ke_query_interrupt_time_precise;
    KeQuerySystemTimePrecise any time::ke_query_system_time_precise;
    KeQueryPerformanceCounter any time::ke_query_performance_counter;
    KeReadStateEvent up_to_dispatch event::ke_read_state_event;
    KeReleaseInterruptSpinLock any interrupt::lock::ke_release_interrupt_spin_lock;
    KeReleaseSpinLock any spin_lock::ke_release_spin_lock;
    KeReleaseSpinLockFromDpcLevel any spin_lock::ke_release_spin_lock_from_dpc_level;
    KeRemoveByKeyDeviceQueue dispatch device_queue::ke_remove_by_key_device_queue;
    KeRemoveDeviceQueue dispatch device_queue::ke_remove_device_queue;
    KeRemoveEntryDeviceQueue up_to_dispatch device_queue::ke_remove_entry_device_queue;
    KeRemoveQueueDpc any dpc::ke_remove_queue_dpc;
    KeResetEvent up_to_dispatch event::ke_reset_event;
    KeRevertToUserGroupAffinityThread up_to_dispatch affinity::ke_revert_to_user_group_affinity_thread;
    KeSetEvent up_to_dispatch event::ke_set_event;
    KeSetSystemGroupAffinityThread up_to_dispatch affinity::ke_set_system_group_affinity_thread;
    KeSetCoalescableTimer up_to_dispatch timer::ke_set_coalescable_timer;
    KeSetImportanceDpc any dpc::placement::ke_set_importance_dpc;
    KeSetTargetProcessorDpc any dpc::placement::ke_set_target_processor_dpc;
    KeSetTargetProcessorDpcEx any dpc::placement::ke_set_target_processor_dpc_ex;
    KeSetTimerEx up_to_dispatch timer::ke_set_timer_ex;
    KeStallExecutionProcessor any time::ke_stall_execution_processor;
    KeSynchronizeExecution any interrupt::synchronize::ke_synchronize_execution;
    KeWaitForSingleObject any dispatcher::ke_wait_for_single_object;
    MmGetSystemRoutineAddress passive rtl::mm_get_system_routine_address;
    MmMapLockedPagesSpecifyCache up_to_dispatch mdl::mm_map_locked_pages_specify_cache;
    MmMapIoSpaceEx up_to_dispatch mmio::mm_map_io_space_ex;
    MmUnmapIoSpace up_to_dispatch mmio::mm_unmap_io_space;
    PoCallDriver any power::exports::po_call_driver;
    PoRequestPowerIrp up_to_dispatch power::exports::po_request_power_irp;
    PoSetPowerState up_to_dispatch power::exports::po_set_power_state;
    PoStartNextPowerIrp up_to_dispatch power::exports::po_start_next_power_irp;
    RtlCmDecodeMemIoResource outside rtl::rtl_cm_decode_mem_io_resource;
    RtlCopyUnicodeString up_to_dispatch rtl::rtl_copy_unicode_string;
    RtlEqualUnicodeString passive rtl::rtl_equal_unicode_string;
    RtlInitUnicodeString outside rtl::rtl_init_unicode_string;
    RtlFreeUnicodeString up_to_apc rtl::rtl_free_unicode_string;
    ZwClose passive crate::nt::registry::zw_close;
    ZwOpenKey passive crate::nt::registry::zw_open_key;
    ZwQueryValueKey passive crate::nt::registry::zw_query_value_key;
    HalAssignSlotResources passive crate::nt::legacy::hardware::hal_assign_slot_resources;
    HalGetBusDataByOffset up_to_dispatch crate::nt::legacy::hardware::hal_get_bus_data_by_offset;
    HalGetInterruptVector passive crate::nt::legacy::hardware::hal_get_interrupt_vector;
    HalTranslateBusAddress passive crate::nt::legacy::hardware::hal_translate_bus_address;
    IoAllocateController dispatch crate::nt::legacy::controller::io_allocate_controller;
    IoAssignResources passive crate::nt::legacy::hardware::io_assign_resources;
    IoConnectInterrupt passive interrupt::legacy::io_connect_interrupt;
    IoCreateController passive crate::nt::legacy::controller::io_create_controller;
    IoCreateSymbolicLink passive crate::nt::legacy::names::io_create_symbolic_link;
    IoDeleteController passive crate::nt::legacy::controller::io_delete_controller;
    IoDeleteSymbolicLink passive crate::nt::legacy::names::io_delete_symbolic_link;
    IoDisconnectInterrupt passive interrupt::legacy::io_disconnect_interrupt;
    IoFreeController dispatch crate::nt::legacy::controller::io_free_controller;
    memcmp any c_runtime::compare;
    memcpy any c_runtime::copy;
    memmove any c_runtime::move_memory;
    memset any c_runtime::set;
    strlen any c_runtime::string_length;
    wcslen any c_runtime::wide_length;
}

/// Address of the export with this name, which the driver can call from now on.
pub(crate) fn resolve(name: &str) -> Option<usize> {
    let (routine, address) = find(name)?;
    counters::imported(routine);
    Some(address)
}

impl AsRef<str> for Routine {
    fn as_ref(&self) -> &str {
        self.name()
    }
}

impl From<Routine> for &'static str {
    fn from(routine: Routine) -> Self {
        routine.name()
    }
}

impl Routine {
    /// The gate of every export: is the caller's IRQL one at which it may be called?
    pub(crate) fn enter(self) {
        counters::called(self);
        cancel_storm::strike();
        at_call::pass(self);
        let irql = cpu::irql();
        let (lowest, highest) = self.irql_range();
        check!(
            Irql01,
            self,
            (lowest..=highest).contains(&irql),
            "{self:?} was called at IRQL {irql}; it may be called at {lowest} to {highest}."
        );
        if irql > DISPATCH_LEVEL {
            check!(
                Syn05,
                self,
                !self.is_for_outside() || !processor::is_in_critical_section(),
                "{self:?} was called with an interrupt's spin lock held."
            );
        }
    }
}

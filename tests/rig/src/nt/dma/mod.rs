//! DMA adapters: IoGetDmaAdapter, and the operations of version 3 that it leads to.
//!
//! # Model
//! The logical address space of the devices is a piece of low memory that no driver
//! sees ([`arena`]). A map register is a page of it: a transfer is copied into its
//! registers when it is mapped, if it goes to the device, and out of them when it is
//! flushed, if it comes from there, and only then. So a driver that gives the device
//! any other address, or that looks before it flushes, finds out, and so does the
//! rig, which can read from the device which address it was given ([`device`]).
//!
//! An [`Adapter`] grants a limited number of registers; requests for them wait in one
//! queue, in order ([`channel`], [`list`]).
//!
//! The operations of system DMA controllers and of DMA remapping are not offered, nor
//! the forms whose names end in `Ex`: a call of one ends the run and names it.

mod adapter;
pub(crate) mod arena;
mod channel;
mod common_buffer;
mod device;
mod information;
mod list;
mod not_offered;
mod registers;
mod transfer;

use wdk_sys::{
    DEVICE_DESCRIPTION, DMA_OPERATIONS, PDEVICE_DESCRIPTION, PDEVICE_OBJECT, PDMA_ADAPTER, ULONG,
};

use crate::machine::cpu;
use crate::nt::fault;
use crate::nt::irp::Irp;
use crate::nt::irql::DISPATCH_LEVEL;
use crate::nt::node::{self, Node};
use crate::nt::routine::Routine;
use crate::nt::violation::check;

pub(crate) use adapter::{Adapter, assert_put, is_any_left};

/// Version 3 of the interface, as Windows 8 has it: the operations that Windows 10
/// added lie behind `Size`.
pub(super) const OPERATIONS: DMA_OPERATIONS = DMA_OPERATIONS {
    Size: offset_of_later_operations(),
    PutDmaAdapter: Some(adapter::put_dma_adapter),
    AllocateCommonBuffer: Some(common_buffer::allocate_common_buffer),
    FreeCommonBuffer: Some(common_buffer::free_common_buffer),
    AllocateAdapterChannel: Some(channel::allocate_adapter_channel),
    FlushAdapterBuffers: Some(transfer::flush_adapter_buffers),
    FreeAdapterChannel: Some(channel::free_adapter_channel),
    FreeMapRegisters: Some(channel::free_map_registers),
    MapTransfer: Some(transfer::map_transfer),
    GetDmaAlignment: Some(information::get_dma_alignment),
    ReadDmaCounter: Some(information::read_dma_counter),
    GetScatterGatherList: Some(list::get_scatter_gather_list),
    PutScatterGatherList: Some(list::put_scatter_gather_list),
    CalculateScatterGatherList: Some(information::calculate_scatter_gather_list),
    BuildScatterGatherList: Some(list::build_scatter_gather_list),
    BuildMdlFromScatterGatherList: Some(not_offered::build_mdl_from_scatter_gather_list),
    GetDmaAdapterInfo: Some(information::get_dma_adapter_info),
    GetDmaTransferInfo: Some(information::get_dma_transfer_info),
    InitializeDmaTransferContext: Some(not_offered::initialize_dma_transfer_context),
    AllocateCommonBufferEx: Some(not_offered::allocate_common_buffer_ex),
    AllocateAdapterChannelEx: Some(not_offered::allocate_adapter_channel_ex),
    ConfigureAdapterChannel: Some(not_offered::configure_adapter_channel),
    CancelAdapterChannel: Some(not_offered::cancel_adapter_channel),
    MapTransferEx: Some(not_offered::map_transfer_ex),
    GetScatterGatherListEx: Some(not_offered::get_scatter_gather_list_ex),
    BuildScatterGatherListEx: Some(not_offered::build_scatter_gather_list_ex),
    FlushAdapterBuffersEx: Some(not_offered::flush_adapter_buffers_ex),
    FreeAdapterObject: Some(not_offered::free_adapter_object),
    CancelMappedTransfer: Some(not_offered::cancel_mapped_transfer),
    AllocateDomainCommonBuffer: None,
    FlushDmaBuffer: None,
    JoinDmaDomain: None,
    LeaveDmaDomain: None,
    GetDmaDomain: None,
    AllocateCommonBufferWithBounds: None,
    AllocateCommonBufferVector: None,
    GetCommonBufferFromVectorByIndex: None,
    FreeCommonBufferFromVector: None,
    FreeCommonBufferVector: None,
    CreateCommonBufferFromMdl: None,
};

/// Bytes of the operations that Windows 8 has.
const fn offset_of_later_operations() -> ULONG {
    let offset = core::mem::offset_of!(DMA_OPERATIONS, AllocateDomainCommonBuffer);
    assert!(offset < 0x1000);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the line above has looked; `try_from` is not const"
    )]
    let offset = offset as ULONG;
    offset
}

/// Ends the run unless the caller of an operation is at DISPATCH_LEVEL or below.
pub(super) fn assert_up_to_dispatch(operation: &str) {
    let irql = cpu::irql();
    check!(
        Irql01,
        operation,
        irql <= DISPATCH_LEVEL,
        "{operation} was called at IRQL {irql}; it may be called at 0 to 2."
    );
}

/// Ends the run unless the caller of an operation is at DISPATCH_LEVEL.
pub(super) fn assert_at_dispatch(operation: &str) {
    let irql = cpu::irql();
    check!(
        Irql01,
        operation,
        irql == DISPATCH_LEVEL,
        "{operation} was called at IRQL {irql}; it may be called at 2."
    );
}

/// Ends the run unless the caller of an operation is at PASSIVE_LEVEL.
pub(super) fn assert_passive(operation: &str) {
    let irql = cpu::irql();
    check!(
        Irql01,
        operation,
        irql == 0,
        "{operation} was called at IRQL {irql}; it may be called at 0."
    );
}

/// Checks that no part of an IRP's buffer is mapped when the driver completes it.
pub(crate) fn assert_unmapped(routine: Routine, irp: &Irp) {
    let Some(buffer) = irp.locked() else { return };
    let is_mapped = adapter::all()
        .iter()
        .any(|adapter| adapter.state(|state| state.registers.maps(&buffer)));
    check!(
        Dma05,
        routine,
        !is_mapped,
        "The IRP {irp} was completed while its buffer was mapped for DMA."
    );
}

/// IoGetDmaAdapter.
pub(crate) unsafe extern "C" fn io_get_dma_adapter(
    pdo: PDEVICE_OBJECT,
    description: PDEVICE_DESCRIPTION,
    granted: *mut ULONG,
) -> PDMA_ADAPTER {
    let routine = Routine::IoGetDmaAdapter;
    routine.enter();
    let found = node::of_pdo(pdo);
    check!(
        Dma01,
        routine,
        found.is_some(),
        "The device object {pdo:p} is no physical device object."
    );
    let Some(node) = found.filter(|_| !fault::strikes_with_null(routine)) else {
        return core::ptr::null_mut();
    };
    // SAFETY: (Pointer) the driver passes a description of its own, which it does not
    // change during the call.
    let description = unsafe { description.read() };
    let Some(width) = address_width(routine, &node, &description) else {
        return core::ptr::null_mut();
    };
    let Some(adapter) = Adapter::create(node, &description, width) else {
        return core::ptr::null_mut();
    };
    // SAFETY: (Pointer) the driver passes a variable of its own for the result.
    unsafe { granted.write(ULONG::try_from(adapter.granted()).unwrap_or(ULONG::MAX)) };
    adapter.pointer()
}

/// Checks a description; how many address bits the device has, `None` when the rig
/// has no adapter of that kind.
fn address_width(routine: Routine, node: &Node, description: &DEVICE_DESCRIPTION) -> Option<u32> {
    let version = description.Version;
    check!(
        Dma01,
        routine,
        version <= wdk_sys::DEVICE_DESCRIPTION_VERSION3,
        "The description's version is {version}."
    );
    let booleans = [
        description.Master,
        description.ScatterGather,
        description.DemandMode,
        description.AutoInitialize,
        description.Dma32BitAddresses,
        description.IgnoreCount,
        description.Dma64BitAddresses,
    ];
    check!(
        Dma01,
        routine,
        booleans.iter().all(|value| *value <= 1)
            && description.Reserved1 == 0
            && description.DmaChannel == 0
            && description.DmaPort == 0,
        "The description was not zeroed before it was filled in."
    );
    check!(
        Dma01,
        routine,
        node.state().has_resources(),
        "The device is {:?}; an adapter is got while it has its resources.",
        node.state()
    );
    if description.Master == 0 || description.MaximumLength == 0 {
        return None;
    }
    if version < wdk_sys::DEVICE_DESCRIPTION_VERSION3 {
        return Some(
            match (description.Dma32BitAddresses, description.Dma64BitAddresses) {
                (_, 1) => 64,
                (1, _) => 32,
                _ => 24,
            },
        );
    }
    let width = description.DmaAddressWidth;
    check!(
        Dma01,
        routine,
        (1..=64).contains(&width),
        "The description's address width is {width} bits."
    );
    Some(width)
}

//! The channel of an adapter: AllocateAdapterChannel and the AdapterControl routine
//! that it leads to, FreeAdapterChannel, FreeMapRegisters.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;

use wdk_sys::{
    _IO_ALLOCATION_ACTION, NTSTATUS, PDEVICE_OBJECT, PDMA_ADAPTER, PDRIVER_CONTROL, PVOID, ULONG,
};

use crate::machine::cpu;
use crate::machine::sync::IrqLock;
use crate::nt::address;
use crate::nt::callout::{Callback, call_out};
use crate::nt::device::Device;
use crate::nt::dma::adapter::{Adapter, Waiting, expect};
use crate::nt::dma::assert_at_dispatch;
use crate::nt::fault;
use crate::nt::status::{STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER, STATUS_SUCCESS};
use crate::nt::violation::check;

/// A request for the channel.
pub(super) struct ChannelRequest {
    device: Device,
    pub(super) count: usize,
    routine: unsafe extern "C" fn(
        PDEVICE_OBJECT,
        *mut wdk_sys::_IRP,
        PVOID,
        PVOID,
    ) -> wdk_sys::IO_ALLOCATION_ACTION,
    /// An address.
    context: usize,
}

/// Device objects whose request waits.
static REQUESTED: IrqLock<BTreeSet<usize>> = IrqLock::new(BTreeSet::new());
/// Device objects and processors whose AdapterControl routine runs.
static RUNNING: IrqLock<BTreeSet<(usize, usize)>> = IrqLock::new(BTreeSet::new());

/// AllocateAdapterChannel.
pub(super) unsafe extern "C" fn allocate_adapter_channel(
    adapter: PDMA_ADAPTER,
    device: PDEVICE_OBJECT,
    count: ULONG,
    routine: PDRIVER_CONTROL,
    context: PVOID,
) -> NTSTATUS {
    const OPERATION: &str = "AllocateAdapterChannel";
    let irql = cpu::irql();
    check!(
        Dma03,
        OPERATION,
        irql == crate::nt::irql::DISPATCH_LEVEL,
        "AllocateAdapterChannel was called at IRQL {irql}."
    );
    let adapter = expect(OPERATION, adapter);
    let found = Device::find(device);
    check!(
        Dma03,
        OPERATION,
        found.is_some(),
        "The address {device:p} is no device object, or one that was deleted."
    );
    let (Some(device), Some(routine)) = (found, routine) else {
        return STATUS_INVALID_PARAMETER;
    };
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count == 0 {
        return STATUS_INVALID_PARAMETER;
    }
    if count > adapter.granted() || fault::strikes(OPERATION) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let object = address::of(device.pointer());
    let is_inside = RUNNING.with(|running| running.contains(&(object, cpu::current_processor())));
    let is_first = !is_inside && REQUESTED.with(|requested| requested.insert(object));
    check!(
        Dma03,
        OPERATION,
        is_first,
        "AllocateAdapterChannel was called for {:p} while an earlier request of that device object waits, or inside its AdapterControl routine.",
        device.pointer()
    );
    adapter.state(|state| {
        state.waiting.push_back(Waiting::Channel(ChannelRequest {
            device,
            count,
            routine,
            context: address::of(context),
        }));
    });
    adapter.serve();
    STATUS_SUCCESS
}

/// Calls the AdapterControl routine, with the registers behind `handle`.
pub(super) fn run(adapter: &Arc<Adapter>, request: &ChannelRequest, handle: usize) {
    let device = request.device.pointer();
    let irp = request.device.current_irp();
    let key = (address::of(device), cpu::current_processor());
    REQUESTED.with(|requested| requested.remove(&key.0));
    RUNNING.with(|running| running.insert(key));
    // SAFETY: (Caller) the driver gave the routine to be called so, with this context.
    // (Pointer) the device object is alive: it was when the request was made, and
    // deleting it with a request outstanding is a fault of the driver's.
    let action = call_out(Callback::AdapterControl, || unsafe {
        (request.routine)(
            device,
            irp,
            address::to_pointer(handle),
            address::to_pointer(request.context),
        )
    });
    RUNNING.with(|running| running.remove(&key));
    let (look, is_known_action) = adapter.state(|state| {
        let look = state.registers.look(handle);
        let is_known = match action {
            _IO_ALLOCATION_ACTION::KeepObject => {
                state.kept = Some(handle);
                true
            }
            _IO_ALLOCATION_ACTION::DeallocateObject
            | _IO_ALLOCATION_ACTION::DeallocateObjectKeepRegisters => {
                state.is_owned = false;
                true
            }
            _ => false,
        };
        (look, is_known)
    });
    check!(
        Dma04,
        Callback::AdapterControl,
        is_known_action,
        "AdapterControl returned {action}, which is no IO_ALLOCATION_ACTION."
    );
    if action == _IO_ALLOCATION_ACTION::DeallocateObject {
        check!(
            Dma04,
            Callback::AdapterControl,
            look.is_some(),
            "AdapterControl returned DeallocateObject, and its map registers were freed already."
        );
        check!(
            Dma05,
            Callback::AdapterControl,
            look.is_none_or(|(_, is_mapped)| !is_mapped),
            "AdapterControl returned DeallocateObject with a transfer mapped."
        );
        adapter.state(|state| state.registers.give_back(handle));
    }
}

/// FreeAdapterChannel.
pub(super) unsafe extern "C" fn free_adapter_channel(adapter: PDMA_ADAPTER) {
    const OPERATION: &str = "FreeAdapterChannel";
    assert_at_dispatch(OPERATION);
    let adapter = expect(OPERATION, adapter);
    let kept = adapter.state(|state| state.kept.take());
    check!(
        Dma04,
        OPERATION,
        kept.is_some(),
        "The channel was freed, and no AdapterControl routine has kept it (KeepObject)."
    );
    if let Some(handle) = kept {
        release(OPERATION, &adapter, handle);
        adapter.state(|state| state.is_owned = false);
    }
    adapter.serve();
}

/// FreeMapRegisters.
pub(super) unsafe extern "C" fn free_map_registers(
    adapter: PDMA_ADAPTER,
    base: PVOID,
    count: ULONG,
) {
    const OPERATION: &str = "FreeMapRegisters";
    assert_at_dispatch(OPERATION);
    let adapter = expect(OPERATION, adapter);
    let handle = address::of(base);
    let (look, kept) = adapter.state(|state| (state.registers.look(handle), state.kept));
    check!(
        Dma04,
        OPERATION,
        look.is_some_and(|(registers, _)| Ok(registers) == usize::try_from(count)),
        "{count} map registers with the base {base:p} were freed, which are not allocated so."
    );
    check!(
        Dma04,
        OPERATION,
        kept != Some(handle),
        "Map registers were freed whose AdapterControl routine kept the channel: FreeAdapterChannel frees those."
    );
    release(OPERATION, &adapter, handle);
    adapter.serve();
}

/// Gives registers back that map nothing.
fn release(operation: &str, adapter: &Adapter, handle: usize) {
    let is_mapped = adapter
        .state(|state| state.registers.look(handle))
        .is_some_and(|(_, is_mapped)| is_mapped);
    check!(
        Dma05,
        operation,
        !is_mapped,
        "Map registers were freed before the transfer that they map was flushed."
    );
    adapter.state(|state| state.registers.give_back(handle));
}

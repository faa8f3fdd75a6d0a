//! Faults with direct I/O and DMA.
//!
//! A fault-free run does in START_DEVICE what these leave out: see [`use_adapter`].

use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

use alloc::sync::Arc;

use wdk_sys::{
    _IO_ALLOCATION_ACTION, _IRP, DEVICE_DESCRIPTION, DMA_OPERATIONS, IO_ALLOCATION_ACTION,
    LARGE_INTEGER, NTSTATUS, PDEVICE_OBJECT, PDMA_ADAPTER, PMDL, PVOID, ULONG,
};

use crate::nt::address;
use crate::nt::dma::{OPERATIONS, io_get_dma_adapter};
use crate::nt::irp::complete::iof_complete_request;
use crate::nt::irql::{DISPATCH_LEVEL, ke_lower_irql, kf_raise_irql};
use crate::nt::mdl::{Access, LockedBuffer};
use crate::nt::rule::Rule;
use crate::nt::self_test::driver::{handle, write_register};
use crate::nt::self_test::extension::own;
use crate::nt::self_test::faults::{Fault, Hook, Place};
use crate::nt::status::STATUS_SUCCESS;

/// The faults; see [`irp_faults`](super::irp_faults) for what vouches for their calls.
pub(super) const FAULTS: &[Fault] = &[
    Fault {
        rule: Rule::Dma01,
        hook: Hook::Dma,
        act: forget_the_address_width,
    },
    Fault {
        rule: Rule::Dma02,
        hook: Hook::Dma,
        act: give_the_device_another_address,
    },
    Fault {
        rule: Rule::Dma03,
        hook: Hook::Dma,
        act: allocate_at_passive_level,
    },
    Fault {
        rule: Rule::Dma04,
        hook: Hook::Dma,
        act: free_twice,
    },
    Fault {
        rule: Rule::Dma05,
        hook: Hook::Dma,
        act: free_without_flush,
    },
    Fault {
        rule: Rule::Dma06,
        hook: Hook::Dma,
        act: flush_too_early,
    },
    Fault {
        rule: Rule::Dma07,
        hook: Hook::Dma,
        act: put_with_a_common_buffer,
    },
    Fault {
        rule: Rule::Dma08,
        hook: Hook::Dma,
        act: map_more_than_allocated,
    },
    Fault {
        rule: Rule::Irp15,
        hook: Hook::Write,
        act: claim_bytes_of_an_empty_buffer,
    },
];

/// Bytes of the buffer that is transferred: with the place where it begins, two pages.
const LENGTH: usize = 4096;
/// Address bits of QEMU's edu device.
const ADDRESS_WIDTH: ULONG = 28;
/// Registers of its DMA engine, and commands.
const SOURCE: usize = 0x80;
const DESTINATION: usize = 0x88;
const COUNT: usize = 0x90;
const COMMAND: usize = 0x98;
const RUN_FROM_MEMORY: u32 = 1;
/// Where the device's own buffer begins, in its address space.
const DEVICE_BUFFER: u32 = 0x4_0000;
/// How long the device takes over a transfer, with a margin.
const TRANSFER_100NS: i64 = 5_000_000;

/// What AdapterControl was given.
static BASE: AtomicUsize = AtomicUsize::new(0);

/// Keeps the registers and notes their base.
unsafe extern "C" fn adapter_control(
    _device: PDEVICE_OBJECT,
    _irp: *mut _IRP,
    base: PVOID,
    _context: PVOID,
) -> IO_ALLOCATION_ACTION {
    BASE.store(address::of(base), Ordering::Relaxed);
    _IO_ALLOCATION_ACTION::DeallocateObjectKeepRegisters
}

/// A description without fault.
fn description() -> DEVICE_DESCRIPTION {
    DEVICE_DESCRIPTION {
        Version: wdk_sys::DEVICE_DESCRIPTION_VERSION3,
        Master: 1,
        InterfaceType: wdk_sys::_INTERFACE_TYPE::PCIBus,
        MaximumLength: 4096,
        DmaAddressWidth: ADDRESS_WIDTH,
        ..Default::default()
    }
}

/// An adapter that the driver got, and a buffer to transfer.
struct Transfer {
    device: PDEVICE_OBJECT,
    adapter: PDMA_ADAPTER,
    granted: ULONG,
    buffer: Arc<LockedBuffer>,
}

impl Transfer {
    fn new(device: PDEVICE_OBJECT) -> Option<Self> {
        let mut description = description();
        let mut granted = 0;
        // SAFETY: The description and the variable are this function's own.
        let adapter = unsafe {
            io_get_dma_adapter(own(device).pdo(), &raw mut description, &raw mut granted)
        };
        let buffer = LockedBuffer::lock(&[7; LENGTH], LENGTH, Access::Read)?;
        (!adapter.is_null()).then_some(Self {
            device,
            adapter,
            granted,
            buffer,
        })
    }

    fn mdl(&self) -> PMDL {
        self.buffer.pointer()
    }

    fn start(&self) -> PVOID {
        address::to_pointer(self.buffer.virtual_address())
    }

    fn operations(&self) -> DMA_OPERATIONS {
        assert!(!self.adapter.is_null(), "there is an adapter");
        OPERATIONS
    }

    /// Allocates map registers; their base.
    fn allocate(&self, count: ULONG) -> PVOID {
        let operation = self.operations().AllocateAdapterChannel;
        if let Some(allocate) = operation {
            // SAFETY: The driver's own adapter and device object.
            let _status = unsafe {
                allocate(
                    self.adapter,
                    self.device,
                    count,
                    Some(adapter_control),
                    ptr::null_mut(),
                )
            };
        }
        address::to_pointer(BASE.load(Ordering::Relaxed))
    }

    /// Maps the first bytes of the buffer; the device's address of it.
    fn map(&self, base: PVOID, length: usize) -> u64 {
        let mut length = ULONG::try_from(length).unwrap_or(ULONG::MAX);
        self.operations().MapTransfer.map_or(0, |map| {
            // SAFETY: The driver's own adapter and buffer; the length is this function's.
            let logical = unsafe {
                map(
                    self.adapter,
                    self.mdl(),
                    base,
                    self.start(),
                    &raw mut length,
                    1,
                )
            };
            // SAFETY: Every LARGE_INTEGER is an i64.
            unsafe { logical.QuadPart }.cast_unsigned()
        })
    }

    fn flush(&self, base: PVOID, length: usize) {
        let length = ULONG::try_from(length).unwrap_or(ULONG::MAX);
        if let Some(flush) = self.operations().FlushAdapterBuffers {
            // SAFETY: The driver's own adapter and buffer.
            unsafe { flush(self.adapter, self.mdl(), base, self.start(), length, 1) };
        }
    }

    fn free(&self, base: PVOID, count: ULONG) {
        if let Some(free) = self.operations().FreeMapRegisters {
            // SAFETY: The driver's own adapter.
            unsafe { free(self.adapter, base, count) };
        }
    }

    fn put(&self) {
        if let Some(put) = self.operations().PutDmaAdapter {
            // SAFETY: The driver's own adapter.
            unsafe { put(self.adapter) };
        }
    }

    /// Has the device read memory at `address`.
    fn run_device(&self, address: u64, length: u32) {
        let low = u32::try_from(address).unwrap_or_default();
        write_register(self.device, SOURCE, low);
        write_register(self.device, DESTINATION, DEVICE_BUFFER);
        write_register(self.device, COUNT, length);
        write_register(self.device, COMMAND, RUN_FROM_MEMORY);
    }
}

/// What a driver does right: registers, a transfer with the device, a common buffer.
pub(super) fn use_adapter(device: PDEVICE_OBJECT) {
    let Some(transfer) = Transfer::new(device) else {
        return;
    };
    let old = kf_raise_irql(DISPATCH_LEVEL);
    let base = transfer.allocate(2);
    let logical = transfer.map(base, 16);
    transfer.run_device(logical, 16);
    ke_lower_irql(old);
    wait();
    let old = kf_raise_irql(DISPATCH_LEVEL);
    transfer.flush(base, 16);
    transfer.free(base, 2);
    ke_lower_irql(old);
    if let Some((place, logical)) = common_buffer(&transfer) {
        free_common_buffer(&transfer, place, logical);
    }
    transfer.put();
    transfer.buffer.release("the self-test driver", 0);
}

/// Waits until the device has done with a transfer.
fn wait() {
    let mut interval = LARGE_INTEGER {
        QuadPart: -TRANSFER_100NS,
    };
    // SAFETY: The interval is this function's own.
    unsafe { crate::nt::time::ke_delay_execution_thread(0, 0, &raw mut interval) };
}

/// A common buffer, and the device's address of it.
fn common_buffer(transfer: &Transfer) -> Option<(PVOID, LARGE_INTEGER)> {
    let mut logical = LARGE_INTEGER { QuadPart: 0 };
    let allocate = transfer.operations().AllocateCommonBuffer?;
    // SAFETY: The driver's own adapter; the variable is this function's.
    let place = unsafe { allocate(transfer.adapter, 100, &raw mut logical, 1) };
    (!place.is_null()).then_some((place, logical))
}

fn free_common_buffer(transfer: &Transfer, place: PVOID, logical: LARGE_INTEGER) {
    if let Some(free) = transfer.operations().FreeCommonBuffer {
        // SAFETY: The driver's own adapter and buffer.
        unsafe { free(transfer.adapter, 100, logical, place, 1) };
    }
}

fn forget_the_address_width(place: Place) -> NTSTATUS {
    let mut description = DEVICE_DESCRIPTION {
        DmaAddressWidth: 0,
        ..description()
    };
    let mut granted = 0;
    // SAFETY: The description and the variable are this function's own.
    unsafe {
        io_get_dma_adapter(
            own(place.device).pdo(),
            &raw mut description,
            &raw mut granted,
        )
    };
    STATUS_SUCCESS
}

/// Runs `fault` at DISPATCH_LEVEL with a transfer.
fn at_dispatch(place: Place, fault: impl FnOnce(&Transfer)) -> NTSTATUS {
    if let Some(transfer) = Transfer::new(place.device) {
        let old = kf_raise_irql(DISPATCH_LEVEL);
        fault(&transfer);
        ke_lower_irql(old);
    }
    STATUS_SUCCESS
}

fn give_the_device_another_address(place: Place) -> NTSTATUS {
    let Some(transfer) = Transfer::new(place.device) else {
        return STATUS_SUCCESS;
    };
    let old = kf_raise_irql(DISPATCH_LEVEL);
    let base = transfer.allocate(2);
    transfer.map(base, 16);
    // The firmware's own, below 1 MiB: never free memory, and so in no adapter's space. The
    // device only reads it.
    transfer.run_device(0xf_0000, 16);
    ke_lower_irql(old);
    wait();
    transfer.flush(base, 16);
    STATUS_SUCCESS
}

fn allocate_at_passive_level(place: Place) -> NTSTATUS {
    if let Some(transfer) = Transfer::new(place.device) {
        transfer.allocate(1);
    }
    STATUS_SUCCESS
}

fn free_twice(place: Place) -> NTSTATUS {
    at_dispatch(place, |transfer| {
        let base = transfer.allocate(1);
        transfer.free(base, 1);
        transfer.free(base, 1);
    })
}

fn free_without_flush(place: Place) -> NTSTATUS {
    at_dispatch(place, |transfer| {
        let base = transfer.allocate(2);
        transfer.map(base, 16);
        transfer.free(base, 2);
    })
}

fn flush_too_early(place: Place) -> NTSTATUS {
    at_dispatch(place, |transfer| {
        let base = transfer.allocate(2);
        let logical = transfer.map(base, 16);
        transfer.run_device(logical, 16);
        transfer.flush(base, 16);
    })
}

fn put_with_a_common_buffer(place: Place) -> NTSTATUS {
    if let Some(transfer) = Transfer::new(place.device) {
        let _kept = common_buffer(&transfer);
        transfer.put();
    }
    STATUS_SUCCESS
}

fn map_more_than_allocated(place: Place) -> NTSTATUS {
    at_dispatch(place, |transfer| {
        assert!(transfer.granted >= 2, "two pages and their registers");
        let base = transfer.allocate(1);
        transfer.map(base, LENGTH);
    })
}

fn claim_bytes_of_an_empty_buffer(place: Place) -> NTSTATUS {
    let irp = handle(place.irp);
    irp.set_status(STATUS_SUCCESS);
    irp.set_information(1);
    // SAFETY: The driver's own IRP.
    unsafe { iof_complete_request(place.irp, 0) };
    STATUS_SUCCESS
}

//! An adapter: what IoGetDmaAdapter made for a device, and who waits for its registers.
//!
//! # Soundness
//! 1. The object that the driver gets lies in memory of `kernel_memory`, which is
//!    never freed; the executive writes it before the driver sees it and after the driver
//!    has given it up.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ptr::NonNull;

use wdk_sys::{DEVICE_DESCRIPTION, DMA_ADAPTER, DMA_OPERATIONS, PDMA_ADAPTER, USHORT};

use crate::machine::sync::IrqLock;
use crate::nt::address;
use crate::nt::dma::arena::{PAGE, Pages};
use crate::nt::dma::channel::{self, ChannelRequest};
use crate::nt::dma::common_buffer::CommonBuffer;
use crate::nt::dma::list::{self, ListRequest, ScatterGather};
use crate::nt::dma::registers::Registers;
use crate::nt::dma::{OPERATIONS, assert_up_to_dispatch};
use crate::nt::kernel_memory::{DELETED_BYTE, allocate_object};
use crate::nt::measure::{Mark, mark};
use crate::nt::node::{Node, NodeRef};
use crate::nt::options;
use crate::nt::violation::{check, fatal};

/// What the driver gets: an adapter, and the operations that it points to.
#[repr(C)]
#[derive(Clone, Copy)]
struct Object {
    adapter: DMA_ADAPTER,
    operations: DMA_OPERATIONS,
}

/// Who waits for map registers.
pub(super) enum Waiting {
    /// AllocateAdapterChannel.
    Channel(ChannelRequest),
    /// GetScatterGatherList, BuildScatterGatherList.
    List(ListRequest),
}

/// What changes about an adapter.
pub(super) struct State {
    pub(super) registers: Registers,
    pub(super) waiting: VecDeque<Waiting>,
    /// An AdapterControl routine runs, or kept the adapter.
    pub(super) is_owned: bool,
    /// The registers that go with an adapter that was kept (KeepObject).
    pub(super) kept: Option<usize>,
    /// Scatter/gather lists that the driver has, by their address.
    pub(super) lists: BTreeMap<usize, ScatterGather>,
    /// Common buffers, by the address that the driver has.
    pub(super) common_buffers: BTreeMap<usize, CommonBuffer>,
}

/// An adapter.
pub(crate) struct Adapter {
    object: NonNull<Object>,
    pub(super) node: NodeRef,
    /// The device takes a transfer in pieces.
    pub(super) scatter_gather: bool,
    /// Address bits that the device has.
    pub(super) width: u32,
    granted: usize,
    state: IrqLock<State>,
}

// SAFETY: Fact 1; the object is the driver's to read while the adapter exists.
unsafe impl Send for Adapter {}
// SAFETY: As above; the rest is immutable or behind a lock.
unsafe impl Sync for Adapter {}

/// Adapters that were not given back, by their object's address.
static ADAPTERS: IrqLock<BTreeMap<usize, Arc<Adapter>>> = IrqLock::new(BTreeMap::new());

/// The adapter at this address; ends the run when there is none.
pub(super) fn expect(operation: &str, pointer: PDMA_ADAPTER) -> Arc<Adapter> {
    mark(Mark::DmaOperation);
    let found = ADAPTERS.with(|adapters| adapters.get(&address::of(pointer)).cloned());
    check!(
        Dma07,
        operation,
        found.is_some(),
        "The address {pointer:p} is no DMA adapter, or one that was given back."
    );
    found.unwrap_or_else(|| fatal("DMA-07", operation, format_args!("no such adapter")))
}

/// All adapters.
pub(super) fn all() -> Vec<Arc<Adapter>> {
    ADAPTERS.with(|adapters| adapters.values().cloned().collect())
}

/// How many adapters of a device there are.
fn count_left(node: &Node) -> usize {
    all()
        .iter()
        .filter(|adapter| adapter.node.index() == node.index())
        .count()
}

/// Whether a device has an adapter.
pub(crate) fn is_any_left(node: &Node) -> bool {
    count_left(node) != 0
}

/// Checks, when a device has let go of its resources, that it gave its adapters back.
pub(crate) fn assert_put(request: &str, node: &Node) {
    let count = count_left(node);
    check!(
        Dma07,
        request,
        count == 0,
        "{count} DMA adapters of the device were not given back."
    );
}

impl Adapter {
    /// A new adapter; `None` when the device cannot reach the logical address space, or
    /// that is full.
    pub(super) fn create(
        node: NodeRef,
        description: &DEVICE_DESCRIPTION,
        width: u32,
    ) -> Option<Arc<Self>> {
        let longest = usize::try_from(description.MaximumLength).unwrap_or(usize::MAX);
        // A buffer can begin at the end of a page.
        let wanted = (longest / PAGE).saturating_add(2);
        let granted = wanted.min(options::get().dma_map_registers);
        let pages = Pages::take(granted, width)?;
        let object = allocate_object::<Object>();
        let operations = address::of(object.as_ptr()) + core::mem::offset_of!(Object, operations);
        // SAFETY: (Pointer) just allocated. (Aliasing) nobody knows it yet.
        unsafe {
            object.write(Object {
                adapter: DMA_ADAPTER {
                    // Whatever version was asked for: drivers learn of it by NULL alone.
                    Version: 1,
                    Size: USHORT::try_from(size_of::<DMA_ADAPTER>()).unwrap_or(USHORT::MAX),
                    DmaOperations: address::to_pointer(operations),
                },
                operations: OPERATIONS,
            });
        };
        let adapter = Arc::new(Self {
            object,
            node,
            scatter_gather: description.ScatterGather != 0,
            width,
            granted,
            state: IrqLock::new(State {
                registers: Registers::new(pages, granted),
                waiting: VecDeque::new(),
                is_owned: false,
                kept: None,
                lists: BTreeMap::new(),
                common_buffers: BTreeMap::new(),
            }),
        });
        ADAPTERS.with(|adapters| adapters.insert(address::of(adapter.pointer()), adapter.clone()));
        Some(adapter)
    }

    /// What the driver gets.
    pub(super) fn pointer(&self) -> PDMA_ADAPTER {
        self.object.as_ptr().cast()
    }

    /// Map registers that it grants.
    pub(super) const fn granted(&self) -> usize {
        self.granted
    }

    /// What changes about it.
    pub(super) fn state<R>(&self, routine: impl FnOnce(&mut State) -> R) -> R {
        self.state.with(routine)
    }

    /// Lets those go on that wait, in order, as far as there are registers. The caller
    /// is at DISPATCH_LEVEL.
    pub(super) fn serve(self: &Arc<Self>) {
        while let Some((waiting, handle)) = self.state(|state| self.next(state)) {
            match waiting {
                Waiting::Channel(request) => channel::run(self, &request, handle),
                Waiting::List(request) => list::run(self, &request, handle),
            }
        }
    }

    /// Takes the registers for the first that waits, if there are enough.
    fn next(&self, state: &mut State) -> Option<(Waiting, usize)> {
        if state.is_owned {
            return None;
        }
        let (count, in_a_row) = match state.waiting.front()? {
            Waiting::Channel(request) => (request.count, true),
            Waiting::List(request) => (request.count, !self.scatter_gather),
        };
        let handle = state.registers.take(count, in_a_row)?;
        let waiting = state.waiting.pop_front()?;
        state.is_owned = matches!(waiting, Waiting::Channel(_));
        Some((waiting, handle))
    }
}

/// PutDmaAdapter.
pub(super) unsafe extern "C" fn put_dma_adapter(adapter: PDMA_ADAPTER) {
    const OPERATION: &str = "PutDmaAdapter";
    assert_up_to_dispatch(OPERATION);
    let adapter = expect(OPERATION, adapter);
    let (is_unused, common_buffers) = adapter.state(|state| {
        (
            state.registers.is_free() && state.waiting.is_empty() && !state.is_owned,
            state.common_buffers.len(),
        )
    });
    check!(
        Dma07,
        OPERATION,
        is_unused && common_buffers == 0,
        "A DMA adapter was given back with map registers in use, or {common_buffers} common buffers."
    );
    ADAPTERS.with(|adapters| adapters.remove(&address::of(adapter.pointer())));
    // SAFETY: Fact 1: the driver has given the object up.
    unsafe {
        adapter
            .object
            .cast::<u8>()
            .write_bytes(DELETED_BYTE, size_of::<Object>());
    };
}

//! IRP_MJ_READ and IRP_MJ_WRITE: who waits for the DMA engine, and whose turn it is.
//!
//! Reads and writes move bytes between the caller's locked buffer and the device's, at the
//! file offset. They go by an engine of their own, beside StartIo and DpcForIsr, so both
//! work at the same time:
//!
//! ```text
//!   dispatch routine --> waiting --> has the turn --> completed
//!                                      |    ^
//!                                      v    |
//!          map registers, device, CustomDpc (`transfer_steps`)
//! ```
//!
//! One request has the turn from when it leaves the queue until it is completed. Whoever has
//! the request has the turn, and gives both up; the next one takes it when AdapterControl has
//! returned, too. A device that is stopped or falls asleep is done with that request first;
//! those that wait stay where they are until it works again.
//!
//! | what is wrong | status |
//! |---|---|
//! | a range that is not inside the device's buffer | as `edu_requests` says |
//! | one of the device's transfers is not done in 10 seconds | `STATUS_IO_TIMEOUT` |
//! | cancelled, or its handle closed | `STATUS_CANCELLED` |
//! | the device is being removed, or gone | `STATUS_DELETE_PENDING` |
//!
//! No bytes at all are read and written anywhere, with success. A request that waits is
//! cancelled at once. Under way the memory is the device's, which nothing stops: a request
//! that is cancelled then, or whose handle is closed, ends when the device is done with the
//! transfer that it is at, a tenth of a second at most, and is not gone on with.

use dirql::{
    device::Device,
    direct_io::DirectRequest,
    dma::{DmaAdapter, DmaDescription, Mapped},
    dpc::{Dpc, Placement},
    driver::{DirectIo, Stop},
    file::FileObject,
    irp::{Buffers as _, Dispatched, Irp, PendingIrp},
    irp_queue::IrpQueue,
    irql::{AtMostDispatch, Dispatch, Passive, UpToDispatch, at_dispatch},
    spin_lock::SpinLock,
    status::{NtError, Result},
    wait,
};
use edu_controller::Turn;
use edu_interface::{DEVICE_BUFFER_BYTES, Section};
use edu_requests::Range;

use crate::{
    Edu,
    recorder::section,
    transfer_steps::{self, TransferEnded},
};

pin_project_lite::pin_project! {
    /// The part of the device extension that is about reads and writes.
    #[derive(Debug)]
    pub(crate) struct Transfers {
        // Requests in the order in which they came.
        #[pin]
        waiting: IrpQueue,
        #[pin]
        pub(crate) adapter: DmaAdapter,
        // Ends the device's transfers.
        #[pin]
        pub(crate) ended: Dpc<TransferEnded>,
        turn: SpinLock<Turn<FileObject, NtError>>,
    }
}

impl Transfers {
    pub(crate) const fn new() -> Self {
        Self {
            waiting: IrpQueue::new(),
            adapter: DmaAdapter::new(),
            ended: Dpc::new(),
            turn: SpinLock::new(Turn::new()),
        }
    }
}

impl DirectIo for Edu {
    fn read(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        dispatch(device, irql, irp)
    }

    fn write(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        dispatch(device, irql, irp)
    }
}

fn dispatch(device: &Device<Edu>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
    match range(&irp) {
        Ok(Range { length: 0, .. }) => irp.complete(irql, Ok(0)),
        Ok(_) => irp.pend(|irp| {
            if let Err(refused) = device.transfers.waiting.insert(irql, irp) {
                refused.complete(irql);
            }
            at_dispatch(irql, |irql| begin_next(device, irql));
        }),
        Err(error) => irp.complete(irql, Err(error)),
    }
}

/// What a read or a write asks for: where in the device's buffer, and how many bytes. Whether
/// it is inside is looked at here for what the caller is told, and once more where the device
/// is told something: [`edu_controller::Transfer`] has no other ranges.
fn range(request: &impl DirectRequest) -> Result<Range> {
    let buffer = request.mdl()?;
    edu_requests::range(request.byte_offset(), buffer.length(), buffer.direction())
}

/// Begins the next request, unless another has the turn or the device takes none.
pub(crate) fn begin_next(device: &Device<Edu>, irql: &mut Dispatch) {
    while let Some(request) = take_turn(device, irql) {
        if transfer_steps::begin(device, irql, request) {
            return;
        }
        give_turn_back(device, irql);
    }
}

/// The request whose turn it is, if there is one. Request and turn are taken under one lock:
/// a CLEANUP finds it in its queue or with the turn.
fn take_turn(device: &Device<Edu>, irql: &mut Dispatch) -> Option<PendingIrp> {
    let transfers = &device.transfers;
    transfers.turn.with(irql, |irql, turn| {
        turn.take(|| {
            let request = transfers.waiting.remove_next(irql)?;
            let file = request.file();
            Some((request, file))
        })
    })
}

/// The request that had the turn is completed. The turn is nobody's as soon as
/// [`leave_channel`] was called, too.
pub(crate) fn give_turn_back<I: AtMostDispatch>(device: &Device<Edu>, irql: &mut I) {
    device.transfers.turn.with(irql, |_, turn| turn.give_back());
}

/// Another request's map registers can be asked for; false if the one that had the turn is
/// completed already, so that the turn is nobody's now.
pub(crate) fn leave_channel(device: &Device<Edu>, irql: &mut Dispatch) -> bool {
    device
        .transfers
        .turn
        .with(irql, |_, turn| turn.leave_channel())
}

/// Whether the request that has the turn is to be gone on with.
///
/// # Errors
/// What it fails with if not: it was cancelled, its handle closed, or it was given up.
pub(crate) fn is_wanted(
    device: &Device<Edu>,
    irql: &mut Dispatch,
    request: &PendingIrp,
) -> Result<()> {
    match given_up(device, irql) {
        Some(error) => Err(error),
        None if request.is_cancelled() => Err(NtError::STATUS_CANCELLED),
        None => Ok(()),
    }
}

/// What the request that has the turn fails with, if it was given up.
pub(crate) fn given_up(device: &Device<Edu>, irql: &mut Dispatch) -> Option<NtError> {
    device.transfers.turn.with(irql, |_, turn| turn.given_up())
}

/// IRP_MJ_CLEANUP: the queue has been looked through; what is left is the request that has
/// the turn.
pub(crate) fn clean_up(device: &Device<Edu>, irql: &mut UpToDispatch, file: FileObject) {
    device.transfers.turn.with(irql, |_, turn| {
        turn.clean_up(file, NtError::STATUS_CANCELLED);
    });
}

/// START: gets what transfers need. Requests wait until [`resume`].
///
/// The adapter is asked for one piece at a time, not for scatter/gather: the device takes a
/// tenth of a second for each, and map registers in a row make one of a buffer whose pages
/// are scattered, or out of the reach of its 28 address bits.
pub(crate) fn open(device: &Device<Edu>, irql: &mut Passive) -> Result<()> {
    let transfers = device.pinned().project_ref().transfers.project_ref();
    let _granted_map_registers = transfers.adapter.open(
        device,
        irql,
        &DmaDescription {
            address_width: edu_controller::ADDRESS_BITS,
            maximum_length: DEVICE_BUFFER_BYTES,
            scatter_gather: false,
        },
    )?;
    transfers.waiting.initialize(device, irql)?;
    transfers.ended.initialize(device, irql, Placement::new())
}

/// The device takes transfers: it is started, or awake.
pub(crate) fn resume(device: &Device<Edu>, irql: &mut Passive) {
    device.transfers.turn.with(irql, |_, turn| turn.open());
    at_dispatch(irql, |irql| begin_next(device, irql));
}

/// Longest time that a machine that goes to sleep waits for a request under way, which takes
/// the device two tenths of a second at most. A device without power has no memory.
const SLEEP_MS: u32 = 1_000;

/// The device falls asleep: no request is begun any more, and the one under way is waited
/// for. A device that takes too long may sleep all the same: the request fails.
pub(crate) fn fall_asleep(device: &Device<Edu>, irql: &mut Passive) {
    close_turn(device, irql);
    if !wait_for_turn(device, irql, Section::Power, Some(SLEEP_MS)) {
        give_up(device, irql, Section::Power, NtError::STATUS_IO_TIMEOUT);
    }
}

/// The device stops, maybe for good: as above, but the one under way is waited for as long as
/// the device has its memory. Releasing that would have the device write into pages that
/// have become somebody else's. One that is gone, or asleep, has no memory.
pub(crate) fn stop(device: &Device<Edu>, irql: &mut Passive, why: Stop) {
    close_turn(device, irql);
    if why != Stop::Rebalance {
        give_up(device, irql, Section::Pnp, NtError::STATUS_DELETE_PENDING);
    }
    // False for a device that sleeps: what it was at comes out with the controller.
    let _is_done = wait_for_turn(device, irql, Section::Pnp, None);
}

/// No request is begun any more.
fn close_turn(device: &Device<Edu>, irql: &mut Passive) {
    device.transfers.turn.with(irql, |_, turn| turn.close());
}

/// Waits until no request has the turn; false if one has it after `limit_ms`, or nobody can
/// look what the device does.
fn wait_for_turn(
    device: &Device<Edu>,
    irql: &mut Passive,
    who: Section,
    limit_ms: Option<u32>,
) -> bool {
    let turn = &device.transfers.turn;
    let mut waited_ms: u32 = 0;
    while turn.with(irql, |_, turn| turn.is_taken()) {
        if limit_ms.is_some_and(|limit_ms| waited_ms >= limit_ms) {
            return false;
        }
        let has_ended = section(device, irql, who, |_, shared| shared.0.look_at_transfer());
        match has_ended {
            None => return false,
            Some(true) => {
                let _queued = device.transfers.ended.queue();
            }
            Some(false) => {}
        }
        wait::delay(irql, 1);
        waited_ms = waited_ms.saturating_add(1);
    }
    true
}

/// The request that has the turn fails with this as soon as the device is done with its
/// memory.
fn give_up(device: &Device<Edu>, irql: &mut Passive, who: Section, error: NtError) {
    device
        .transfers
        .turn
        .with(irql, |_, turn| turn.give_up(error));
    section(device, irql, who, |_, shared| shared.0.give_up_transfer());
}

/// STOP, with the interrupt disconnected: gives back what [`open`] has got, after the
/// transfer that a device without power has `left` in its controller.
pub(crate) fn close(device: &Device<Edu>, irql: &mut Passive, left: Option<Mapped<PendingIrp>>) {
    if let Some(mapped) = left {
        at_dispatch(irql, |irql| {
            let error = given_up(device, irql).unwrap_or(NtError::STATUS_DELETE_PENDING);
            mapped.abort(irql).free(irql).complete(irql, Err(error));
        });
        give_turn_back(device, irql);
    }
    device.transfers.ended.stop(irql);
    device.transfers.adapter.close(irql);
}

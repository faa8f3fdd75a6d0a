//! IRP_MJ_READ and IRP_MJ_WRITE: who waits for the DMA engine, and whose turn it is.
//!
//! Reads and writes move bytes between the caller's locked buffer and the device's, at the
//! file offset. They go by an engine of their own, beside StartIo and DpcForIsr, so both
//! work at the same time:
//!
//! ```text
//!   dispatch routine --> waiting --.                     .--> completed
//!                                  +--> has the turn ----+
//!                       held ------'      |    ^         '--> held: the device stops or
//!                        ^                |    |                    falls asleep
//!                        |                v    |
//!                        |   map registers, device, CustomDpc (`transfer_steps`)
//!                        '--------------------------
//! ```
//!
//! One request has the turn from when it leaves its queue until it is completed or held.
//! Whoever has the request has the turn, and gives both up.
//!
//! | what is wrong | status |
//! |---|---|
//! | a read that begins at the end of the device's buffer or behind it | `STATUS_END_OF_FILE` |
//! | any other range that is not wholly inside | `STATUS_INVALID_PARAMETER` |
//! | one of the device's transfers is not done in 10 seconds | `STATUS_IO_TIMEOUT` |
//! | cancelled, or its handle closed | `STATUS_CANCELLED` |
//! | the device is being removed, or gone | `STATUS_DELETE_PENDING` |
//!
//! No bytes at all are read and written anywhere, with success. A request that waits or is
//! held is cancelled at once. Under way the memory is the device's, which nothing stops: a
//! request that is cancelled then, or whose handle is closed, ends when the device is done
//! with the transfer that it is at, a tenth of a second at most, and is not gone on with.

use dirql::{
    device::Device,
    direct_io::{DirectRequest, Direction},
    dma::{DmaAdapter, DmaDescription},
    dpc::{Dpc, Placement},
    driver::DirectIo,
    file::FileObject,
    irp::{Buffers, Dispatched, Irp, PendingIrp},
    irp_queue::IrpQueue,
    irql::{AtMostDispatch, Dispatch, Passive, UpToDispatch, at_dispatch},
    spin_lock::SpinLock,
    status::{NtError, Result},
    wait,
};
use edu_interface::DEVICE_BUFFER_BYTES;

use crate::{
    Edu, EduController,
    transfer_steps::{self, TransferEnded},
};

const _: () = assert!(
    DEVICE_BUFFER_BYTES == edu_controller::BUFFER_BYTES,
    "what user mode may ask for is what the device may be told"
);

pin_project_lite::pin_project! {
    /// The part of the device extension that is about reads and writes.
    #[derive(Debug)]
    pub(crate) struct Transfers {
        // Requests in the order in which they came.
        #[pin]
        waiting: IrpQueue,
        // The one that had the turn when the device was stopped: it is begun anew, before
        // all others.
        #[pin]
        held: IrpQueue,
        #[pin]
        pub(crate) adapter: DmaAdapter,
        // Ends the device's transfers.
        #[pin]
        pub(crate) ended: Dpc<TransferEnded>,
        turn: SpinLock<Turn>,
    }
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug)]
struct Turn {
    /// The device takes transfers.
    is_open: bool,
    taken: Option<Taken>,
}

/// A request that has the turn.
#[derive(Clone, Copy, Debug)]
struct Taken {
    file: Option<FileObject>,
    /// The file was closed.
    is_closed: bool,
}

impl Transfers {
    pub(crate) const fn new() -> Self {
        Self {
            waiting: IrpQueue::new(),
            held: IrpQueue::new(),
            adapter: DmaAdapter::new(),
            ended: Dpc::new(),
            turn: SpinLock::new(Turn {
                is_open: false,
                taken: None,
            }),
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
        Ok((_, 0)) => irp.complete(irql, Ok(0)),
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
pub(crate) fn range(request: &impl DirectRequest) -> Result<(u32, u32)> {
    let buffer = request.mdl()?;
    if buffer.is_empty() {
        return Ok((0, 0));
    }
    let outside = NtError::STATUS_INVALID_PARAMETER;
    let offset = request.byte_offset().ok_or(outside)?;
    if offset >= u64::from(DEVICE_BUFFER_BYTES) && buffer.direction() == Direction::FromDevice {
        return Err(NtError::STATUS_END_OF_FILE);
    }
    let position = u32::try_from(offset).map_err(|_| outside)?;
    let length = u32::try_from(buffer.length()).map_err(|_| outside)?;
    match position.checked_add(length) {
        Some(end) if end <= DEVICE_BUFFER_BYTES => Ok((position, length)),
        _ => Err(outside),
    }
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
        if !turn.is_open || turn.taken.is_some() {
            return None;
        }
        let held = transfers.held.remove_next(irql);
        let request = held.or_else(|| transfers.waiting.remove_next(irql))?;
        turn.taken = Some(Taken {
            file: request.file(),
            is_closed: false,
        });
        Some(request)
    })
}

/// The request that had the turn is completed or held.
pub(crate) fn give_turn_back<I: AtMostDispatch>(device: &Device<Edu>, irql: &mut I) {
    device
        .transfers
        .turn
        .with(irql, |_, turn| turn.taken = None);
}

/// Whether transfers may be started.
pub(crate) fn is_open<I: AtMostDispatch>(device: &Device<Edu>, irql: &mut I) -> bool {
    device.transfers.turn.with(irql, |_, turn| turn.is_open)
}

/// Whether the request that has the turn was cancelled, or its handle closed.
pub(crate) fn is_unwanted(device: &Device<Edu>, irql: &mut Dispatch, request: &PendingIrp) -> bool {
    request.is_cancelled() || is_file_closed(device, irql)
}

fn is_file_closed<I: AtMostDispatch>(device: &Device<Edu>, irql: &mut I) -> bool {
    device.transfers.turn.with(irql, |_, turn| {
        turn.taken.is_some_and(|taken| taken.is_closed)
    })
}

/// Keeps the request that has the turn until the device takes transfers again; one that is
/// going fails it.
pub(crate) fn hold<I: AtMostDispatch>(device: &Device<Edu>, irql: &mut I, request: PendingIrp) {
    let file = request.file();
    if let Err(refused) = device.transfers.held.insert(irql, request) {
        refused.complete(irql);
    }
    // A CLEANUP that looked before it was there has left word.
    if is_file_closed(device, irql)
        && let Some(file) = file
    {
        cancel_held(device, irql, file);
    }
}

/// IRP_MJ_CLEANUP: the queues have been looked through; what is left is the request that has
/// the turn, and may just have been held.
pub(crate) fn clean_up(device: &Device<Edu>, irql: &mut UpToDispatch, file: FileObject) {
    device.transfers.turn.with(irql, |_, turn| {
        if let Some(taken) = &mut turn.taken
            && taken.file == Some(file)
        {
            taken.is_closed = true;
        }
    });
    cancel_held(device, irql, file);
}

fn cancel_held<I: AtMostDispatch>(device: &Device<Edu>, irql: &mut I, file: FileObject) {
    while let Some(request) = device.transfers.held.remove_next_of(irql, file) {
        request.complete(irql, Err(NtError::STATUS_CANCELLED));
    }
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
    transfers.held.initialize(device, irql)?;
    transfers.ended.initialize(device, irql, Placement::new())
}

/// The device takes transfers: it is started, or awake.
pub(crate) fn resume(device: &Device<Edu>, irql: &mut Passive) {
    device
        .transfers
        .turn
        .with(irql, |_, turn| turn.is_open = true);
    at_dispatch(irql, |irql| begin_next(device, irql));
}

/// Whether a request that is under way when the device is stopped may come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnderWay {
    /// It ends as it would have if the transfer that it is at is its last.
    MayEnd,
    /// It is given up.
    GivenUp,
}

/// No transfer is started any more, and the one under way is waited for; false if the device
/// is not done with it after `limit_ms`. It is given up then.
///
/// Without a limit this waits as long as the device has the memory: releasing it would have
/// the device write into pages that have become somebody else's. It takes the device a tenth
/// of a second, and one that is gone, or has lost its power, has none.
pub(crate) fn pause(
    device: &Device<Edu>,
    irql: &mut Passive,
    under_way: UnderWay,
    limit_ms: Option<u32>,
) -> bool {
    let turn = &device.transfers.turn;
    turn.with(irql, |_, turn| turn.is_open = false);
    if under_way == UnderWay::GivenUp {
        give_up(device, irql);
    }
    let mut waited_ms: u32 = 0;
    while turn.with(irql, |_, turn| turn.taken.is_some()) {
        if limit_ms.is_some_and(|limit_ms| waited_ms >= limit_ms) {
            give_up(device, irql);
            return false;
        }
        let has_ended = device
            .interrupt
            .synchronize(irql, |_, shared| shared.0.look_at_transfer());
        match has_ended {
            // Asleep, or never connected: what is left comes out with the controller.
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

fn give_up(device: &Device<Edu>, irql: &mut Passive) {
    device
        .interrupt
        .synchronize(irql, |_, shared| shared.0.give_up_transfer());
}

/// STOP, with the interrupt disconnected: gives back what [`open`] has got, after the
/// transfer that a device without power has left in its controller.
pub(crate) fn close(device: &Device<Edu>, irql: &mut Passive, controller: Option<EduController>) {
    if let Some(mapped) = controller.and_then(EduController::into_transfer) {
        at_dispatch(irql, |irql| {
            let request = mapped.abort(irql).free(irql);
            hold(device, irql, request);
        });
        give_turn_back(device, irql);
    }
    device.transfers.ended.stop(irql);
    device.transfers.adapter.close(irql);
}

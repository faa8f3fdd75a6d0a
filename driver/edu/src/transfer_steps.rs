//! A read's or a write's way through the device: AdapterControl, one or more transfers, the
//! CustomDpc.
//!
//! A request whose buffer takes more map registers than there are goes in several steps,
//! each a transfer of the device's. What is to be done with it at the end of a step is
//! decided in one place, `step`.

use dirql::{
    device::Device,
    direct_io::DirectRequest as _,
    dma::{Action, AdapterControl, Grant, MapRegisters, Mapped, Refused},
    dpc::CustomDpc,
    irp::PendingIrp,
    irql::Dispatch,
    status::{NtError, Result},
};
use edu_controller::{
    Controller, Deadline, Direction, EndedTransfer, Refused as NotTaken, Transfer, TransferOutcome,
};
use edu_interface::{DEFAULT_TIMEOUT_MS, RecordKind, Section};

use edu_requests::TICK_MS;

use crate::{Edu, events, recorder::section, transfers};

/// Time that one transfer may take.
const DEADLINE: Deadline = Deadline::after_ticks(DEFAULT_TIMEOUT_MS.div_ceil(TICK_MS));

/// Asks for the map registers of a request that has the turn; false if it was completed.
pub(crate) fn begin(device: &Device<Edu>, irql: &mut Dispatch, request: PendingIrp) -> bool {
    let transfers = device.pinned().project_ref().transfers.project_ref();
    let channel = transfers
        .adapter
        .allocate_channel::<Channel>(device, irql, request);
    match channel {
        Ok(()) => true,
        Err(Refused { request, error }) => {
            request.complete(irql, Err(error));
            let _has_the_turn = transfers::leave_channel(device, irql);
            false
        }
    }
}

/// The AdapterControl routine.
#[derive(Debug)]
pub(crate) struct Channel;

impl AdapterControl for Channel {
    type Extension = Edu;
    type Request = PendingIrp;

    fn adapter_control(
        device: &Device<Edu>,
        irql: &mut Dispatch,
        grant: Grant<PendingIrp>,
    ) -> Action {
        let begun = device.recorder.begin();
        let (registers, action) = grant.keep();
        let bytes = u32::try_from(registers.remaining()).unwrap_or(u32::MAX);
        if !step(device, irql, Section::AdapterControl, registers) {
            transfers::give_turn_back(device, irql);
        }
        device
            .recorder
            .end(irql, RecordKind::AdapterControl, begun, bytes);
        action
    }

    fn has_returned(device: &Device<Edu>, irql: &mut Dispatch) {
        if !transfers::leave_channel(device, irql) {
            // The DPC begins the next one. One that is stopped has nobody to begin.
            let _queued = device.transfers.ended.queue();
        }
    }
}

/// The CustomDpc that the ISR queues when a transfer has ended, and who else finds that
/// one has, or has left the turn to somebody.
#[derive(Debug)]
pub(crate) struct TransferEnded;

impl CustomDpc for TransferEnded {
    type Extension = Edu;

    fn run(device: &Device<Edu>, irql: &mut Dispatch) {
        let begun = device.recorder.begin();
        let ended = events::drain(device, irql, Section::CustomDpc, Controller::drain_transfer);
        let ended = ended.flatten();
        let found = u32::from(ended.is_some());
        if let Some(ended) = ended
            && !has_ended(device, irql, ended)
        {
            transfers::give_turn_back(device, irql);
        }
        transfers::begin_next(device, irql);
        device
            .recorder
            .end(irql, RecordKind::CustomDpc, begun, found);
    }
}

/// A transfer has ended; true if the device was given the next one of its request, false if
/// that is completed.
fn has_ended(
    device: &Device<Edu>,
    irql: &mut Dispatch,
    ended: EndedTransfer<Mapped<PendingIrp>>,
) -> bool {
    let EndedTransfer {
        owner: mapped,
        outcome,
    } = ended;
    let error = match outcome {
        TransferOutcome::Done => {
            let (registers, flushed) = mapped.flush(irql);
            return match flushed {
                Ok(()) => step(device, irql, Section::CustomDpc, registers),
                Err(error) => complete(irql, registers, Err(error)),
            };
        }
        TransferOutcome::TimedOut => NtError::STATUS_IO_TIMEOUT,
        TransferOutcome::Aborted => {
            transfers::given_up(device, irql).unwrap_or(NtError::STATUS_REQUEST_ABORTED)
        }
        TransferOutcome::Gone => NtError::STATUS_DELETE_PENDING,
    };
    let registers = mapped.abort(irql);
    complete(irql, registers, Err(error))
}

/// Goes on with a request; true if the device has it, false if it is completed.
fn step(
    device: &Device<Edu>,
    irql: &mut Dispatch,
    who: Section,
    registers: MapRegisters<PendingIrp>,
) -> bool {
    match next_transfer(device, irql, who, registers) {
        Ok(()) => true,
        Err((registers, result)) => complete(irql, registers, result),
    }
}

/// Frees the map registers and completes their request; false, as [`step`].
fn complete(
    irql: &mut Dispatch,
    registers: MapRegisters<PendingIrp>,
    result: Result<usize>,
) -> bool {
    registers.free(irql).complete(irql, result);
    false
}

/// Has the device transfer what comes next of a request's buffer; what the request is to be
/// completed with if it does not.
fn next_transfer(
    device: &Device<Edu>,
    irql: &mut Dispatch,
    who: Section,
    registers: MapRegisters<PendingIrp>,
) -> core::result::Result<(), (MapRegisters<PendingIrp>, Result<usize>)> {
    if let Err(error) = transfers::is_wanted(device, irql, registers.request()) {
        return Err((registers, Err(error)));
    }
    let transferred = registers.transferred();
    if registers.remaining() == 0 {
        return Err((registers, Ok(transferred)));
    }
    let start = registers.request().byte_offset();
    let mapped = match registers.map(irql, usize::MAX) {
        Ok(mapped) => mapped,
        Err((registers, error)) => return Err((registers, Err(error))),
    };
    let Some(transfer) = transfer(&mapped, start) else {
        let registers = mapped.abort(irql);
        return Err((registers, Err(NtError::STATUS_INVALID_PARAMETER)));
    };
    arm(device, irql, who, mapped, transfer)
        .map_err(|(mapped, error)| (mapped.abort(irql), Err(error)))
}

/// What the device is told for a part of a request that begins at `start` of its buffer, where
/// the dispatch routine has let it begin; `None` for what it must not be told.
fn transfer(mapped: &Mapped<PendingIrp>, start: Option<u64>) -> Option<Transfer> {
    let start = u32::try_from(start?).ok()?;
    let before = u32::try_from(mapped.transferred_before()).ok()?;
    let direction = if mapped.is_to_device() {
        Direction::ToDevice
    } else {
        Direction::FromDevice
    };
    Transfer::new(
        mapped.address().to_bits(),
        start.checked_add(before)?,
        mapped.length(),
        direction,
    )
}

/// Programs the device, in one critical section.
fn arm(
    device: &Device<Edu>,
    irql: &mut Dispatch,
    who: Section,
    mapped: Mapped<PendingIrp>,
    transfer: Transfer,
) -> core::result::Result<(), (Mapped<PendingIrp>, NtError)> {
    let mut mapped = Some(mapped);
    let armed = section(device, irql, who, |_, shared| {
        shared.0.arm_transfer(&mut mapped, transfer, DEADLINE)
    });
    match (mapped, armed) {
        (None, _) => Ok(()),
        (Some(mapped), Some(Err(NotTaken::Busy))) => Err((mapped, NtError::STATUS_DEVICE_BUSY)),
        (Some(mapped), _) => Err((mapped, NtError::STATUS_DEVICE_NOT_READY)),
    }
}

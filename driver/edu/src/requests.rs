//! IRP_MJ_DEVICE_CONTROL: validate, answer at once, or start a packet.
//!
//! Everything that can be wrong with a request is found here, before any register
//! is touched:
//!
//! | what is wrong | status |
//! |---|---|
//! | control code not known, all 32 bits compared | `STATUS_INVALID_DEVICE_REQUEST` |
//! | input shorter than the request | `STATUS_INFO_LENGTH_MISMATCH` |
//! | output shorter than the reply | `STATUS_BUFFER_TOO_SMALL` |
//! | a mask of zero, a time-out over the bound | `STATUS_INVALID_PARAMETER` |
//! | events from a number on that is ahead of the next | `STATUS_INVALID_PARAMETER` |
//! | too many requests wait for events | `STATUS_DEVICE_BUSY` |
//! | the device is not started | `STATUS_DEVICE_NOT_READY` |
//! | the device is gone | `STATUS_DELETE_PENDING` |
//!
//! The same for reads and writes is with them, in `transfers`.

use dirql::{
    device::Device,
    interrupt::Kind,
    irp::{Buffers, Dispatched, Irp},
    irql::UpToDispatch,
    processor,
    status::{NtError, Result},
};
use edu_controller::{Counters, Deadline, Operation};
use edu_interface::{
    ControlCode, DEFAULT_TIMEOUT_MS, FACTORIAL, Factorial, FactorialRequest, IDENTIFY,
    INTERFACE_VERSION, Identity, InterruptKind, LIVENESS, Liveness, LivenessRequest,
    MAX_TIMEOUT_MS, RAISE_INTERRUPT, READ_RECORDS, RESET_STATISTICS, RaiseRequest, Raised,
    STATISTICS, SWITCH_RECORDER, Section, Statistics, WAIT_EVENTS,
};
use zerocopy::FromBytes;

use crate::{
    Edu, events, operations,
    power::{self, Then},
    recorder,
    watchdog::TICK_MS,
};

/// A validated request that needs the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packeted {
    /// Write and read the liveness register.
    Liveness { value: u32 },
    /// Ends with an interrupt.
    Operation {
        operation: Operation,
        deadline: Deadline,
    },
}

/// IRP_MJ_DEVICE_CONTROL.
pub(crate) fn device_control(
    device: &Device<Edu>,
    irql: &mut UpToDispatch,
    irp: Irp,
) -> Dispatched {
    let Some(code) = irp.control_code() else {
        return irp.complete(irql, Err(NtError::STATUS_INVALID_DEVICE_REQUEST));
    };
    match code {
        _ if code == IDENTIFY.value() => identify(device, irql, irp),
        _ if code == STATISTICS.value() => statistics(device, irql, irp),
        _ if code == RESET_STATISTICS.value() => reset_statistics(device, irql, irp),
        _ if code == SWITCH_RECORDER.value() => recorder::switch(device, irql, irp),
        _ if code == READ_RECORDS.value() => recorder::read(device, irql, irp),
        _ if code == WAIT_EVENTS.value() => events::wait(device, irql, irp),
        _ => match Packeted::parse(code, &irp) {
            Ok(packeted) => start(device, irql, irp, packeted),
            Err(error) => irp.complete(irql, Err(error)),
        },
    }
}

/// Answers a liveness check at once: it needs no interrupt, so it need not wait its
/// turn. Everything else, and a check of a device that is stopped, is a packet.
fn start(
    device: &Device<Edu>,
    irql: &mut UpToDispatch,
    mut irp: Irp,
    what: Packeted,
) -> Dispatched {
    if let Packeted::Liveness { value } = what
        && let Some(answer) = operations::check_liveness(device, irql, Section::Dispatch, value)
    {
        let written = irp.write_output(&answer);
        return irp.complete(irql, written);
    }
    irp.pend(|irp| device.start_packet(irql, irp))
}

/// Lengths of a request that goes to the device.
trait Request: FromBytes {
    type Reply;

    fn validate(self) -> Result<Packeted>;
}

impl Packeted {
    /// Reads the request of an IRP, and checks it. StartIo calls this again for a packet
    /// that the dispatch routine has checked; the system buffer cannot have changed.
    pub(crate) fn parse(code: u32, irp: &impl Buffers) -> Result<Self> {
        const fn is(code: u32, known: ControlCode) -> bool {
            code == known.value()
        }
        match code {
            _ if is(code, LIVENESS) => read::<LivenessRequest>(irp),
            _ if is(code, FACTORIAL) => read::<FactorialRequest>(irp),
            _ if is(code, RAISE_INTERRUPT) => read::<RaiseRequest>(irp),
            _ => Err(NtError::STATUS_INVALID_DEVICE_REQUEST),
        }
    }
}

fn read<T: Request>(irp: &impl Buffers) -> Result<Packeted> {
    let request = irp.input::<T>()?;
    irp.expect_output::<T::Reply>()?;
    request.validate()
}

impl Request for LivenessRequest {
    type Reply = Liveness;

    fn validate(self) -> Result<Packeted> {
        Ok(Packeted::Liveness { value: self.value })
    }
}

impl Request for FactorialRequest {
    type Reply = Factorial;

    fn validate(self) -> Result<Packeted> {
        Ok(Packeted::Operation {
            operation: Operation::Factorial { n: self.n },
            deadline: deadline(self.timeout_ms)?,
        })
    }
}

impl Request for RaiseRequest {
    type Reply = Raised;

    fn validate(self) -> Result<Packeted> {
        if self.mask == 0 {
            return Err(NtError::STATUS_INVALID_PARAMETER);
        }
        Ok(Packeted::Operation {
            operation: Operation::Raise { mask: self.mask },
            deadline: deadline(self.timeout_ms)?,
        })
    }
}

/// The deadline of a request's time-out, in watchdog ticks.
fn deadline(timeout_ms: u32) -> Result<Deadline> {
    let timeout_ms = match timeout_ms {
        0 => DEFAULT_TIMEOUT_MS,
        1..=MAX_TIMEOUT_MS => timeout_ms,
        _ => return Err(NtError::STATUS_INVALID_PARAMETER),
    };
    Ok(Deadline::after_ticks(timeout_ms.div_ceil(TICK_MS)))
}

fn identify(device: &Device<Edu>, irql: &mut UpToDispatch, mut irp: Irp) -> Dispatched {
    let result = irp.expect_output::<Identity>().and_then(|()| {
        // Kept, because a device that sleeps has no interrupt to ask.
        let kept = device.kept.with(irql, |_, kept| *kept);
        let info = kept.info.ok_or(NtError::STATUS_DEVICE_NOT_READY)?;
        irp.write_output(&Identity {
            version: INTERFACE_VERSION,
            identification: kept.identification,
            interrupt_kind: match info.kind {
                Kind::Line => InterruptKind::Line,
                Kind::Message => InterruptKind::Message,
                Kind::FullySpecified => InterruptKind::FullySpecified,
            } as u32,
            vector: info.vector,
            synchronize_irql: info.synchronize_irql.into(),
            processors: processor::active_count(),
        })
    });
    irp.complete(irql, result)
}

/// A snapshot of the counters, taken in one critical section, or while there is none.
fn statistics(device: &Device<Edu>, irql: &mut UpToDispatch, mut irp: Irp) -> Dispatched {
    let result = irp.expect_output::<Statistics>().and_then(|()| {
        let counters = power::counters(device, irql, Then::Keep)?;
        irp.write_output(&snapshot(&counters))
    });
    irp.complete(irql, result)
}

/// Sets the counters to zero. Who wants to know what they were passes a buffer.
fn reset_statistics(device: &Device<Edu>, irql: &mut UpToDispatch, mut irp: Irp) -> Dispatched {
    let wanted = irp.output_length() > 0;
    let fits = if wanted {
        irp.expect_output::<Statistics>()
    } else {
        Ok(())
    };
    let result = fits.and_then(|()| {
        let counters = power::counters(device, irql, Then::Reset)?;
        if wanted {
            irp.write_output(&snapshot(&counters))
        } else {
            Ok(0)
        }
    });
    irp.complete(irql, result)
}

fn snapshot(counters: &Counters) -> Statistics {
    Statistics {
        interrupts_claimed: counters.interrupts_claimed,
        interrupts_not_ours: counters.interrupts_not_ours,
        interrupts_unasked: counters.interrupts_unasked,
        operations_started: counters.operations_started,
        operations_completed: counters.operations_completed,
        operations_timed_out: counters.operations_timed_out,
        operations_aborted: counters.operations_aborted,
        dpc_runs: counters.drains,
        dpc_most_results: counters.most_results,
        liveness_checks: counters.liveness_checks,
        dma_started: counters.dma_started,
        dma_completed: counters.dma_completed,
        dma_timed_out: counters.dma_timed_out,
        dma_aborted: counters.dma_aborted,
        dma_bytes_read: counters.dma_bytes_read,
        dma_bytes_written: counters.dma_bytes_written,
        results_refused: counters.results_refused,
        events_lost: counters.events_lost,
    }
}

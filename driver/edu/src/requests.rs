//! IRP_MJ_DEVICE_CONTROL: validate, answer at once, or start a packet.
//!
//! What is wrong with a request alone `edu_requests` finds, before anything is touched.
//! What is wrong with it because of how things stand is found here:
//!
//! | what is wrong | status |
//! |---|---|
//! | events or records from a number on that is ahead of the next | `STATUS_INVALID_PARAMETER` |
//! | too many requests wait for events | `STATUS_DEVICE_BUSY` |
//! | the device is not started | `STATUS_DEVICE_NOT_READY` |
//! | the device is gone | `STATUS_DELETE_PENDING` |
//!
//! The same for reads and writes is with them, in `transfers`.

use dirql::{
    device::Device,
    interrupt::Kind,
    irp::{Buffers as _, Dispatched, Irp},
    irql::UpToDispatch,
    processor,
    status::NtError,
};
use edu_controller::Counters;
use edu_interface::{INTERFACE_VERSION, Identity, InterruptKind, Section, Statistics};
use edu_requests::{Asked, Packeted};

use crate::{
    Edu, events, operations,
    power::{self, Then},
    recorder,
};

/// IRP_MJ_DEVICE_CONTROL.
pub(crate) fn device_control(
    device: &Device<Edu>,
    irql: &mut UpToDispatch,
    irp: Irp,
) -> Dispatched {
    let code = irp.control_code();
    let code = code.ok_or(NtError::STATUS_INVALID_DEVICE_REQUEST);
    match code.and_then(|code| Asked::parse(code, &irp)) {
        Ok(Asked::Identify) => identify(device, irql, irp),
        Ok(Asked::Statistics) => statistics(device, irql, irp),
        Ok(Asked::ResetStatistics { wanted }) => reset_statistics(device, irql, irp, wanted),
        Ok(Asked::SwitchRecorder { on }) => recorder::switch(device, irql, irp, on),
        Ok(Asked::ReadRecords { after }) => recorder::read(device, irql, irp, after),
        Ok(Asked::WaitEvents { after }) => events::wait(device, irql, irp, after),
        Ok(Asked::Packeted(packeted)) => start(device, irql, irp, packeted),
        Err(error) => irp.complete(irql, Err(error)),
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

fn identify(device: &Device<Edu>, irql: &mut UpToDispatch, mut irp: Irp) -> Dispatched {
    // Kept, because a device that sleeps has no interrupt to ask.
    let kept = device.kept.with(irql, |_, kept| *kept);
    let info = kept.info.ok_or(NtError::STATUS_DEVICE_NOT_READY);
    let result = info.and_then(|info| {
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
    let counters = power::counters(device, irql, Then::Keep);
    let result = counters.and_then(|counters| irp.write_output(&snapshot(&counters)));
    irp.complete(irql, result)
}

/// Sets the counters to zero. Who wants to know what they were passes a buffer.
fn reset_statistics(
    device: &Device<Edu>,
    irql: &mut UpToDispatch,
    mut irp: Irp,
    wanted: bool,
) -> Dispatched {
    let counters = power::counters(device, irql, Then::Reset);
    let result = counters.and_then(|counters| {
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

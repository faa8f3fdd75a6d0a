//! What may come of a request that was drawn by chance.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use edu_controller::Operation;
use edu_interface::{DEFAULT_TIMEOUT_MS, FROM_NOW, Factorial, Raised};
use edu_requests::{Asked, Packeted};
use eductl::{Events, NtStatus, Records, commands::factorial::wrapping_factorial};
use fuzz::requests::{Control, documented};
use zerocopy::FromBytes as _;

use super::draw::{Opened, Request};

/// How much sooner than a deadline the host may see it pass.
const CLOCKS_DIFFER: Duration = Duration::from_millis(100);

/// How a request has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) status: NtStatus,
    /// `IoStatus.Information`.
    pub(super) information: u64,
    pub(super) output: Vec<u8>,
}

/// What the answer to a request is judged by, beside the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances {
    pub(super) opened: Opened,
    /// It was cancelled, or its handle closed, before the answer came.
    pub(super) was_cancelled: bool,
    /// From when it was sent to when it was answered, at most.
    pub(super) took: Duration,
}

/// The access bits of a control code.
const READ_ACCESS: u32 = 1 << 14;
const WRITE_ACCESS: u32 = 2 << 14;

/// Whether the I/O manager lets a request pass that is sent on a handle for this.
pub(super) fn passes_the_io_manager(request: &Request, opened: Opened) -> bool {
    match request {
        Request::Control(control) => {
            (control.code & READ_ACCESS == 0 || opened.read)
                && (control.code & WRITE_ACCESS == 0 || opened.write)
        }
        Request::Read { .. } => opened.read,
        Request::Write { .. } => opened.write,
        Request::Major(_) | Request::Reopen(_) | Request::OpenInside => true,
    }
}

/// Fails unless a request may have ended so.
pub(super) fn judge(request: &Request, ended: &Ended, how: Circumstances) -> anyhow::Result<()> {
    if !passes_the_io_manager(request, how.opened) {
        return is_refused(ended, NtStatus::ACCESS_DENIED);
    }
    match request {
        Request::Control(control) => match documented::control(control) {
            Err(error) => is_refused(ended, NtStatus(error.status().cast_unsigned())),
            Ok(asked) => control_has_ended(control, asked, ended, how),
        },
        Request::Read { offset, length } => {
            let wanted = documented::transfer(position(*offset), *length, false);
            transfer_has_ended(wanted, ended, *length, *length, how)
        }
        Request::Write { offset, data } => {
            let wanted = documented::transfer(position(*offset), data.len(), true);
            transfer_has_ended(wanted, ended, data.len(), 0, how)
        }
        Request::Major(_) | Request::Reopen(_) | Request::OpenInside => Ok(()),
    }
}

/// An offset as the driver has it: there are no negative ones.
fn position(offset: u64) -> Option<u64> {
    i64::try_from(offset).is_ok().then_some(offset)
}

fn is_refused(ended: &Ended, status: NtStatus) -> anyhow::Result<()> {
    ensure!(
        ended.status == status,
        "it ended with {} instead of {status}",
        ended.status
    );
    ensure!(
        ended.information == 0 && ended.output.is_empty(),
        "it was refused, and {} bytes came",
        ended.output.len()
    );
    Ok(())
}

fn transfer_has_ended(
    wanted: dirql::status::Result<()>,
    ended: &Ended,
    length: usize,
    output: usize,
    how: Circumstances,
) -> anyhow::Result<()> {
    if let Err(error) = wanted {
        return is_refused(ended, NtStatus(error.status().cast_unsigned()));
    }
    if how.was_cancelled && ended.status == NtStatus::CANCELLED {
        return Ok(());
    }
    succeeded(ended, length)?;
    ensure!(
        ended.output.len() == output,
        "{} bytes were read instead of {output}",
        ended.output.len()
    );
    Ok(())
}

fn succeeded(ended: &Ended, information: usize) -> anyhow::Result<()> {
    ensure!(
        ended.status == NtStatus(0),
        "it ended with {}",
        ended.status
    );
    ensure!(
        usize::try_from(ended.information) == Ok(information),
        "it transferred {} bytes instead of {information}",
        ended.information
    );
    Ok(())
}

/// A control request has ended that is in order.
fn control_has_ended(
    control: &Control,
    asked: Asked,
    ended: &Ended,
    how: Circumstances,
) -> anyhow::Result<()> {
    if is_excused(control, asked, ended.status, how) {
        return Ok(());
    }
    ensure!(
        ended.status == NtStatus(0),
        "it ended with {}",
        ended.status
    );
    ensure!(
        u64::try_from(ended.output.len()) == Ok(ended.information)
            && ended.output.len() <= control.output_length,
        "Information is {}, {} bytes came into {}",
        ended.information,
        ended.output.len(),
        control.output_length
    );
    match asked {
        Asked::Identify => succeeded(ended, 24),
        Asked::Statistics | Asked::ResetStatistics { wanted: true } => succeeded(ended, 144),
        Asked::ResetStatistics { wanted: false } | Asked::SwitchRecorder { .. } => {
            succeeded(ended, 0)
        }
        Asked::ReadRecords { after } => {
            let records = Records::parse(after, &ended.output)?;
            ensure!(records.next >= after, "the records go back");
            Ok(())
        }
        Asked::WaitEvents { after } => {
            let events = Events::parse(after, &ended.output)?;
            ensure!(!events.events.is_empty(), "it waited for no event");
            ensure!(
                after == FROM_NOW || events.next > after,
                "the events go back"
            );
            Ok(())
        }
        Asked::Packeted(Packeted::Liveness { value }) => {
            let answer = ended.output.first_chunk().copied().map(u32::from_le_bytes);
            succeeded(ended, 4)?;
            ensure!(
                answer == Some(!value),
                "the device is not alive: {answer:?}"
            );
            Ok(())
        }
        Asked::Packeted(Packeted::Operation { operation, .. }) => {
            succeeded(ended, 8)?;
            operation_has_ended(operation, &ended.output)
        }
    }
}

/// Whether a request may have failed so, because of how things stood.
fn is_excused(control: &Control, asked: Asked, status: NtStatus, how: Circumstances) -> bool {
    match asked {
        Asked::WaitEvents { .. } | Asked::Packeted(Packeted::Operation { .. })
            if status == NtStatus::CANCELLED =>
        {
            how.was_cancelled
        }
        // Only the driver knows which number is the next.
        Asked::WaitEvents { after } if status == NtStatus::INVALID_PARAMETER => {
            after != 0 && after != FROM_NOW
        }
        Asked::WaitEvents { .. } => status == NtStatus::DEVICE_BUSY,
        Asked::ReadRecords { after } if status == NtStatus::INVALID_PARAMETER => after != 0,
        Asked::Packeted(Packeted::Operation { .. }) if status == NtStatus::IO_TIMEOUT => {
            let asked_ms = control
                .input
                .get(4..8)
                .and_then(|bytes| bytes.try_into().ok());
            let timeout_ms = match asked_ms.map(u32::from_le_bytes) {
                None | Some(0) => DEFAULT_TIMEOUT_MS,
                Some(timeout_ms) => timeout_ms,
            };
            how.took + CLOCKS_DIFFER >= Duration::from_millis(timeout_ms.into())
        }
        _ => false,
    }
}

fn operation_has_ended(operation: Operation, output: &[u8]) -> anyhow::Result<()> {
    match operation {
        Operation::Factorial { n } => {
            let reply = Factorial::read_from_bytes(output);
            let reply = reply.ok().context("the reply is no factorial")?;
            let wanted = wrapping_factorial(n);
            ensure!(
                (reply.n, reply.value) == (n, wanted),
                "{n}! is {wanted}, and the device says that {}! is {}",
                reply.n,
                reply.value
            );
        }
        Operation::Raise { mask } => {
            let reply = Raised::read_from_bytes(output);
            let reply = reply.ok().context("the reply tells no causes")?;
            if reply.causes & mask != mask || reply.reserved != 0 {
                bail!("{mask:#x} was raised, and the ISR read {reply:x?}");
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use edu_interface::{FACTORIAL, IDENTIFY, LIVENESS, RAISE_INTERRUPT, WAIT_EVENTS};
    use eductl::NtStatus;
    use fuzz::requests::Control;

    use super::{Circumstances, Ended, judge};
    use crate::cases::random::draw::{Opened, Request};

    const HOW: Circumstances = Circumstances {
        opened: Opened::BOTH,
        was_cancelled: false,
        took: Duration::from_millis(10),
    };

    fn control(code: u32, words: [u32; 2], output_length: usize) -> Request {
        Request::Control(Control {
            code,
            input: words.map(u32::to_le_bytes).concat(),
            output_length,
        })
    }

    fn ended(status: NtStatus, words: &[u32]) -> Ended {
        let output: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        Ended {
            status,
            information: output.len() as u64,
            output,
        }
    }

    fn is_right(request: &Request, ended: &Ended, how: Circumstances) -> bool {
        judge(request, ended, how).is_ok()
    }

    #[test]
    fn a_right_answer_passes_and_a_wrong_one_does_not() {
        let done = NtStatus(0);
        for (request, right, wrong) in [
            (
                control(LIVENESS.value(), [5, 0], 4),
                ended(done, &[!5]),
                ended(done, &[5]),
            ),
            (
                control(FACTORIAL.value(), [5, 0], 8),
                ended(done, &[5, 120]),
                ended(done, &[4, 24]),
            ),
            (
                control(RAISE_INTERRUPT.value(), [6, 0], 8),
                ended(done, &[7, 0]),
                ended(done, &[5, 0]),
            ),
            (
                control(RAISE_INTERRUPT.value(), [0, 0], 8),
                ended(NtStatus::INVALID_PARAMETER, &[]),
                ended(done, &[0, 0]),
            ),
            (
                control(IDENTIFY.value(), [0, 0], 23),
                ended(NtStatus::BUFFER_TOO_SMALL, &[]),
                ended(NtStatus::INVALID_DEVICE_REQUEST, &[]),
            ),
            (
                control(IDENTIFY.value() | 3, [0, 0], 24),
                ended(NtStatus::INVALID_DEVICE_REQUEST, &[]),
                ended(done, &[0; 6]),
            ),
            (
                Request::Read {
                    offset: 4_094,
                    length: 2,
                },
                ended(NtStatus::INVALID_PARAMETER, &[]),
                ended(done, &[]),
            ),
        ] {
            assert!(is_right(&request, &right, HOW), "{request:?}, {right:?}");
            assert!(!is_right(&request, &wrong, HOW), "{request:?}, {wrong:?}");
        }
    }

    #[test]
    fn only_who_was_cancelled_may_be_cancelled_and_only_who_is_late_times_out() {
        let request = control(FACTORIAL.value(), [5, 500], 8);
        let cancelled = ended(NtStatus::CANCELLED, &[]);
        let late = ended(NtStatus::IO_TIMEOUT, &[]);
        assert!(!is_right(&request, &cancelled, HOW));
        assert!(!is_right(&request, &late, HOW));
        let was_cancelled = Circumstances {
            was_cancelled: true,
            ..HOW
        };
        assert!(is_right(&request, &cancelled, was_cancelled));
        let took = Duration::from_millis(600);
        assert!(is_right(&request, &late, Circumstances { took, ..HOW }));
        let waiting = control(WAIT_EVENTS.value(), [u32::MAX, u32::MAX], 512);
        let busy = ended(NtStatus::DEVICE_BUSY, &[]);
        assert!(is_right(&waiting, &busy, HOW));
        assert!(!is_right(&request, &busy, HOW));
    }

    #[test]
    fn a_handle_that_is_not_for_it_is_denied() {
        let request = control(LIVENESS.value(), [5, 0], 4);
        let how = Circumstances {
            opened: Opened {
                read: true,
                write: false,
            },
            ..HOW
        };
        let denied = ended(NtStatus::ACCESS_DENIED, &[]);
        assert!(is_right(&request, &denied, how));
        assert!(!is_right(&request, &denied, HOW));
        assert!(!is_right(&request, &ended(NtStatus(0), &[!5]), how));
    }
}

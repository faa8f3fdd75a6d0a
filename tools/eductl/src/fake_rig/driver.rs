//! What edu.sys answers to each request.

use std::{io::Write as _, sync::MutexGuard, thread, time::Duration};

use edu_interface::{
    Causes, Event, EventsHeader, EventsRequest, FACTORIAL, FROM_NOW, FactorialRequest, IDENTIFY,
    INTERFACE_VERSION, Identity, InterruptKind, LIVENESS, LivenessRequest, MAX_TIMEOUT_MS,
    RAISE_INTERRUPT, READ_RECORDS, RESET_STATISTICS, RaiseRequest, Raised, Record, RecorderRequest,
    RecordsHeader, RecordsRequest, STATISTICS, SWITCH_RECORDER, Statistics, WAIT_EVENTS,
};
use rig_protocol::Open;
use zerocopy::{FromBytes as _, Immutable, IntoBytes};

use super::{FakeRig, Fault, device::FakeDevice, pending::Request};
use crate::{commands::factorial::wrapping_factorial, status::NtStatus};

/// How often a pending request looks for what it waits for.
const LOOK: Duration = Duration::from_millis(1);

impl FakeRig {
    pub(super) fn control(
        &self,
        open: &Open,
        pending: &Request<'_>,
        code: u32,
        input: &[u8],
        output_length: usize,
    ) -> Result<Vec<u8>, NtStatus> {
        self.access(open, code >> 14 & 1 != 0, code >> 15 & 1 != 0)?;
        let answer = self.driver(pending, code, input, output_length);
        if answer.is_err() && self.fault == Fault::CountsBadRequests {
            self.device().statistics.operations_started += 1;
        }
        let mut output = answer?;
        if self.fault == Fault::LongReply && code == IDENTIFY.value() {
            output.push(0);
        }
        Ok(output)
    }

    pub(super) fn read(
        &self,
        open: &Open,
        offset: u64,
        length: usize,
    ) -> Result<Vec<u8>, NtStatus> {
        self.access(open, true, false)?;
        self.device().read(offset, length)
    }

    pub(super) fn write(&self, open: &Open, offset: u64, data: &[u8]) -> Result<(), NtStatus> {
        self.access(open, false, true)?;
        self.device().write(offset, data)
    }

    /// What the I/O manager checks before the driver sees a request.
    fn access(&self, open: &Open, read: bool, write: bool) -> Result<(), NtStatus> {
        let missing = read && !open.read || write && !open.write;
        if missing && self.fault != Fault::TakesAnyAccess {
            return Err(NtStatus::ACCESS_DENIED);
        }
        Ok(())
    }

    fn device(&self) -> MutexGuard<'_, FakeDevice> {
        self.device.lock().unwrap()
    }

    fn driver(
        &self,
        pending: &Request<'_>,
        code: u32,
        input: &[u8],
        room: usize,
    ) -> Result<Vec<u8>, NtStatus> {
        let lengths = |wanted_input: usize, wanted_output: usize| {
            if input.len() < wanted_input && self.fault != Fault::TakesShortInput {
                return Err(NtStatus::INFO_LENGTH_MISMATCH);
            }
            if input.len() > wanted_input && self.fault == Fault::RefusesLongInput {
                return Err(NtStatus::INFO_LENGTH_MISMATCH);
            }
            if room < wanted_output && self.fault != Fault::TakesShortOutput {
                return Err(NtStatus::BUFFER_TOO_SMALL);
            }
            Ok(())
        };
        let mut padded = input.to_vec();
        padded.resize(input.len().max(8), 0);
        let mut reply = if code == IDENTIFY.value() {
            lengths(0, size_of::<Identity>())?;
            self.identity().as_bytes().to_vec()
        } else if code == LIVENESS.value() {
            lengths(4, 4)?;
            self.liveness(&padded).to_le_bytes().to_vec()
        } else if code == FACTORIAL.value() {
            lengths(8, 8)?;
            self.factorial(&padded)?
        } else if code == RAISE_INTERRUPT.value() {
            lengths(8, 8)?;
            self.raise(&padded)?
        } else if code == STATISTICS.value() {
            lengths(0, size_of::<Statistics>())?;
            self.device().statistics.as_bytes().to_vec()
        } else if code == RESET_STATISTICS.value() {
            if room > 0 {
                lengths(0, size_of::<Statistics>())?;
            }
            self.reset().as_bytes().to_vec()
        } else if code == WAIT_EVENTS.value() {
            lengths(8, size_of::<EventsHeader>() + size_of::<Event>())?;
            self.wait_events(pending, &padded, room)?
        } else if code == SWITCH_RECORDER.value() {
            lengths(4, 0)?;
            self.switch_recorder(&padded)?
        } else if code == READ_RECORDS.value() {
            lengths(8, size_of::<RecordsHeader>() + size_of::<Record>())?;
            self.read_records(&padded, room)?
        } else if self.fault == Fault::TakesUnknownCodes {
            vec![]
        } else {
            return Err(NtStatus::INVALID_DEVICE_REQUEST);
        };
        reply.truncate(room);
        Ok(reply)
    }

    fn identity(&self) -> Identity {
        let wrong = self.fault == Fault::WrongIdentification;
        Identity {
            version: INTERFACE_VERSION,
            identification: if wrong { u32::MAX } else { 0x0100_00ed },
            interrupt_kind: InterruptKind::Message as u32,
            vector: 0x51,
            synchronize_irql: 5,
            processors: 4,
        }
    }

    fn liveness(&self, input: &[u8]) -> u32 {
        let request = LivenessRequest::read_from_prefix(input).unwrap().0;
        self.device().statistics.liveness_checks += 1;
        if self.fault == Fault::DeadDevice {
            return u32::MAX;
        }
        !request.value
    }

    fn factorial(&self, input: &[u8]) -> Result<Vec<u8>, NtStatus> {
        let request = FactorialRequest::read_from_prefix(input).unwrap().0;
        self.time_out(request.timeout_ms)?;
        if request.n == 20 {
            self.disturb();
        }
        self.device().operate(FACTORIAL, Causes::FACTORIAL.bits());
        let wrong = u32::from(self.fault == Fault::WrongFactorial && request.n == 13);
        let value = wrapping_factorial(request.n) + wrong;
        Ok([request.n.to_le_bytes(), value.to_le_bytes()].concat())
    }

    fn raise(&self, input: &[u8]) -> Result<Vec<u8>, NtStatus> {
        let request = RaiseRequest::read_from_prefix(input).unwrap().0;
        self.time_out(request.timeout_ms)?;
        if request.mask == 0 && self.fault != Fault::TakesMaskZero {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        self.device().operate(RAISE_INTERRUPT, request.mask);
        let lost = if self.fault == Fault::LostCause {
            0x100
        } else {
            0
        };
        let causes = request.mask & !lost;
        let reserved = 0;
        Ok(Raised { causes, reserved }.as_bytes().to_vec())
    }

    fn time_out(&self, timeout_ms: u32) -> Result<(), NtStatus> {
        if timeout_ms > MAX_TIMEOUT_MS && self.fault != Fault::TakesAnyTimeOut {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        Ok(())
    }

    /// What becomes of the channel in the middle of the factorial of 20.
    fn disturb(&self) {
        let channel = self.output.lock().unwrap();
        match self.fault {
            Fault::Dies => channel.shutdown(std::net::Shutdown::Both).unwrap(),
            Fault::Garbles => (&*channel).write_all(b"\x05nonsense\0").unwrap(),
            _ => {}
        }
    }

    fn reset(&self) -> Statistics {
        let mut device = self.device();
        if self.fault == Fault::ResetsNothing {
            device.statistics.liveness_checks += 1;
            return device.statistics;
        }
        std::mem::take(&mut device.statistics)
    }

    fn wait_events(
        &self,
        pending: &Request<'_>,
        input: &[u8],
        room: usize,
    ) -> Result<Vec<u8>, NtStatus> {
        let mut after = EventsRequest::read_from_prefix(input).unwrap().0.after;
        // One that is taken though its room is too small does not pend for that.
        let fits = (room.saturating_sub(size_of::<EventsHeader>()) / size_of::<Event>()).max(1);
        loop {
            let device = self.device();
            let next = device.events.next();
            if after == FROM_NOW {
                after = next;
            } else if after > next {
                return Err(NtStatus::INVALID_PARAMETER);
            }
            let (lost, events) = device.events.from(after, fits);
            if !events.is_empty() {
                let miscount = u32::from(self.fault == Fault::MiscountsEvents);
                let header = EventsHeader {
                    clock: device.clock(),
                    next: after + lost + events.len() as u64,
                    lost,
                    count: u32::try_from(events.len()).unwrap() + miscount,
                    reserved: 0,
                };
                return Ok(reply(&header, &events));
            }
            drop(device);
            if pending.is_cancelled() {
                return Err(NtStatus::CANCELLED);
            }
            thread::sleep(LOOK);
        }
    }

    fn switch_recorder(&self, input: &[u8]) -> Result<Vec<u8>, NtStatus> {
        let request = RecorderRequest::read_from_prefix(input).unwrap().0;
        if request.on > 1 {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        self.device().recorder_on = request.on == 1;
        Ok(vec![])
    }

    fn read_records(&self, input: &[u8], room: usize) -> Result<Vec<u8>, NtStatus> {
        let after = RecordsRequest::read_from_prefix(input).unwrap().0.after;
        let fits = room.saturating_sub(size_of::<RecordsHeader>()) / size_of::<Record>();
        let device = self.device();
        if after > device.records.next() {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        let (lost, records) = device.records.from(after, fits);
        let header = RecordsHeader {
            clock: device.clock(),
            next: after + lost + records.len() as u64,
            lost,
            count: u32::try_from(records.len()).unwrap(),
            on: u32::from(device.recorder_on),
        };
        Ok(reply(&header, &records))
    }
}

/// A head and the items behind it.
fn reply<H: IntoBytes + Immutable, I: IntoBytes + Immutable>(head: &H, items: &[I]) -> Vec<u8> {
    [head.as_bytes(), items.as_bytes()].concat()
}

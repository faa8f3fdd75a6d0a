//! Bad requests: each has its documented status, and none changes anything.

use edu_interface::{
    CONTROL_CODES, ControlCode, Event, EventsHeader, EventsRequest, FACTORIAL, Factorial,
    FactorialRequest, IDENTIFY, Identity, LIVENESS, Liveness, LivenessRequest, MAX_TIMEOUT_MS,
    RAISE_INTERRUPT, READ_RECORDS, RESET_STATISTICS, RaiseRequest, Raised, Record, RecorderRequest,
    RecordsHeader, RecordsRequest, STATISTICS, SWITCH_RECORDER, Statistics, WAIT_EVENTS,
};
use zerocopy::IntoBytes as _;

use super::{Bench, Check};
use crate::{
    commands::CommandError,
    device::{Device, DeviceError},
    status::NtStatus,
    transport::{Open, Operation},
};

/// Codes that have nothing to do with edu.sys: nothing, everything, a disk's,
/// and the neighbours of the driver's own.
const FOREIGN_CODES: [u32; 6] = [
    0,
    u32::MAX,
    0x002d_1400,
    IDENTIFY.value() - 4,
    READ_RECORDS.value() + 4,
    0x8ed0_fffc,
];

/// The longest buffer that every transport carries.
const LONG: usize = 4096;

/// A request that the driver takes, with the lengths of its buffers.
struct Shape {
    code: ControlCode,
    input: Vec<u8>,
    /// The shortest output that it takes.
    output_length: usize,
}

impl Shape {
    /// Whether a handle for reading only will do.
    fn only_reads(&self) -> bool {
        [IDENTIFY, STATISTICS, WAIT_EVENTS, READ_RECORDS].contains(&self.code)
    }

    /// Whether the reply is as long as there is something to tell.
    fn is_of_any_length(&self) -> bool {
        [WAIT_EVENTS, READ_RECORDS].contains(&self.code)
    }
}

/// Each request once. There are events to be told of, so that none of them pends.
fn shapes() -> [Shape; CONTROL_CODES.len()] {
    let shape = |code, input: &[u8], output_length| Shape {
        code,
        input: input.to_vec(),
        output_length,
    };
    let factorial = FactorialRequest {
        n: 5,
        timeout_ms: 0,
    };
    let raise = RaiseRequest {
        mask: 2,
        timeout_ms: 0,
    };
    [
        shape(IDENTIFY, &[], size_of::<Identity>()),
        shape(
            LIVENESS,
            LivenessRequest { value: 1 }.as_bytes(),
            size_of::<Liveness>(),
        ),
        shape(FACTORIAL, factorial.as_bytes(), size_of::<Factorial>()),
        shape(RAISE_INTERRUPT, raise.as_bytes(), size_of::<Raised>()),
        shape(STATISTICS, &[], size_of::<Statistics>()),
        shape(RESET_STATISTICS, &[], size_of::<Statistics>()),
        shape(
            WAIT_EVENTS,
            EventsRequest { after: 0 }.as_bytes(),
            size_of::<EventsHeader>() + size_of::<Event>(),
        ),
        shape(SWITCH_RECORDER, RecorderRequest { on: 0 }.as_bytes(), 0),
        shape(
            READ_RECORDS,
            RecordsRequest { after: 0 }.as_bytes(),
            size_of::<RecordsHeader>() + size_of::<Record>(),
        ),
    ]
}

/// Runs `requests` and checks that the counters are afterwards what they were.
pub(super) fn changing_nothing(
    bench: &Bench<'_>,
    check: &mut Check,
    requests: impl FnOnce(&mut Check) -> Result<(), DeviceError>,
) -> Result<(), CommandError> {
    let mut before = bench.device.statistics()?;
    requests(check)?;
    let after = bench.device.statistics()?;
    // A device on the same line may interrupt at any moment.
    before.interrupts_not_ours = after.interrupts_not_ours;
    check.equal("counters after bad requests", &after, &before);
    Ok(())
}

/// Known codes with one bit changed, and codes of nobody. All 32 bits count.
/// The buffers are empty: the transfer method of such a code may be any, and
/// with no buffer there is nothing that the system would have to map.
pub(super) fn unknown_codes(bench: &Bench<'_>, check: &mut Check) -> Result<(), CommandError> {
    let neighbours = CONTROL_CODES
        .iter()
        .flat_map(|(code, _)| (0..u32::BITS).map(move |bit| code.value() ^ 1 << bit));
    let known = |value: u32| CONTROL_CODES.iter().any(|(code, _)| code.value() == value);
    changing_nothing(bench, check, |check| {
        for value in neighbours.chain(FOREIGN_CODES) {
            if !known(value) {
                let answer = bench.device.transport().device_io_control(value, &[], 0);
                check.refused(
                    Operation::Control(value),
                    answer,
                    NtStatus::INVALID_DEVICE_REQUEST,
                )?;
            }
        }
        Ok(())
    })
}

/// Every length of each buffer that is shorter than the driver asks for.
pub(super) fn wrong_lengths(bench: &Bench<'_>, check: &mut Check) -> Result<(), CommandError> {
    let control = |code: ControlCode, input: &[u8], output_length| {
        let transport = bench.device.transport();
        transport.device_io_control(code.value(), input, output_length)
    };
    changing_nothing(bench, check, |check| {
        for shape in shapes() {
            let operation = Operation::from(shape.code);
            for length in 0..shape.input.len() {
                check.refused(
                    format_args!("{operation} with {length} bytes of input"),
                    control(shape.code, &shape.input[..length], shape.output_length),
                    NtStatus::INFO_LENGTH_MISMATCH,
                )?;
            }
            // A reset without an output buffer is a good request.
            let shortest = usize::from(shape.code == RESET_STATISTICS);
            for length in shortest..shape.output_length {
                check.refused(
                    format_args!("{operation} with room for {length} bytes of output"),
                    control(shape.code, &shape.input, length),
                    NtStatus::BUFFER_TOO_SMALL,
                )?;
            }
        }
        Ok(())
    })
}

/// A raise of nothing, time-outs that would pend a request for too long, a recorder that
/// is neither on nor off.
pub(super) fn wrong_values(bench: &Bench<'_>, check: &mut Check) -> Result<(), CommandError> {
    let too_long = [MAX_TIMEOUT_MS + 1, 0x8000_0000, u32::MAX];
    let device = &bench.device;
    changing_nothing(bench, check, |check| {
        let mut refused = |what: String, answer: Result<(), DeviceError>| {
            check.refused(what, answer, NtStatus::INVALID_PARAMETER)
        };
        for timeout_ms in [0, 1, MAX_TIMEOUT_MS].into_iter().chain(too_long) {
            refused(
                format!("raise of no bit within {timeout_ms} ms"),
                device.raise(0, timeout_ms).map(drop),
            )?;
        }
        for timeout_ms in too_long {
            refused(
                format!("factorial within {timeout_ms} ms"),
                device.factorial(5, timeout_ms).map(drop),
            )?;
            refused(
                format!("raise within {timeout_ms} ms"),
                device.raise(2, timeout_ms).map(drop),
            )?;
        }
        for on in [2, 3, 0x100, 0x8000_0000, u32::MAX] {
            let request = RecorderRequest { on };
            let answer = device.transport().device_io_control(
                SWITCH_RECORDER.value(),
                request.as_bytes(),
                0,
            );
            refused(
                format!("switching the recorder to {on}"),
                answer.map(drop).map_err(Into::into),
            )?;
        }
        Ok(())
    })
}

/// Handles that were opened for less than a request needs, and a name that the
/// driver does not have.
pub(super) fn wrong_access(bench: &Bench<'_>, check: &mut Check) -> Result<(), CommandError> {
    let open = |read, write, trailing_name| {
        bench.system.open(&Open {
            device: bench.number,
            read,
            write,
            trailing_name,
        })
    };
    changing_nothing(bench, check, |check| {
        for (read, write, kind) in [(true, false, "reading"), (false, true, "writing")] {
            let handle = open(read, write, "")?;
            for shape in shapes() {
                if read && shape.only_reads() {
                    continue;
                }
                check.refused(
                    format_args!(
                        "{} on a handle for {kind} only",
                        Operation::from(shape.code)
                    ),
                    handle.device_io_control(shape.code.value(), &shape.input, shape.output_length),
                    NtStatus::ACCESS_DENIED,
                )?;
            }
            handle.close()?;
        }
        let readable = open(true, false, "")?;
        let identity = Device::new(readable.as_ref()).identify()?;
        let wanted = bench.device.identify()?;
        check.equal("IDENTIFY on a handle for reading only", &identity, &wanted);
        readable.close()?;
        check.refused(
            "opening a name below the device",
            open(true, true, "name"),
            NtStatus::OBJECT_NAME_NOT_FOUND,
        )
    })
}

/// Layouts only ever grow at their end, so longer buffers are good requests;
/// a reset without an output buffer is one too.
pub(super) fn long_buffers(bench: &Bench<'_>, check: &mut Check) -> Result<(), CommandError> {
    for shape in shapes() {
        if shape.code == RESET_STATISTICS {
            // Would take away what the last group compares.
            continue;
        }
        let mut input = shape.input.clone();
        input.resize(LONG, 0xa5);
        let transport = bench.device.transport();
        let answer = transport
            .device_io_control(shape.code.value(), &input, LONG)
            .map_err(DeviceError::from)?;
        if shape.code == LIVENESS {
            bench.tally.count_liveness_check();
        } else if shape.code == FACTORIAL || shape.code == RAISE_INTERRUPT {
            bench.tally.count_operation();
        }
        if !shape.is_of_any_length() {
            check.equal(
                format_args!(
                    "bytes of output of {} with long buffers",
                    Operation::from(shape.code)
                ),
                &answer.len(),
                &shape.output_length,
            );
        }
    }
    Ok(())
}

//! The driver's parameters, as DriverEntry found them.
//!
//! They are the same for all devices, so they are the driver's own; a driver that wants
//! one per device reads it from the device's key.

use dirql::{
    irql::Passive,
    registry::{Key, ServiceKey},
    spin_lock::SpinLock,
    status::{NtError, Result},
    unicode,
    unicode::{UnicodeStr, UnicodeString, UnicodeStrings},
};
use test_driver::{Failed, Outcome, check, figures};

use crate::TAG;

/// What DriverEntry read. Every value says for itself why it is not there.
#[derive(Debug)]
struct Parameters {
    path_length: usize,
    level: Result<u32>,
    limit: Result<u64>,
    name: Result<UnicodeText>,
    names: Result<[u64; 2]>,
    bytes: Result<[u8; 3]>,
    absent: Result<u32>,
    refused: [Result<()>; 7],
}

/// The start of a text; parameters outlive DriverEntry, and pool does not outlive the
/// driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct UnicodeText {
    length: usize,
    is_edu: bool,
}

static PARAMETERS: SpinLock<Option<Result<Parameters>>> = SpinLock::new(None);

/// Reads them all. That there are none is nothing that keeps a driver from being loaded.
pub(crate) fn read(irql: &mut Passive, service: &ServiceKey<'_>) {
    let path_length = service.path().len();
    let read = service.parameters(irql, |irql, key| {
        Ok(Parameters {
            path_length,
            level: key.dword(irql, unicode!("Level")),
            limit: key.qword(irql, unicode!("Limit")),
            name: key
                .string(irql, TAG, unicode!("Name"))
                .map(|name| text(&name)),
            names: key
                .strings(irql, TAG, unicode!("Names"))
                .map(|names| list(&names)),
            bytes: key
                .binary(irql, TAG, unicode!("Bytes"))
                .and_then(|bytes| <[u8; 3]>::try_from(&*bytes).map_err(|_| WRONG)),
            absent: key.dword(irql, unicode!("Absent")),
            refused: read_refused(irql, key),
        })
    });
    PARAMETERS.with(irql, |_, parameters| *parameters = Some(read));
}

const WRONG: NtError = NtError::STATUS_OBJECT_TYPE_MISMATCH;

fn text(name: &UnicodeString) -> UnicodeText {
    UnicodeText {
        length: name.as_str().len(),
        is_edu: name.as_str() == unicode!("edu"),
    }
}

/// How many strings, and how long they are together.
fn list(names: &UnicodeStrings) -> [u64; 2] {
    let lengths = names.iter().map(UnicodeStr::len);
    let (count, total) = lengths.fold((0_u64, 0_usize), |(count, total), length| {
        (count.wrapping_add(1), total.wrapping_add(length))
    });
    [count, u64::try_from(total).unwrap_or(u64::MAX)]
}

/// Values that are not what they should be.
fn read_refused(irql: &mut Passive, key: &Key) -> [Result<()>; 7] {
    [
        key.dword(irql, unicode!("ShortLevel")).map(drop),
        key.dword(irql, unicode!("LongLevel")).map(drop),
        key.dword(irql, unicode!("Name")).map(drop),
        key.string(irql, TAG, unicode!("Level")).map(drop),
        key.string(irql, TAG, unicode!("OddName")).map(drop),
        key.string(irql, TAG, unicode!("GrowingName")).map(drop),
        key.string(irql, TAG, unicode!("LargeName")).map(drop),
    ]
}

/// Runs a check on what was read.
fn with(irql: &mut Passive, f: impl FnOnce(&Parameters) -> Outcome) -> Outcome {
    PARAMETERS.with(irql, |_, parameters| match parameters {
        Some(Ok(parameters)) => f(parameters),
        Some(Err(error)) => Err((*error).into()),
        None => Err(Failed::here()),
    })
}

pub(crate) fn numbers(irql: &mut Passive) -> Outcome {
    with(irql, |found| {
        check!(found.absent == Err(NtError::STATUS_OBJECT_NAME_NOT_FOUND));
        let path = u64::try_from(found.path_length).map_err(|_| Failed::here())?;
        Ok(figures([u64::from(found.level?), found.limit?, path]))
    })
}

pub(crate) fn texts(irql: &mut Passive) -> Outcome {
    with(irql, |found| {
        let edu = UnicodeText {
            length: 3,
            is_edu: true,
        };
        check!(found.name? == edu);
        check!(found.names? == [2, 5]);
        check!(found.bytes? == [1, 0x5a, 0xff]);
        Ok(figures([]))
    })
}

/// Each of them is an error that says what is wrong.
pub(crate) fn refused(irql: &mut Passive) -> Outcome {
    with(irql, |found| {
        let [short, long, text, number, odd, growing, large] = found.refused;
        check!([short, long, text, number, odd] == [Err(WRONG); 5]);
        check!(growing == Err(NtError::STATUS_BUFFER_OVERFLOW));
        check!(large == Err(NtError::STATUS_INVALID_BUFFER_SIZE));
        Ok(figures([]))
    })
}

/// Without a key for parameters, DriverEntry finds that out and goes on.
pub(crate) fn missing(irql: &mut Passive) -> Outcome {
    let found = PARAMETERS.with(irql, |_, parameters| match parameters {
        Some(Err(error)) => Some(*error),
        _ => None,
    });
    check!(found == Some(NtError::STATUS_OBJECT_NAME_NOT_FOUND));
    Ok(figures([]))
}

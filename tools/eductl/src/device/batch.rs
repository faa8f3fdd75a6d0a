//! Replies of a head and as many items as it says: events and flight records.
//!
//! The reply is the driver's word, which is checked before anything is made of it:
//! its length, the number of items, and that their numbers ascend from the one that
//! was asked for to the one that is to be asked for next.

use edu_interface::{
    Clock, Event, EventsHeader, FROM_NOW, READ_RECORDS, Record, RecordsHeader, WAIT_EVENTS,
};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::DeviceError;
use crate::transport::Operation;

/// What `WAIT_EVENTS` brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Events {
    /// The clock of the stamps.
    pub clock: Clock,
    /// What to ask for next.
    pub next: u64,
    /// Events of interest that the driver does not have any more.
    pub lost: u64,
    /// The events, in order.
    pub events: Vec<Event>,
}

/// What `READ_RECORDS` brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records {
    /// The clock of the stamps.
    pub clock: Clock,
    /// What to ask for next.
    pub next: u64,
    /// Records that were overwritten, or could not be written.
    pub lost: u64,
    /// Whether the recorder is on.
    pub on: bool,
    /// The records, in order.
    pub records: Vec<Record>,
}

impl Events {
    /// What the output of a request says that asked from number `after` on.
    ///
    /// # Errors
    /// [`DeviceError`] when it contradicts itself.
    pub fn parse(after: u64, output: &[u8]) -> Result<Self, DeviceError> {
        let operation = WAIT_EVENTS.into();
        let (header, bytes) = head::<EventsHeader>(operation, output)?;
        let events = items::<Event>(operation, header.count, bytes)?;
        let after = if after == FROM_NOW { 0 } else { after };
        in_order(
            operation,
            after,
            header.next,
            events.iter().map(|event| event.sequence),
        )?;
        Ok(Self {
            clock: header.clock,
            next: header.next,
            lost: header.lost,
            events,
        })
    }
}

impl Records {
    /// What the output of a request says that asked from number `after` on.
    ///
    /// # Errors
    /// [`DeviceError`] when it contradicts itself.
    pub fn parse(after: u64, output: &[u8]) -> Result<Self, DeviceError> {
        let operation = READ_RECORDS.into();
        let (header, bytes) = head::<RecordsHeader>(operation, output)?;
        let records = items::<Record>(operation, header.count, bytes)?;
        in_order(
            operation,
            after,
            header.next,
            records.iter().map(|record| record.sequence),
        )?;
        Ok(Self {
            clock: header.clock,
            next: header.next,
            lost: header.lost,
            on: header.on != 0,
            records,
        })
    }
}

fn head<H: FromBytes + KnownLayout + Immutable>(
    operation: Operation,
    output: &[u8],
) -> Result<(H, &[u8]), DeviceError> {
    H::read_from_prefix(output).map_err(|_| DeviceError::ReplyLength {
        operation,
        got: output.len(),
        wanted: size_of::<H>(),
    })
}

fn items<I: FromBytes + KnownLayout + Immutable + Copy>(
    operation: Operation,
    count: u32,
    bytes: &[u8],
) -> Result<Vec<I>, DeviceError> {
    let held = bytes.len() / size_of::<I>();
    let items: Vec<I> = bytes
        .chunks_exact(size_of::<I>())
        .filter_map(|chunk| I::read_from_bytes(chunk).ok())
        .collect();
    if usize::try_from(count) != Ok(held) || !bytes.len().is_multiple_of(size_of::<I>()) {
        return Err(DeviceError::Malformed {
            operation,
            reason: format!(
                "it announces {count} items of {} bytes, and {} bytes follow",
                size_of::<I>(),
                bytes.len()
            ),
        });
    }
    Ok(items)
}

fn in_order(
    operation: Operation,
    after: u64,
    next: u64,
    numbers: impl Iterator<Item = u64>,
) -> Result<(), DeviceError> {
    let mut least = after;
    for number in numbers {
        if number < least || number >= next {
            return Err(DeviceError::Malformed {
                operation,
                reason: format!(
                    "number {number} is not between {least}, the least that can follow, and \
                     {next}, which is said to come next"
                ),
            });
        }
        least = number + 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use edu_interface::{Event, EventsHeader, FROM_NOW, Record, RecordsHeader};
    use zerocopy::IntoBytes as _;

    use super::{Events, Records};

    fn events(header: EventsHeader, sequences: &[u64]) -> Vec<u8> {
        let mut output = header.as_bytes().to_vec();
        for sequence in sequences {
            let event = Event {
                sequence: *sequence,
                ..Event::default()
            };
            output.extend_from_slice(event.as_bytes());
        }
        output
    }

    fn header(count: u32, next: u64) -> EventsHeader {
        EventsHeader {
            count,
            next,
            ..EventsHeader::default()
        }
    }

    #[test]
    fn a_good_reply_becomes_its_items() {
        let output = events(header(2, 9), &[5, 8]);
        let reply = Events::parse(5, &output).unwrap();
        assert_eq!((reply.next, reply.events.len()), (9, 2));
        assert_eq!(reply.events[1].sequence, 8);
        assert!(Events::parse(FROM_NOW, &output).is_ok());
        let record = Record {
            sequence: 3,
            ..Record::default()
        };
        let header = RecordsHeader {
            count: 1,
            next: 4,
            on: 1,
            ..RecordsHeader::default()
        };
        let output = [header.as_bytes(), record.as_bytes()].concat();
        let reply = Records::parse(0, &output).unwrap();
        assert_eq!((reply.on, reply.records), (true, vec![record]));
    }

    #[test]
    fn a_reply_that_contradicts_itself_is_refused() {
        for (output, words) in [
            (vec![0; 63], "63 bytes instead of 64"),
            (events(header(2, 9), &[5]), "announces 2 items"),
            (events(header(u32::MAX, 9), &[5]), "announces 4294967295"),
            (events(header(0, 9), &[5]), "announces 0 items"),
            (
                [events(header(1, 9), &[5]), vec![0]].concat(),
                "25 bytes follow",
            ),
            (events(header(2, 9), &[6, 6]), "number 6 is not between 7"),
            (events(header(1, 9), &[9]), "number 9 is not between"),
            (events(header(1, 9), &[4]), "number 4 is not between 5"),
            (
                events(header(2, u64::MAX), &[u64::MAX - 1, u64::MAX]),
                "said to come next",
            ),
        ] {
            let error = Events::parse(5, &output).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}

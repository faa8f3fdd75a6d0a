//! What eductl makes of a driver's replies: events and flight records of any bytes, and the
//! pictures and figures that are drawn of them.

use arbitrary::{Arbitrary, Unstructured};
use edu_interface::{Clock, Event, EventsHeader, FROM_NOW, Moment, Record, RecordsHeader};
use eductl::{
    Events, NtStatus, Records,
    timeline::{Figures, Scenery, Timeline, Window, page, picture, trace_events},
};
use zerocopy::IntoBytes as _;

/// Most batches of records that make one recording here.
const BATCHES: usize = 4;
/// Records of which a page is made: a large one takes the parser of XML too long.
const DRAWN: usize = 64;

/// What is wrong with the programs that are tried: nothing with eductl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// Nothing.
    None,
    /// The number of items is believed, whatever follows.
    CountBelieved,
    /// Numbers may repeat.
    OrderUnchecked,
    /// Times outside of the recording are taken.
    TimeUnchecked,
}

/// What a driver may say, well or badly.
#[derive(Debug, Arbitrary)]
struct Said {
    after: u64,
    from_now: bool,
    clock: [u64; 5],
    /// The clock is one that goes forward.
    is_sound: bool,
    next: u64,
    lost: u64,
    /// What is added to the number of items.
    off_by: i8,
    items: Vec<Item>,
    /// What follows the last item.
    rest: Vec<u8>,
    view: (u64, u64),
}

#[derive(Clone, Debug, Arbitrary)]
struct Item {
    /// How many numbers were left out before it; the most is a number of its own.
    gap: u8,
    number: u64,
    start: u64,
    waited: u16,
    duration: u16,
    detail: u32,
    processor: u16,
    kind: u8,
    section: u8,
}

/// Has eductl read what a driver may say.
///
/// # Panics
/// When something is taken that contradicts itself, or what is drawn is no XML or JSON.
pub fn run(data: &[u8], mistake: Mistake) {
    let mut bytes = Unstructured::new(data);
    // The bytes themselves, for what no driver would say.
    if bytes.ratio(1, 8).unwrap_or(false) {
        let after = bytes.arbitrary().unwrap_or_default();
        let rest = bytes.take_rest();
        judge_events(after, rest, mistake);
        let _recording = judge_records(after, rest, mistake);
        return;
    }
    let mut recording = Recording::default();
    for _ in 0..BATCHES {
        let Ok(said) = Said::arbitrary(&mut bytes) else {
            break;
        };
        said.judge(&mut recording, mistake);
        if bytes.is_empty() {
            break;
        }
    }
}

/// Several replies after each other, as `trace` keeps them.
#[derive(Default)]
struct Recording {
    records: Vec<Record>,
    lost: u64,
}

impl Said {
    fn clock(&self) -> Clock {
        let [a, b, c, d, frequency] = self.clock;
        let (first, now) = if self.is_sound {
            let first = Moment {
                stamp: a >> 1,
                counter: b >> 1,
            };
            let now = Moment {
                stamp: (a >> 1).saturating_add(c),
                counter: (b >> 1).saturating_add(d),
            };
            (first, now)
        } else {
            let moment = |stamp, counter| Moment { stamp, counter };
            (moment(a, b), moment(c, d))
        };
        Clock {
            first,
            now,
            frequency,
        }
    }

    fn after(&self) -> u64 {
        if self.from_now { FROM_NOW } else { self.after }
    }

    /// The items' numbers, mostly in order.
    fn numbers(&self) -> Vec<u64> {
        let mut number = self.after;
        let mut numbers = Vec::new();
        for item in &self.items {
            number = match item.gap {
                u8::MAX => item.number,
                gap => number.wrapping_add(u64::from(gap >> 5)),
            };
            numbers.push(number);
            number = number.wrapping_add(1);
        }
        numbers
    }

    fn count(&self) -> u32 {
        let items = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        // Most replies are to be taken.
        let off_by = if self.off_by.trailing_zeros() >= 3 {
            self.off_by >> 3
        } else {
            0
        };
        items.wrapping_add_signed(off_by.into())
    }

    /// The number after the last one, or any.
    fn next(&self, numbers: &[u64]) -> u64 {
        if self.next.is_multiple_of(8) {
            return self.next;
        }
        numbers
            .last()
            .map_or(self.after, |last| last.saturating_add(1))
    }

    fn judge(&self, recording: &mut Recording, mistake: Mistake) {
        let numbers = self.numbers();
        let next = self.next(&numbers);
        let header = EventsHeader {
            clock: self.clock(),
            next,
            lost: self.lost,
            count: self.count(),
            reserved: 0,
        };
        let mut output = header.as_bytes().to_vec();
        for (item, sequence) in self.items.iter().zip(&numbers) {
            let event = Event {
                sequence: *sequence,
                stamp: item.start,
                causes: item.detail,
                reserved: 0,
            };
            output.extend_from_slice(event.as_bytes());
        }
        output.extend_from_slice(self.rest());
        judge_events(self.after(), &output, mistake);

        let header = RecordsHeader {
            clock: self.clock(),
            next,
            lost: self.lost,
            count: self.count(),
            on: u32::from(self.from_now),
        };
        let mut output = header.as_bytes().to_vec();
        for (item, sequence) in self.items.iter().zip(&numbers) {
            output.extend_from_slice(self.record(item, *sequence).as_bytes());
        }
        output.extend_from_slice(self.rest());
        let Some(records) = judge_records(self.after, &output, mistake) else {
            return;
        };
        recording.lost = recording.lost.saturating_add(records.lost);
        recording.records.extend(records.records);
        draw(recording, &records.clock, self.view, mistake);
    }

    fn rest(&self) -> &[u8] {
        if self.rest.len().is_multiple_of(8) {
            &self.rest
        } else {
            &[]
        }
    }

    fn record(&self, item: &Item, sequence: u64) -> Record {
        let start = if self.is_sound && item.gap != u8::MAX {
            let length = self.clock[2].max(1);
            (self.clock[0] >> 1).saturating_add(item.start % length)
        } else {
            item.start
        };
        Record {
            sequence,
            start,
            waited: item.waited.into(),
            duration: item.duration.into(),
            detail: item.detail,
            processor: item.processor,
            kind: item.kind,
            section: item.section,
        }
    }
}

/// The head of a reply says how many items of `size` bytes follow it.
fn repaired(output: &[u8], count_at: usize, head: usize, size: usize) -> Vec<u8> {
    let mut output = output.to_vec();
    let items = output.len().saturating_sub(head) / size;
    let count = u32::try_from(items).unwrap_or(u32::MAX).to_le_bytes();
    if let Some(place) = output.get_mut(count_at..count_at + count.len()) {
        place.copy_from_slice(&count);
        output.truncate(head + items * size);
    }
    output
}

fn judge_events(after: u64, output: &[u8], mistake: Mistake) {
    let head = size_of::<EventsHeader>();
    let size = size_of::<Event>();
    let said = count_in(output, 56);
    let parsed = if mistake == Mistake::CountBelieved {
        Events::parse(after, &repaired(output, 56, head, size))
    } else {
        Events::parse(after, output)
    };
    let Ok(events) = parsed else { return };
    assert_eq!(events.events.len(), said, "items of {output:?}");
    assert_eq!(output.len(), head + said * size, "bytes of {output:?}");
    let least = if after == FROM_NOW { 0 } else { after };
    let numbers = events.events.iter().map(|event| event.sequence);
    in_order(least, events.next, numbers);
    for event in &events.events {
        let _shown = events.clock.nanoseconds(event.stamp);
    }
}

fn judge_records(after: u64, output: &[u8], mistake: Mistake) -> Option<Records> {
    let head = size_of::<RecordsHeader>();
    let size = size_of::<Record>();
    let said = count_in(output, 56);
    let parsed = if mistake == Mistake::CountBelieved {
        Records::parse(after, &repaired(output, 56, head, size))
    } else {
        Records::parse(after, output)
    };
    let mut records = parsed.ok()?;
    assert_eq!(records.records.len(), said, "items of {output:?}");
    assert_eq!(output.len(), head + said * size, "bytes of {output:?}");
    if mistake == Mistake::OrderUnchecked
        && let Some(first) = records.records.first().copied()
    {
        records.records.push(first);
    }
    let numbers = records.records.iter().map(|record| record.sequence);
    in_order(after, records.next, numbers);
    Some(records)
}

fn count_in(output: &[u8], at: usize) -> usize {
    let bytes = output.iter().skip(at).take(4).rev();
    bytes.fold(0, |count, byte| count << 8 | usize::from(*byte))
}

fn in_order(after: u64, next: u64, numbers: impl Iterator<Item = u64>) {
    let mut least = u128::from(after);
    for number in numbers {
        assert!(least <= u128::from(number), "{number} comes after {least}");
        assert!(number < next, "{number} is not before the next, {next}");
        least = u128::from(number) + 1;
    }
}

/// Makes a timeline of what was recorded, and everything that is made of one.
fn draw(recording: &Recording, clock: &Clock, view: (u64, u64), mistake: Mistake) {
    let mut clock = *clock;
    let judged_by = clock;
    if mistake == Mistake::TimeUnchecked {
        clock.first.stamp = 0;
        clock.now.stamp = u64::MAX;
    }
    let timeline = Timeline::new(&recording.records, &clock, recording.lost);
    let used = timeline.spans().len() as u64;
    assert_eq!(
        used + timeline.unusable.count(),
        recording.records.len() as u64,
        "every record is used or counted"
    );
    let by_number = |number| {
        let mut records = recording.records.iter();
        records.find(|record| record.sequence == number)
    };
    for span in timeline.spans() {
        assert!(span.start <= span.had && span.had <= span.end, "{span:?}");
        assert!(span.end <= timeline.end(), "{span:?} ends after the end");
        let _said = span.activity.to_string();
        let is_within = by_number(span.sequence).is_some_and(|record| {
            let length = u128::from(record.waited) + u128::from(record.duration);
            let end = u128::from(record.start) + length;
            record.start >= judged_by.first.stamp && end <= u128::from(judged_by.now.stamp)
        });
        assert!(is_within, "{span:?} is outside of {judged_by:?}");
    }
    assert!(
        timeline.spans().is_sorted_by_key(|span| span.start),
        "the spans are in the order of their begin"
    );
    let figures = Figures::of(&timeline);
    let _said = serde_json::to_string(&figures).map_err(|error| panic!("{error}"));
    let json = serde_json::to_string(&trace_events(&timeline));
    let json = json.unwrap_or_else(|error| panic!("the trace events are no JSON: {error}"));
    let again: Result<serde_json::Value, _> = serde_json::from_str(&json);
    assert!(again.is_ok(), "{again:?}");
    if timeline.spans().is_empty() || timeline.spans().len() > DRAWN {
        return;
    }
    for scenery in [
        Scenery::find(&timeline),
        Scenery::within(&timeline, Window::new(view.0, view.1)),
    ] {
        let drawing = picture(&timeline, &scenery, scenery.view).to_string();
        let read = roxmltree::Document::parse(&drawing);
        assert!(read.is_ok(), "the picture is no XML: {read:?}");
        let page = page(&timeline, &scenery);
        assert!(page.contains("</html>"), "the page has no end");
    }
    let status = recording.records.first().map_or(0, |record| record.detail);
    let _said = NtStatus(status).to_string();
}

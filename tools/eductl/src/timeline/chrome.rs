//! A timeline in the Trace Event Format, which Perfetto and chrome://tracing open:
//! a track for each processor, and a counter of who holds and who waits for the lock.
//!
//! The format: <https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU>.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Activity, Length, Span, Timeline, time::Unit, who};

/// The one process: the driver.
const PROCESS: u32 = 1;
/// What does not nest into its processor's track goes to another, this much further on.
const BESIDE: u32 = 0x1_0000;

/// The whole file.
#[derive(Debug, Serialize)]
pub struct TraceFile {
    #[serde(rename = "traceEvents")]
    events: Vec<Event>,
    #[serde(rename = "displayTimeUnit")]
    unit: &'static str,
    #[serde(rename = "otherData")]
    other: Other,
}

#[derive(Debug, Serialize)]
struct Other {
    program: &'static str,
    version: &'static str,
    records: usize,
    lost: u64,
    unusable: u64,
}

/// One event; which fields it has depends on its phase.
#[derive(Debug, Serialize)]
struct Event {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cat: Option<&'static str>,
    ph: &'static str,
    /// Microseconds.
    ts: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    dur: Option<f64>,
    pid: u32,
    tid: u32,
    /// Scope of an instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<&'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    args: BTreeMap<&'static str, serde_json::Value>,
}

/// The timeline as trace events, in the order of their time.
#[must_use]
pub fn trace_events(timeline: &Timeline) -> TraceFile {
    let mut events = Vec::new();
    let mut tracks = Tracks::default();
    for span in timeline.spans() {
        let track = tracks.of(span);
        if span.activity.is_moment() {
            events.push(instant(span, track));
            continue;
        }
        events.push(slice(
            span.activity.to_string(),
            span.start,
            span.end,
            span,
            track,
        ));
        if let Activity::CriticalSection(section) = span.activity {
            let who = who(section);
            let waiting = format!("spinning ({who})");
            events.push(slice(waiting, span.start, span.had, span, track));
            events.push(slice(
                format!("holding ({who})"),
                span.had,
                span.end,
                span,
                track,
            ));
        }
    }
    events.extend(lock(timeline));
    events.sort_by(|one, other| one.ts.total_cmp(&other.ts));
    let mut all = tracks.names();
    all.extend(events);
    TraceFile {
        events: all,
        unit: "ns",
        other: Other {
            program: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            records: timeline.spans().len(),
            lost: timeline.lost,
            unusable: timeline.unusable.count(),
        },
    }
}

/// Which track what goes to: slices of one track must lie within each other or apart.
#[derive(Default)]
struct Tracks {
    open: BTreeMap<u32, Vec<u64>>,
}

impl Tracks {
    fn of(&mut self, span: &Span) -> u32 {
        let processor = u32::from(span.processor);
        let beside = processor + BESIDE;
        for track in [processor, beside] {
            let open = self.open.entry(track).or_default();
            while open.last().is_some_and(|end| *end <= span.start) {
                open.pop();
            }
            if span.activity.is_moment() {
                return track;
            }
            if track == beside || open.last().is_none_or(|end| span.end <= *end) {
                open.push(span.end);
                return track;
            }
        }
        beside
    }

    fn names(&self) -> Vec<Event> {
        let mut events = vec![metadata(
            "process_name",
            0,
            "name",
            "edu.sys: flight recorder".into(),
        )];
        for &track in self.open.keys() {
            let name = match track.checked_sub(BESIDE) {
                None => format!("processor {track}"),
                Some(processor) => format!("processor {processor}, interrupted"),
            };
            events.push(metadata("thread_name", track, "name", name.into()));
            let position = track % BESIDE * 2 + track / BESIDE;
            events.push(metadata(
                "thread_sort_index",
                track,
                "sort_index",
                position.into(),
            ));
        }
        events
    }
}

fn metadata(name: &str, tid: u32, argument: &'static str, value: serde_json::Value) -> Event {
    Event {
        name: name.to_owned(),
        cat: None,
        ph: "M",
        ts: 0.0,
        dur: None,
        pid: PROCESS,
        tid,
        s: None,
        args: BTreeMap::from([(argument, value)]),
    }
}

fn slice(name: String, start: u64, end: u64, span: &Span, track: u32) -> Event {
    Event {
        name,
        cat: Some(span.activity.name()),
        ph: "X",
        ts: microseconds(start),
        dur: Some(microseconds(end.saturating_sub(start))),
        pid: PROCESS,
        tid: track,
        s: None,
        args: BTreeMap::from([
            ("record", span.sequence.into()),
            ("processor", span.processor.into()),
            ("time", Length(end.saturating_sub(start)).to_string().into()),
        ]),
    }
}

fn instant(span: &Span, track: u32) -> Event {
    Event {
        name: span.activity.to_string(),
        cat: Some(span.activity.name()),
        ph: "i",
        ts: microseconds(span.start),
        dur: None,
        pid: PROCESS,
        tid: track,
        s: Some("t"),
        args: BTreeMap::from([("record", span.sequence.into())]),
    }
}

/// How many hold the interrupt spin lock, which should be one, and how many spin for it.
fn lock(timeline: &Timeline) -> Vec<Event> {
    let mut changes: BTreeMap<u64, (i64, i64)> = BTreeMap::new();
    let locked = timeline
        .spans()
        .iter()
        .filter(|span| span.activity.takes_the_lock());
    for span in locked {
        changes.entry(span.start).or_default().1 += 1;
        let had = changes.entry(span.had).or_default();
        had.0 += 1;
        had.1 -= 1;
        changes.entry(span.end).or_default().0 -= 1;
    }
    let (mut holding, mut spinning) = (0, 0);
    changes
        .into_iter()
        .map(|(time, change)| {
            holding += change.0;
            spinning += change.1;
            Event {
                name: "interrupt spin lock".to_owned(),
                cat: None,
                ph: "C",
                ts: microseconds(time),
                dur: None,
                pid: PROCESS,
                tid: 0,
                s: None,
                args: BTreeMap::from([("holding", holding.into()), ("spinning", spinning.into())]),
            }
        })
        .collect()
}

fn microseconds(ns: u64) -> f64 {
    Unit::Microseconds.count(ns)
}

#[cfg(test)]
mod tests;

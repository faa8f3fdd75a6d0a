//! The file is read back as the format's description says that a reader may.

use std::collections::{BTreeMap, BTreeSet};

use edu_interface::{RecordKind, Section};
use serde::Deserialize;
use serde_json::Value;

use super::trace_events;
use crate::timeline::{
    Timeline,
    synthetic::{CLOCK, record, section, timeline},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "traceEvents")]
    events: Vec<Event>,
    #[serde(rename = "displayTimeUnit")]
    unit: String,
    #[serde(rename = "otherData")]
    other: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    name: String,
    cat: Option<String>,
    ph: String,
    ts: f64,
    dur: Option<f64>,
    pid: u32,
    tid: u32,
    s: Option<String>,
    #[serde(default)]
    args: BTreeMap<String, Value>,
}

impl Event {
    fn end(&self) -> f64 {
        self.ts + self.dur.unwrap_or(0.0)
    }
}

fn read_back(timeline: &Timeline) -> File {
    let text = serde_json::to_string(&trace_events(timeline)).expect("it serialises");
    let file: File = serde_json::from_str(&text).expect("it is what the format says");
    assert_eq!(file.unit, "ns");
    let mut named = BTreeSet::new();
    let mut used = BTreeSet::new();
    let mut last = f64::MIN;
    let mut open: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for event in &file.events {
        assert_eq!(event.pid, 1);
        if event.ph != "M" {
            assert!(event.ts >= last, "{} comes too late", event.name);
            last = event.ts;
        }
        match event.ph.as_str() {
            "M" => {
                let argument = match event.name.as_str() {
                    "process_name" | "thread_name" => event.args["name"].is_string(),
                    "thread_sort_index" => event.args["sort_index"].is_u64(),
                    other => panic!("{other} is no metadata"),
                };
                assert!(argument, "{}", event.name);
                if event.name == "thread_name" {
                    named.insert(event.tid);
                }
            }
            "X" => {
                assert!(event.dur.expect("a duration") >= 0.0);
                assert!(event.cat.is_some());
                let open = open.entry(event.tid).or_default();
                open.retain(|end| *end > event.ts + 1e-6);
                if let Some(end) = open.last() {
                    assert!(event.end() <= end + 1e-6, "{} does not nest", event.name);
                }
                open.push(event.end());
                used.insert(event.tid);
            }
            "i" => {
                assert_eq!(event.s.as_deref(), Some("t"));
                used.insert(event.tid);
            }
            "C" => assert!(event.args.values().all(Value::is_i64)),
            other => panic!("{other} is no phase that is written"),
        }
    }
    assert!(used.is_subset(&named), "{used:?} of {named:?}");
    file
}

#[test]
fn each_processor_has_a_track_of_nested_slices() {
    let file = read_back(&timeline());
    let tracks: BTreeSet<u32> = file.events.iter().map(|event| event.tid).collect();
    assert_eq!(tracks, BTreeSet::from([0, 1, 2, 3]));
    assert_eq!(file.other["lost"], 3);
    let find = |name: &str, tid: u32| {
        let mut found = file
            .events
            .iter()
            .filter(|event| event.name == name && event.tid == tid);
        let event = found.next().unwrap_or_else(|| panic!("{name} on {tid}"));
        (event.ts, event.dur)
    };
    assert_eq!(find("ISR: status 0x002", 0), (98.0, Some(4.0)));
    assert_eq!(find("critical section of DpcForIsr", 3), (103.0, Some(4.0)));
    assert_eq!(find("spinning (DpcForIsr)", 3), (103.0, Some(2.2)));
    assert_eq!(find("holding (DpcForIsr)", 3), (105.2, Some(1.8)));
    assert_eq!(find("completion: STATUS_SUCCESS", 3), (107.5, None));
    assert_eq!(find("StartIo: RAISE_INTERRUPT", 1), (100.5, Some(5.0)));
}

#[test]
fn the_lock_has_one_holder_and_is_free_in_the_end() {
    let file = read_back(&timeline());
    let counted: Vec<(i64, i64)> = file
        .events
        .iter()
        .filter(|event| event.ph == "C")
        .map(|event| {
            let of = |name: &str| event.args[name].as_i64().expect("a number");
            (of("holding"), of("spinning"))
        })
        .collect();
    assert!(
        counted
            .iter()
            .all(|(holding, spinning)| (0..=1).contains(holding) && *spinning >= 0)
    );
    assert!(counted.contains(&(1, 1)), "{counted:?}");
    assert_eq!(counted.last(), Some(&(0, 0)));
}

#[test]
fn what_crosses_goes_to_a_track_beside() {
    // A thread asked for the lock, lost its processor to a DPC, and had it much later.
    let crossing = [
        section(0, 0, Section::Dispatch, (2_000, 5_000, 100)),
        record(1, 0, RecordKind::DpcForIsr, (4_000, 9_000), 1),
    ];
    let file = read_back(&Timeline::new(&crossing, &CLOCK, 0));
    let beside = file
        .events
        .iter()
        .find(|event| event.ph == "X" && event.tid == 0x1_0000);
    assert_eq!(
        beside.map(|event| event.name.as_str()),
        Some("DpcForIsr: 1 result")
    );
}

#[test]
fn an_empty_timeline_is_a_file_too() {
    assert_eq!(read_back(&Timeline::default()).events.len(), 1);
}

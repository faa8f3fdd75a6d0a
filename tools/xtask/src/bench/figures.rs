//! The figures of one run of the benchmark, as they are written to its file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::parallel::Parallel;
pub(crate) use super::plan::Kind;

/// Everything that was measured, and what is made of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Bench {
    /// What is the same in every run.
    pub(crate) deterministic: Option<Deterministic>,
    /// What takes several processors.
    pub(crate) parallel: Option<Parallel>,
    /// What is to be reached.
    pub(crate) goals: Vec<Goal>,
}

/// A figure of this driver, and the same of the one in C.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Pair<T> {
    pub(crate) ours: T,
    pub(crate) c: T,
}

/// What is the same in every run, because time is made of instructions there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Deterministic {
    /// What compiled this driver; another compiler makes other instructions.
    pub(crate) compiler: String,
    /// One request of each kind.
    pub(crate) requests: BTreeMap<Kind, Pair<Request>>,
    /// The same request, with more and more of them at a time.
    pub(crate) flat: Vec<Flat>,
    /// The flight recorder.
    pub(crate) recorder: Pair<Recorder>,
    /// Instructions of a place where something would be recorded, while the recorder is off;
    /// none where that was not measured.
    pub(crate) recorder_off: Option<f64>,
    /// A tick of the watchdog, which no request has to bear: its instructions.
    pub(crate) watchdog: Pair<u64>,
    /// The files.
    pub(crate) image: Pair<Image>,
}

/// What one request takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Request {
    /// Instructions of the driver's.
    pub(crate) instructions: u64,
    /// Of those, in the ISR and in critical sections.
    pub(crate) under_the_lock: u64,
    /// Reads of device registers.
    pub(crate) register_reads: u64,
    /// Writes of device registers.
    pub(crate) register_writes: u64,
    /// Acquisitions of the interrupt spin lock: calls of the ISR and critical sections.
    pub(crate) lock_acquisitions: u64,
    /// The most critical sections that one call of StartIo entered.
    pub(crate) locks_in_start_io: u64,
    /// The most critical sections that one call of a DPC entered.
    pub(crate) locks_in_dpc: u64,
    /// Acquisitions of other spin locks.
    pub(crate) spin_locks: u64,
    /// Pool allocations.
    pub(crate) allocations: u64,
    /// Calls into the kernel, by name.
    pub(crate) kernel_calls: BTreeMap<String, u64>,
    /// Of those, with the interrupt spin lock held.
    pub(crate) calls_under_the_lock: BTreeMap<String, u64>,
    /// Bytes of the deepest stack of any routine that the kernel called, without the kernel's.
    pub(crate) stack: u64,
}

impl Request {
    /// All calls into the kernel.
    pub(crate) fn calls(&self) -> u64 {
        self.kernel_calls.values().sum()
    }

    /// All accesses of device registers.
    pub(crate) const fn register_accesses(&self) -> u64 {
        self.register_reads + self.register_writes
    }
}

/// Requests that are outstanding at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Flat {
    /// Of which kind: transfers wait for each other, raises for the device to be started.
    pub(crate) kind: Kind,
    /// How many.
    pub(crate) outstanding: u32,
    /// Instructions for each of them.
    pub(crate) instructions: Pair<f64>,
}

/// What the flight recorder costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Recorder {
    /// Records of one request of each kind.
    pub(crate) records: f64,
    /// Places in the code that took part in them.
    pub(crate) places: f64,
    /// Instructions for a record, over those that the same place takes while it is off.
    pub(crate) instructions_on: f64,
}

/// A driver's file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Image {
    /// Bytes of the file.
    pub(crate) file: u64,
    /// Bytes of machine code.
    pub(crate) code: u64,
}

/// Something that is to be reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Goal {
    /// What.
    pub(crate) name: String,
    /// Our figure.
    pub(crate) ours: Option<f64>,
    /// That of the driver in C.
    pub(crate) c: Option<f64>,
    /// In words.
    pub(crate) bound: String,
    /// Whether it is reached.
    pub(crate) verdict: Verdict,
    /// What else there is to say.
    pub(crate) note: Option<String>,
}

impl Goal {
    /// Ours as a part of that in C.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let (ours, c) = (self.ours?, self.c?);
        (c > 0.0).then(|| ours / c)
    }
}

/// Whether a goal is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    Met,
    Missed,
    NotMeasured,
}

impl Verdict {
    /// Whether what was measured is good enough.
    pub(crate) const fn of(is_met: bool) -> Self {
        if is_met { Self::Met } else { Self::Missed }
    }
}

/// One figure, for a table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) ours: f64,
    pub(crate) c: f64,
}

impl Deterministic {
    /// The mix: one request of each kind.
    pub(crate) fn mix(&self, figure: impl Fn(&Request) -> u64) -> Pair<u64> {
        Pair {
            ours: self.requests.values().map(|pair| figure(&pair.ours)).sum(),
            c: self.requests.values().map(|pair| figure(&pair.c)).sum(),
        }
    }

    /// Every figure, the smaller the better.
    pub(crate) fn lines(&self) -> Vec<Line> {
        type Figure = (&'static str, fn(&Request) -> u64);
        const FIGURES: [Figure; 7] = [
            ("instructions", |request| request.instructions),
            ("instructions under the lock", |request| {
                request.under_the_lock
            }),
            ("register accesses", Request::register_accesses),
            ("kernel calls", Request::calls),
            ("interrupt lock acquisitions", |request| {
                request.lock_acquisitions
            }),
            ("other spin locks", |request| request.spin_locks),
            ("bytes of stack", |request| request.stack),
        ];
        let mut lines = Vec::new();
        for (kind, pair) in &self.requests {
            for (unit, figure) in FIGURES {
                lines.push(Line::new(
                    kind.to_string(),
                    unit,
                    Pair {
                        ours: figure(&pair.ours),
                        c: figure(&pair.c),
                    },
                ));
            }
        }
        for (unit, figure) in FIGURES {
            if unit != "bytes of stack" {
                lines.push(Line::new("mix".to_owned(), unit, self.mix(figure)));
            }
        }
        for flat in &self.flat {
            lines.push(Line {
                name: format!("{}, {} at a time", flat.kind, flat.outstanding),
                unit: "instructions",
                ours: flat.instructions.ours,
                c: flat.instructions.c,
            });
        }
        lines.push(Line {
            name: "record of the flight recorder".to_owned(),
            unit: "instructions",
            ours: self.recorder.ours.instructions_on,
            c: self.recorder.c.instructions_on,
        });
        lines.push(Line::new(
            "tick of the watchdog".to_owned(),
            "instructions",
            self.watchdog,
        ));
        let image = self.image;
        for (unit, ours, c) in [
            ("bytes of file", image.ours.file, image.c.file),
            ("bytes of code", image.ours.code, image.c.code),
        ] {
            lines.push(Line::new("image".to_owned(), unit, Pair { ours, c }));
        }
        lines
    }
}

impl Line {
    fn new(name: String, unit: &'static str, pair: Pair<u64>) -> Self {
        Self {
            name,
            unit,
            ours: as_number(pair.ours),
            c: as_number(pair.c),
        }
    }

    /// What it is, in words that no other line has.
    pub(crate) fn title(&self) -> String {
        format!("{}: {}", self.name, self.unit)
    }
}

/// A count as a number that can be divided.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of instructions are far below 2^53"
)]
pub(crate) const fn as_number(count: u64) -> f64 {
    count as f64
}

//! The goals, and whether each is met.
//!
//! Each is a line, with a verdict or the word that nothing was measured: none is left out
//! because it looks bad.

use std::collections::BTreeMap;

use super::figures::{Deterministic, Goal, Kind, Pair, Request, Verdict, as_number};

/// The fewest accesses of the device's registers with which a request can be done.
const FEWEST_ACCESSES: [(Kind, u64); 4] = [
    (Kind::Raise, 3),
    (Kind::Factorial, 4),
    (Kind::DmaRead, 6),
    (Kind::DmaWrite, 6),
];

/// The one call into the kernel that an ISR has to make.
const DPC_REQUEST: &str = "KeInsertQueueDpc";

/// Routines that compilers call by themselves, and that ntoskrnl exports.
const C_RUNTIME: [&str; 4] = ["memcmp", "memcpy", "memmove", "memset"];

/// Ours may be this part of what C takes.
const INSTRUCTIONS: f64 = 1.0;
const INSTRUCTIONS_OF_THE_MIX: f64 = 0.9;
const UNDER_THE_LOCK: f64 = 0.8;
const IMAGE: f64 = 1.25;

/// By how much the dearest of the flat figures may be above the cheapest: a request that is
/// queued behind another one takes the queue's way, and that is all.
const FLAT: f64 = 1.1;

/// Instructions of a place where something is recorded, while nothing is.
const PLACE: f64 = 2.0;

/// Instructions of a record, fewer than.
const RECORD: f64 = 40.0;

/// The verdicts about the deterministic figures.
pub(super) fn of(figures: &Deterministic) -> Vec<Goal> {
    let mut goals = Vec::new();
    for kind in Kind::ALL {
        goals.push(of_kind(
            figures,
            kind,
            "instructions",
            INSTRUCTIONS,
            |request| request.instructions,
        ));
    }
    goals.push(part_of_c(
        "the mix: instructions".to_owned(),
        figures.mix(|request| request.instructions),
        INSTRUCTIONS_OF_THE_MIX,
    ));
    for kind in Kind::ALL {
        goals.push(of_kind(
            figures,
            kind,
            "instructions under the lock",
            UNDER_THE_LOCK,
            |request| request.under_the_lock,
        ));
    }
    for (kind, fewest) in FEWEST_ACCESSES {
        goals.push(exactly(
            format!("{kind}: register accesses"),
            figures.requests.get(&kind),
            fewest,
            Request::register_accesses,
        ));
    }
    goals.push(at_most_one(
        "critical sections in StartIo",
        figures,
        |request| request.locks_in_start_io,
    ));
    goals.push(at_most_one(
        "critical sections in a DPC",
        figures,
        |request| request.locks_in_dpc,
    ));
    goals.push(calls_under_the_lock(figures));
    goals.push(none(
        "pool allocations of the mix",
        figures.mix(|request| request.allocations),
    ));
    goals.push(flat(figures, Kind::DmaRead));
    goals.push(flat(figures, Kind::Raise));
    goals.push(part_of_c(
        "image: bytes of file".to_owned(),
        Pair {
            ours: figures.image.ours.file,
            c: figures.image.c.file,
        },
        IMAGE,
    ));
    goals.push(recorder_off(figures));
    goals.push(recorder_on(figures));
    goals
}

fn both(pair: &Pair<Request>, figure: impl Fn(&Request) -> u64) -> Pair<u64> {
    Pair {
        ours: figure(&pair.ours),
        c: figure(&pair.c),
    }
}

fn goal(name: String, ours: f64, c: Option<f64>, bound: String, is_met: bool) -> Goal {
    Goal {
        name,
        ours: Some(ours),
        c,
        bound,
        verdict: Verdict::of(is_met),
        note: None,
    }
}

fn part_of_c(name: String, pair: Pair<u64>, part: f64) -> Goal {
    let (ours, c) = (as_number(pair.ours), as_number(pair.c));
    let bound = format!("at most {part} of C");
    goal(name, ours, Some(c), bound, ours <= c * part)
}

fn of_kind(
    figures: &Deterministic,
    kind: Kind,
    what: &str,
    part: f64,
    figure: impl Fn(&Request) -> u64,
) -> Goal {
    let name = format!("{kind}: {what}");
    match figures.requests.get(&kind) {
        Some(pair) => Goal {
            note: copied_elsewhere(&pair.c),
            ..part_of_c(name, both(pair, figure), part)
        },
        None => not_measured(name, format!("at most {part} of C")),
    }
}

/// What the driver in C has the kernel copy and clear for it, which is in nobody's instructions.
/// This driver has the same routines in its own image.
fn copied_elsewhere(c: &Request) -> Option<String> {
    let calls: u64 = c
        .kernel_calls
        .iter()
        .filter(|(name, _)| C_RUNTIME.contains(&name.as_str()))
        .map(|(_, count)| count)
        .sum();
    (calls > 0).then(|| format!("C has the kernel copy or clear memory {calls} times besides"))
}

fn exactly(
    name: String,
    pair: Option<&Pair<Request>>,
    count: u64,
    figure: impl Fn(&Request) -> u64,
) -> Goal {
    let bound = format!("exactly {count}");
    match pair.map(|pair| both(pair, figure)) {
        Some(Pair { ours, c }) => goal(
            name,
            as_number(ours),
            Some(as_number(c)),
            bound,
            ours == count,
        ),
        None => not_measured(name, bound),
    }
}

fn not_measured(name: String, bound: String) -> Goal {
    Goal {
        name,
        ours: None,
        c: None,
        bound,
        verdict: Verdict::NotMeasured,
        note: None,
    }
}

fn at_most_one(name: &str, figures: &Deterministic, figure: impl Fn(&Request) -> u64) -> Goal {
    let most = |side: fn(&Pair<Request>) -> &Request| {
        figures
            .requests
            .values()
            .map(|pair| figure(side(pair)))
            .max()
    };
    let bound = "one".to_owned();
    match (most(|pair| &pair.ours), most(|pair| &pair.c)) {
        (Some(ours), Some(c)) => goal(
            name.to_owned(),
            as_number(ours),
            Some(as_number(c)),
            bound,
            ours == 1,
        ),
        _ => not_measured(name.to_owned(), bound),
    }
}

fn none(name: &str, pair: Pair<u64>) -> Goal {
    goal(
        name.to_owned(),
        as_number(pair.ours),
        Some(as_number(pair.c)),
        "none".to_owned(),
        pair.ours == 0,
    )
}

fn calls_under_the_lock(figures: &Deterministic) -> Goal {
    let others = |side: fn(&Pair<Request>) -> &Request| {
        let mut others: BTreeMap<&str, u64> = BTreeMap::new();
        for pair in figures.requests.values() {
            for (name, count) in &side(pair).calls_under_the_lock {
                if name != DPC_REQUEST {
                    *others.entry(name).or_default() += count;
                }
            }
        }
        others
    };
    let (ours, c) = (others(|pair| &pair.ours), others(|pair| &pair.c));
    let sum = |calls: &BTreeMap<&str, u64>| as_number(calls.values().sum());
    let mut goal = goal(
        format!("the mix: kernel calls under the lock, but for {DPC_REQUEST}"),
        sum(&ours),
        Some(sum(&c)),
        "none".to_owned(),
        ours.is_empty(),
    );
    if !ours.is_empty() {
        let names: Vec<&str> = ours.into_keys().collect();
        goal.note = Some(names.join(", "));
    }
    goal
}

/// The dearest of the requests, whatever how many there are at a time, by the cheapest.
fn flat(figures: &Deterministic, kind: Kind) -> Goal {
    let name = format!("{kind}, 1 to 256 at a time: instructions, dearest by cheapest");
    let bound = format!("at most {FLAT}");
    let spread = |side: fn(&Pair<f64>) -> f64| {
        let of_kind = || figures.flat.iter().filter(|flat| flat.kind == kind);
        let each = || of_kind().map(|flat| side(&flat.instructions));
        let dearest = each().reduce(f64::max)?;
        let cheapest = each().reduce(f64::min)?;
        (cheapest > 0.0).then(|| dearest / cheapest)
    };
    match spread(|pair| pair.ours) {
        Some(ours) => goal(name, ours, spread(|pair| pair.c), bound, ours <= FLAT),
        None => not_measured(name, bound),
    }
}

fn recorder_off(figures: &Deterministic) -> Goal {
    let name =
        "flight recorder off: instructions of a place where something is recorded".to_owned();
    let bound = format!("at most {PLACE}");
    match figures.recorder_off {
        Some(each) => goal(name, each, None, bound, each <= PLACE),
        None => Goal {
            note: Some("it takes another build: without --quick".to_owned()),
            ..not_measured(name, bound)
        },
    }
}

fn recorder_on(figures: &Deterministic) -> Goal {
    let name = "flight recorder on: instructions of a record".to_owned();
    let bound = format!("fewer than {RECORD}");
    let Pair { ours, c } = figures.recorder;
    if ours.records > 0.0 {
        let each = ours.instructions_on;
        goal(name, each, Some(c.instructions_on), bound, each < RECORD)
    } else {
        not_measured(name, bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::{Flat, Recorder};

    fn figures() -> Deterministic {
        let ours = Request {
            instructions: 90,
            under_the_lock: 40,
            register_reads: 1,
            register_writes: 2,
            locks_in_start_io: 1,
            locks_in_dpc: 1,
            calls_under_the_lock: BTreeMap::from([(DPC_REQUEST.to_owned(), 1)]),
            ..Request::default()
        };
        let c = Request {
            instructions: 100,
            under_the_lock: 50,
            ..ours.clone()
        };
        let pair = Pair { ours, c };
        Deterministic {
            requests: Kind::ALL.map(|kind| (kind, pair.clone())).into(),
            flat: [(1, 200.0), (256, 220.0)]
                .map(|(outstanding, each)| Flat {
                    kind: Kind::Raise,
                    outstanding,
                    instructions: Pair {
                        ours: each,
                        c: each,
                    },
                })
                .into(),
            recorder: Pair {
                ours: Recorder {
                    records: 7.0,
                    places: 12.0,
                    instructions_on: 39.5,
                },
                c: Recorder::default(),
            },
            ..Deterministic::default()
        }
    }

    fn verdict(figures: &Deterministic, name: &str) -> Verdict {
        let goals = of(figures);
        let mut found = goals.iter().filter(|goal| goal.name.starts_with(name));
        let verdict = found.next().expect("a goal of that name").verdict;
        assert!(found.next().is_none(), "two goals begin with {name}");
        verdict
    }

    /// What has to be spoilt for a goal to be missed.
    type Spoil = (&'static str, fn(&mut Request));

    #[test]
    fn each_goal_can_be_met_and_missed() {
        const SPOIL: [Spoil; 7] = [
            ("raise: instructions under", |raise| {
                raise.under_the_lock = 41;
            }),
            ("the mix: instructions", |raise| raise.instructions = 91),
            ("raise: register accesses", |raise| raise.register_reads = 0),
            ("critical sections in StartIo", |raise| {
                raise.locks_in_start_io = 2;
            }),
            ("critical sections in a DPC", |raise| raise.locks_in_dpc = 2),
            ("the mix: kernel calls under the lock", |raise| {
                raise
                    .calls_under_the_lock
                    .insert("ExAllocatePool2".to_owned(), 1);
            }),
            ("pool allocations", |raise| raise.allocations = 1),
        ];
        for (name, spoil) in SPOIL {
            let mut figures = figures();
            assert_eq!(verdict(&figures, name), Verdict::Met, "{name}");
            if let Some(pair) = figures.requests.get_mut(&Kind::Raise) {
                spoil(&mut pair.ours);
            }
            assert_eq!(verdict(&figures, name), Verdict::Missed, "{name}");
        }
    }

    #[test]
    fn cost_that_grows_and_records_that_are_dear_are_seen() {
        let mut figures = figures();
        assert_eq!(verdict(&figures, "raise, 1 to 256"), Verdict::Met);
        assert_eq!(
            verdict(&figures, "DMA read, 1 to 256"),
            Verdict::NotMeasured
        );
        assert_eq!(verdict(&figures, "flight recorder on"), Verdict::Met);
        figures.recorder.ours.instructions_on = 40.0;
        assert_eq!(
            verdict(&figures, "flight recorder off"),
            Verdict::NotMeasured
        );
        figures.recorder_off = Some(2.0);
        assert_eq!(verdict(&figures, "flight recorder off"), Verdict::Met);
        figures.recorder_off = Some(2.1);
        assert_eq!(verdict(&figures, "flight recorder off"), Verdict::Missed);
        figures.flat.push(Flat {
            kind: Kind::Raise,
            outstanding: 512,
            instructions: Pair {
                ours: 221.0,
                c: 221.0,
            },
        });
        assert_eq!(verdict(&figures, "raise, 1 to 256"), Verdict::Missed);
        assert_eq!(verdict(&figures, "flight recorder on"), Verdict::Missed);
    }

    #[test]
    fn what_the_kernel_copies_for_c_is_told() {
        let mut figures = figures();
        let note = |figures: &Deterministic| {
            let goals = of(figures);
            let goal = goals.iter().find(|goal| goal.name == "raise: instructions");
            goal.expect("a goal for raises").note.clone()
        };
        assert_eq!(note(&figures), None);
        if let Some(pair) = figures.requests.get_mut(&Kind::Raise) {
            pair.c.kernel_calls.insert("memcpy".to_owned(), 2);
            pair.c.kernel_calls.insert("KeSetEvent".to_owned(), 5);
        }
        let told = note(&figures).expect("a note");
        assert!(told.contains("2 times"), "{told}");
    }

    #[test]
    fn what_was_not_measured_is_not_met() {
        let nothing = Deterministic::default();
        for goal in of(&nothing) {
            let is_trivial = goal.c == Some(0.0);
            assert!(
                goal.verdict == Verdict::NotMeasured || is_trivial,
                "{}: {:?}",
                goal.name,
                goal.verdict
            );
        }
    }
}

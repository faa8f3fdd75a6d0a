//! What goes where in a picture of a timeline: windows of time, lanes of processors,
//! rows in a lane, the marks of the axis. Numbers only; nothing is drawn here.

use std::collections::BTreeMap;

use super::{
    Span, Timeline,
    time::{Unit, signed},
};

/// Rows that a lane has at most for one level; more overlap in the last.
const ROWS: usize = 4;
/// Marks that an axis has about.
const MARKS: f64 = 9.0;

/// A stretch of time, in nanoseconds from the timeline's begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its begin.
    pub start: u64,
    /// Its end, which is later.
    pub end: u64,
}

impl Window {
    /// From `start` to `end`; one nanosecond at least.
    #[must_use]
    pub const fn new(start: u64, end: u64) -> Self {
        let least = start.saturating_add(1);
        Self {
            start,
            end: if end > least { end } else { least },
        }
    }

    /// With some room at either side.
    #[must_use]
    pub const fn with_margin(self) -> Self {
        let margin = self.length() / 12 + 1;
        Self {
            start: self.start.saturating_sub(margin),
            end: self.end.saturating_add(margin),
        }
    }

    /// How long it is.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether all of `span` lies in it.
    #[must_use]
    pub const fn holds(&self, span: &Span) -> bool {
        self.start <= span.start && span.end <= self.end
    }

    /// Whether a part of `span` lies in it.
    #[must_use]
    pub const fn touches(&self, span: &Span) -> bool {
        span.start < self.end && self.start <= span.end
    }

    /// Where `time` is: 0 at the begin, 1 at the end, beyond these outside.
    pub(super) fn share(&self, time: u64) -> f64 {
        signed(self.start, time) / signed(self.start, self.end)
    }
}

/// The level at which something runs, as far as a lane shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// The ISR and the critical sections.
    Dirql,
    /// StartIo, the DPCs and what else runs without the lock.
    Dispatch,
}

impl Level {
    const fn of(span: &Span) -> Self {
        if span.activity.takes_the_lock() {
            Self::Dirql
        } else {
            Self::Dispatch
        }
    }
}

/// A span and its row among those of its lane and level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) span: Span,
    pub(super) level: Level,
    pub(super) row: usize,
}

/// What a processor did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lane {
    pub(super) processor: u16,
    pub(super) placed: Vec<Placed>,
    /// Rows of the level DIRQL; at least one.
    pub(super) dirql_rows: usize,
    /// Rows of the level below; at least one.
    pub(super) dispatch_rows: usize,
}

/// The lanes of all processors that have something to show within `extent`.
pub(super) fn lanes(timeline: &Timeline, extent: Window) -> Vec<Lane> {
    let mut lanes: BTreeMap<u16, Lane> = BTreeMap::new();
    let mut taken: BTreeMap<(u16, Level), Vec<u64>> = BTreeMap::new();
    for &span in timeline.spans().iter().filter(|span| extent.touches(span)) {
        let level = Level::of(&span);
        let lane = lanes.entry(span.processor).or_insert_with(|| Lane {
            processor: span.processor,
            placed: Vec::new(),
            dirql_rows: 1,
            dispatch_rows: 1,
        });
        let row = if span.activity.is_moment() {
            // A moment is drawn upon whatever goes on.
            0
        } else {
            let ends = taken.entry((span.processor, level)).or_default();
            let free = ends.iter().position(|end| *end <= span.start);
            let row = free.unwrap_or(ends.len()).min(ROWS - 1);
            match ends.get_mut(row) {
                Some(end) => *end = span.end,
                None => ends.push(span.end),
            }
            row
        };
        let rows = match level {
            Level::Dirql => &mut lane.dirql_rows,
            Level::Dispatch => &mut lane.dispatch_rows,
        };
        *rows = (*rows).max(row + 1);
        lane.placed.push(Placed { span, level, row });
    }
    lanes.into_values().collect()
}

/// A mark of the axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mark {
    pub(super) time: u64,
    pub(super) label: String,
}

/// Marks at round distances from the begin of `view`.
pub(super) fn marks(view: Window) -> Vec<Mark> {
    let step = step(view.length());
    let unit = Unit::of(view.length());
    (0..)
        .map_while(|index: u64| {
            let distance = index.checked_mul(step)?;
            let time = view.start.checked_add(distance)?;
            (time <= view.end).then(|| Mark {
                time,
                label: format!("{} {}", plain(unit.count(distance)), unit.name()),
            })
        })
        .collect()
}

/// The round number of nanoseconds, 1, 2 or 5 and zeros, for some marks in `length`.
fn step(length: u64) -> u64 {
    let wanted = signed(0, length) / MARKS;
    let mut step = 1_u64;
    for factor in [2, 5, 10].iter().cycle().scan(1_u64, |decade, factor| {
        let candidate = decade.checked_mul(*factor)?;
        if *factor == 10 {
            *decade = candidate;
        }
        Some(candidate)
    }) {
        if signed(0, step) >= wanted {
            break;
        }
        step = factor;
    }
    step
}

/// Without zeros that say nothing.
fn plain(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Level, Window, lanes, marks, step};
    use crate::timeline::synthetic::timeline;

    #[test]
    fn what_overlaps_has_rows_of_its_own() {
        let lanes = lanes(&timeline(), Window::new(50_000, 200_000));
        let processors: Vec<u16> = lanes.iter().map(|lane| lane.processor).collect();
        assert_eq!(processors, [0, 1, 3], "processor 2 was busy long before");
        let dpc = &lanes[2];
        assert_eq!((dpc.dirql_rows, dpc.dispatch_rows), (1, 2));
        let rows: Vec<_> = dpc
            .placed
            .iter()
            .map(|placed| (placed.span.sequence, placed.level, placed.row))
            .collect();
        assert_eq!(
            rows,
            [
                (7, Level::Dispatch, 0),
                (4, Level::Dirql, 0),
                (5, Level::Dispatch, 0),
                (6, Level::Dispatch, 1),
            ]
        );
    }

    #[test]
    fn marks_are_round_and_inside() {
        for (length, wanted) in [
            (1, 1),
            (9, 1),
            (10, 2),
            (100, 20),
            (12_000, 2_000),
            (50_000, 10_000),
        ] {
            assert_eq!(step(length), wanted, "{length}");
        }
        assert!(step(u64::MAX) > 1_000_000_000_000_000_000);
        let marks = marks(Window::new(1_000, 13_000));
        let labels: Vec<&str> = marks.iter().map(|mark| mark.label.as_str()).collect();
        assert_eq!(
            labels,
            ["0 µs", "2 µs", "4 µs", "6 µs", "8 µs", "10 µs", "12 µs"]
        );
        assert_eq!(marks.last().map(|mark| mark.time), Some(13_000));
    }

    #[test]
    fn a_window_is_never_empty() {
        assert_eq!(Window::new(5, 5), Window { start: 5, end: 6 });
        assert_eq!(Window::new(7, 2).length(), 1);
        let share = Window::new(100, 200).share(50);
        assert!((share + 0.5).abs() < 1e-9);
    }
}

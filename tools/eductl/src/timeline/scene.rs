//! The most telling stretch of a timeline: the documentation's example of the interrupt
//! spin lock, as it really happened.
//!
//! It takes an ISR, two critical sections of which one spins while the other holds the
//! lock, and a DPC on another processor than the ISR's. That is one for an ISR if there is
//! any; where all interrupts go to one processor, so do the DPCs that they ask for, and it
//! is the timer's. Of all such sets the one is chosen that can be seen best, that is,
//! whose shortest part is the widest when all of it is drawn.

use super::{Activity, Span, Timeline, layout::Window, time::signed};

/// Of each kind, how many neighbours of a spinning section are tried on either side.
const NEIGHBOURS: usize = 3;
/// Holders of the lock that are tried for one spinning section.
const HOLDERS: usize = 8;
/// Spans that a picture without a scene shows.
const BEGINNING: usize = 40;

/// The parts of the example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scene {
    /// The ISR.
    pub isr: Span,
    /// The critical section that holds the lock.
    pub holder: Span,
    /// The critical section on another processor that spins for it meanwhile.
    pub spinner: Span,
    /// The DPC on another processor than the ISR's.
    pub dpc: Span,
}

/// What a picture shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scenery {
    /// The time that it shows.
    pub view: Window,
    /// The example, if the timeline has one there.
    pub scene: Option<Scene>,
}

impl Scenery {
    /// The most telling stretch, or the begin of a timeline that has no scene.
    #[must_use]
    pub fn find(timeline: &Timeline) -> Self {
        let scene = Scene::find(timeline, None);
        let shown = scene.map_or_else(
            || timeline.spans().iter().take(BEGINNING).copied().collect(),
            |scene| scene.parts().to_vec(),
        );
        let view = hull(&shown).with_margin();
        Self { view, scene }
    }

    /// The stretch `view`, with the best scene that lies within it.
    #[must_use]
    pub fn within(timeline: &Timeline, view: Window) -> Self {
        let scene = Scene::find(timeline, Some(view));
        Self { view, scene }
    }
}

impl Scene {
    /// Its parts, in the order in which they are pointed at.
    #[must_use]
    pub const fn parts(&self) -> [Span; 4] {
        [self.isr, self.holder, self.spinner, self.dpc]
    }

    fn find(timeline: &Timeline, within: Option<Window>) -> Option<Self> {
        let spans: Vec<Span> = timeline
            .spans()
            .iter()
            .filter(|span| within.is_none_or(|window| window.holds(span)))
            .copied()
            .collect();
        let of = |wanted: fn(&Span) -> bool| -> Vec<Span> {
            spans.iter().filter(|span| wanted(span)).copied().collect()
        };
        let isrs = of(|span| matches!(span.activity, Activity::Isr(1..)));
        let dpcs = of(|span| span.activity.is_dpc() || matches!(span.activity, Activity::Timer(_)));
        let mut sections = of(|span| matches!(span.activity, Activity::CriticalSection(_)));
        // The lock is held by one at a time, so this is the order of the ends as well.
        sections.sort_by_key(|span| span.had);
        let mut best: Option<(Merit, Self)> = None;
        for spinner in &sections {
            let first = sections.partition_point(|holder| holder.end <= spinner.start);
            let holders = sections[first..]
                .iter()
                .take(HOLDERS)
                .filter(|holder| holder.had < spinner.had && holder.processor != spinner.processor);
            for &holder in holders {
                for isr in near(&isrs, spinner) {
                    for dpc in near(&dpcs, spinner) {
                        if dpc.processor == isr.processor {
                            continue;
                        }
                        let scene = Self {
                            isr: *isr,
                            holder,
                            spinner: *spinner,
                            dpc: *dpc,
                        };
                        let merit = scene.merit();
                        if best.as_ref().is_none_or(|(least, _)| merit.exceeds(least)) {
                            best = Some((merit, scene));
                        }
                    }
                }
            }
        }
        best.map(|(_, scene)| scene)
    }

    /// How long the one spins while the other holds.
    fn contention(&self) -> u64 {
        let until = self.spinner.had.min(self.holder.end);
        until.saturating_sub(self.spinner.start.max(self.holder.had))
    }

    fn merit(&self) -> Merit {
        let mut processors = self.parts().map(|part| part.processor);
        processors.sort_unstable();
        let distinct = 1 + processors
            .windows(2)
            .filter(|pair| pair[0] != pair[1])
            .count();
        let shortest = self
            .contention()
            .min(self.holder.held())
            .min(self.isr.length())
            .min(self.dpc.length());
        let window = hull(&self.parts());
        Merit {
            // The documentation's picture has three; a fourth makes it no clearer.
            processors: distinct.min(3),
            is_for_isr: self.dpc.activity.is_dpc(),
            visibility: signed(0, shortest) / signed(window.start, window.end).max(1.0),
        }
    }
}

struct Merit {
    processors: usize,
    /// Whether the DPC is one that an ISR asked for.
    is_for_isr: bool,
    /// Share of the shortest part in the whole.
    visibility: f64,
}

impl Merit {
    fn exceeds(&self, other: &Self) -> bool {
        let visible = |merit: &Self| merit.visibility > 0.0;
        let rank = |merit: &Self| (visible(merit), merit.processors, merit.is_for_isr);
        rank(self)
            .cmp(&rank(other))
            .then(self.visibility.total_cmp(&other.visibility))
            .is_gt()
    }
}

/// Those of `spans`, which are in the order of their begin, that are next to `middle`.
fn near<'a>(spans: &'a [Span], middle: &Span) -> &'a [Span] {
    let here = spans.partition_point(|span| span.start < middle.start);
    let first = here.saturating_sub(NEIGHBOURS);
    &spans[first..(here + NEIGHBOURS).min(spans.len())]
}

fn hull(spans: &[Span]) -> Window {
    let start = spans.iter().map(|span| span.start).min().unwrap_or(0);
    let end = spans.iter().map(|span| span.end).max().unwrap_or(0);
    Window::new(start, end)
}

#[cfg(test)]
mod tests {
    use edu_interface::{RecordKind, Section};

    use super::{Scene, Scenery, Window};
    use crate::timeline::{
        Timeline,
        synthetic::{CLOCK, record, section, three_processors, timeline},
    };

    fn numbers(scene: &Scene) -> [u64; 4] {
        scene.parts().map(|part| part.sequence)
    }

    #[test]
    fn the_documentations_example_is_found() {
        let scenery = Scenery::find(&timeline());
        let scene = scenery.scene.expect("a scene");
        // ISR, StartIo's section holds, the DPC's section spins, the DPC.
        assert_eq!(numbers(&scene), [1, 2, 4, 7]);
        assert_eq!(scene.contention(), 2_100);
        assert!(scene.parts().iter().all(|part| scenery.view.holds(part)));
        // The lone section long before is not in the picture.
        assert!(scenery.view.start > 50_000);
    }

    #[test]
    fn the_one_that_can_be_seen_best_is_chosen() {
        // The same once more, but the processor with the lock was away for a second.
        let mut records = three_processors();
        let mut slow = three_processors();
        for record in &mut slow {
            record.sequence += 8;
            record.start += 10_000_000;
        }
        slow[2].duration = 900_000_000;
        slow[4].waited = 900_000_000;
        records.extend(slow);
        let timeline = Timeline::new(&records, &CLOCK, 0);
        assert_eq!(timeline.spans().len(), 16);
        let scene = Scenery::find(&timeline).scene.expect("a scene");
        assert_eq!(numbers(&scene), [1, 2, 4, 7]);
    }

    #[test]
    fn the_timers_dpc_stands_in_where_no_other_ran_elsewhere() {
        let mut records = three_processors();
        records.retain(|record| record.kind != RecordKind::DpcForIsr as u8);
        records.push(record(8, 3, RecordKind::Timer, (104_800, 7_000), 0));
        let scenery = Scenery::find(&Timeline::new(&records, &CLOCK, 0));
        assert_eq!(
            scenery.scene.map(|scene| numbers(&scene)),
            Some([1, 2, 4, 8])
        );
        // One for the ISR is preferred.
        let mut both = three_processors();
        both.push(record(8, 2, RecordKind::Timer, (104_800, 7_000), 0));
        let scenery = Scenery::find(&Timeline::new(&both, &CLOCK, 0));
        assert_eq!(
            scenery.scene.map(|scene| numbers(&scene)),
            Some([1, 2, 4, 7])
        );
    }

    #[test]
    fn nobody_spins_for_a_lock_that_is_free_or_its_own() {
        let isr = record(0, 0, RecordKind::Isr, (2_000, 500), 2);
        let dpc = record(1, 1, RecordKind::DpcForIsr, (3_000, 500), 1);
        // One after the other, and two of one processor.
        for (first, second) in [(2, 3), (3, 3)] {
            let alone = [
                isr,
                dpc,
                section(2, first, Section::StartIo, (4_000, 100, 200)),
                section(3, second, Section::StartIo, (4_300, 100, 200)),
            ];
            let scenery = Scenery::find(&Timeline::new(&alone, &CLOCK, 0));
            assert_eq!(scenery.scene, None);
            assert!(scenery.view.end > 2_500);
        }
    }

    #[test]
    fn a_chosen_window_is_kept() {
        let timeline = timeline();
        let before = Window::new(0, 50_000);
        assert_eq!(
            Scenery::within(&timeline, before),
            Scenery {
                view: before,
                scene: None
            }
        );
        let all = Scenery::within(&timeline, Window::new(0, 200_000));
        assert!(all.scene.is_some());
    }

    #[test]
    fn an_empty_timeline_has_an_empty_scenery() {
        let scenery = Scenery::find(&Timeline::default());
        assert_eq!(scenery.scene, None);
        assert!(scenery.view.end > scenery.view.start);
    }
}

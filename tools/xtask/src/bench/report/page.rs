//! The report as one page for a browser. It loads nothing from anywhere.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    chart::{Chart, Series, Unit},
    picture::picture,
};
use crate::bench::{
    figures::{Bench, Deterministic, Goal, Verdict},
    parallel::{Cell, Mix, Parallel, Spread},
};

/// The page.
pub(super) fn page(bench: &Bench) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { "edu.sys and the same driver in C" }
                style {
                    (PreEscaped(include_str!("page.css")))
                    (PreEscaped(include_str!("plot.css")))
                }
            }
            body {
                h1 { "edu.sys in safe Rust, and the same driver in plain C" }
                p {
                    "Both did the same requests in the same rig, in turn. A ratio is that of edu.sys to the driver in C. "
                    "There are no times here: QEMU emulates the processors, and what takes long on them need not on others."
                }
                @if bench.goals.is_empty() {
                    p.unmeasured { "Nothing that a goal is about was measured in this run." }
                } @else {
                    (goals(&bench.goals))
                }
                @match &bench.deterministic {
                    Some(deterministic) => (counted(deterministic)),
                    None => p.unmeasured { "What can be counted was not measured in this run." }
                }
                @match &bench.parallel {
                    Some(parallel) => (side_by_side(parallel)),
                    None => p.unmeasured { "Several processors were not measured in this run." }
                }
            }
        }
    };
    page.into_string()
}

fn goals(goals: &[Goal]) -> Markup {
    html! {
        h2 { "The goals" }
        table {
            thead {
                tr {
                    th.words { "goal" } th.words { "bound" }
                    th { "edu.sys" } th { "C" } th { "ratio" }
                    th.words { "verdict" }
                }
            }
            tbody {
                @for goal in goals {
                    tr {
                        td.words {
                            (goal.name)
                            @if let Some(note) = &goal.note { br; small { (note) } }
                        }
                        td.words { (goal.bound) }
                        td { (figure(goal.ours)) }
                        td { (figure(goal.c)) }
                        td { (ratio(goal.ratio())) }
                        (verdict(goal.verdict))
                    }
                }
            }
        }
    }
}

fn verdict(verdict: Verdict) -> Markup {
    let (class, words) = match verdict {
        Verdict::Met => ("met", "met"),
        Verdict::Missed => ("missed", "missed"),
        Verdict::NotMeasured => ("unmeasured", "not measured"),
    };
    html! { td.words { span class=(class) { (words) } } }
}

/// The deterministic half.
fn counted(deterministic: &Deterministic) -> Markup {
    html! {
        h2 { "Counted" }
        p { "One processor, whose instructions QEMU counts: the same in every run." }
        div.picture { (PreEscaped(picture(deterministic))) }
        table {
            thead {
                tr {
                    th.words { "of" } th.words { "what" }
                    th { "edu.sys" } th { "C" } th { "ratio" }
                }
            }
            tbody {
                @for line in deterministic.lines() {
                    tr {
                        td.words { (line.name) } td.words { (line.unit) }
                        td { (figure(Some(line.ours))) }
                        td { (figure(Some(line.c))) }
                        td { (ratio((line.c > 0.0).then(|| line.ours / line.c))) }
                    }
                }
            }
        }
    }
}

/// The parallel half.
fn side_by_side(parallel: &Parallel) -> Markup {
    html! {
        h2 { "On several processors" }
        p {
            (parallel.rounds) " rounds. In each, every load, of " (parallel.requests)
            " requests or more, ran on one driver and then on the other, several times in a row, of which the fastest counts: "
            "whatever else the host does makes it take longer. A point is the median of the rounds, "
            "the bar through it is all that was seen: where it crosses the dashed line, no driver was always ahead. "
            "The load 'raise' is interrupts alone, 'mixed' has factorials and requests without an interrupt among them. "
            "Most of a request's time is the rig's own, which checks rules in each kernel routine that a driver calls. "
            "So ratios of time tell more of what a driver calls than of its own code, which is counted above."
        }
        p {
            "On one processor the interrupt that 'raise' asks for comes in before the next request can be sent, so few are under way. "
            "edu.sys starts the next operation before it completes the request of the last one (Microsoft's "
            "\"Writing DPC Routines\" asks for that), and the driver in C afterwards: with many requests outstanding the next interrupt finds the DPC "
            "of edu.sys still at work, and the device is idle for less time."
        }
        @for mix in Mix::ALL {
            h3 { "Load '" (mix) "'" }
            div.plots {
                @for (title, unit, even, figure) in CHARTS {
                    (PreEscaped(chart(parallel, mix, title, (unit, even), figure).draw().to_string()))
                }
            }
        }
        (cells(parallel))
    }
}

/// A figure of a load.
type Figure = fn(&Cell) -> Spread;

/// The charts of a load.
const CHARTS: [(&str, Unit, Option<f64>, Figure); 8] = [
    (
        "Requests per second, to C's (more is better)",
        Unit::Ratio,
        Some(1.0),
        |cell| cell.throughput,
    ),
    ("Latency, median, to C's", Unit::Ratio, Some(1.0), |cell| {
        cell.latency.p50
    }),
    (
        "Latency, 99th percentile, to C's",
        Unit::Ratio,
        Some(1.0),
        |cell| cell.latency.p99,
    ),
    (
        "ISR to DPC, median, to C's",
        Unit::Ratio,
        Some(1.0),
        |cell| cell.isr_to_dpc.p50,
    ),
    (
        "Spinning for the interrupt lock, edu.sys",
        Unit::Share,
        None,
        |cell| cell.lock_wait.ours,
    ),
    (
        "Spinning for the interrupt lock, C",
        Unit::Share,
        None,
        |cell| cell.lock_wait.c,
    ),
    (
        "Time per request, to that with the fewest, edu.sys",
        Unit::Ratio,
        Some(1.0),
        |cell| cell.beside_the_fewest.ours,
    ),
    (
        "Time per request, to that with the fewest, C",
        Unit::Ratio,
        Some(1.0),
        |cell| cell.beside_the_fewest.c,
    ),
];

fn chart(
    parallel: &Parallel,
    mix: Mix,
    title: &str,
    (unit, even): (Unit, Option<f64>),
    figure: Figure,
) -> Chart {
    let of = |pick: fn(&Cell) -> u32| {
        let mut all: Vec<u32> = parallel.cells.iter().map(pick).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    let outstanding = of(|cell| cell.setting.outstanding);
    let series = of(|cell| cell.setting.processors)
        .into_iter()
        .map(|processors| Series {
            name: if processors == 1 {
                "1 processor".to_owned()
            } else {
                format!("{processors} processors")
            },
            points: outstanding
                .iter()
                .map(|outstanding| {
                    parallel
                        .cells
                        .iter()
                        .find(|cell| {
                            let setting = cell.setting;
                            (setting.mix, setting.processors, setting.outstanding)
                                == (mix, processors, *outstanding)
                        })
                        .map(figure)
                })
                .collect(),
        })
        .collect();
    Chart {
        title: title.to_owned(),
        unit,
        places: outstanding.iter().map(ToString::to_string).collect(),
        places_are: "requests outstanding",
        series,
        even,
    }
}

/// All figures.
fn cells(parallel: &Parallel) -> Markup {
    html! {
        h3 { "All loads" }
        p {
            "Median (lowest-highest) of the rounds. A ratio is green where edu.sys was ahead in all rounds, "
            "and red where the driver in C was."
        }
        div.wide {
            table {
                thead {
                    tr {
                        th.words { "load" } th { "processors" } th { "outstanding" }
                        th { "requests/s" }
                        th { "latency p50" } th { "p99" } th { "max" }
                        th { "ISR to DPC p50" } th { "p99" } th { "max" }
                        th { "lock wait, edu.sys" } th { "C" }
                        th { "under way, edu.sys" } th { "C" }
                        th { "interrupts per DPC, edu.sys" } th { "C" }
                        th { "critical sections per request, edu.sys" } th { "C" }
                    }
                }
                tbody {
                    @for cell in &parallel.cells {
                        tr {
                            td.words { (cell.setting.mix) }
                            td { (cell.setting.processors) }
                            td { (cell.setting.outstanding) }
                            td class=(stance(&cell.throughput, true)) { (cell.throughput) }
                            @for spread in [
                                cell.latency.p50, cell.latency.p99, cell.latency.max,
                                cell.isr_to_dpc.p50, cell.isr_to_dpc.p99, cell.isr_to_dpc.max,
                            ] {
                                td class=(stance(&spread, false)) { (spread) }
                            }
                            td { (cell.lock_wait.ours.percent()) }
                            td { (cell.lock_wait.c.percent()) }
                            td { (cell.under_way.ours) }
                            td { (cell.under_way.c) }
                            td { (cell.interrupts_per_dpc.ours) }
                            td { (cell.interrupts_per_dpc.c) }
                            td { (cell.critical_sections.ours) }
                            td { (cell.critical_sections.c) }
                        }
                    }
                }
            }
        }
    }
}

/// The class of a ratio: who was ahead in all rounds, if anybody was.
fn stance(ratio: &Spread, is_more_better: bool) -> &'static str {
    match (
        ratio.is_clear_of(1.0),
        (ratio.median > 1.0) == is_more_better,
    ) {
        (true, true) => "met",
        (true, false) => "missed",
        (false, _) => "unclear",
    }
}

/// A figure, with decimals if it has any.
fn figure(figure: Option<f64>) -> String {
    match figure {
        None => "-".to_owned(),
        Some(figure) if figure.fract() == 0.0 => format!("{figure:.0}"),
        Some(figure) => format!("{figure:.2}"),
    }
}

fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"))
}

#[cfg(test)]
mod tests {
    use super::{Spread, page, stance};
    use crate::bench::{
        figures::{Bench, Goal, Verdict},
        parallel::tests::parallel,
        report::picture::tests::deterministic,
    };

    fn bench() -> Bench {
        let goal = |name: &str, verdict| Goal {
            name: name.to_owned(),
            ours: Some(9.0),
            c: Some(10.0),
            bound: "at most 0.9 of C".to_owned(),
            verdict,
            note: Some("<note> & more".to_owned()),
        };
        Bench {
            deterministic: Some(deterministic()),
            parallel: Some(parallel()),
            goals: vec![
                goal("one", Verdict::Met),
                goal("two", Verdict::Missed),
                goal("three", Verdict::NotMeasured),
            ],
        }
    }

    #[test]
    fn each_goal_is_there_with_its_verdict() {
        let page = page(&bench());
        for words in [
            "one",
            "two",
            "three",
            ">met<",
            ">missed<",
            ">not measured<",
            "&lt;note&gt; &amp; more",
            "<td>0.90</td>",
            "1.50 (1.00-2.00)",
            "900 / 1000 = 0.90",
        ] {
            assert!(page.contains(words), "{words}");
        }
        assert!(!page.contains("<note>"));
    }

    #[test]
    fn who_was_ahead_in_all_rounds_is_said() {
        let spread = |figures: [f64; 2]| Spread::of(figures.map(Some)).unwrap();
        assert_eq!(stance(&spread([1.1, 1.2]), true), "met");
        assert_eq!(stance(&spread([1.1, 1.2]), false), "missed");
        assert_eq!(stance(&spread([0.8, 0.9]), true), "missed");
        assert_eq!(stance(&spread([0.9, 1.2]), true), "unclear");
    }

    #[test]
    fn the_page_stands_alone() {
        let page = page(&bench());
        for resource in ["src=", "href=", "@import", "url(", "<script"] {
            assert!(!page.contains(resource), "{resource}");
        }
        // All but the names of the SVG standard itself.
        assert_eq!(
            page.matches("http").count(),
            page.matches("http://www.w3.org/2000/svg").count()
        );
        assert!(!page.contains("NaN") && !page.contains(">inf<"));
    }

    #[test]
    fn what_was_not_measured_is_said() {
        let page = page(&Bench::default());
        assert!(page.contains("Several processors were not measured"));
        assert!(page.contains("What can be counted was not measured"));
    }
}

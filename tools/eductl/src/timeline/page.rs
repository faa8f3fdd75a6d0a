//! A timeline as one page for a browser: the picture, whose view can be moved, and the
//! figures. It loads nothing from anywhere.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Distribution, Figures, Length, Scenery, Timeline, Window, picture};

/// Spans before and after the view that can be moved into it.
const REACH: usize = 2_000;

/// The page.
#[must_use]
pub fn page(timeline: &Timeline, scenery: &Scenery) -> String {
    let figures = Figures::of(timeline);
    let drawing = picture(timeline, scenery, reach(timeline, scenery.view)).to_string();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { "edu.sys: timeline" }
                style { (PreEscaped(include_str!("page.css"))) }
            }
            body {
                h1 { "What edu.sys did, processor by processor" }
                p {
                    @for (action, words) in BUTTONS {
                        button type="button" data-action=(action) { (words) }
                        " "
                    }
                    span id="shown" {}
                }
                div id="timeline" { (PreEscaped(drawing)) }
                p { "Drag to move, turn the wheel to zoom, or use + - ← → and 0. A pointer on a bar shows what it was." }
                (table_of(&figures))
                (record_counts(timeline))
                script { (PreEscaped(include_str!("page.js"))) }
            }
        }
    };
    page.into_string()
}

const BUTTONS: [(&str, &str); 6] = [
    ("in", "zoom in"),
    ("out", "zoom out"),
    ("earlier", "earlier"),
    ("later", "later"),
    ("first", "the example"),
    ("all", "all"),
];

/// As much time around `view` as holds [`REACH`] spans before it and after it.
fn reach(timeline: &Timeline, view: Window) -> Window {
    let spans = timeline.spans();
    let first = spans.partition_point(|span| span.start < view.start);
    let last = spans.partition_point(|span| span.start < view.end);
    let start = spans.get(first.saturating_sub(REACH));
    let end = spans[..(last + REACH).min(spans.len())].last();
    Window::new(
        start.map_or(view.start, |span| span.start.min(view.start)),
        end.map_or(view.end, |span| span.end.max(view.end)),
    )
}

fn table_of(figures: &Figures) -> Markup {
    let times = [
        ("lock held by critical sections", &figures.lock_hold),
        ("lock waited for", &figures.lock_wait),
        ("from the ISR's end to its DPC", &figures.isr_to_dpc),
    ];
    let times = times
        .into_iter()
        .filter_map(|(name, each)| Some((name, each.as_ref()?)));
    let routines = figures.routines.iter().map(|(name, each)| (*name, each));
    html! {
        table {
            caption { "How long it took" }
            thead {
                tr {
                    th { "what" }
                    @for head in ["times", "min", "p50", "p90", "p99", "max", "in all"] {
                        th { (head) }
                    }
                }
            }
            tbody {
                @for (name, each) in times.chain(routines) {
                    tr {
                        td { (name) }
                        td { (each.count) }
                        @for length in lengths(each) {
                            td { (Length(length).to_string()) }
                        }
                    }
                }
            }
        }
    }
}

const fn lengths(each: &Distribution) -> [u64; 6] {
    [
        each.min_ns,
        each.p50_ns,
        each.p90_ns,
        each.p99_ns,
        each.max_ns,
        each.total_ns,
    ]
}

fn record_counts(timeline: &Timeline) -> Markup {
    html! {
        p {
            (timeline.spans().len()) " records over " (Length(timeline.end()).to_string())
            "; lost before they were read: " (timeline.lost)
            "; of no use: " (timeline.unusable.to_string()) "."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{page, reach};
    use crate::timeline::{Scenery, Timeline, Window, synthetic::timeline};

    #[test]
    fn the_page_stands_alone_and_has_the_figures() {
        let timeline = timeline();
        let page = page(&timeline, &Scenery::find(&timeline));
        for words in [
            "<!DOCTYPE html>",
            "lock waited for",
            "critical section",
            "<td>2.20 µs</td>",
            "lost before they were read: 3",
            "data-action=\"in\"",
            "Processor 2",
        ] {
            assert!(page.contains(words), "{words}");
        }
        for resource in ["src=", "href=", "@import", "fetch("] {
            assert!(!page.contains(resource), "{resource}");
        }
        // All but the names of the SVG standard itself.
        let addresses = page.matches("http").count();
        assert_eq!(
            addresses,
            page.matches("http://www.w3.org/2000/svg").count()
        );
    }

    #[test]
    fn an_empty_timeline_has_a_page() {
        let timeline = Timeline::default();
        assert!(page(&timeline, &Scenery::find(&timeline)).contains("0 records"));
    }

    #[test]
    fn what_is_near_can_be_reached() {
        let timeline = timeline();
        let view = Scenery::find(&timeline).view;
        let all = reach(&timeline, view);
        assert_eq!((all.start, all.end >= view.end), (0, true));
        let empty = reach(&Timeline::default(), Window::new(5, 9));
        assert_eq!(empty, Window::new(5, 9));
    }
}

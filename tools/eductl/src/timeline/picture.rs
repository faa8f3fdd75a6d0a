//! A timeline as a picture: a lane for each processor, as the documentation draws its
//! examples of the interrupt spin lock, and one that shows who holds the lock.

mod draw;

use svg::{
    Document,
    node::element::{ClipPath, Definitions, Group, Line, Pattern, Rectangle, Style, Text, Title},
};

use self::draw::{Canvas, GAP, HEIGHT, LEFT, WIDTH};
use super::{
    Length, Scenery, Timeline, Window,
    layout::{Lane, Level, lanes, marks},
};

/// Where the first lane begins.
const TOP: f64 = 62.0;
/// Room above the bars of a lane, where numbers point at them.
const HEADROOM: f64 = 24.0;
/// Room below the bars of a lane.
const FOOT: f64 = 6.0;
/// Width of the whole picture.
const PAGE: f64 = LEFT + WIDTH + 20.0;

/// What the bars mean.
const LEGEND: [(&str, &str); 6] = [
    ("isr", "ISR, holds the lock"),
    ("held", "critical section, holds the lock"),
    ("spin", "spins for the lock"),
    ("startio", "StartIo"),
    ("dpc", "DPC"),
    ("other", "timer DPC, AdapterControl"),
];

/// The picture of what `scenery` shows. Spans outside of it are in the picture as far as
/// they touch `extent`, clipped; a page that can move the view brings them in.
#[must_use]
pub fn picture(timeline: &Timeline, scenery: &Scenery, extent: Window) -> Document {
    let view = scenery.view;
    let lanes = lanes(timeline, extent);
    let canvas = Canvas { view };
    let mut drawn = Group::new().set("clip-path", "url(#plot)");
    let mut labels = Group::new();
    let mut tops = Vec::new();
    let mut top = TOP;
    for lane in &lanes {
        let rows = lane.dirql_rows + lane.dispatch_rows;
        let height = HEADROOM + draw::rows(rows) + FOOT;
        labels = labels
            .add(band(top, height))
            .add(lane_labels(lane, top + HEADROOM));
        for placed in &lane.placed {
            let y = top + HEADROOM + draw::rows(row_of(lane, placed.level, placed.row));
            drawn = drawn.add(canvas.span(&placed.span, y));
        }
        tops.push((lane, top));
        top += height + GAP;
    }
    labels = labels.add(band(top, FOOT + HEIGHT + FOOT)).add(label(
        top + FOOT,
        "Interrupt lock",
        "lane",
    ));
    for lane in &lanes {
        for placed in &lane.placed {
            if let Some(holder) = canvas.holder(&placed.span, top + FOOT) {
                drawn = drawn.add(holder);
            }
        }
    }
    top += FOOT + HEIGHT + FOOT;
    let bottom = top;
    let axis = axis(&canvas, bottom);
    let captions = captions(&canvas, scenery, &tops, bottom + 66.0);
    let height = bottom + 72.0 + captions.height;
    let mut document = Document::new()
        .set("viewBox", (0.0, 0.0, PAGE, height))
        .set("width", PAGE)
        .set("height", height)
        .set("role", "img")
        .set("data-left", LEFT)
        .set("data-plot", WIDTH)
        .set("data-view-start", view.start)
        .set("data-view-end", view.end)
        .set("data-extent-start", extent.start)
        .set("data-extent-end", extent.end)
        .add(Title::new(
            "What each processor did with the interrupt spin lock",
        ))
        .add(Style::new(include_str!("picture.css")))
        .add(definitions(bottom))
        .add(
            Rectangle::new()
                .set("class", "page")
                .set("x", 0.5)
                .set("y", 0.5)
                .set("width", PAGE - 1.0)
                .set("height", height - 1.0)
                .set("rx", 8),
        );
    document = document
        .add(text(20.0, 28.0, "heading", &heading(timeline, view)))
        .add(text(20.0, 47.0, "faint", &subtitle(timeline, view)))
        .add(labels)
        .add(axis)
        .add(drawn)
        .add(captions.pointers)
        .add(legend(bottom + 44.0))
        .add(captions.text);
    document
}

/// The row of a lane, from the top, of a level's row.
fn row_of(lane: &Lane, level: Level, row: usize) -> usize {
    match level {
        Level::Dirql => row,
        Level::Dispatch => lane.dirql_rows + row,
    }
}

fn heading(timeline: &Timeline, view: Window) -> String {
    let busy = timeline.processors().len();
    let length = Length(view.length());
    let processors = if busy == 1 { "processor" } else { "processors" };
    format!("edu.sys on {busy} {processors}: {length} as its flight recorder saw them")
}

fn subtitle(timeline: &Timeline, view: Window) -> String {
    format!(
        "from {} after the begin of the recording; {} records in all, {} lost",
        Length(view.start),
        timeline.spans().len(),
        timeline.lost
    )
}

fn definitions(bottom: f64) -> Definitions {
    Definitions::new()
        .add(
            Pattern::new()
                .set("id", "hatched")
                .set("width", 6)
                .set("height", 6)
                .set("patternUnits", "userSpaceOnUse")
                .set("patternTransform", "rotate(45)")
                .add(
                    Rectangle::new()
                        .set("class", "hatch-ground")
                        .set("width", 6)
                        .set("height", 6),
                )
                .add(line((1.5, 0.0), (1.5, 6.0), "hatch")),
        )
        .add(
            ClipPath::new().set("id", "plot").add(
                Rectangle::new()
                    .set("x", LEFT)
                    .set("y", TOP)
                    .set("width", WIDTH)
                    .set("height", bottom - TOP),
            ),
        )
}

fn band(top: f64, height: f64) -> Rectangle {
    Rectangle::new()
        .set("class", "band")
        .set("x", 12)
        .set("y", top)
        .set("width", LEFT + WIDTH - 12.0)
        .set("height", height)
        .set("rx", 4)
}

fn lane_labels(lane: &Lane, top: f64) -> Group {
    let dispatch = top + draw::rows(lane.dirql_rows);
    Group::new()
        .add(text(
            20.0,
            top - 7.0,
            "lane",
            &format!("Processor {}", lane.processor),
        ))
        .add(label(top, "DIRQL", "faint"))
        .add(label(dispatch, "DISPATCH_LEVEL", "faint"))
}

fn label(top: f64, words: &str, class: &str) -> Text {
    text(20.0, top + HEIGHT - 6.0, class, words)
}

fn axis(canvas: &Canvas, bottom: f64) -> Group {
    let mut axis = Group::new()
        .set("id", "axis")
        .set("data-top", TOP)
        .set("data-bottom", bottom);
    for mark in marks(canvas.view) {
        let x = canvas.x(mark.time);
        axis = axis
            .add(line((x, TOP), (x, bottom + 5.0), "rule"))
            .add(text(x, bottom + 18.0, "faint mark", &mark.label));
    }
    axis
}

fn legend(top: f64) -> Group {
    let mut legend = Group::new();
    let mut x = 20.0;
    for (class, words) in LEGEND {
        legend = legend
            .add(
                Rectangle::new()
                    .set("class", class)
                    .set("x", x)
                    .set("y", top - 10.0)
                    .set("width", 22)
                    .set("height", 12)
                    .set("rx", 2),
            )
            .add(text(x + 28.0, top, "", words));
        x += 28.0 + draw::width_of(words) + 18.0;
    }
    legend
        .add(draw::diamond(x + 6.0, top - 4.0))
        .add(text(x + 18.0, top, "", "completion, cancel"))
}

struct Captions {
    pointers: Group,
    text: Group,
    height: f64,
}

/// What there is to be seen, with numbers that point at it.
fn captions(canvas: &Canvas, scenery: &Scenery, tops: &[(&Lane, f64)], mut y: f64) -> Captions {
    let mut captions = Captions {
        pointers: Group::new(),
        text: Group::new(),
        height: 0.0,
    };
    let Some(scene) = &scenery.scene else {
        return captions;
    };
    let mut taken: Vec<(u16, f64)> = Vec::new();
    for (number, (part, words)) in (1_u8..).zip(draw::story(scene)) {
        let found = tops.iter().find_map(|(lane, top)| {
            let placed = lane.placed.iter().find(|placed| placed.span == part.span)?;
            Some((lane, top, placed))
        });
        let Some((lane, top, placed)) = found else {
            continue;
        };
        let bar = top + HEADROOM + draw::rows(row_of(lane, placed.level, placed.row));
        let wanted = canvas.x(part.at);
        let crowded = |x: f64| {
            taken
                .iter()
                .any(|(processor, other)| *processor == lane.processor && (x - other).abs() < 24.0)
        };
        let mut shift = 0.0;
        while crowded(wanted + shift) {
            shift += 24.0;
        }
        taken.push((lane.processor, wanted + shift));
        captions.pointers = captions.pointers.add(draw::pointer(
            number,
            (wanted, shift),
            (top + HEADROOM / 2.0, bar),
            part.at,
        ));
        captions.text = captions
            .text
            .add(draw::numbered(number, 30.0, y - 4.0))
            .add(text(46.0, y, "", &words));
        y += 22.0;
        captions.height += 22.0;
    }
    captions
}

fn line(from: (f64, f64), to: (f64, f64), class: &str) -> Line {
    Line::new()
        .set("class", class)
        .set("x1", draw::round(from.0))
        .set("y1", draw::round(from.1))
        .set("x2", draw::round(to.0))
        .set("y2", draw::round(to.1))
}

fn text(x: f64, y: f64, class: &str, words: &str) -> Text {
    Text::new(words)
        .set("class", class)
        .set("x", draw::round(x))
        .set("y", draw::round(y))
}

#[cfg(test)]
mod tests;

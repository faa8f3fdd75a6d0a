//! The bars, labels and pointers of a picture.
//!
//! Whatever stands at a time carries it: `data-a` and `data-b` are the begin and the end
//! of a bar or of the bar that a label is in, `data-at` is the one time of anything else.
//! A script that moves the view needs no more.

use svg::node::element::{Circle, Group, Line, Path, Rectangle, Text, Title, path::Data};

use super::super::{Activity, Length, Scene, Span, Window, who};

/// Where the plot begins.
pub(super) const LEFT: f64 = 140.0;
/// Width of the plot.
pub(super) const WIDTH: f64 = 1_040.0;
/// Height of a bar.
pub(super) const HEIGHT: f64 = 22.0;
/// Room between bars, and between lanes.
pub(super) const GAP: f64 = 4.0;
/// What is shorter is drawn with this width, so that it can be seen.
const LEAST: f64 = 1.0;
/// Width of a character of a label, about.
const CHARACTER: f64 = 6.8;

/// Height of so many rows.
pub(super) fn rows(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) * (HEIGHT + GAP)
}

/// Width of a label, about.
pub(super) fn width_of(words: &str) -> f64 {
    f64::from(u32::try_from(words.chars().count()).unwrap_or(u32::MAX)) * CHARACTER
}

/// Two decimals are more than any screen shows.
pub(super) fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Where times are in the plot.
pub(super) struct Canvas {
    pub(super) view: Window,
}

impl Canvas {
    pub(super) fn x(&self, time: u64) -> f64 {
        LEFT + WIDTH * self.view.share(time)
    }

    /// A span at `y`: its bars, what is written in them, and what a pointer on them tells.
    pub(super) fn span(&self, span: &Span, y: f64) -> Group {
        let group = Group::new().add(Title::new(particulars(span)));
        let (class, words) = match span.activity {
            Activity::Isr(_) => ("isr", vec!["ISR".to_owned()]),
            Activity::StartIo(_) => ("startio", vec![span.activity.to_string(), "StartIo".into()]),
            Activity::DpcForIsr(_) | Activity::CustomDpc(_) => (
                "dpc",
                vec![
                    span.activity.to_string(),
                    span.activity.name().into(),
                    "DPC".into(),
                ],
            ),
            Activity::AdapterControl(_) | Activity::Timer(_) => (
                "other",
                vec![span.activity.to_string(), span.activity.name().into()],
            ),
            Activity::Cancel | Activity::Completion(_) => {
                let x = self.x(span.start);
                return group.add(diamond(x, y + HEIGHT / 2.0).set("data-at", span.start));
            }
            Activity::CriticalSection(section) => {
                let who = who(section);
                let spins = vec![format!("{who} spins"), "spins".into()];
                let holds = vec![format!("{who} holds"), who.to_owned()];
                return group
                    .add(self.bar("spin", (span.start, span.had), y, &spins))
                    .add(self.bar("held", (span.had, span.end), y, &holds));
            }
        };
        group.add(self.bar(class, (span.start, span.end), y, &words))
    }

    /// Who holds the lock, for the lane that shows just that.
    pub(super) fn holder(&self, span: &Span, y: f64) -> Option<Group> {
        let (class, words) = match span.activity {
            Activity::Isr(_) => ("isr", "ISR"),
            Activity::CriticalSection(section) => ("held", who(section)),
            _ => return None,
        };
        let words = [
            format!("processor {}: {words}", span.processor),
            format!("{}: {words}", span.processor),
            span.processor.to_string(),
        ];
        let bar = self.bar(class, (span.had, span.end), y, &words);
        Some(Group::new().add(Title::new(particulars(span))).add(bar))
    }

    /// A bar with the first of `words` that fits into it.
    fn bar(&self, class: &str, (start, end): (u64, u64), y: f64, words: &[String]) -> Group {
        let (left, right) = (self.x(start), self.x(end));
        let width = (right - left).max(LEAST);
        let rectangle = Rectangle::new()
            .set("class", class)
            .set("x", round(left))
            .set("y", round(y))
            .set("width", round(width))
            .set("height", HEIGHT)
            .set("rx", 2)
            .set("data-a", start)
            .set("data-b", end);
        // A label stands in the middle of what can be seen of its bar.
        let seen = (left.max(LEFT), right.min(LEFT + WIDTH));
        let room = seen.1 - seen.0;
        let fitting = words.iter().find(|words| width_of(words) + 6.0 <= room);
        let shade = match class {
            "spin" => " over",
            "startio" => " dark",
            _ => "",
        };
        let label = Text::new(fitting.map_or("", String::as_str))
            .set("class", format!("inside{shade}"))
            .set("x", round(f64::midpoint(seen.0, seen.1)))
            .set("y", round(y + HEIGHT - 7.0))
            .set("data-a", start)
            .set("data-b", end)
            .set("data-words", words.join("|"));
        Group::new().add(rectangle).add(label)
    }
}

/// All that is known of a span.
fn particulars(span: &Span) -> String {
    let what = format!("processor {}: {}", span.processor, span.activity);
    let number = span.sequence;
    if let Activity::CriticalSection(_) = span.activity {
        let (waited, held) = (Length(span.waited()), Length(span.held()));
        return format!("{what}; spun {waited}, held {held} (record {number})");
    }
    format!("{what}; {} (record {number})", Length(span.length()))
}

pub(super) fn diamond(x: f64, y: f64) -> Path {
    let data = Data::new()
        .move_to((0, -5))
        .line_by((5, 5))
        .line_by((-5, 5))
        .line_by((-5, -5))
        .close();
    Path::new()
        .set("class", "moment")
        .set("d", data)
        .set("data-y", round(y))
        .set("transform", translate(x, y))
}

fn translate(x: f64, y: f64) -> String {
    format!("translate({} {})", round(x), round(y))
}

/// What a number points at: a span, and the moment in it.
pub(super) struct Part {
    pub(super) span: Span,
    pub(super) at: u64,
}

/// The parts of a scene and what each does.
pub(super) fn story(scene: &Scene) -> [(Part, String); 4] {
    let Scene {
        isr,
        holder,
        spinner,
        dpc,
    } = *scene;
    let section = |span: &Span| match span.activity {
        Activity::CriticalSection(section) => who(section),
        activity => activity.name(),
    };
    let middle = |start: u64, end: u64| u64::midpoint(start, end);
    let at = |span, at| Part { span, at };
    // Where no section of the same DPC is drawn above it.
    let free = [holder, spinner]
        .iter()
        .filter(|section| section.processor == dpc.processor && section.end < dpc.end)
        .map(|section| section.end.max(dpc.start))
        .max();
    [
        (
            at(isr, middle(isr.start, isr.end)),
            format!(
                "The ISR on processor {}: it reads and acknowledges what the device interrupted for, in {}.",
                isr.processor,
                Length(isr.length())
            ),
        ),
        (
            at(holder, middle(holder.had, holder.end)),
            format!(
                "A critical section of {} on processor {}: it has the interrupt spin lock for {}.",
                section(&holder),
                holder.processor,
                Length(holder.held())
            ),
        ),
        (
            at(spinner, middle(spinner.start, spinner.had)),
            format!(
                "A critical section of {} on processor {}: it spins for the lock, {} long.",
                section(&spinner),
                spinner.processor,
                Length(spinner.waited())
            ),
        ),
        (
            at(dpc, middle(free.unwrap_or(dpc.start), dpc.end)),
            format!(
                "{} on processor {}: {}",
                match dpc.activity {
                    Activity::Timer(_) => "The watchdog timer's DPC",
                    activity => activity.name(),
                },
                dpc.processor,
                match dpc.activity {
                    Activity::Timer(_) =>
                        "it looks for operations past their deadline, in a critical section.",
                    _ =>
                        "it takes what the ISR has saved out in a critical section and handles it outside.",
                }
            ),
        ),
    ]
}

/// A number above its lane, and a line from it down to the bar.
pub(super) fn pointer(
    number: u8,
    (x, shift): (f64, f64),
    (y, bar): (f64, f64),
    time: u64,
) -> Group {
    let leader = Line::new()
        .set("class", "leader")
        .set("x1", shift)
        .set("y1", 0)
        .set("x2", 0)
        .set("y2", round(bar - y + 3.0));
    Group::new()
        .set("class", "pointer")
        .set("data-at", time)
        .set("data-y", round(y))
        .set("transform", translate(x, y))
        .add(leader)
        .add(numbered(number, shift, 0.0))
}

/// A number in a circle.
pub(super) fn numbered(number: u8, x: f64, y: f64) -> Group {
    Group::new()
        .add(
            Circle::new()
                .set("class", "number")
                .set("cx", round(x))
                .set("cy", round(y))
                .set("r", 9),
        )
        .add(
            Text::new(number.to_string())
                .set("class", "digit")
                .set("x", round(x))
                .set("y", round(y + 4.0)),
        )
}

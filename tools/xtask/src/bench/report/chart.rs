//! A chart of figures that spread: lines through the medians, and at each a bar over all that
//! was seen.

use svg::{
    Document,
    node::element::{Circle, Group, Line, Polyline, Rectangle, Text, Title},
};

use crate::bench::parallel::Spread;

/// The whole chart, in pixels.
const SIZE: (f64, f64) = (560.0, 320.0);
/// Where the plot is in it.
const LEFT: f64 = 58.0;
const RIGHT: f64 = 400.0;
const TOP: f64 = 46.0;
const BOTTOM: f64 = 268.0;
/// Series at one place of the axis stand beside one another, so far apart.
const APART: f64 = 7.0;
/// About so many lines of the grid.
const GRID: f64 = 6.0;
/// Colours that there are.
const COLOURS: usize = 4;

/// What is drawn.
pub(super) struct Chart {
    pub(super) title: String,
    /// What the lines of the grid are labelled in.
    pub(super) unit: Unit,
    /// The places of the horizontal axis, and what they are.
    pub(super) places: Vec<String>,
    pub(super) places_are: &'static str,
    pub(super) series: Vec<Series>,
    /// A value that has a line of its own: where both drivers are the same.
    pub(super) even: Option<f64>,
}

/// One line.
pub(super) struct Series {
    pub(super) name: String,
    /// One for each place that it has.
    pub(super) points: Vec<Option<Spread>>,
}

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// A ratio.
    Ratio,
    /// A share, as a percentage.
    Share,
}

impl Unit {
    fn write(self, value: f64) -> String {
        match self {
            Self::Ratio => format!("{value:.2}"),
            Self::Share => format!("{:.1} %", 100.0 * value),
        }
    }
}

impl Chart {
    /// The chart; with nothing to show it says so.
    pub(super) fn draw(&self) -> Document {
        let (width, height) = SIZE;
        let mut document = Document::new()
            .set("viewBox", (0.0, 0.0, width, height))
            .set("width", width)
            .set("height", height)
            .set("role", "img")
            .add(Title::new(self.title.as_str()))
            .add(
                Rectangle::new()
                    .set("class", "ground")
                    .set("x", 0.5)
                    .set("y", 0.5)
                    .set("width", width - 1.0)
                    .set("height", height - 1.0)
                    .set("rx", 8),
            )
            .add(text("heading", 16.0, 26.0, &self.title));
        let Some(scale) = self.scale() else {
            return document.add(text("faint", LEFT, TOP + 20.0, "Nothing was measured."));
        };
        for value in scale.grid() {
            document = document.add(horizontal("grid", scale.y(value))).add(text(
                "faint right",
                LEFT - 6.0,
                scale.y(value) + 4.0,
                &self.unit.write(value),
            ));
        }
        if let Some(even) = self.even {
            document = document.add(horizontal("even", scale.y(even)));
        }
        for (index, place) in self.places.iter().enumerate() {
            let x = self.x(index);
            document = document.add(text("faint middle", x, BOTTOM + 16.0, place));
        }
        document = document.add(text(
            "faint middle",
            f64::midpoint(LEFT, RIGHT),
            BOTTOM + 36.0,
            self.places_are,
        ));
        for (index, series) in self.series.iter().enumerate() {
            document = document.add(self.line(index, series, &scale));
        }
        document
    }

    /// One series with its line in the legend.
    fn line(&self, index: usize, series: &Series, scale: &Scale) -> Group {
        let class = format!("s{}", index % COLOURS);
        let aside = (number(index) - (number(self.series.len()) - 1.0) / 2.0) * APART;
        let mut group = Group::new();
        let mut line = Vec::new();
        for (place, spread) in series.points.iter().enumerate() {
            let Some(spread) = spread else { continue };
            let (x, y) = (self.x(place) + aside, scale.y(spread.median));
            line.push(format!("{},{}", round(x), round(y)));
            let tells = format!(
                "{}, {}: {} ({} to {}, {} rounds)",
                series.name,
                self.places.get(place).map_or("", String::as_str),
                self.unit.write(spread.median),
                self.unit.write(spread.lowest),
                self.unit.write(spread.highest),
                spread.rounds
            );
            group = group
                .add(
                    Line::new()
                        .set("class", format!("range {class}"))
                        .set("x1", round(x))
                        .set("x2", round(x))
                        .set("y1", round(scale.y(spread.lowest)))
                        .set("y2", round(scale.y(spread.highest))),
                )
                .add(
                    Circle::new()
                        .set("class", format!("dot {class}"))
                        .set("cx", round(x))
                        .set("cy", round(y))
                        .set("r", 3.5)
                        .add(Title::new(tells)),
                );
        }
        let y = TOP + 14.0 + 20.0 * number(index);
        group
            .add(
                Polyline::new()
                    .set("class", format!("series {class}"))
                    .set("points", line.join(" ")),
            )
            .add(
                Line::new()
                    .set("class", format!("series {class}"))
                    .set("x1", RIGHT + 12.0)
                    .set("x2", RIGHT + 32.0)
                    .set("y1", y - 4.0)
                    .set("y2", y - 4.0),
            )
            .add(text("", RIGHT + 38.0, y, &series.name))
    }

    /// Where a place of the horizontal axis is.
    fn x(&self, place: usize) -> f64 {
        let room = (RIGHT - LEFT) / number(self.places.len().max(1));
        LEFT + room * (number(place) + 0.5)
    }

    /// Holds all that is to be seen; none when nothing is.
    fn scale(&self) -> Option<Scale> {
        let spreads = self
            .series
            .iter()
            .flat_map(|series| &series.points)
            .flatten();
        let mut lowest = f64::INFINITY;
        let mut highest = f64::NEG_INFINITY;
        for spread in spreads {
            lowest = lowest.min(spread.lowest);
            highest = highest.max(spread.highest);
        }
        if !lowest.is_finite() || !highest.is_finite() {
            return None;
        }
        if let Some(even) = self.even {
            lowest = lowest.min(even);
            highest = highest.max(even);
        }
        // A share begins at nothing, so that its height says how much it is.
        if self.unit == Unit::Share {
            lowest = 0.0;
        }
        Some(Scale::holding(lowest, highest))
    }
}

/// The vertical axis.
struct Scale {
    low: f64,
    high: f64,
    step: f64,
}

impl Scale {
    /// One that begins and ends at a line of its grid.
    fn holding(lowest: f64, highest: f64) -> Self {
        let rough = ((highest - lowest) / GRID).max(1e-3);
        let magnitude = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0]
            .map(|factor| factor * magnitude)
            .into_iter()
            .find(|step| *step >= rough)
            .unwrap_or(10.0 * magnitude);
        Self {
            low: (lowest / step).floor() * step,
            high: ((highest / step).ceil() * step).max((lowest / step).floor().mul_add(step, step)),
            step,
        }
    }

    fn y(&self, value: f64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * (value - self.low) / (self.high - self.low)
    }

    /// Where the lines of the grid are.
    fn grid(&self) -> impl Iterator<Item = f64> {
        let (low, high, step) = (self.low, self.high, self.step);
        (0..=100_u32)
            .map(move |index| f64::from(index).mul_add(step, low))
            .take_while(move |value| *value <= high + step / 2.0)
    }
}

fn horizontal(class: &str, y: f64) -> Line {
    Line::new()
        .set("class", class)
        .set("x1", LEFT)
        .set("x2", RIGHT)
        .set("y1", round(y))
        .set("y2", round(y))
}

/// Words at a place.
pub(super) fn text(class: &str, x: f64, y: f64, words: &str) -> Text {
    Text::new(words)
        .set("class", class)
        .set("x", round(x))
        .set("y", round(y))
}

/// Two decimals are more than any screen shows.
pub(super) fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// A small count.
pub(super) fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::{Chart, Scale, Series, Unit};
    use crate::bench::parallel::Spread;

    fn chart(points: Vec<Option<Spread>>) -> Chart {
        Chart {
            title: "a < b & c".to_owned(),
            unit: Unit::Ratio,
            places: vec!["1".to_owned(), "16".to_owned()],
            places_are: "outstanding",
            series: vec![Series {
                name: "4 processors".to_owned(),
                points,
            }],
            even: Some(1.0),
        }
    }

    #[test]
    fn each_point_tells_its_range() {
        let spread = Spread::of([0.8, 0.9, 1.1].map(Some));
        let drawn = chart(vec![spread, None]).draw().to_string();
        assert!(
            drawn.contains("4 processors, 1: 0.90 (0.80 to 1.10, 3 rounds)"),
            "{drawn}"
        );
        assert_eq!(drawn.matches("<circle").count(), 1);
        assert!(drawn.contains("a &lt; b &amp; c") && !drawn.contains("a < b"));
        let parsed = roxmltree::Document::parse(&drawn);
        assert!(parsed.is_ok(), "{parsed:?}");
    }

    #[test]
    fn a_chart_of_nothing_says_so() {
        let drawn = chart(vec![None, None]).draw().to_string();
        assert!(drawn.contains("Nothing was measured."), "{drawn}");
        assert!(!drawn.contains("NaN"));
    }

    #[test]
    fn a_scale_holds_what_it_is_for() {
        for (lowest, highest) in [(0.93, 1.07), (1.0, 1.0), (0.0, 0.0), (0.0, 230.0)] {
            let scale = Scale::holding(lowest, highest);
            let lines: Vec<f64> = scale.grid().collect();
            assert!(scale.low <= lowest && scale.high >= highest);
            assert!((2..=9).contains(&lines.len()), "{lines:?}");
            assert!(scale.y(lowest).is_finite() && scale.y(highest) >= super::TOP - 0.01);
        }
    }
}

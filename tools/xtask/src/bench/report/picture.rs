//! The picture of the README: what a request of each kind takes of the driver, beside the
//! driver in C. All of it is counted instructions, so it is the same in every run, and a
//! test holds the one that is committed to the baseline.

use svg::{
    Document,
    node::element::{Group, Line, Rectangle, Style, Title},
};

use super::chart::{number, round, text};
use crate::bench::figures::{Deterministic, Pair, as_number};

/// What the two panels show.
const PANELS: [&str; 2] = [
    "Instructions per request",
    "Of those, under the interrupt lock",
];

const WIDTH: f64 = 880.0;
/// Where the first row begins, and how high a row is.
const TOP: f64 = 84.0;
const ROW: f64 = 28.0;
const BAR: f64 = 16.0;
/// Where the panels begin.
const LEFT: [f64; 2] = [110.0, 490.0];
/// As long as a bar is that takes what C takes.
const WHOLE: f64 = 140.0;
/// The longest bar, to that.
const LONGEST: f64 = 1.7;

/// One row.
struct Row {
    name: String,
    /// One for each panel.
    figures: [Pair<u64>; 2],
}

/// The picture.
pub(crate) fn picture(deterministic: &Deterministic) -> String {
    let rows = rows(deterministic);
    let bottom = TOP + ROW * number(rows.len());
    let height = bottom + 34.0;
    let mut document = Document::new()
        .set("viewBox", (0.0, 0.0, WIDTH, height))
        .set("width", WIDTH)
        .set("height", height)
        .set("role", "img")
        .add(Title::new(
            "What a request takes of edu.sys, beside the same driver in C",
        ))
        .add(Style::new(format!("\n{}", include_str!("plot.css"))))
        .add(
            Rectangle::new()
                .set("class", "ground")
                .set("x", 0.5)
                .set("y", 0.5)
                .set("width", WIDTH - 1.0)
                .set("height", height - 1.0)
                .set("rx", 8),
        )
        .add(text(
            "heading",
            16.0,
            28.0,
            "edu.sys in safe Rust, beside the same driver in plain C",
        ));
    for (panel, left) in PANELS.iter().zip(LEFT) {
        document = document
            .add(text("faint", left, TOP - 26.0, panel))
            .add(text("faint middle", left + WHOLE, TOP - 8.0, "C"));
    }
    for (index, row) in rows.iter().enumerate() {
        document = document.add(draw(row, TOP + ROW * number(index)));
    }
    for left in LEFT {
        document = document.add(
            Line::new()
                .set("class", "even")
                .set("x1", left + WHOLE)
                .set("x2", left + WHOLE)
                .set("y1", TOP - 4.0)
                .set("y2", round(bottom)),
        );
    }
    let document = document.add(text(
        "faint",
        16.0,
        bottom + 20.0,
        "A bar that ends left of the line takes less than C. Figures: ours / C. Counted by QEMU's -icount on one processor.",
    ));
    format!("{document}\n")
}

/// A kind of request each, and all of them together.
fn rows(deterministic: &Deterministic) -> Vec<Row> {
    let mut rows: Vec<Row> = deterministic
        .requests
        .iter()
        .map(|(kind, pair)| Row {
            name: kind.to_string(),
            figures: [
                Pair {
                    ours: pair.ours.instructions,
                    c: pair.c.instructions,
                },
                Pair {
                    ours: pair.ours.under_the_lock,
                    c: pair.c.under_the_lock,
                },
            ],
        })
        .collect();
    rows.push(Row {
        name: "all together".to_owned(),
        figures: [
            deterministic.mix(|request| request.instructions),
            deterministic.mix(|request| request.under_the_lock),
        ],
    });
    rows
}

fn draw(row: &Row, y: f64) -> Group {
    let mut group = Group::new().add(text("right", LEFT[0] - 10.0, y + 17.0, &row.name));
    for (figures, left) in row.figures.iter().zip(LEFT) {
        let Pair { ours, c } = *figures;
        let share = if c == 0 {
            if ours == 0 { 0.0 } else { LONGEST }
        } else {
            (as_number(ours) / as_number(c)).min(LONGEST)
        };
        let ratio = if c == 0 {
            String::new()
        } else {
            format!(" = {:.2}", as_number(ours) / as_number(c))
        };
        group = group
            .add(
                Rectangle::new()
                    .set("class", "ours")
                    .set("x", left)
                    .set("y", y + 4.0)
                    .set("width", round(WHOLE * share))
                    .set("height", BAR)
                    .set("rx", 2),
            )
            .add(text(
                "figure",
                LONGEST.mul_add(WHOLE, left) + 8.0,
                y + 17.0,
                &format!("{ours} / {c}{ratio}"),
            ));
    }
    group
}

#[cfg(test)]
pub(super) mod tests {
    use super::picture;
    use crate::bench::figures::{Deterministic, Kind, Pair, Request};

    /// Two kinds of requests.
    pub(in crate::bench::report) fn deterministic() -> Deterministic {
        let request = |instructions, under_the_lock| Request {
            instructions,
            under_the_lock,
            ..Request::default()
        };
        let mut deterministic = Deterministic::default();
        deterministic.requests.insert(
            Kind::Raise,
            Pair {
                ours: request(900, 150),
                c: request(1000, 200),
            },
        );
        deterministic.requests.insert(
            Kind::Statistics,
            Pair {
                ours: request(300, 0),
                c: request(200, 0),
            },
        );
        deterministic
    }

    #[test]
    fn each_kind_has_its_figures_and_so_has_the_mix() {
        let picture = picture(&deterministic());
        for words in [
            "900 / 1000 = 0.90",
            "150 / 200 = 0.75",
            "300 / 200 = 1.50",
            "0 / 0\n",
            "1200 / 1200 = 1.00",
        ] {
            assert!(picture.contains(words), "{words}: {picture}");
        }
        assert_eq!(picture.matches("class=\"ours\"").count(), 6);
        let parsed = roxmltree::Document::parse(&picture);
        assert!(parsed.is_ok(), "{parsed:?}");
    }

    #[test]
    fn the_committed_picture_shows_the_baseline() {
        let baseline: Deterministic =
            serde_json::from_str(include_str!("../../../../../tests/bench/baseline.json")).unwrap();
        assert!(
            picture(&baseline) == include_str!("../../../../../tests/bench/mix.svg"),
            "tests/bench/mix.svg does not show tests/bench/baseline.json: `cargo xtask bench --picture tests/bench/mix.svg` draws it anew"
        );
    }
}

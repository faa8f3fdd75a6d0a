//! The picture is parsed with a reader that did not write it.

use roxmltree::{Document, Node};

use super::picture;
use crate::timeline::{Scenery, Timeline, Window, synthetic::timeline};

fn drawn(timeline: &Timeline, scenery: &Scenery) -> String {
    picture(timeline, scenery, scenery.view).to_string()
}

fn of_class<'a>(document: &'a Document<'a>, class: &str) -> Vec<Node<'a, 'a>> {
    let matching = |node: &Node<'_, '_>| {
        let classes = node.attribute("class").unwrap_or_default();
        classes.split(' ').any(|each| each == class)
    };
    document.descendants().filter(matching).collect()
}

fn number(node: &Node<'_, '_>, name: &str) -> f64 {
    let value = node
        .attribute(name)
        .unwrap_or_else(|| panic!("{name} of {node:?}"));
    value.parse().expect("a number")
}

#[test]
fn the_documentations_example_is_drawn() {
    let timeline = timeline();
    let text = drawn(&timeline, &Scenery::find(&timeline));
    let document = Document::parse(&text).expect("an SVG is XML");
    assert_eq!(document.root_element().tag_name().name(), "svg");
    let texts: Vec<&str> = document
        .descendants()
        .filter_map(|node| node.text().map(str::trim))
        .collect();
    for words in [
        "Processor 0",
        "Processor 1",
        "Processor 3",
        "Interrupt lock",
        "DIRQL",
    ] {
        assert!(texts.contains(&words), "{words}");
    }
    assert!(
        !texts.contains(&"Processor 2"),
        "its section was long before"
    );
    assert!(
        texts.iter().any(|text| text.ends_with(" µs")),
        "an axis with units"
    );
    for number in ["1", "2", "3", "4"] {
        let digits = of_class(&document, "digit");
        let found = digits
            .iter()
            .filter(|digit| digit.text().map(str::trim) == Some(number));
        assert_eq!(found.count(), 2, "{number} is in the picture and explained");
    }
    assert!(
        texts
            .iter()
            .any(|text| text.contains("it spins for the lock, 2.20 µs long"))
    );
    // The bars of the two sections, on two processors: one spins while the other holds.
    let spins = of_class(&document, "spin");
    let spin = spins
        .iter()
        .find(|bar| bar.attribute("data-a") == Some("103000"))
        .expect("a hatched bar");
    let held = of_class(&document, "held");
    let held = held
        .iter()
        .find(|bar| bar.attribute("data-a") == Some("102100"))
        .expect("a solid bar");
    assert!(number(held, "x") < number(spin, "x"));
    assert!(number(held, "x") + number(held, "width") > number(spin, "x") + 10.0);
    assert!(number(spin, "y") > number(held, "y"));
}

#[test]
fn bars_are_as_long_as_what_they_stand_for() {
    let timeline = timeline();
    let view = Window::new(90_000, 110_000);
    let text = drawn(&timeline, &Scenery::within(&timeline, view));
    let document = Document::parse(&text).expect("an SVG is XML");
    let plot = number(&document.root_element(), "data-plot");
    let left = number(&document.root_element(), "data-left");
    for bar in document
        .descendants()
        .filter(|node| node.tag_name().name() == "rect")
    {
        if bar.attribute("data-a").is_none() {
            continue;
        }
        let (start, end) = (number(&bar, "data-a"), number(&bar, "data-b"));
        let width = plot * (end - start) / 20_000.0;
        assert!((number(&bar, "width") - width).abs() < 0.02, "{bar:?}");
        let x = left + plot * (start - 90_000.0) / 20_000.0;
        assert!((number(&bar, "x") - x).abs() < 0.02, "{bar:?}");
    }
}

#[test]
fn nothing_is_drawn_outside_of_the_page() {
    let timeline = timeline();
    let text = drawn(&timeline, &Scenery::find(&timeline));
    let document = Document::parse(&text).expect("an SVG is XML");
    let root = document.root_element();
    let (width, height) = (number(&root, "width"), number(&root, "height"));
    let words = document
        .descendants()
        .filter(|node| node.tag_name().name() == "text");
    for node in words.filter(|node| node.attribute("y").is_some()) {
        let end = number(&node, "x") + super::draw::width_of(node.text().unwrap_or_default());
        assert!((-20.0..height).contains(&number(&node, "y")), "{node:?}");
        assert!(end < width + 20.0, "{:?} ends at {end}", node.text());
    }
}

#[test]
fn a_timeline_without_a_scene_or_without_anything_is_drawn_too() {
    for timeline in [Timeline::default(), timeline()] {
        let view = Window::new(0, 3_000);
        let text = drawn(&timeline, &Scenery::within(&timeline, view));
        let document = Document::parse(&text).expect("an SVG is XML");
        assert_eq!(of_class(&document, "pointer").len(), 0);
    }
}

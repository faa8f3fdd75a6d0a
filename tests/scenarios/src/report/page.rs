//! The report as a page that needs nothing beside itself.

use std::fmt::Write as _;

use super::{Report, ScenarioReport};
use crate::rules;

const HEAD: &str = r#"<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>The rig's report</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 72em; padding: 0 1em; color: #222; }
table { border-collapse: collapse; margin: 1em 0; }
td, th { padding: .2em .8em .2em 0; text-align: left; vertical-align: top; border-bottom: 1px solid #ddd; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.bad { color: #b00020; } .none { color: #888; }
pre { background: #f6f6f6; padding: .6em; overflow-x: auto; }
.bar { display: flex; height: 1.4em; width: 40em; max-width: 100%; background: #eee; }
.bar span { overflow: hidden; font-size: 11px; line-height: 1.9em; text-align: center; }
</style></head><body>
"#;

/// Colours of the levels in the bars: idle, PASSIVE, APC, DISPATCH, devices, the rest.
const COLOURS: [&str; 6] = [
    "#e4e4e4", "#9ecae1", "#c7e9c0", "#fdae6b", "#e6550d", "#756bb1",
];

/// The page.
pub(super) fn page(report: &Report) -> String {
    let mut page = HEAD.to_owned();
    for part in [
        summary(report),
        failures(report),
        counts(report),
        times(report),
        drivers(report),
        checked(report),
        not_enforced(),
        scenarios(report),
    ] {
        page.push_str(&part);
    }
    page.push_str("</body></html>\n");
    page
}

fn summary(report: &Report) -> String {
    let failed = report.scenarios.iter().filter(|each| !each.passed).count();
    let runs: usize = report.drivers.values().map(|driver| driver.runs).sum();
    let checks: u64 = report.rules.iter().map(|rule| rule.checks).sum();
    let verdict = if report.passed {
        "Everything passed.".to_owned()
    } else {
        format!("<span class=\"bad\">{failed} failed.</span>")
    };
    format!(
        "<h1>The rig's report</h1><p>{verdict} {} scenario(s), {runs} run(s) of the rig, {checks} checks of the kernel's rules, {:.0} s.</p>\n",
        report.scenarios.len(),
        report.seconds
    )
}

fn failures(report: &Report) -> String {
    let mut part = String::new();
    for scenario in report.scenarios.iter().filter(|each| !each.passed) {
        let error = scenario.error.as_deref().unwrap_or_default();
        put(
            &mut part,
            format_args!(
                "<h2 class=\"bad\">{}</h2><pre>{}</pre><p>To repeat it: <code>{}</code></p>\n",
                escape(&scenario.name),
                escape(error),
                escape(&scenario.repeat)
            ),
        );
    }
    part
}

fn counts(report: &Report) -> String {
    let rows = report.total.counts.iter().map(|(name, count)| {
        let (name, value) = match name.strip_suffix("-100ns") {
            Some(name) => (name, format!("{:.1} µs", microseconds(*count))),
            None => (name.as_str(), count.to_string()),
        };
        format!(
            "<tr><td>{}<td class=\"n\">{value}",
            escape(&name.replace('-', " "))
        )
    });
    table("What was counted", "<th>what<th class=\"n\">all runs", rows)
}

/// How long each processor was at each IRQL.
fn times(report: &Report) -> String {
    let mut part = String::from(
        "<h2>IRQL</h2><p>How long each processor was at each level, all runs together, in the machine's own time.</p>\n",
    );
    for (processor, times) in &report.total.irql_times {
        let all: u64 = times.values().sum();
        let mut levels: Vec<(&String, &u64)> = times.iter().collect();
        // Idle comes first, then the levels in their order.
        levels.sort_by_key(|(level, _)| level.parse::<u8>().map_or(0, |level| level + 1));
        let mut bar = String::new();
        let mut text = Vec::new();
        for (level, ticks) in levels {
            let percent = percent(*ticks, all);
            put(
                &mut bar,
                format_args!(
                    "<span style=\"width:{percent:.3}%;background:{}\" title=\"{} {:.1} ms\">{}</span>",
                    colour(level),
                    name_of(level),
                    microseconds(*ticks) / 1000.0,
                    if percent > 4.0 {
                        name_of(level)
                    } else {
                        String::new()
                    }
                ),
            );
            text.push(format!(
                "{} {:.1} ms ({percent:.2} %)",
                name_of(level),
                microseconds(*ticks) / 1000.0
            ));
        }
        put(
            &mut part,
            format_args!(
                "<p>processor {processor}: {}</p><div class=\"bar\">{bar}</div>\n",
                text.join(", ")
            ),
        );
    }
    part
}

/// What each driver calls of the kernel, and what it never did.
fn drivers(report: &Report) -> String {
    let mut part = String::new();
    for (name, driver) in &report.drivers {
        let all = driver.imports.len();
        let called = all - driver.never_called.len();
        let rows = driver.imports.iter().map(|(name, calls)| {
            let class = if *calls == 0 { " class=\"bad\"" } else { "" };
            format!("<tr{class}><td>{}<td class=\"n\">{calls}", escape(name))
        });
        let title = format!(
            "{}: {called} of {all} imports called, in {} run(s)",
            escape(name),
            driver.runs
        );
        part.push_str(&table(&title, "<th>import<th class=\"n\">calls", rows));
    }
    part
}

fn checked(report: &Report) -> String {
    let rows = report.rules.iter().map(|rule| {
        let class = if rule.checks == 0 && rule.stops == 0 {
            " class=\"none\""
        } else {
            ""
        };
        format!(
            "<tr{class}><td>{}<td>{}<td class=\"n\">{}<td class=\"n\">{}",
            rule.id,
            escape(rule.sentence),
            rule.checks,
            rule.stops
        )
    });
    table(
        "The rules",
        "<th>rule<th>says<th class=\"n\">checks<th class=\"n\">runs stopped",
        rows,
    )
}

/// The rules that nothing enforces.
fn not_enforced() -> String {
    match rules::not_enforced() {
        Ok(rules) => table(
            "Rules that the rig does not enforce",
            "<th>rule<th>says<th>why not",
            rules.into_iter().map(|rule| {
                format!(
                    "<tr><td>{}<td>{}<td>{}",
                    rule.id,
                    escape(&rule.sentence),
                    escape(&rule.why)
                )
            }),
        ),
        Err(error) => format!("<p class=\"bad\">{}</p>\n", escape(&format!("{error:#}"))),
    }
}

fn scenarios(report: &Report) -> String {
    let rows = report.scenarios.iter().map(|scenario| {
        let ScenarioReport {
            name,
            passed,
            seconds,
            runs,
            ..
        } = scenario;
        format!(
            "<tr{}><td>{}<td>{}<td class=\"n\">{seconds:.1} s<td class=\"n\">{}",
            if *passed { "" } else { " class=\"bad\"" },
            escape(name),
            if *passed { "passed" } else { "failed" },
            runs.len()
        )
    });
    table(
        "Scenarios",
        "<th>name<th>outcome<th class=\"n\">time<th class=\"n\">runs",
        rows,
    )
}

fn table(title: &str, head: &str, rows: impl Iterator<Item = String>) -> String {
    let rows: Vec<String> = rows.collect();
    format!(
        "<h2>{title}</h2><table><tr>{head}\n{}\n</table>\n",
        rows.join("\n")
    )
}

/// A level as people call it.
fn name_of(level: &str) -> String {
    match level {
        "0" => "PASSIVE".to_owned(),
        "1" => "APC".to_owned(),
        "2" => "DISPATCH".to_owned(),
        "idle" => "idle".to_owned(),
        level => format!("IRQL {level}"),
    }
}

fn colour(level: &str) -> &'static str {
    let place = match level.parse::<usize>() {
        Ok(level @ 0..=2) => level + 1,
        Ok(3..=11) => 4,
        Ok(_) => 5,
        Err(_) => 0,
    };
    COLOURS[place]
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a number that is shown with one digit behind the point"
)]
fn microseconds(ticks_100ns: u64) -> f64 {
    ticks_100ns as f64 / 10.0
}

fn percent(part: u64, all: u64) -> f64 {
    if all == 0 {
        return 0.0;
    }
    microseconds(part) / microseconds(all) * 100.0
}

fn put(text: &mut String, more: std::fmt::Arguments<'_>) {
    // A String takes all that it is given.
    if text.write_fmt(more).is_err() {
        text.push_str("(this could not be formatted)");
    }
}

/// Text as a page shows it.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

//! The ledger's pages: what a person reads who has to trust the `unsafe`.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    Facts, Part,
    facts::{self, Fact},
    scan::{Kind, Use},
};

/// Writes the page of one crate. `clean` has the crates without any, where the page is to
/// list them.
pub(super) fn page(part: &Part, clean: &[(String, bool)]) -> String {
    let mut page = format!(
        "# Unsafe ledger of `{}`\n\nMade by `cargo xtask lint unsafe-facts --write`; \
         `cargo xtask lint unsafe-facts` fails when it is not true.\n\n{}\n",
        part.name,
        part.ledger.preface.trim()
    );
    counts(&mut page, &part.files);
    if part.ledger.facts == Facts::OfCrate {
        facts(&mut page, part);
    }
    for (module, uses) in &part.files {
        let own: Vec<&Fact> = match part.ledger.facts {
            Facts::OfModules => of_module(part, module),
            Facts::OfCrate | Facts::None => Vec::new(),
        };
        if uses.is_empty() && own.is_empty() {
            continue;
        }
        line(&mut page, format_args!("\n## {module}\n"));
        for fact in &own {
            line(&mut page, format_args!("{}. {}", fact.number, fact.text));
        }
        if uses.is_empty() {
            continue;
        }
        if !own.is_empty() {
            page.push('\n');
        }
        line(
            &mut page,
            format_args!("| where | what | code | why it is sound |\n|---|---|---|---|"),
        );
        rows(&mut page, uses);
    }
    if !clean.is_empty() {
        page.push_str(
            "\n## Crates without any\n\nTheir sources have no `unsafe`, in macros either; of most the compiler makes sure, too \
             (`forbid(unsafe_code)`).\n\n| crate | forbidden |\n|---|---|\n",
        );
        for (name, is_forbidden) in clean {
            let answer = if *is_forbidden { "yes" } else { "no" };
            line(&mut page, format_args!("| `{name}` | {answer} |"));
        }
    }
    page
}

fn counts(page: &mut String, files: &BTreeMap<String, Vec<Use>>) {
    let mut all: BTreeMap<Kind, usize> = BTreeMap::new();
    for it in files.values().flatten() {
        *all.entry(it.kind).or_default() += 1;
    }
    page.push_str("\n| | |\n|---|---|\n");
    for (kind, count) in all {
        line(page, format_args!("| {} | {count} |", kind.name()));
    }
}

fn facts(page: &mut String, part: &Part) {
    let mut resting: BTreeMap<u32, usize> = BTreeMap::new();
    for it in part.files.values().flatten() {
        for number in facts::cited(it.argument.as_deref().unwrap_or_default()) {
            *resting.entry(number).or_default() += 1;
        }
    }
    page.push_str("\n## The facts\n\n| | fact | written in | rest on it |\n|---|---|---|---|\n");
    let mut all: Vec<&Fact> = part.facts.iter().collect();
    all.sort_by_key(|fact| fact.number);
    for fact in all {
        let count = resting.get(&fact.number).copied().unwrap_or_default();
        line(
            page,
            format_args!(
                "| {} | **{}.** {} | {} | {count} |",
                fact.number,
                fact.name,
                cell(&fact.text),
                fact.module
            ),
        );
    }
}

/// The facts that a module has for itself and those below it.
fn of_module<'a>(part: &'a Part, module: &str) -> Vec<&'a Fact> {
    let facts = part.facts.iter();
    facts.filter(|fact| fact.module == module).collect()
}

fn rows(page: &mut String, uses: &[Use]) {
    let mut totals: BTreeMap<&str, usize> = BTreeMap::new();
    for it in uses {
        *totals.entry(&it.place).or_default() += 1;
    }
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for it in uses {
        let number = seen.entry(&it.place).or_default();
        *number += 1;
        let place = match (it.place.as_str(), totals.get(it.place.as_str())) {
            ("", _) => String::new(),
            (place, Some(1) | None) => format!("`{}`", cell(place)),
            (place, Some(total)) => format!("`{}`, {number} of {total}", cell(place)),
        };
        line(
            page,
            format_args!(
                "| {place} | {} | `{}` | {} |",
                it.kind.name(),
                cell(&it.code.replace('`', "'")),
                cell(it.argument.as_deref().unwrap_or_default())
            ),
        );
    }
}

/// Text that does not end a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    let written = writeln!(page, "{text}");
    debug_assert!(written.is_ok(), "a string takes all that is written to it");
}

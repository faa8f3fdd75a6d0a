//! The audit for a person: the page in the documentation, and the table on a terminal.

use std::{collections::BTreeSet, fmt::Write as _};

use super::{
    entry::{Kind, STACK_PASSIVE},
    judge::{Audit, Entry, LONGEST, MOST_COPIED, Section},
    measure::Access,
    name::Named,
};

/// The page. `driver` is the image's name without its ending.
pub(super) fn page(driver: &str, compiler: &str, audit: &Audit) -> String {
    let mut page = format!(
        "# What `{driver}.sys` does with interrupts held off\n\n\
         Made by `cargo xtask audit --write` from the machine code of `{driver}.sys`, as {compiler} \
         compiles it; `cargo xtask test audit` fails when this page does not say what the code \
         does.\n\n\
         **Longest** is the number of instructions on the longest way through the routine and all \
         that it calls, whether an input takes that way or not; a loop counts as often as its code \
         proves that it can run. A `rep movs` is one instruction: what it moves is under **copies**. \
         **Of** is how many instructions there are. **Reads** and **writes** are accesses of device \
         registers on one way, at most, and which registers. **Stack** is from the return address \
         on. What the kernel does in an import is not counted.\n\n\
         ## ISRs and critical sections\n\n\
         At most {LONGEST} instructions in each, of which none may copy more than {MOST_COPIED} bytes.\n\n\
         | routine | source | longest | of | reads | writes | copies | stack | imports | stops |\n\
         |---|---|--:|--:|---|---|--:|--:|---|---|\n"
    );
    for section in &audit.sections {
        let _written = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            code(&section.named.name),
            file(&section.named),
            section.longest,
            section.total,
            reads(section),
            writes(section),
            bytes(section.copied),
            section.stack,
            imports(section),
            numbers(&section.stops),
        );
    }
    let _written = write!(
        page,
        "\n## Stack of every entry\n\n\
         From the return address on, with all that the driver calls, and with what the kernel calls \
         back before it returns: critical sections, StartIo, AdapterControl, the routines of a \
         cancel-safe queue, completion routines, the dispatch of power IRPs. Without the kernel's \
         own, and without ISRs and DPCs, which have stacks of their own. Some of the work of a routine \
         that may come at DISPATCH_LEVEL is done at PASSIVE_LEVEL alone, where it may take {STACK_PASSIVE} bytes.\n\n\
         | what | routine | IRQL | stack | of | at PASSIVE_LEVEL | stops |\n|---|---|---|--:|--:|--:|---|\n",
    );
    for entry in entries(audit) {
        let _written = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} | {} |",
            entry.kind.name(),
            code(&entry.named.name),
            entry.kind.irql(),
            raised(entry),
            entry.kind.most_stack(),
            at_passive(entry),
            numbers(&entry.stops),
        );
    }
    let _written = writeln!(
        page,
        "\n## Panics and stops\n\n\
         Panics in the whole image: {}. Under *stops* are the reasons for which `dirql` may stop the \
         machine there, because an invariant is broken that soundness rests on; why none of them \
         happens is in [STOPS.md](STOPS.md).",
        match audit.panics.len() {
            0 => "none".to_owned(),
            _ => audit.panics.join(", "),
        }
    );
    page
}

/// The rows of a page's tables, without what another compiler makes otherwise: how long code is,
/// what it copies, what it takes of the stack.
pub(super) fn without_figures(page: &str) -> String {
    const FIGURES: [&str; 6] = [
        "source",
        "longest",
        "of",
        "copies",
        "stack",
        "at PASSIVE_LEVEL",
    ];
    let mut left = String::new();
    let mut header: Vec<&str> = Vec::new();
    for line in page.lines() {
        if !line.starts_with('|') {
            header.clear();
            continue;
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if header.is_empty() {
            header.clone_from(&cells);
        }
        for (cell, column) in cells.iter().zip(&header) {
            if FIGURES.contains(column) {
                continue;
            }
            // Behind the number of accesses there are the registers.
            let cell = cell
                .split_once(": ")
                .map_or(*cell, |(_, registers)| registers);
            let _written = write!(left, "{cell} | ");
        }
        left.push('\n');
    }
    left
}

/// The table for a terminal.
pub(super) fn table(audit: &Audit) -> String {
    let mut rows = vec![[
        "longest".to_owned(),
        "of".to_owned(),
        "reads".to_owned(),
        "writes".to_owned(),
        "copies".to_owned(),
        "stack".to_owned(),
        "routine".to_owned(),
    ]];
    rows.extend(audit.sections.iter().map(|section| {
        [
            section.longest.to_string(),
            section.total.to_string(),
            section.reads.to_string(),
            section.writes.to_string(),
            section.copied.to_string(),
            section.stack.to_string(),
            format!("{}  {}", section.named.name, source(&section.named)),
        ]
    }));
    let mut table = String::new();
    for [longest, of, reads, writes, copies, stack, routine] in rows {
        let _written = writeln!(
            table,
            "{longest:>7} {of:>5} {reads:>6} {writes:>6} {copies:>6} {stack:>6}  {routine}"
        );
    }
    table
}

/// Entries that the kernel calls, but for what the first table has.
fn entries(audit: &Audit) -> impl Iterator<Item = &Entry> {
    audit
        .entries
        .iter()
        .filter(|entry| !entry.kind.is_at_dirql() && !matches!(entry.kind, Kind::Callback(_)))
}

/// The stack that the limit of its kind is for.
const fn raised(entry: &Entry) -> u64 {
    if entry.kind.most_stack() == STACK_PASSIVE {
        entry.stack.any
    } else {
        entry.stack.raised
    }
}

/// That of work which is done at PASSIVE_LEVEL alone, if it takes more.
fn at_passive(entry: &Entry) -> String {
    if entry.stack.any > raised(entry) {
        entry.stack.any.to_string()
    } else {
        String::new()
    }
}

fn code(name: &str) -> String {
    format!("`{name}`")
}

/// Without the line, which changes with every change above it.
fn file(named: &Named) -> &str {
    named.place.as_ref().map_or("", |place| place.file.as_str())
}

fn source(named: &Named) -> String {
    named
        .place
        .as_ref()
        .map(|place| format!("{}:{}", place.file, place.line))
        .unwrap_or_default()
}

fn reads(section: &Section) -> String {
    accesses(section.reads, section, |access| access.reads)
}

fn writes(section: &Section) -> String {
    accesses(section.writes, section, |access| access.writes)
}

fn accesses(most: u64, section: &Section, is_it: impl Fn(&Access) -> bool) -> String {
    if most == 0 {
        return "0".to_owned();
    }
    let mut offsets: Vec<String> = section
        .registers
        .iter()
        .filter(|access| is_it(access))
        .map(|access| match access.offset {
            Some(offset) => format!("{offset:#04x}"),
            None => "computed".to_owned(),
        })
        .collect();
    offsets.dedup();
    format!("{most}: {}", offsets.join(" "))
}

fn bytes(count: u64) -> String {
    if count == 0 {
        String::new()
    } else {
        format!("{count} B")
    }
}

fn imports(section: &Section) -> String {
    section
        .imports
        .iter()
        .map(|import| code(import))
        .collect::<Vec<_>>()
        .join(" ")
}

fn numbers(reasons: &BTreeSet<u64>) -> String {
    let numbers: Vec<String> = reasons.iter().map(u64::to_string).collect();
    numbers.join(" ")
}

#[cfg(test)]
mod tests {
    use super::without_figures;

    #[test]
    fn what_a_compiler_changes_is_left_out() {
        let page = |longest: u64, reads: &str| {
            format!(
                "Text of {longest}.\n\n| routine | longest | reads |\n|---|--:|---|\n\
                 | `a` | {longest} | {reads} |\n"
            )
        };
        let one = without_figures(&page(12, "2: 0x20 0x24"));
        assert_eq!(one, without_figures(&page(15, "1: 0x20 0x24")));
        assert_ne!(one, without_figures(&page(12, "2: 0x20 0x64")));
        assert!(one.contains("`a`"), "{one}");
    }
}

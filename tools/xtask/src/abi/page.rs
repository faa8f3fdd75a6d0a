//! `tests/abi/ABI.md`: what was compared, and each disagreement with its resolution, for
//! people.

use std::fmt::Write as _;

use super::{
    compare::{Disagreement, Outcome},
    resolutions::Resolutions,
};

const PREFACE: &str = "\
# The kernel's structures and constants, by three witnesses

Made by `cargo xtask abi --write`; `cargo xtask test abi` fails when it is not true. What is written by hand is
[`disagreements.toml`](disagreements.toml).

Our bindings are what `edu.sys` and the rig are compiled with: bindgen's, of mingw-w64's DDK headers with the supplements in
[`tools/wdk/include`](../../tools/wdk/include). They are compared with the headers as mingw-w64 has them, read by its own compiler,
and with `windows-sys`, which Microsoft generates from its own metadata. Compared are the size and alignment of each structure,
the offset and size of each field, and the value and width of each constant. Nobody lists what is compared: it is whatever the
sources of the driver and the rig name, and what they reach from there. Some constants the driver and the rig spell out themselves;
one that has the name of a constant in the bindings is compared with that. Of `windows-sys` those modules are read whose features
`tests/abi/Cargo.toml` turns on.
";

/// Writes the page.
pub(super) fn page(outcome: &Outcome, resolutions: &Resolutions) -> String {
    let mut page = format!("{PREFACE}\n{}\n", summary(outcome));
    page.push_str("\n## Where they disagree\n");
    for (number, it) in resolutions.resolution.iter().enumerate() {
        let of: Vec<&Disagreement> = outcome
            .disagreements
            .iter()
            .filter(|disagreement| resolutions.of(disagreement) == Some(number))
            .collect();
        let Some(witness) = of.first().map(|first| first.witness) else {
            continue;
        };
        line(
            &mut page,
            format_args!("\n### {}. {}\n", number + 1, it.title),
        );
        line(&mut page, format_args!("{}\n", it.reason.trim()));
        line(
            &mut page,
            format_args!("**Right is** {}\n", it.right.trim()),
        );
        for source in &it.source {
            line(&mut page, format_args!("* {source}"));
        }
        line(
            &mut page,
            format_args!("\n| of | | our bindings | {witness} |\n|---|---|---|---|"),
        );
        for Disagreement {
            of,
            about,
            ours,
            theirs,
            ..
        } in of
        {
            line(
                &mut page,
                format_args!("| `{of}` | {about} | {ours} | {theirs} |"),
            );
        }
    }
    page.push_str(
        "\n## What only two witnesses know\n\nThey agree on all of it, or it is above. Where those two are our bindings and \
         mingw-w64's headers, they are of one origin.\n",
    );
    for (witness, names) in &outcome.unknown {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        line(
            &mut page,
            format_args!(
                "\nWhat is read of {witness} has none of these: {}.",
                names.join(", ")
            ),
        );
    }
    for (witness, (fields, structures)) in &outcome.bit_fields {
        line(
            &mut page,
            format_args!(
                "\n{witness} does not tell bit-fields apart, so the {fields} bit-fields of {structures} structures \
                 are compared with the other witness alone."
            ),
        );
    }
    page
}

/// The numbers, in a sentence.
pub(super) fn summary(outcome: &Outcome) -> String {
    format!(
        "{} structures with {} fields, and {} constants compared, {} of them spelt out in our sources too: {} \
         disagreements, all of them resolved.",
        outcome.structures,
        outcome.fields,
        outcome.constants,
        outcome.own.compared,
        outcome.disagreements.len()
    )
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    let written = writeln!(page, "{text}");
    debug_assert!(written.is_ok(), "a string takes all that is written to it");
}

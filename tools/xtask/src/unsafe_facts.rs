//! Whether each `// SAFETY:` comment of `dirql` leans on a numbered fact that exists.
//!
//! The facts stand in the `# Soundness` sections of the crate's and its modules'
//! documentation, each number once in the whole crate. A comment that cites none argues
//! from nothing that a reader could look up. Prints how much `unsafe` each module has.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};

use crate::workspace::Workspace;

/// The crate that has all the `unsafe` on the driver's side.
const SOURCE: &str = "driver/dirql/src";
const COMMENT: &str = "// SAFETY:";

/// What was found in one file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    /// Numbers that its documentation defines.
    facts: Vec<u32>,
    /// Line and cited numbers of each comment.
    comments: Vec<(usize, Vec<u32>)>,
    counts: Counts,
}

/// How much `unsafe` there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    blocks: usize,
    impls: usize,
    functions: usize,
}

/// Fails if a comment cites nothing, or a fact that nobody has written down.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<()> {
    let root = workspace.root().join(SOURCE);
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    let mut all = BTreeMap::new();
    for path in files {
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.strip_prefix(&root).unwrap_or(&path);
        all.insert(name.display().to_string(), read(&text));
    }
    print_counts(&all);
    let complaints = complaints(&all);
    for complaint in &complaints {
        println!("unsafe-facts: {complaint}");
    }
    ensure!(!all.is_empty(), "there is no source in {}", root.display());
    if !complaints.is_empty() {
        bail!("{} comments or facts are wrong", complaints.len());
    }
    Ok(())
}

/// All Rust files below `folder`.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let unreadable = || format!("cannot list {}", folder.display());
    for entry in fs::read_dir(folder).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn print_counts(all: &BTreeMap<String, Found>) {
    let mut total = Counts::default();
    for (name, Found { counts, .. }) in all {
        if *counts != Counts::default() {
            println!("unsafe-facts: {name:32} {counts}");
        }
        total.blocks += counts.blocks;
        total.impls += counts.impls;
        total.functions += counts.functions;
    }
    println!("unsafe-facts: {:32} {total}", "all");
}

impl std::fmt::Display for Counts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{:4} blocks, {:2} impls, {:3} functions",
            self.blocks, self.impls, self.functions
        )
    }
}

fn complaints(all: &BTreeMap<String, Found>) -> Vec<String> {
    let mut known = BTreeSet::new();
    let mut complaints = Vec::new();
    for (name, found) in all {
        for fact in &found.facts {
            if !known.insert(*fact) {
                complaints.push(format!("{name}: fact {fact} is another one already"));
            }
        }
    }
    for (name, found) in all {
        for (line, cited) in &found.comments {
            if cited.is_empty() {
                complaints.push(format!("{name}:{line}: the comment cites no fact"));
            }
            for fact in cited.iter().filter(|fact| !known.contains(fact)) {
                complaints.push(format!("{name}:{line}: there is no fact {fact}"));
            }
        }
    }
    complaints
}

/// Reads one file, line by line: rustfmt has put each thing in its place.
fn read(text: &str) -> Found {
    let mut found = Found::default();
    let mut soundness = false;
    let mut comment: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(documentation) = line.strip_prefix("//! ") {
            if documentation.starts_with("# ") {
                soundness = documentation == "# Soundness";
            } else if soundness {
                found.facts.extend(defined(documentation));
            }
        }
        match (&mut comment, line.strip_prefix(COMMENT)) {
            (_, Some(begin)) => {
                found.finish(comment.replace((index + 1, begin.to_owned())));
            }
            (Some((_, text)), None) if line.starts_with("//") => {
                text.push(' ');
                text.push_str(line.trim_start_matches('/').trim());
            }
            (Some(_), None) => found.finish(comment.take()),
            (None, None) => {}
        }
        found.counts.add(line);
    }
    found.finish(comment);
    found
}

impl Found {
    fn finish(&mut self, comment: Option<(usize, String)>) {
        if let Some((line, text)) = comment {
            self.comments.push((line, cited(&text)));
        }
    }
}

impl Counts {
    fn add(&mut self, line: &str) {
        let code = line.split("//").next().unwrap_or_default();
        self.blocks += code.matches("unsafe {").count();
        self.impls += code.matches("unsafe impl").count();
        // A type of a function is no function.
        self.functions +=
            code.matches("unsafe fn ").count() + code.matches("unsafe extern \"C\" fn ").count();
    }
}

/// The number that a line of documentation gives to a fact: `7. **Name.** ...`.
fn defined(documentation: &str) -> Option<u32> {
    let (number, rest) = documentation.split_once(". ")?;
    rest.starts_with("**").then(|| number.parse().ok())?
}

/// The numbers behind each "fact" and "facts" of a comment.
fn cited(text: &str) -> Vec<u32> {
    let mut words = text.split_whitespace().peekable();
    let mut numbers = Vec::new();
    while let Some(word) = words.next() {
        let word = word.trim_start_matches('(').to_lowercase();
        if word != "fact" && word != "facts" {
            continue;
        }
        while let Some(next) = words.peek() {
            let bare = next.trim_end_matches(|c: char| !c.is_ascii_digit());
            match bare.parse() {
                Ok(number) => numbers.push(number),
                Err(_) if matches!(*next, "and" | "to") => {}
                Err(_) => break,
            }
            words.next();
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Counts, cited, complaints, read};

    const CRATE: &str = "//! # Soundness\n//!\n//! 1. **One.** Is so.\n//! 2. **Two.** Too.\n\
                         //!\n//! # Not here\n//!\n//! 3. **Three.** Is no fact.\n";

    fn complaints_of(text: &str) -> Vec<String> {
        let files = [("lib.rs", CRATE), ("a.rs", text)];
        complaints(&BTreeMap::from(
            files.map(|(name, text)| (name.to_owned(), read(text))),
        ))
    }

    #[test]
    fn a_comment_needs_a_fact_that_exists() {
        let good = "// SAFETY: (IRQL) so, fact 1.\nlet x = unsafe { y };\n\
                    // SAFETY: over two lines, facts 1\n// and 2.\nunsafe { z }\n";
        assert_eq!(complaints_of(good), [""; 0]);
        assert_eq!(
            complaints_of("// SAFETY: it is fine.\nunsafe { z }\n"),
            ["a.rs:1: the comment cites no fact"]
        );
        assert_eq!(
            complaints_of("\n// SAFETY: fact 3.\nunsafe { z }\n// fact 1 is of no use here\n"),
            ["a.rs:2: there is no fact 3"]
        );
    }

    #[test]
    fn a_number_is_given_once() {
        assert_eq!(
            complaints_of("//! # Soundness\n//!\n//! 2. **Again.**\n"),
            ["lib.rs: fact 2 is another one already"]
        );
    }

    #[test]
    fn numbers_are_read_however_they_are_listed() {
        assert_eq!(
            cited("as fact 4, and (facts 2, 3 and 10) say."),
            [4, 2, 3, 10]
        );
        assert_eq!(cited("Fact 7. (Ready) 12 bytes"), [7]);
        assert_eq!(cited("a matter of fact"), [0; 0]);
    }

    #[test]
    fn every_kind_of_unsafe_is_counted() {
        let text = "unsafe impl Send for X {}\nunsafe extern \"C\" fn isr() {}\n\
                    pub(crate) unsafe fn of() { unsafe { a() } }\n// unsafe { no }\n\
                    type T = unsafe extern \"C\" fn();\n";
        assert_eq!(
            read(text).counts,
            Counts {
                blocks: 1,
                impls: 1,
                functions: 2
            }
        );
    }
}

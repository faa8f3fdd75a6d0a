//! `cargo xtask audit`: what a driver does with interrupts held off, read from its machine
//! code.
//!
//! A rule that is held in every run of every test may be broken in the next. This reads all
//! ways through the code instead of those that a run takes: for each ISR and each critical
//! section how long it can get, what it does to the device, how much stack it takes and what
//! of the kernel it can call; for each entry its stack; for the whole image where it can
//! panic. The page that it writes is in the driver's documentation, and checked.

mod calls_back;
mod cross_checks;
mod entry;
mod frame;
mod graph;
mod image;
mod irql;
mod judge;
mod loops;
mod measure;
mod mistakes;
mod name;
mod program;
mod reach;
mod report;
mod review;
mod routine;
mod sites;
#[cfg(test)]
mod sources;
mod stack;
mod stop_sites;
mod stops;
mod symbols;
mod types;
mod unwind;
mod values;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use clap::Args;

use crate::{build, image_check::Verdict, workspace, workspace::Workspace};
use image::Image;
use judge::Audit;
use program::Program;
use stops::Stops;
use symbols::{Pdb, Symbols};
use types::Types;

#[derive(Args, Debug)]
pub(crate) struct AuditArguments {
    /// The driver to audit, instead of edu.sys
    #[arg(long, value_name = "FILE.sys")]
    image: Option<PathBuf>,
    /// Its symbols, if they are not beside it
    #[arg(long, value_name = "FILE.pdb", requires = "image")]
    pdb: Option<PathBuf>,
    /// Write what was found to the driver's documentation
    #[arg(long, conflicts_with = "image")]
    write: bool,
}

/// The source of `dirql`.
const LIBRARY: &str = "driver/dirql/src";
/// The page about `edu.sys`.
const PAGE: &str = "driver/edu/CRITICAL-SECTIONS.md";
/// The reviewed list of its stops.
const STOPS: &str = "driver/edu/STOPS.md";

/// What `cargo xtask audit` does; whether everything is as it should be.
pub(crate) fn run(arguments: &AuditArguments) -> anyhow::Result<bool> {
    let workspace = Workspace::current()?;
    let audited = if let Some(image) = &arguments.image {
        let beside = || image.with_extension("pdb");
        let pdb = arguments.pdb.clone().unwrap_or_else(beside);
        Audited::of(image, &pdb)?
    } else {
        build::driver()?;
        Audited::of_edu(&workspace)?
    };
    print!("{}", report::table(&audited.audit));
    let mut failures = audited.audit.failures.clone();
    failures.extend(audited.panics());
    if arguments.image.is_none() {
        failures.extend(audited.reviewed(&workspace)?);
        if arguments.write {
            let page = workspace.root().join(PAGE);
            workspace::write_if_changed(&page, audited.page().as_bytes())?;
        } else {
            let (wrong, said) = audited.documented(&workspace)?;
            println!("documentation: {said}");
            failures.extend(wrong);
        }
    }
    for failure in &failures {
        println!("FAILED: {failure}");
    }
    println!("{}", audited.figure(failures.len()));
    Ok(failures.is_empty())
}

/// Audits `edu.sys` as it was built last.
pub(crate) fn verdicts(workspace: &Workspace, is_long: bool) -> anyhow::Result<Vec<Verdict>> {
    let out = workspace.out();
    let audited = Audited::of_edu(workspace)?;
    let verdict = |check: &str, failures: Vec<String>, found: String| Verdict {
        check: check.to_owned(),
        result: if failures.is_empty() {
            Ok(found)
        } else {
            Err(anyhow::anyhow!(failures.join("\n")))
        },
    };
    let failures = audited.audit.failures.clone();
    let (wrong, said) = audited.documented(workspace)?;
    let mut verdicts = vec![
        verdict("limits", failures, audited.figure(0)),
        verdict("panics", audited.panics(), "none".to_owned()),
        verdict("stops", audited.reviewed(workspace)?, STOPS.to_owned()),
        verdict("documentation", wrong, said),
    ];
    verdicts.extend(mistakes::verdicts(
        &workspace::read(&out.join("edu.sys"))?,
        &workspace::read(&out.join("edu.pdb"))?,
        is_long,
    )?);
    Ok(verdicts)
}

/// What the symbols of any driver say.
pub(crate) struct Routines {
    /// What compiled it, if that was rustc.
    pub(crate) compiler: String,
    /// The names of its routines, by where they begin.
    pub(crate) names: BTreeMap<u64, String>,
}

/// Reads the symbols of the driver `image`, which are in `pdb`.
///
/// # Errors
/// Says what is wrong with them, and what to do.
pub(crate) fn routines(image: &Path, pdb: &Path) -> anyhow::Result<Routines> {
    let bytes = workspace::read(pdb)?;
    let identity = Image::parse(&workspace::read(image)?)?.identity();
    let read = Pdb::parse(&bytes, identity)?;
    let names = Symbols::of(&read)?
        .routines()
        .iter()
        .filter_map(|(start, routine)| Some((*start, routine.names.first()?.clone())))
        .collect();
    Ok(Routines {
        compiler: symbols::compiler(&bytes)?,
        names,
    })
}

/// A driver and what was found in it.
struct Audited {
    driver: String,
    /// What compiled it.
    compiler: String,
    audit: Audit,
}

impl Audited {
    fn of_edu(workspace: &Workspace) -> anyhow::Result<Self> {
        let out = workspace.out();
        Self::of(&out.join("edu.sys"), &out.join("edu.pdb"))
    }

    /// Audits an image with its PDB.
    fn of(image: &Path, pdb: &Path) -> anyhow::Result<Self> {
        let bytes = workspace::read(image)?;
        let read = Image::parse(&bytes).with_context(|| format!("{}", image.display()))?;
        let symbols = workspace::read(pdb).context(
            "the audit needs the image's symbols; they lie beside it, or name them with --pdb",
        )?;
        let (compiler, audit) =
            audit(&read, &symbols).with_context(|| format!("{}", pdb.display()))?;
        let driver = image.file_stem().unwrap_or_default();
        Ok(Self {
            driver: driver.to_string_lossy().into_owned(),
            compiler,
            audit,
        })
    }

    fn page(&self) -> String {
        report::page(&self.driver, &self.compiler, &self.audit)
    }

    /// Panics anywhere in the image.
    fn panics(&self) -> Vec<String> {
        let panics = self.audit.panics.iter();
        panics
            .map(|panic| format!("the driver can panic in {panic}"))
            .collect()
    }

    /// What is wrong with the reviewed list.
    fn reviewed(&self, workspace: &Workspace) -> anyhow::Result<Vec<String>> {
        let root = workspace.root();
        let names = stop_sites::reasons();
        let sites = stop_sites::all(&root.join(LIBRARY))?;
        let Stops { reasons, functions } = &self.audit.stops;
        let reasons = reasons.values().flatten().copied().collect();
        let stops = review::places(&reasons, functions, &sites, &names)?;
        Ok(review::compare(
            &read_text(&root.join(STOPS))?,
            &stops,
            &names,
        ))
    }

    /// Whether the documentation is about what this compiler makes.
    fn is_documented(&self, workspace: &Workspace) -> anyhow::Result<bool> {
        Ok(read_text(&workspace.root().join(PAGE))?.contains(&self.compiler))
    }

    /// What is wrong with the page, and what to say if nothing is.
    fn documented(&self, workspace: &Workspace) -> anyhow::Result<(Vec<String>, String)> {
        let page = read_text(&workspace.root().join(PAGE))?;
        if self.is_documented(workspace)? {
            return Ok((differences(&page, &self.page()), PAGE.to_owned()));
        }
        // Another compiler makes other code. What it does to the device and the kernel is the same.
        let wrong = differences(
            &report::without_figures(&page),
            &report::without_figures(&self.page()),
        );
        let said = format!(
            "{PAGE}, without its figures: it is of another compiler than {}",
            self.compiler
        );
        Ok((wrong, said))
    }

    fn figure(&self, failures: usize) -> String {
        let sections = &self.audit.sections;
        let longest = sections.iter().map(|section| section.longest).max();
        let stack = self.audit.entries.iter().map(|entry| entry.stack.any).max();
        format!(
            "audit: {} ISRs and critical sections of {}.sys, the longest {} instructions; {} \
             entries, at most {} bytes of stack; {} panics; {failures} failures",
            sections.len(),
            self.driver,
            longest.unwrap_or_default(),
            self.audit.entries.len(),
            stack.unwrap_or_default(),
            self.audit.panics.len(),
        )
    }
}

/// Audits an image, given its PDB; also what compiled it.
fn audit(image: &Image, pdb: &[u8]) -> anyhow::Result<(String, Audit)> {
    let parsed = Pdb::parse(pdb, image.identity())?;
    let types = Types::parse(pdb)?;
    let compiler = symbols::compiler(pdb)?;
    let symbols = Symbols::of(&parsed)?;
    ensure!(
        symbols.has("dirql::"),
        "this driver is not built on dirql: by the names of dirql's thunks the audit knows what \
         the kernel calls each routine for"
    );
    let program = Program::read(image, &symbols, &types)?;
    Ok((compiler, judge::judge(&program)?))
}

/// The lines in which a page is not what it should be.
fn differences(page: &str, right: &str) -> Vec<String> {
    if page == right {
        return Vec::new();
    }
    let (have, want): (Vec<_>, Vec<_>) = (page.lines().collect(), right.lines().collect());
    let extra = have.iter().filter(|line| !want.contains(line));
    let missing = want.iter().filter(|line| !have.contains(line));
    let lines: Vec<String> = extra
        .map(|line| format!("- {line}"))
        .chain(missing.map(|line| format!("+ {line}")))
        .collect();
    vec![format!(
        "{PAGE} is not what the code does; `cargo xtask audit --write` mends it:\n{}",
        lines.join("\n")
    )]
}

fn read_text(path: &Path) -> anyhow::Result<String> {
    let bytes = workspace::read(path)?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(_) => bail!("{} is not UTF-8", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::differences;

    #[test]
    fn a_page_that_is_out_of_date_says_where() {
        assert!(differences("a\nb\n", "a\nb\n").is_empty());
        let found = differences("a\nb\n", "a\nc\n").join("\n");
        assert!(found.contains("\n- b\n+ c"), "{found}");
    }
}

//! The unsafe ledger: every `unsafe` of the workspace, and what each rests on.
//!
//! Three crates may have `unsafe`. A page of each lists all of it; in `dirql` each rests on
//! numbered facts, in the rig on facts or on what is said beside it; whatever fact is cited there
//! is, and each fact has something that rests on it. No other crate may have any `unsafe`, whatever
//! its attributes say.

mod facts;
mod page;
mod scan;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};

use crate::{workspace, workspace::Workspace};
use facts::{Fact, Style};
use scan::{Kind, Use};

/// A crate that may have `unsafe`.
#[derive(Clone, Copy, Debug)]
struct Ledger {
    /// Its folder.
    package: &'static str,
    /// The only folder in it that may have any.
    folder: &'static str,
    /// The page, in the crate's folder.
    page: &'static str,
    facts: Facts,
    preface: &'static str,
}

/// What the comments of a crate lean on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Facts {
    /// Each on a fact of the crate, by its number.
    OfCrate,
    /// Some on a fact of their module, by its number there.
    OfModules,
    None,
}

impl Facts {
    const fn style(self) -> Style {
        match self {
            Self::OfModules => Style::Plain,
            Self::OfCrate | Self::None => Style::Named,
        }
    }
}

const LEDGERS: [Ledger; 3] = [
    Ledger {
        package: "driver/dirql",
        folder: "src",
        page: "UNSAFE.md",
        facts: Facts::OfCrate,
        preface: "\
`dirql` has all the `unsafe` of the driver. Each block does one thing, and says why it may in a comment that cites
facts by their numbers; each function that is `unsafe` to call states its contract. Blocks in macros are listed where the
macro is written: they become part of the drivers that use it, such as `driver_entry!` of `edu.sys`. `sys::host` and tests never
run in a kernel. A routine is a function that the kernel calls, or that stands for one of the kernel's: its contract is on the page
of its kind of routine (fact 10), and a trait's method has that of the trait. Foreign functions and attributes promise a name and
a signature.",
    },
    Ledger {
        package: "tests/rig",
        folder: "src",
        page: "UNSAFE.md",
        facts: Facts::OfModules,
        preface: "\
The rig is a kernel: it has registers, page tables and what drivers pass it by address. It is a test, and runs with nothing else on its
machine. Its `unsafe` is argued for beside the code. Where many arguments of a module share a reason, the module has it as a fact with
a number; a comment that cites it means the fact of its own module, else that of the next module above it that has one of the number.",
    },
    Ledger {
        package: "tools/eductl",
        folder: "src/windows",
        page: "UNSAFE.md",
        facts: Facts::None,
        preface: "\
`eductl` has `unsafe` where it calls Windows, in one module; each block is one call.",
    },
];

/// What was found in a crate that may have `unsafe`.
#[derive(Debug)]
struct Part {
    name: String,
    ledger: Ledger,
    /// By module.
    files: BTreeMap<String, Vec<Use>>,
    facts: Vec<Fact>,
}

/// Fails unless every `unsafe` rests on something and the pages say so; writes the pages if
/// it is to.
pub(crate) fn check(workspace: &Workspace, is_to_write: bool) -> anyhow::Result<()> {
    let mut complaints = Vec::new();
    let mut clean = Vec::new();
    let mut parts = Vec::new();
    for package in packages(workspace)? {
        let ledger = LEDGERS
            .into_iter()
            .find(|ledger| workspace.root().join(ledger.package) == package);
        let part = read(workspace, &package, ledger, &mut complaints)?;
        if let Some(part) = part {
            complaints.extend(part.complaints());
            parts.push(part);
        } else {
            clean.push((relative(workspace, &package), forbids(&package)?));
        }
    }
    ensure!(
        parts.len() == LEDGERS.len(),
        "{} of the {} crates that may have unsafe are in the workspace",
        parts.len(),
        LEDGERS.len()
    );
    for part in &parts {
        let listed = if part.ledger.facts == Facts::OfCrate {
            &clean[..]
        } else {
            &[]
        };
        let text = page::page(part, listed);
        let path = workspace
            .root()
            .join(part.ledger.package)
            .join(part.ledger.page);
        let name = relative(workspace, &path);
        if is_to_write {
            workspace::write_if_changed(&path, text.as_bytes())?;
        } else {
            let present = fs::read_to_string(&path).unwrap_or_default();
            if present != text {
                println!("{}", diffy::create_patch(&present, &text));
                complaints.push(format!(
                    "{name} is not what the sources say: `cargo xtask lint unsafe-facts --write`"
                ));
            }
        }
        let count = part.files.values().map(Vec::len).sum::<usize>();
        println!(
            "unsafe-facts: {:16} {count:5} unsafe, {:3} facts",
            part.name,
            part.facts.len()
        );
    }
    println!("unsafe-facts: {} crates have none", clean.len());
    for complaint in &complaints {
        println!("unsafe-facts: {complaint}");
    }
    if !complaints.is_empty() {
        bail!("{} things about unsafe are wrong", complaints.len());
    }
    Ok(())
}

/// The folders of the workspace's packages.
fn packages(workspace: &Workspace) -> anyhow::Result<Vec<PathBuf>> {
    let manifest = workspace.root().join("Cargo.toml");
    let text = String::from_utf8(workspace::read(&manifest)?).context("Cargo.toml is not UTF-8")?;
    let manifest: toml::Table = text.parse().context("Cargo.toml is no TOML")?;
    let members = manifest
        .get("workspace")
        .and_then(|table| table.get("members"))
        .and_then(toml::Value::as_array)
        .context("Cargo.toml lists no members")?;
    let mut packages = Vec::new();
    for member in members.iter().filter_map(toml::Value::as_str) {
        match member.strip_suffix("/*") {
            None => packages.push(workspace.root().join(member)),
            Some(folder) => {
                let folder = workspace.root().join(folder);
                packages.extend(
                    entries(&folder)?
                        .into_iter()
                        .filter(|path| path.join("Cargo.toml").is_file()),
                );
            }
        }
    }
    packages.sort();
    Ok(packages)
}

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let unreadable = || format!("cannot list {}", folder.display());
    fs::read_dir(folder)
        .with_context(unreadable)?
        .map(|entry| Ok(entry.with_context(unreadable)?.path()))
        .collect()
}

/// All Rust files of a package, without those of packages below its folder.
fn files(folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for path in entries(folder)? {
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        if is_rust {
            found.push(path);
        } else if path.is_dir() && !path.ends_with("target") && !path.join("Cargo.toml").is_file() {
            files(&path, found)?;
        }
    }
    Ok(())
}

/// Whether the compiler makes sure that the package's crate has none.
fn forbids(package: &Path) -> anyhow::Result<bool> {
    for root in ["src/lib.rs", "src/main.rs"] {
        let root = package.join(root);
        if root.is_file() {
            let text = workspace::read(&root)?;
            return Ok(String::from_utf8_lossy(&text).contains("#![forbid(unsafe_code)]"));
        }
    }
    Ok(false)
}

fn relative(workspace: &Workspace, path: &Path) -> String {
    let path = path.strip_prefix(workspace.root()).unwrap_or(path);
    path.display().to_string().replace('\\', "/")
}

/// Reads a package; complains of `unsafe` where none may be.
fn read(
    workspace: &Workspace,
    package: &Path,
    ledger: Option<Ledger>,
    complaints: &mut Vec<String>,
) -> anyhow::Result<Option<Part>> {
    let mut paths = Vec::new();
    files(package, &mut paths)?;
    paths.sort();
    let mut part = ledger.map(|ledger| Part {
        name: relative(workspace, package),
        ledger,
        files: BTreeMap::new(),
        facts: Vec::new(),
    });
    for path in paths {
        let name = relative(workspace, &path);
        let text = String::from_utf8(workspace::read(&path)?)
            .with_context(|| format!("{name} is not UTF-8"))?;
        let uses = scan::scan_file(&name, &text)?;
        match &mut part {
            Some(part) if path.starts_with(package.join(part.ledger.folder)) => {
                let module = module(&package.join("src"), &path);
                let style = part.ledger.facts.style();
                part.facts.extend(facts::defined(&module, &text, style));
                part.files.insert(module, uses);
            }
            _ => {
                for it in uses {
                    complaints.push(format!("{name}:{}: unsafe, where none may be", it.line));
                }
            }
        }
    }
    Ok(part)
}

/// The module that is in the file at `path`.
fn module(source: &Path, path: &Path) -> String {
    let path = path.strip_prefix(source).unwrap_or(path).with_extension("");
    let names: Vec<String> = path
        .components()
        .map(|name| name.as_os_str().to_string_lossy().into_owned())
        .filter(|name| !matches!(name.as_str(), "mod" | "lib" | "main"))
        .collect();
    if names.is_empty() {
        "crate".to_owned()
    } else {
        names.join("::")
    }
}

impl Part {
    /// What is wrong with it.
    fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut known = BTreeSet::new();
        for fact in &self.facts {
            if !known.insert(self.key(fact)) {
                complaints.push(format!(
                    "{}: fact {} is another one already",
                    fact.module, fact.number
                ));
            }
        }
        let mut used = BTreeSet::new();
        for (module, it) in self
            .files
            .iter()
            .flat_map(|(module, uses)| uses.iter().map(move |it| (module, it)))
        {
            let place = format!("{}: {module}, line {}", self.name, it.line);
            let Some(argument) = &it.argument else {
                match it.kind {
                    Kind::Block | Kind::Impl => complaints.push(format!(
                        "{place}: the {} has no SAFETY comment",
                        it.kind.name()
                    )),
                    Kind::Function | Kind::Trait => {
                        complaints
                            .push(format!("{place}: `{}` has no `# Safety` section", it.code));
                    }
                    Kind::Method | Kind::Routine | Kind::Foreign | Kind::Attribute => {}
                }
                continue;
            };
            let cited = facts::cited(argument);
            let needs_fact =
                self.ledger.facts == Facts::OfCrate && matches!(it.kind, Kind::Block | Kind::Impl);
            if needs_fact && cited.is_empty() {
                complaints.push(format!("{place}: the comment cites no fact"));
            }
            for number in cited {
                match self.fact(module, number) {
                    Some(fact) => {
                        used.insert(self.key(fact));
                    }
                    None if self.ledger.facts == Facts::None => {}
                    None => complaints.push(format!("{place}: there is no fact {number}")),
                }
            }
        }
        for (module, number) in known.difference(&used) {
            let whose = match *module {
                "" => self.name.clone(),
                module => format!("{}: {module}", self.name),
            };
            complaints.push(format!("{whose}: nothing rests on fact {number}"));
        }
        complaints
    }

    /// By what a fact is told from others: in which module, if the number is that of a module.
    fn key<'a>(&self, fact: &'a Fact) -> (&'a str, u32) {
        match self.ledger.facts {
            Facts::OfModules => (&fact.module, fact.number),
            Facts::OfCrate | Facts::None => ("", fact.number),
        }
    }

    /// The fact that a comment in `module` means.
    fn fact(&self, module: &str, number: u32) -> Option<&Fact> {
        match self.ledger.facts {
            Facts::OfModules => facts::of_module(&self.facts, module, number),
            Facts::OfCrate => self.facts.iter().find(|fact| fact.number == number),
            Facts::None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: &str = "//! # Soundness\n//!\n//! 1. **One.** Is so.\n//! 2. **Two.** Too.\n";
    const USED: &str = "// SAFETY: (Pointer) so, facts 1 and 2.\nconst A: u8 = unsafe { a() };\n";

    fn complaints(ledger: Ledger, text: &str) -> Vec<String> {
        let mut part = Part {
            name: "it".to_owned(),
            ledger,
            files: BTreeMap::new(),
            facts: Vec::new(),
        };
        if ledger.facts == Facts::OfCrate {
            part.facts = facts::defined("crate", FACTS, Style::Named);
        }
        let style = ledger.facts.style();
        part.facts.extend(facts::defined("a", text, style));
        let uses = scan::scan(text).expect("it is Rust");
        part.files.insert("a".to_owned(), uses);
        part.complaints()
    }

    fn with(text: &str) -> Vec<String> {
        complaints(LEDGERS[0], &format!("{USED}{text}"))
    }

    #[test]
    fn each_block_rests_on_a_fact_that_exists() {
        assert_eq!(with(""), [""; 0]);
        assert_eq!(
            with("const B: u8 = unsafe { b() };\n"),
            ["it: a, line 3: the block has no SAFETY comment"]
        );
        assert_eq!(
            with("// SAFETY: it is fine.\nconst B: u8 = unsafe { b() };\n"),
            ["it: a, line 4: the comment cites no fact"]
        );
        assert_eq!(
            with("// SAFETY: fact 3.\nunsafe impl Send for B {}\n"),
            ["it: a, line 4: there is no fact 3"]
        );
        assert_eq!(
            with("macro_rules! b {\n    () => { unsafe { b() } };\n}\n"),
            ["it: a, line 4: the block has no SAFETY comment"]
        );
        assert_eq!(
            with("unsafe fn b() {}\n"),
            ["it: a, line 3: `b` has no `# Safety` section"]
        );
    }

    #[test]
    fn each_fact_has_one_number_and_something_that_rests_on_it() {
        assert_eq!(
            complaints(
                LEDGERS[0],
                "// SAFETY: fact 1.\nconst A: u8 = unsafe { a() };\n"
            ),
            ["it: nothing rests on fact 2"]
        );
        assert_eq!(
            complaints(
                LEDGERS[0],
                &format!("//! # Soundness\n//!\n//! 2. **Again.** So.\n{USED}")
            ),
            ["a: fact 2 is another one already"]
        );
    }

    #[test]
    fn another_crate_argues_without_numbers() {
        let text = format!("{USED}// SAFETY: it is fine.\nconst B: u8 = unsafe {{ b() }};\n");
        assert_eq!(complaints(LEDGERS[2], &text), [""; 0]);
    }

    #[test]
    fn a_module_has_what_its_comments_cite() {
        let text = format!("//! # Soundness\n//! 1. So.\n//! 2. Too.\n{USED}");
        assert_eq!(complaints(LEDGERS[1], &text), [""; 0]);
        let argued = format!("{text}// SAFETY: it is fine.\nconst B: u8 = unsafe {{ b() }};\n");
        assert_eq!(complaints(LEDGERS[1], &argued), [""; 0]);
        let without = format!("//! # Soundness\n//! 1. So.\n{USED}");
        assert_eq!(
            complaints(LEDGERS[1], &without),
            ["it: a, line 4: there is no fact 2"]
        );
        let idle = format!("//! # Soundness\n//! 1. So.\n//! 2. Too.\n//! 3. More.\n{USED}");
        assert_eq!(
            complaints(LEDGERS[1], &idle),
            ["it: a: nothing rests on fact 3"]
        );
    }

    #[test]
    fn a_file_is_named_as_its_module() {
        let name = |path: &str| module(Path::new("src"), Path::new(path));
        assert_eq!(name("src/lib.rs"), "crate");
        assert_eq!(name("src/irp/mod.rs"), "irp");
        assert_eq!(name("src/irp/output.rs"), "irp::output");
    }
}

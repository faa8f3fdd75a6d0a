//! Which of the kernel's structures and constants the driver and the rig use.
//!
//! Nobody lists them. Whatever identifier of their sources is a name in the bindings is in
//! use: that is more than is so, and cannot be less, for code has to name what it touches.
//! A structure is in use as well if it is part of one that is, if a routine in use takes or
//! returns it, or a pointer to it, and if a field in use points to it.

use std::{
    collections::{BTreeSet, VecDeque},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use proc_macro2::{TokenStream, TokenTree};
use syn::{Type, visit::Visit};

use super::ours::{Ours, ROOT};
use crate::{workspace, workspace::Workspace};

/// The driver with the library that it is written on, and the rig.
const SOURCES: [&str; 7] = [
    "driver/controller/src",
    "driver/dirql/src",
    "driver/edu/src",
    "driver/interface/src",
    "driver/recorder/src",
    "tests/drivers",
    "tests/rig/src",
];

/// What is in use.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// As the bindings call them.
    pub(super) structures: BTreeSet<String>,
    /// As the bindings call them; that of an enumeration is `enumeration::name`.
    pub(super) constants: BTreeSet<String>,
    /// Structures that the headers do not show.
    pub(super) opaque: BTreeSet<String>,
}

/// All Rust files of the driver and the rig.
pub(super) fn files(workspace: &Workspace) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in SOURCES {
        collect(&workspace.root().join(folder), &mut files)?;
    }
    files.sort();
    Ok(files)
}

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

/// Each identifier in `files`.
pub(super) fn identifiers(files: &[PathBuf]) -> anyhow::Result<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for path in files {
        let text = String::from_utf8(workspace::read(path)?)
            .with_context(|| format!("{} is not UTF-8", path.display()))?;
        let tokens: TokenStream = text
            .parse()
            .map_err(|error| anyhow::anyhow!("{} is not Rust: {error}", path.display()))?;
        note(tokens, &mut all);
    }
    ensure!(!all.is_empty(), "there is no source");
    Ok(all)
}

fn note(tokens: TokenStream, into: &mut BTreeSet<String>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => note(group.stream(), into),
            TokenTree::Ident(name) => {
                into.insert(name.to_string().trim_start_matches("r#").to_owned());
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// What of `ours` is in use where `identifiers` are.
pub(super) fn of(identifiers: &BTreeSet<String>, ours: &Ours) -> anyhow::Result<Usage> {
    let mut finder = Finder {
        ours,
        identifiers,
        usage: Usage::default(),
        seen: BTreeSet::new(),
        waiting: VecDeque::new(),
    };
    let root = ours.root()?;
    for name in identifiers {
        if root.constants.contains_key(name) {
            finder.constant(&ROOT, name);
        }
        finder.waiting.push_back(name.clone());
        for kind in ours.routine(name).unwrap_or_default() {
            finder.visit_type(kind);
        }
    }
    finder.finish()
}

struct Finder<'a> {
    ours: &'a Ours,
    identifiers: &'a BTreeSet<String>,
    usage: Usage,
    seen: BTreeSet<String>,
    /// Names that may be of types.
    waiting: VecDeque<String>,
}

impl Finder<'_> {
    /// Integers are compared; text is not the kernel's interface.
    fn constant(&mut self, module: &[String], name: &str) {
        if self.ours.items.constant(module, name).is_ok() {
            let path = module.iter().map(String::as_str).chain([name]);
            let path: Vec<&str> = path.collect();
            self.usage.constants.insert(path.join("::"));
        }
    }

    fn finish(mut self) -> anyhow::Result<Usage> {
        let root = self.ours.root()?;
        while let Some(name) = self.waiting.pop_front() {
            if !self.seen.insert(name.clone()) {
                continue;
            }
            if let Some(kind) = root.aliases.get(&name) {
                self.visit_type(kind);
            }
            let enumeration = vec![name.clone()];
            if let Some(module) = self.ours.items.modules.get(&enumeration)
                && module.aliases.contains_key("Type")
            {
                for constant in module.constants.keys() {
                    self.constant(&enumeration, constant);
                }
            }
            // What bindgen adds to the language is no structure of the kernel's.
            if let Some(record) = root.records.get(&name)
                && !name.starts_with("__Bindgen")
                && !name.starts_with("__Incomplete")
            {
                let is_opaque = matches!(&record.fields[..], [(field, _)] if field == "_unused" || field == "_address");
                if is_opaque {
                    self.usage.opaque.insert(name.clone());
                } else if !name.contains("__bindgen_ty_") {
                    self.usage.structures.insert(name.clone());
                }
                for (field, kind) in &record.fields {
                    if self.identifiers.contains(field) || !points(kind) {
                        self.visit_type(kind);
                    }
                }
            }
        }
        Ok(self.usage)
    }
}

/// Whether a pointer has to be followed to get from a value of this type to another.
fn points(kind: &Type) -> bool {
    match kind {
        Type::Ptr(_) | Type::BareFn(_) => true,
        Type::Array(array) => points(&array.elem),
        _ => false,
    }
}

impl Visit<'_> for Finder<'_> {
    /// Each name of a type, whatever is around it.
    fn visit_path(&mut self, path: &syn::Path) {
        if let Some((module, name)) = self.ours.items.find(&ROOT, path) {
            // `pub use self::_X::Type as X`: the enumeration is the module.
            let name = module.first().cloned().unwrap_or(name);
            self.waiting.push_back(name);
        }
        syn::visit::visit_path(self, path);
    }
}

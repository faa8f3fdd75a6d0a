//! The places in the source of `dirql` that stop the machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::Context as _;
use syn::visit::{self, Visit};

/// A function that stops the machine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Site {
    /// The name of the reason for which it does.
    pub(super) reason: String,
    /// The function, by the module that it is written in.
    pub(super) function: String,
    /// How its name ends if it is a type's: the PDB has it where the type is.
    method: Option<String>,
}

impl Site {
    #[cfg(test)]
    pub(super) fn new(reason: &str, function: &str) -> Self {
        Self {
            reason: reason.to_owned(),
            function: function.to_owned(),
            method: None,
        }
    }

    /// Whether it is one of these functions, as the PDB names them.
    pub(super) fn is_in(&self, functions: &BTreeSet<String>) -> bool {
        let is_it = |function: &String| {
            *function == self.function
                || self
                    .method
                    .as_ref()
                    .is_some_and(|method| function.ends_with(method))
        };
        functions.iter().any(is_it)
    }
}

/// All of them below a crate's folder `source`.
///
/// # Errors
/// If a file cannot be read, or is no Rust.
pub(super) fn all(source: &Path) -> anyhow::Result<BTreeSet<Site>> {
    let mut sites = BTreeSet::new();
    of_folder(source, "dirql", &mut sites)?;
    Ok(sites)
}

fn of_folder(folder: &Path, module: &str, sites: &mut BTreeSet<Site>) -> anyhow::Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let inside = match &*name {
            "lib" | "mod" => module.to_owned(),
            name => format!("{module}::{name}"),
        };
        if path.is_dir() {
            of_folder(&path, &inside, sites)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            of_file(&text, &inside, sites).with_context(|| format!("{}", path.display()))?;
        }
    }
    Ok(())
}

fn of_file(text: &str, module: &str, sites: &mut BTreeSet<Site>) -> anyhow::Result<()> {
    let file = syn::parse_file(text).context("it is no Rust")?;
    let mut finder = Finder {
        module,
        functions: Vec::new(),
        kind: None,
        sites,
    };
    finder.visit_file(&file);
    Ok(())
}

struct Finder<'a> {
    module: &'a str,
    /// The functions that are open here.
    functions: Vec<String>,
    /// The type whose functions those are.
    kind: Option<String>,
    sites: &'a mut BTreeSet<Site>,
}

impl Finder<'_> {
    fn inside(&mut self, function: &syn::Ident, visit: impl FnOnce(&mut Self)) {
        self.functions.push(function.to_string());
        visit(self);
        self.functions.pop();
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let kind = match &*item.self_ty {
            syn::Type::Path(path) => path.path.segments.last(),
            _ => None,
        };
        let kind = kind.map(|segment| segment.ident.to_string());
        let around = std::mem::replace(&mut self.kind, kind);
        visit::visit_item_impl(self, item);
        self.kind = around;
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.inside(&item.sig.ident, |it| visit::visit_item_fn(it, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.inside(&item.sig.ident, |it| visit::visit_impl_item_fn(it, item));
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.inside(&item.sig.ident, |it| visit::visit_trait_item_fn(it, item));
    }

    /// A reason, wherever it is handed on to be stopped for.
    fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
        let names: Vec<String> = path
            .path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        if let ([.., kind, reason], Some(function)) = (names.as_slice(), self.functions.last())
            && kind == "Reason"
            && reason.starts_with(char::is_uppercase)
        {
            let kind = self.kind.as_ref();
            self.sites.insert(Site {
                reason: reason.clone(),
                function: format!("{}::{function}", self.module),
                method: kind.map(|kind| format!("::{kind}::{function}")),
            });
        }
        visit::visit_expr_path(self, path);
    }
}

/// Makes [`NAMES`] of the list that the library has its reasons from.
macro_rules! reasons {
    ($tag:literal; $($(#[$attribute:meta])* $name:ident = $number:literal,)+) => {
        const NAMES: &[(u64, &str)] = &[$(($number, stringify!($name)),)+];
    };
}

include!("../../../../driver/dirql/src/stop_code/reasons.rs");

/// The reasons that the source names, by number.
pub(super) fn reasons() -> BTreeMap<u64, String> {
    let names = NAMES.iter();
    names
        .map(|(number, name)| (*number, (*name).to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_are_found_wherever_they_are() {
        let text = "impl Irp { fn input(&self) { stop(Reason::BufferMissing, 0) } }
            impl Drop for Irp { fn drop(&mut self) { with(|| stop(stop_code::Reason::High, 1)); } }
            fn fine() { Reason::of(1); let _ = Other::High; }";
        let mut sites = BTreeSet::new();
        of_file(text, "dirql::irp", &mut sites).expect("it is Rust");
        let found: Vec<(&str, &str)> = sites
            .iter()
            .map(|site| (site.reason.as_str(), site.function.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("BufferMissing", "dirql::irp::input"),
                ("High", "dirql::irp::drop"),
            ]
        );
    }

    #[test]
    fn a_types_function_is_where_the_type_is() {
        let mut sites = BTreeSet::new();
        let text = "impl super::Header { fn own(&self) { stop(Reason::Foreign, 0) } }";
        of_file(text, "dirql::start_io", &mut sites).expect("it is Rust");
        let site = sites.first().expect("a stop");
        let is_in = |name: &str| site.is_in(&[name.to_owned()].into());
        assert!(is_in("dirql::device::Header::own") && is_in("dirql::start_io::own"));
        assert!(!is_in("dirql::device::own") && !is_in("dirql::device::Other::own"));
    }

    #[test]
    fn reasons_have_numbers() {
        let found = reasons();
        assert_eq!(found.get(&4).map(String::as_str), Some("BufferMissing"));
        assert_eq!(found.len(), NAMES.len(), "each has a number of its own");
    }
}

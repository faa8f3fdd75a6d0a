//! The first witness: our bindings, as bindgen made them of the headers in use.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context as _, ensure};

use super::{
    items::Items,
    layout::{Constant, Structure, Witness},
};
use crate::workspace;

/// `wdk_sys`.
pub(super) struct Ours {
    pub(super) items: Items,
}

/// The module with the types and constants, and that with the routines.
pub(super) const ROOT: [String; 0] = [];
const ROUTINES: &str = "ntddk";

impl Ours {
    /// Reads what bindgen made in `generated` for the crate whose root is `library`.
    pub(super) fn read(generated: &Path, library: &Path) -> anyhow::Result<Self> {
        let text = |path: &Path| {
            String::from_utf8(workspace::read(path)?)
                .with_context(|| format!("{} is not UTF-8", path.display()))
        };
        let mut items = Items::of_crate("wdk_sys", &[]);
        items.add(&ROOT, &text(&generated.join("types.rs"))?)?;
        items.add(&ROOT, &text(&generated.join("constants.rs"))?)?;
        items.add(&[ROUTINES.to_owned()], &text(&generated.join("ntddk.rs"))?)?;
        // Those that bindgen cannot make of the headers.
        items.add(&ROOT, &text(&library.with_file_name("constants.rs"))?)?;
        let constants = items.modules.remove(&["kernel_mode".to_owned()][..]);
        if let (Some(root), Some(more)) = (items.modules.get_mut(&ROOT[..]), constants) {
            root.constants.extend(more.constants);
        }
        let ours = Self { items };
        ours.confirm()?;
        Ok(ours)
    }

    /// Fails unless everything worked out here is what rustc was made to confirm when it
    /// compiled the bindings.
    fn confirm(&self) -> anyhow::Result<()> {
        let root = self.root()?;
        for (text, number) in &root.assertions {
            let found = if let Some(name) = text.strip_prefix("Size of ") {
                self.items.laid_out(&ROOT, name)?.size
            } else if let Some(name) = text.strip_prefix("Alignment of ") {
                self.items.laid_out(&ROOT, name)?.align.unwrap_or(0)
            } else if let Some((name, field)) = text
                .strip_prefix("Offset of field: ")
                .and_then(|field| field.split_once("::"))
            {
                self.items.offset(&ROOT, name, field)?
            } else {
                continue;
            };
            ensure!(
                found == *number,
                "{text}: {found} was worked out, and the compiler found {number}"
            );
        }
        ensure!(
            !root.assertions.is_empty(),
            "bindgen left no numbers in the bindings"
        );
        Ok(())
    }

    pub(super) fn root(&self) -> anyhow::Result<&super::items::Module> {
        self.items
            .modules
            .get(&ROOT[..])
            .context("the bindings are empty")
    }

    /// The types in the signature of the routine `name`.
    pub(super) fn routine(&self, name: &str) -> Option<&[syn::Type]> {
        let routines = self.items.modules.get(&[ROUTINES.to_owned()][..])?;
        routines.functions.get(name).map(Vec::as_slice)
    }

    /// All names by which C knows the structure that is called `name` here.
    pub(super) fn names(&self, name: &str) -> Vec<String> {
        let mut names = BTreeSet::new();
        if let Ok(root) = self.root() {
            for (alias, kind) in &root.aliases {
                if let syn::Type::Path(path) = kind
                    && path.path.is_ident(name)
                {
                    names.insert(alias.clone());
                }
            }
        }
        let plain = name.trim_start_matches('_').to_owned();
        names.remove(&plain);
        [name.to_owned(), plain].into_iter().chain(names).collect()
    }
}

impl Witness for Ours {
    fn name(&self) -> &'static str {
        "our bindings"
    }

    fn structure(&self, names: &[String]) -> anyhow::Result<Option<Structure>> {
        let root = self.root()?;
        let Some(name) = names.iter().find(|name| root.records.contains_key(*name)) else {
            return Ok(None);
        };
        self.items.laid_out(&ROOT, name).map(Some)
    }

    fn constant(&self, name: &str) -> Option<Constant> {
        let (inside, name) = name
            .split_once("::")
            .map_or((ROOT.to_vec(), name), |(inside, name)| {
                (vec![inside.to_owned()], name)
            });
        self.items.constant(&inside, name).ok()
    }
}

//! The third witness: `windows-sys`, which Microsoft generates from its own metadata.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;

use super::{
    items::Items,
    layout::{Constant, Structure, Witness},
};
use crate::workspace;

/// `windows_sys`.
pub(super) struct Metadata {
    items: Items,
    /// The modules that have a structure of each name, those for drivers first.
    records: BTreeMap<String, Vec<super::items::Path>>,
    constants: BTreeMap<String, Vec<super::items::Path>>,
}

impl Metadata {
    /// Reads the source of the crate whose root is `library`: the modules that `features`
    /// name, which are those that were compiled.
    pub(super) fn read(library: &Path, features: &[String]) -> anyhow::Result<Self> {
        let source = library
            .parent()
            .context("the crate's root is in a folder")?;
        let mut items = Items::of_crate("windows_sys", features);
        read(&source.join("core"), "core", &mut items)?;
        for feature in features {
            let folder = source.join("Windows").join(feature.replace('_', "/"));
            // `default` is a feature, and no module.
            if folder.is_dir() {
                read(&folder, feature, &mut items)?;
            }
        }
        let (mut records, mut constants) = (BTreeMap::new(), BTreeMap::new());
        let note = |into: &mut BTreeMap<String, Vec<super::items::Path>>, name: &String, path| {
            into.entry(name.clone()).or_default().push(path);
        };
        // In the order of their names: Wdk comes before Win32.
        for (path, module) in &items.modules {
            for name in module.records.keys() {
                note(&mut records, name, path.clone());
            }
            for name in module.constants.keys() {
                note(&mut constants, name, path.clone());
            }
        }
        Ok(Self {
            items,
            records,
            constants,
        })
    }
}

/// Adds the module in `folder`.
fn read(folder: &Path, feature: &str, items: &mut Items) -> anyhow::Result<()> {
    let file = folder.join("mod.rs");
    let text = String::from_utf8(workspace::read(&file)?)
        .with_context(|| format!("{} is not UTF-8", file.display()))?;
    let path: Vec<String> = feature.split('_').map(str::to_owned).collect();
    items.add(&path, &text)
}

impl Witness for Metadata {
    fn name(&self) -> &'static str {
        "windows-sys"
    }

    fn knows_bit_fields(&self) -> bool {
        false
    }

    fn structure(&self, names: &[String]) -> anyhow::Result<Option<Structure>> {
        for name in names {
            if let Some(module) = self.records.get(name).and_then(|modules| modules.first()) {
                return self
                    .items
                    .laid_out(module, name)
                    .with_context(|| format!("windows_sys::{}::{name}", module.join("::")))
                    .map(Some);
            }
        }
        Ok(None)
    }

    fn constant(&self, name: &str) -> Option<Constant> {
        let name = name.rsplit("::").next()?;
        self.constants
            .get(name)?
            .iter()
            .find_map(|module| self.items.constant(module, name).ok())
    }
}

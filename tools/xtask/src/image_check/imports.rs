//! What the image asks Windows for.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::{Context as _, bail, ensure};
use object::{LittleEndian as LE, pe::ImageNtHeaders64, read::pe::Import};

use super::Subject;
use crate::workspace;

/// What each system image exports that the driver may use, by the image's name.
#[derive(Clone, Debug)]
pub(super) struct Exports(BTreeMap<String, BTreeSet<String>>);

impl Exports {
    /// The lists that the import libraries are made from.
    pub(super) fn of_windows(folder: &Path) -> anyhow::Result<Self> {
        let mut exports = BTreeMap::new();
        for name in ["ntoskrnl.def", "hal.def"] {
            let path = folder.join(name);
            let text = String::from_utf8(workspace::read(&path)?)
                .with_context(|| format!("{} is not UTF-8", path.display()))?;
            let (library, names) =
                parse(&text).with_context(|| format!("in {}", path.display()))?;
            exports.insert(library, names);
        }
        Ok(Self(exports))
    }
}

/// The image that a module definition file is for, and its exports.
fn parse(definition: &str) -> anyhow::Result<(String, BTreeSet<String>)> {
    let mut lines = definition
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with(';'));
    let library = lines
        .next()
        .and_then(|line| line.strip_prefix("LIBRARY "))
        .context("the first statement should be LIBRARY")?;
    ensure!(
        lines.next() == Some("EXPORTS"),
        "the second statement should be EXPORTS"
    );
    Ok((library.to_owned(), lines.map(str::to_owned).collect()))
}

/// Fails if anything is imported that Windows 10 1809 does not export.
pub(super) fn judge(subject: &Subject) -> anyhow::Result<String> {
    let mut imported = Vec::new();
    for (library, name) in list(subject)? {
        let Some(exports) = subject.exports.0.get(&library) else {
            bail!(
                "{name} is imported from {library}, and a driver may use ntoskrnl.exe and hal.dll only"
            );
        };
        ensure!(
            exports.contains(&name),
            "{name} is imported from {library}, which does not export it in Windows 10 1809 as far \
             as tools/wdk says"
        );
        imported.push(name);
    }
    ensure!(
        !imported.is_empty(),
        "nothing is imported, so this is no driver"
    );
    Ok(format!("{}: {}", imported.len(), imported.join(" ")))
}

/// Every import, with the image that it comes from.
fn list(subject: &Subject) -> anyhow::Result<Vec<(String, String)>> {
    let pe = subject.pe()?;
    ensure!(
        pe.delay_load_import_table()?.is_none(),
        "imports are loaded late, which the kernel does not do"
    );
    let Some(table) = pe.import_table()? else {
        return Ok(Vec::new());
    };
    let mut imports = Vec::new();
    let mut descriptors = table.descriptors()?;
    while let Some(descriptor) = descriptors.next()? {
        let library = text(table.name(descriptor.name.get(LE))?);
        let mut thunks = table.thunks(descriptor.original_first_thunk.get(LE))?;
        while let Some(thunk) = thunks.next::<ImageNtHeaders64>()? {
            let name = match table.import::<ImageNtHeaders64>(thunk)? {
                Import::Name(_, name) => text(name),
                Import::Ordinal(ordinal) => format!("ordinal {ordinal}"),
            };
            imports.push((library.clone(), name));
        }
    }
    Ok(imports)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_file_names_its_image_and_exports() -> anyhow::Result<()> {
        let (library, names) = parse("; why\nLIBRARY hal.dll\nEXPORTS\nOne\nTwo\n")?;
        assert_eq!(library, "hal.dll");
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["One", "Two"]);
        assert!(parse("EXPORTS\nOne\n").is_err());
        Ok(())
    }
}

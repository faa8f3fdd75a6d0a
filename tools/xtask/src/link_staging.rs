//! A folder of its own for each link, in which every input has a short name.
//!
//! `lld-link` writes its command line and its folder into the PDB, and a hash
//! of the PDB into the image. rustc's command line is full of absolute paths,
//! one of them random, so the same source would never give the same image.

use std::{
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use crate::workspace;

/// Options whose value is a file or a folder to read.
const INPUTS: [&str; 3] = ["/DEF:", "/LIBPATH:", "/NATVIS:"];
/// Options whose value is a file to write.
const OUTPUTS: [&str; 3] = ["/IMPLIB:", "/OUT:", "/PDB:"];

pub(crate) struct Staging {
    folder: PathBuf,
    inputs: usize,
}

impl Staging {
    /// An empty folder beside `image`.
    pub(crate) fn beside(image: &Path) -> anyhow::Result<Self> {
        let folder = image.with_extension("link");
        if folder.exists() {
            fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot empty {}", folder.display()))?;
        }
        workspace::create_folder(&folder)?;
        Ok(Self { folder, inputs: 0 })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// `argument` in terms of this folder, with a link to the file that it
    /// names.
    pub(crate) fn stage(&mut self, argument: &OsStr) -> anyhow::Result<OsString> {
        let Some(text) = argument.to_str() else {
            bail!(
                "the linker was given {}, which is not UTF-8",
                argument.display()
            );
        };
        for option in INPUTS {
            if let Some(path) = text.strip_prefix(option) {
                return Ok(format!("{option}{}", self.input(Path::new(path))?).into());
            }
        }
        for option in OUTPUTS {
            if let Some(path) = text.strip_prefix(option) {
                let name = Path::new(path)
                    .file_name()
                    .with_context(|| format!("{text} names no file"))?;
                return Ok(format!("{option}{}", name.to_string_lossy()).into());
            }
        }
        let path = Path::new(text);
        if path.is_absolute() && path.is_file() {
            return Ok(self.input(path)?.into());
        }
        Ok(argument.to_owned())
    }

    fn input(&mut self, path: &Path) -> anyhow::Result<String> {
        let path = std::path::absolute(path)
            .with_context(|| format!("cannot tell where {} is", path.display()))?;
        let name = match path.extension().and_then(OsStr::to_str) {
            Some(extension) if path.is_file() => format!("{:02}.{extension}", self.inputs),
            _ => format!("{:02}", self.inputs),
        };
        self.inputs += 1;
        workspace::link(&path, &self.folder.join(&name))?;
        Ok(name)
    }

    /// Moves what the linker wrote to `to`, and removes this folder.
    pub(crate) fn finish(self, to: &Path) -> anyhow::Result<()> {
        let unreadable = || format!("cannot list {}", self.folder.display());
        for entry in fs::read_dir(&self.folder).with_context(unreadable)? {
            let entry = entry.with_context(unreadable)?;
            if entry.file_type().with_context(unreadable)?.is_file() {
                let place = to.join(entry.file_name());
                fs::rename(entry.path(), &place)
                    .with_context(|| format!("cannot write {}", place.display()))?;
            }
        }
        fs::remove_dir_all(&self.folder)
            .with_context(|| format!("cannot remove {}", self.folder.display()))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn no_argument_names_the_place_of_the_build() -> anyhow::Result<()> {
        let place = std::env::temp_dir().join(format!("staging-test-{}", std::process::id()));
        workspace::create_folder(&place)?;
        let object = place.join("a-0123.o");
        fs::write(&object, b"object")?;

        let mut staging = Staging::beside(&place.join("edu.dll"))?;
        let mut stage = |text: String| staging.stage(OsStr::new(&text));
        assert_eq!(stage(object.display().to_string())?, "00.o");
        assert_eq!(stage(format!("/DEF:{}", object.display()))?, "/DEF:01.o");
        assert_eq!(
            stage(format!("/LIBPATH:{}", place.display()))?,
            "/LIBPATH:02"
        );
        assert_eq!(
            stage(format!("/OUT:{}/edu.dll", place.display()))?,
            "/OUT:edu.dll"
        );
        assert_eq!(stage("/DRIVER".to_owned())?, "/DRIVER");
        assert_eq!(fs::read(staging.folder().join("00.o"))?, b"object");

        fs::write(staging.folder().join("edu.dll"), b"image")?;
        let folder = staging.folder().to_path_buf();
        staging.finish(&place)?;
        assert_eq!(fs::read(place.join("edu.dll"))?, b"image");
        assert!(object.is_file(), "inputs stay where they are");
        assert!(!folder.exists());
        fs::remove_dir_all(&place)?;
        Ok(())
    }
}

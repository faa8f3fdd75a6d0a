//! The driver's image: the text in it, and which build it is of.

use std::{
    fs,
    path::{Path, PathBuf},
};

use object::{Object as _, ObjectSection as _};

use crate::commands::CommandError;

/// A source path that is longer than this is none.
const LONGEST_TEXT: u64 = 1024;

/// An image file, read.
#[derive(Debug)]
pub(super) struct Image {
    path: PathBuf,
    contents: Vec<u8>,
}

impl Image {
    pub(super) fn read(path: &Path) -> Result<Self, CommandError> {
        let contents = fs::read(path).map_err(|error| CommandError::File {
            path: path.to_path_buf(),
            reason: error.to_string(),
        })?;
        let image = Self {
            path: path.to_path_buf(),
            contents,
        };
        image.parse()?;
        Ok(image)
    }

    fn parse(&self) -> Result<object::File<'_>, CommandError> {
        object::File::parse(self.contents.as_slice()).map_err(|error| CommandError::File {
            path: self.path.clone(),
            reason: format!("this is no driver's image ({error}); name edu.sys"),
        })
    }

    /// Fails unless the image was linked with the symbols of this identity.
    pub(super) fn expect_identity(
        &self,
        identity: [u8; 16],
        pdb: &Path,
    ) -> Result<(), CommandError> {
        let file = self.parse()?;
        let linked = file.pdb_info().ok().flatten().map(|info| info.guid());
        if linked == Some(identity) {
            return Ok(());
        }
        Err(CommandError::File {
            path: pdb.to_path_buf(),
            reason: format!(
                "these are the symbols of another build than {}; name the .pdb file that was \
                 built with it",
                self.path.display()
            ),
        })
    }

    /// The text of `length` bytes at `offset` from the image's first byte, or why there is none.
    pub(super) fn text(&self, offset: u32, length: u64) -> Result<String, String> {
        let nothing = || {
            format!(
                "{} has no text of {length} bytes {offset:#x} behind its first byte: is it the \
                 driver that was loaded, and --base where it was?",
                self.path.display()
            )
        };
        if length == 0 || length > LONGEST_TEXT {
            return Err(nothing());
        }
        let file = self.parse().map_err(|error| error.to_string())?;
        let address = file.relative_address_base() + u64::from(offset);
        file.sections()
            .find_map(|section| section.data_range(address, length).ok().flatten())
            .and_then(|bytes| str::from_utf8(bytes).ok())
            .filter(|text| !text.contains(char::is_control))
            .map(str::to_owned)
            .ok_or_else(nothing)
    }
}

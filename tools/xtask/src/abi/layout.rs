//! What is compared: how a structure is laid out, and what a constant is, whoever says so.

use std::collections::BTreeMap;

/// Where a field lies, in bits from the beginning of its structure, and how many it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) is_bit_field: bool,
}

/// A structure or union, in bytes.
///
/// Fields are named by the path to them, without what is anonymous on the way: headers,
/// bindgen and Microsoft's metadata each call that something else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Structure {
    pub(super) size: u64,
    /// None where the witness does not say.
    pub(super) align: Option<u64>,
    /// Its fields, and those of the structures in it that have no name of their own.
    pub(super) own: BTreeMap<String, Place>,
    /// Beside these, the fields of the structures in it that have a name.
    pub(super) all: BTreeMap<String, Place>,
}

/// An integer constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Constant {
    pub(super) value: i128,
    /// In bytes.
    pub(super) width: u64,
}

/// Somebody who says how structures are laid out and what constants are.
pub(super) trait Witness {
    /// What a reader knows it by.
    fn name(&self) -> &'static str;

    /// Whether it tells the bit-fields of an integer apart.
    fn knows_bit_fields(&self) -> bool {
        true
    }

    /// The structure that has one of these names; the first that is known.
    fn structure(&self, names: &[String]) -> anyhow::Result<Option<Structure>>;

    /// The constant of this name.
    fn constant(&self, name: &str) -> Option<Constant>;
}

/// A path, one step further.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

impl Structure {
    /// Notes a field, whose structure has a name of its own if `is_own` is false.
    pub(super) fn note(&mut self, path: &str, place: Place, is_own: bool) {
        if is_own {
            self.own.insert(path.to_owned(), place);
        }
        self.all.insert(path.to_owned(), place);
    }
}

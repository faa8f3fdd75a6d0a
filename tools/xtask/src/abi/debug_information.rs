//! DWARF debug information of C, as structures and enumerations by name.

use std::{borrow::Cow, collections::BTreeMap};

use anyhow::{Context as _, ensure};
use gimli::{AttributeValue, EndianSlice, LittleEndian};
use object::{Object as _, ObjectSection as _};

use super::layout::{Place, Structure, join};

/// What sort of thing an entry describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Structure,
    Union,
    Enumeration,
    Enumerator,
    Member,
    Typedef,
    Pointer,
    Array,
    Subrange,
    Base,
    /// const, volatile and their like.
    Qualifier,
    Other,
}

/// One entry.
#[derive(Debug)]
struct Entry {
    kind: Kind,
    name: Option<String>,
    bytes: Option<u64>,
    of: Option<usize>,
    location: Option<u64>,
    bit_location: Option<u64>,
    bits: Option<u64>,
    value: Option<i128>,
    /// One less than the length of an array.
    last: Option<u64>,
    is_declaration: bool,
    children: Vec<usize>,
}

/// All entries, by where they are.
#[derive(Debug)]
pub(super) struct Debug {
    entries: BTreeMap<usize, Entry>,
    /// Structures and unions by tag, and by the name that a typedef gives to them.
    records: BTreeMap<String, usize>,
    /// How C names them: with the tag's keyword, or not.
    spellings: BTreeMap<String, String>,
    /// Enumerations by tag or typedef.
    enumerations: BTreeMap<String, usize>,
    /// Each enumerator, with the enumeration.
    enumerators: BTreeMap<String, (usize, usize)>,
}

type Bytes<'a> = EndianSlice<'a, LittleEndian>;

impl Debug {
    /// Reads an object file.
    pub(super) fn read(object: &[u8]) -> anyhow::Result<Self> {
        let file = object::File::parse(object).context("it is no object file")?;
        let sections = gimli::DwarfSections::load(|id| -> anyhow::Result<Cow<'_, [u8]>> {
            file.section_by_name(id.name())
                .map_or(Ok(Cow::Borrowed(&[][..])), |section| {
                    Ok(section.uncompressed_data()?)
                })
        })?;
        let dwarf = sections.borrow(|section| EndianSlice::new(section, LittleEndian));
        let mut entries = BTreeMap::new();
        let mut units = dwarf.units();
        while let Some(header) = units.next()? {
            read_unit(&dwarf, header, &mut entries)?;
        }
        ensure!(!entries.is_empty(), "it has no debug information");
        Ok(Self::index(entries))
    }

    fn index(entries: BTreeMap<usize, Entry>) -> Self {
        let mut debug = Self {
            entries: BTreeMap::new(),
            records: BTreeMap::new(),
            spellings: BTreeMap::new(),
            enumerations: BTreeMap::new(),
            enumerators: BTreeMap::new(),
        };
        // A typedef names what has no tag, and is another name for what has one.
        let named = entries.iter().filter_map(|(at, entry)| {
            let name = entry.name.clone()?;
            match entry.kind {
                Kind::Structure => Some((name.clone(), *at, format!("struct {name}"))),
                Kind::Union => Some((name.clone(), *at, format!("union {name}"))),
                Kind::Enumeration => Some((name.clone(), *at, String::new())),
                Kind::Typedef => {
                    let of = entry
                        .of
                        .and_then(|of| entries.get(&of).map(|it| (of, it)))?;
                    Some((name.clone(), of.0, name))
                }
                _ => None,
            }
        });
        for (name, at, spelling) in named {
            match entries.get(&at) {
                Some(entry) if entry.is_declaration => {}
                Some(Entry {
                    kind: Kind::Structure | Kind::Union,
                    ..
                }) => {
                    debug.records.insert(name.clone(), at);
                    debug.spellings.insert(name, spelling);
                }
                Some(Entry {
                    kind: Kind::Enumeration,
                    ..
                }) => {
                    debug.enumerations.insert(name, at);
                }
                _ => {}
            }
        }
        for (at, entry) in &entries {
            for child in &entry.children {
                if let Some(Entry {
                    kind: Kind::Enumerator,
                    name: Some(name),
                    ..
                }) = entries.get(child)
                {
                    debug.enumerators.insert(name.clone(), (*at, *child));
                }
            }
        }
        debug.entries = entries;
        debug
    }

    /// The names of all structures and unions, and how C spells each.
    pub(super) fn records(&self) -> impl Iterator<Item = (&str, &str)> {
        self.spellings
            .iter()
            .map(|(name, spelling)| (name.as_str(), spelling.as_str()))
    }

    pub(super) fn record(&self, name: &str) -> Option<usize> {
        self.records.get(name).copied()
    }

    /// An enumerator's value, and the width of its enumeration in bytes.
    pub(super) fn enumerator(&self, name: &str) -> Option<(i128, u64)> {
        let (of, at) = self.enumerators.get(name)?;
        Some((
            self.entries.get(at)?.value?,
            self.entries.get(of)?.bytes.unwrap_or(4),
        ))
    }

    /// As [`Self::enumerator`], of the enumeration `of` alone.
    pub(super) fn enumerator_of(&self, of: &str, name: &str) -> Option<(i128, u64)> {
        let enumeration = self.entries.get(self.enumerations.get(of)?)?;
        let found = enumeration
            .children
            .iter()
            .filter_map(|at| self.entries.get(at))
            .find(|entry| entry.name.as_deref() == Some(name))?;
        Some((found.value?, enumeration.bytes.unwrap_or(4)))
    }

    /// The structure at `at`, with all that is in it.
    pub(super) fn laid_out(&self, at: usize) -> anyhow::Result<Structure> {
        let mut structure = Structure {
            size: self.entry(at)?.bytes.context("a structure has a size")?,
            ..Structure::default()
        };
        self.walk(at, "", 0, true, &mut structure)?;
        Ok(structure)
    }

    fn entry(&self, at: usize) -> anyhow::Result<&Entry> {
        self.entries.get(&at).context("an entry refers to none")
    }

    fn walk(
        &self,
        at: usize,
        path: &str,
        base: u64,
        is_own: bool,
        into: &mut Structure,
    ) -> anyhow::Result<()> {
        for child in &self.entry(at)?.children {
            let member = self.entry(*child)?;
            if member.kind != Kind::Member {
                continue;
            }
            let of = member.of.context("a member has a type")?;
            let begin = base
                + member
                    .bit_location
                    .unwrap_or_else(|| member.location.unwrap_or(0) * 8);
            let path = match &member.name {
                Some(name) => {
                    let path = join(path, name);
                    let size = match member.bits {
                        Some(bits) => bits,
                        None => self.bytes(of)? * 8,
                    };
                    let place = Place {
                        offset: begin,
                        size,
                        is_bit_field: member.bits.is_some(),
                    };
                    into.note(&path, place, is_own);
                    path
                }
                None => path.to_owned(),
            };
            let inner = self.plain(of)?;
            let record = self.entry(inner)?;
            if matches!(record.kind, Kind::Structure | Kind::Union) {
                let is_own = is_own && record.name.is_none() && inner == of;
                self.walk(inner, &path, begin, is_own, into)?;
            }
        }
        Ok(())
    }

    /// What is behind typedefs and qualifiers.
    fn plain(&self, at: usize) -> anyhow::Result<usize> {
        let entry = self.entry(at)?;
        match (entry.kind, entry.of) {
            (Kind::Typedef | Kind::Qualifier, Some(of)) => self.plain(of),
            _ => Ok(at),
        }
    }

    /// The size of a value of the type at `at`.
    fn bytes(&self, at: usize) -> anyhow::Result<u64> {
        let at = self.plain(at)?;
        let entry = self.entry(at)?;
        if entry.kind == Kind::Array {
            let element = self.bytes(entry.of.context("an array has elements")?)?;
            let mut length = 1;
            for child in &entry.children {
                let range = self.entry(*child)?;
                if range.kind == Kind::Subrange {
                    length *= range.last.map_or(0, |last| last.wrapping_add(1));
                }
            }
            return Ok(element * length);
        }
        match (entry.kind, entry.bytes) {
            (_, Some(bytes)) => Ok(bytes),
            (Kind::Pointer, None) => Ok(8),
            _ => anyhow::bail!("a type without a size"),
        }
    }
}

/// Adds the entries of one unit.
fn read_unit(
    dwarf: &gimli::Dwarf<Bytes<'_>>,
    header: gimli::UnitHeader<Bytes<'_>>,
    into: &mut BTreeMap<usize, Entry>,
) -> anyhow::Result<()> {
    let unit = dwarf.unit(header)?;
    let mut cursor = unit.entries();
    // Where the entries are that the next one may be a child of.
    let mut above: Vec<(isize, usize)> = Vec::new();
    while let Some(entry) = cursor.next_dfs()? {
        let at = entry.offset().0;
        let number = |name| match entry.attr_value(name) {
            Some(AttributeValue::Exprloc(_)) | None => None,
            Some(value) => value.udata_value(),
        };
        let name = match entry.attr_value(gimli::DW_AT_name) {
            Some(value) => Some(
                dwarf
                    .attr_string(&unit, value)?
                    .to_string_lossy()
                    .into_owned(),
            ),
            None => None,
        };
        let of = match entry.attr_value(gimli::DW_AT_type) {
            Some(AttributeValue::UnitRef(offset)) => Some(offset.0),
            _ => None,
        };
        let value = entry
            .attr_value(gimli::DW_AT_const_value)
            .and_then(|value| {
                // Small values have no sign, unless their form says so.
                match value {
                    AttributeValue::Sdata(value) => Some(i128::from(value)),
                    value => value.udata_value().map(i128::from),
                }
            });
        let depth = entry.depth();
        while above.last().is_some_and(|(other, _)| *other >= depth) {
            above.pop();
        }
        if let Some(parent) = above.last().and_then(|(_, at)| into.get_mut(at)) {
            parent.children.push(at);
        }
        above.push((depth, at));
        into.insert(
            at,
            Entry {
                kind: kind(entry.tag()),
                name,
                bytes: number(gimli::DW_AT_byte_size),
                of,
                location: number(gimli::DW_AT_data_member_location),
                bit_location: number(gimli::DW_AT_data_bit_offset),
                bits: number(gimli::DW_AT_bit_size),
                value,
                last: number(gimli::DW_AT_upper_bound),
                is_declaration: entry.attr_value(gimli::DW_AT_declaration).is_some(),
                children: Vec::new(),
            },
        );
    }
    Ok(())
}

fn kind(tag: gimli::DwTag) -> Kind {
    match tag {
        gimli::DW_TAG_structure_type => Kind::Structure,
        gimli::DW_TAG_union_type => Kind::Union,
        gimli::DW_TAG_enumeration_type => Kind::Enumeration,
        gimli::DW_TAG_enumerator => Kind::Enumerator,
        gimli::DW_TAG_member => Kind::Member,
        gimli::DW_TAG_typedef => Kind::Typedef,
        gimli::DW_TAG_pointer_type => Kind::Pointer,
        gimli::DW_TAG_array_type => Kind::Array,
        gimli::DW_TAG_subrange_type => Kind::Subrange,
        gimli::DW_TAG_base_type => Kind::Base,
        gimli::DW_TAG_const_type | gimli::DW_TAG_volatile_type | gimli::DW_TAG_restrict_type => {
            Kind::Qualifier
        }
        _ => Kind::Other,
    }
}

//! Where the members of a structure lie, from the PDB's types.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Cursor,
};

use anyhow::Context as _;
use pdb_addr2line::pdb::{FallibleIterator as _, PDB, TypeData, TypeFinder, TypeIndex};

/// A member of a structure.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    name: String,
    offset: u64,
    /// What it is, if that is a structure.
    class: Option<String>,
}

/// The structures of a program.
#[derive(Clone, Debug, Default)]
pub(super) struct Types(BTreeMap<String, Vec<Member>>);

impl Types {
    /// Reads them.
    ///
    /// # Errors
    /// If the PDB is damaged.
    pub(super) fn parse(bytes: &[u8]) -> anyhow::Result<Self> {
        let read = || {
            let mut pdb = PDB::open(Cursor::new(bytes))?;
            let information = pdb.type_information()?;
            let mut finder = information.finder();
            let mut types = information.iter();
            let mut classes = Vec::new();
            while let Some(item) = types.next()? {
                finder.update(&types);
                if let Ok(TypeData::Class(class)) = item.parse()
                    && let Some(fields) = class.fields
                {
                    classes.push((class.name.to_string().into_owned(), fields));
                }
            }
            let mut found = BTreeMap::new();
            for (name, fields) in classes {
                found.insert(name, members(&finder, fields)?);
            }
            Ok(Self(found))
        };
        read()
            .map_err(|error: pdb_addr2line::pdb::Error| error)
            .context("the PDB's types cannot be read: build it again")
    }

    /// Where the member `name` of the structure `class` lies.
    pub(super) fn member(&self, class: &str, name: &str) -> Option<u64> {
        let members = self.0.get(class)?;
        members
            .iter()
            .find(|member| member.name == name)
            .map(|member| member.offset)
    }

    /// Where in `class`, or in a structure in it, there is one whose name begins with
    /// `wanted`.
    pub(super) fn parts(&self, class: &str, wanted: &str) -> BTreeSet<u64> {
        let mut found = BTreeSet::new();
        let mut open = vec![(class, 0_u64)];
        // A damaged PDB can have a structure inside itself.
        let mut seen = BTreeSet::from([(class, 0)]);
        while let Some((class, base)) = open.pop() {
            if class.starts_with(wanted) {
                found.insert(base);
                continue;
            }
            for member in self.0.get(class).into_iter().flatten() {
                let offset = base.checked_add(member.offset);
                if let (Some(inner), Some(offset)) = (&member.class, offset)
                    && offset < LARGEST
                    && seen.insert((inner.as_str(), offset))
                {
                    open.push((inner.as_str(), offset));
                }
            }
        }
        found
    }
}

/// No structure of a driver's is larger, so nothing lies further behind its beginning.
const LARGEST: u64 = 1 << 20;

fn members(
    finder: &TypeFinder<'_>,
    fields: TypeIndex,
) -> Result<Vec<Member>, pdb_addr2line::pdb::Error> {
    let mut members = Vec::new();
    let mut next = Some(fields);
    let mut seen = BTreeSet::new();
    // A list that goes on in itself is damaged, and has no more members.
    while let Some(list) = next.filter(|&list| seen.insert(list)) {
        // Types that this reader does not know are nothing that a driver's members are of.
        let Ok(TypeData::FieldList(list)) = finder.find(list)?.parse() else {
            break;
        };
        for field in list.fields {
            if let TypeData::Member(member) = field {
                let class = match finder.find(member.field_type)?.parse() {
                    Ok(TypeData::Class(class)) => Some(class.name.to_string().into_owned()),
                    _ => None,
                };
                members.push(Member {
                    name: member.name.to_string().into_owned(),
                    offset: member.offset,
                    class,
                });
            }
        }
        next = list.continuation;
    }
    Ok(members)
}

/// The generic arguments of a name: `a::b<c<d,e>,f>` has `c<d,e>` and `f`.
pub(super) fn arguments(name: &str) -> Vec<&str> {
    let Some(begin) = name.find('<') else {
        return Vec::new();
    };
    let (mut depth, mut start, mut found) = (0_usize, begin + 1, Vec::new());
    for (at, letter) in name.char_indices().skip_while(|(at, _)| *at < begin) {
        match letter {
            '<' | '(' | '[' => depth += 1,
            '>' | ')' | ']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    found.push(name[start..at].trim());
                    break;
                }
            }
            ',' if depth == 1 => {
                found.push(name[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Member, Types, arguments};

    #[test]
    fn generic_arguments_are_told_apart() {
        assert_eq!(
            arguments("a::b<c<d,e>,f (*)(g,h)> >"),
            ["c<d,e>", "f (*)(g,h)"]
        );
        assert_eq!(
            arguments("enum2$<core::option::Option<u32> >"),
            ["core::option::Option<u32>"]
        );
        assert!(arguments("plain").is_empty());
    }

    #[test]
    fn parts_are_found_inside_of_parts() {
        let member = |name: &str, offset, class: Option<&str>| Member {
            name: name.to_owned(),
            offset,
            class: class.map(str::to_owned),
        };
        let types = Types(
            [
                (
                    "S".to_owned(),
                    vec![member("x", 0, None), member("c", 16, Some("C"))],
                ),
                ("C".to_owned(), vec![member("r", 8, Some("IoMem<1>"))]),
            ]
            .into(),
        );
        assert_eq!(
            types.parts("S", "IoMem<").into_iter().collect::<Vec<_>>(),
            [24]
        );
        assert_eq!(types.member("S", "c"), Some(16));
        assert!(types.parts("C", "Missing").is_empty());
    }

    #[test]
    fn a_structure_in_itself_has_an_end() {
        let inside = |offset| Member {
            name: "inner".to_owned(),
            offset,
            class: Some("S".to_owned()),
        };
        for offset in [0, 8, u64::MAX] {
            let types = Types([("S".to_owned(), vec![inside(offset)])].into());
            assert!(types.parts("S", "IoMem<").is_empty());
        }
    }
}

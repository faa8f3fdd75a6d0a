//! Comparing what the witnesses say with what our bindings have.

use std::{collections::BTreeMap, fmt};

use super::{
    layout::{Constant, Place, Structure, Witness},
    own::Own,
};

/// A point on which a witness disagrees with our bindings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Disagreement {
    /// The structure or constant.
    pub(super) of: String,
    /// A field, or what else of it.
    pub(super) about: String,
    /// [`NOBODY`] if none of them knows it.
    pub(super) witness: &'static str,
    pub(super) ours: String,
    pub(super) theirs: String,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) structures: usize,
    pub(super) fields: usize,
    pub(super) constants: usize,
    /// Bit-fields, by the witness that does not know any, with the number of their
    /// structures.
    pub(super) bit_fields: BTreeMap<&'static str, (usize, usize)>,
    pub(super) disagreements: Vec<Disagreement>,
    /// Constants that the sources spell out.
    pub(super) own: Own,
    /// What one witness alone does not know, by its name.
    pub(super) unknown: BTreeMap<&'static str, Vec<String>>,
}

/// The witness to what no witness knows.
pub(super) const NOBODY: &str = "nobody else";
/// What is said of what somebody does not have.
const NONE: &str = "none";

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_bit_field {
            let (byte, bit) = (self.offset / 8, self.offset % 8);
            write!(formatter, "at {byte}, bit {bit}: {} bits", self.size)
        } else {
            write!(formatter, "at {}: {} bytes", self.offset / 8, self.size / 8)
        }
    }
}

impl fmt::Display for Constant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.value < 0 { "-" } else { "" };
        let value = self.value.unsigned_abs();
        write!(formatter, "{sign}{value:#x} in {} bytes", self.width)
    }
}

impl Outcome {
    /// Compares the structure `name`, which C knows by `names`.
    pub(super) fn structure(
        &mut self,
        name: &str,
        names: &[String],
        ours: &Structure,
        witnesses: &[&dyn Witness],
    ) -> anyhow::Result<()> {
        self.structures += 1;
        self.fields += ours.own.len();
        let mut strangers = Vec::new();
        for witness in witnesses {
            match witness.structure(names)? {
                Some(theirs) => self.layouts(name, ours, &theirs, *witness),
                None => strangers.push(witness.name()),
            }
        }
        let fields = format!("{} bytes, {} fields", ours.size, ours.own.len());
        self.note_strangers(name, &fields, &strangers, witnesses.len());
        Ok(())
    }

    fn layouts(&mut self, name: &str, ours: &Structure, theirs: &Structure, witness: &dyn Witness) {
        let mut differ = |about: &str, ours: String, theirs: String| {
            if ours != theirs {
                self.disagreements.push(Disagreement {
                    of: name.to_owned(),
                    about: about.to_owned(),
                    witness: witness.name(),
                    ours,
                    theirs,
                });
            }
        };
        differ("size", ours.size.to_string(), theirs.size.to_string());
        if let (Some(ours), Some(theirs)) = (ours.align, theirs.align) {
            differ("alignment", ours.to_string(), theirs.to_string());
        }
        let mut bit_fields = 0;
        for (path, place) in &ours.own {
            if place.is_bit_field && !witness.knows_bit_fields() {
                bit_fields += 1;
                continue;
            }
            let there = find(theirs, path).map_or(NONE.to_owned(), Place::to_string);
            differ(path, place.to_string(), there);
        }
        for (path, place) in &theirs.own {
            if find(ours, path).is_none() {
                differ(path, NONE.to_owned(), place.to_string());
            }
        }
        if bit_fields != 0 {
            let (fields, structures) = self.bit_fields.entry(witness.name()).or_default();
            *fields += bit_fields;
            *structures += 1;
        }
    }

    /// Compares the constant `name`.
    pub(super) fn constant(&mut self, name: &str, ours: Constant, witnesses: &[&dyn Witness]) {
        self.constants += 1;
        let mut strangers = Vec::new();
        for witness in witnesses {
            match witness.constant(name) {
                None => strangers.push(witness.name()),
                Some(theirs) if theirs == ours => {}
                Some(theirs) => self.disagreements.push(Disagreement {
                    of: name.to_owned(),
                    about: "value".to_owned(),
                    witness: witness.name(),
                    ours: ours.to_string(),
                    theirs: theirs.to_string(),
                }),
            }
        }
        self.note_strangers(name, &ours.to_string(), &strangers, witnesses.len());
    }

    /// Notes who does not know `name`.
    fn note_strangers(&mut self, name: &str, ours: &str, strangers: &[&'static str], all: usize) {
        if strangers.len() == all {
            self.disagreements.push(Disagreement {
                of: name.to_owned(),
                about: "existence".to_owned(),
                witness: NOBODY,
                ours: ours.to_owned(),
                theirs: NONE.to_owned(),
            });
            return;
        }
        for witness in strangers {
            let names = self.unknown.entry(witness).or_default();
            names.push(name.to_owned());
        }
    }
}

/// The field at `path`. Who spells it with other capitals has the field nevertheless.
fn find<'a>(structure: &'a Structure, path: &str) -> Option<&'a Place> {
    structure.all.get(path).or_else(|| {
        let mut all = structure.all.iter();
        all.find(|(other, _)| other.eq_ignore_ascii_case(path))
            .map(|(_, place)| place)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A witness that knows one structure and one constant.
    struct Somebody(Structure, Constant);

    impl Witness for Somebody {
        fn name(&self) -> &'static str {
            "somebody"
        }

        fn structure(&self, names: &[String]) -> anyhow::Result<Option<Structure>> {
            let is_known = names.iter().any(|name| name == "_KNOWN");
            Ok(is_known.then(|| self.0.clone()))
        }

        fn constant(&self, name: &str) -> Option<Constant> {
            (name == "KNOWN").then_some(self.1)
        }
    }

    /// A witness that knows all constants.
    struct Everybody;

    impl Witness for Everybody {
        fn name(&self) -> &'static str {
            "everybody"
        }
        fn structure(&self, _: &[String]) -> anyhow::Result<Option<Structure>> {
            Ok(None)
        }
        fn constant(&self, _: &str) -> Option<Constant> {
            Some(ONE)
        }
    }

    fn structure(fields: &[(&str, u64, u64)]) -> Structure {
        let fields: BTreeMap<String, Place> = fields
            .iter()
            .map(|(name, offset, size)| {
                let place = Place {
                    offset: offset * 8,
                    size: size * 8,
                    is_bit_field: false,
                };
                ((*name).to_owned(), place)
            })
            .collect();
        Structure {
            size: 16,
            align: Some(8),
            own: fields.clone(),
            all: fields,
        }
    }

    const ONE: Constant = Constant { value: 1, width: 4 };

    fn differences(theirs: Structure) -> Vec<(String, String, String)> {
        let ours = structure(&[("First", 0, 4), ("Second", 8, 8)]);
        let mut outcome = Outcome::default();
        outcome
            .structure(
                "_KNOWN",
                &["_KNOWN".to_owned()],
                &ours,
                &[&Somebody(theirs, ONE)],
            )
            .expect("the witness says what it knows");
        let all = outcome.disagreements.into_iter();
        all.map(|it| (it.about, it.ours, it.theirs)).collect()
    }

    fn one(about: &str, ours: &str, theirs: &str) -> Vec<(String, String, String)> {
        vec![(about.to_owned(), ours.to_owned(), theirs.to_owned())]
    }

    #[test]
    fn a_layout_agrees_with_itself_alone() {
        assert_eq!(
            differences(structure(&[("First", 0, 4), ("Second", 8, 8)])),
            []
        );
        assert_eq!(
            differences(structure(&[("First", 0, 4), ("second", 8, 8)])),
            [],
            "capitals do not matter"
        );
        assert_eq!(
            differences(structure(&[("First", 0, 4), ("Second", 4, 8)])),
            one("Second", "at 8: 8 bytes", "at 4: 8 bytes")
        );
        assert_eq!(
            differences(structure(&[("First", 0, 8), ("Second", 8, 8)])),
            one("First", "at 0: 4 bytes", "at 0: 8 bytes")
        );
        assert_eq!(
            differences(structure(&[("First", 0, 4)])),
            one("Second", "at 8: 8 bytes", "none")
        );
        assert_eq!(
            differences(structure(&[
                ("First", 0, 4),
                ("Second", 8, 8),
                ("Third", 4, 4)
            ])),
            one("Third", "none", "at 4: 4 bytes")
        );
    }

    #[test]
    fn size_and_alignment_count_where_all_fields_agree() {
        let mut theirs = structure(&[("First", 0, 4), ("Second", 8, 8)]);
        theirs.size = 24;
        assert_eq!(differences(theirs.clone()), one("size", "16", "24"));
        theirs.size = 16;
        theirs.align = Some(4);
        assert_eq!(differences(theirs), one("alignment", "8", "4"));
    }

    #[test]
    fn a_constant_has_a_value_and_a_width() {
        let somebody = Somebody(Structure::default(), ONE);
        let against = |value, width| {
            let mut outcome = Outcome::default();
            outcome.constant("KNOWN", Constant { value, width }, &[&somebody]);
            outcome.disagreements.len()
        };
        assert_eq!([against(1, 4), against(2, 4), against(1, 8)], [0, 1, 1]);
    }

    #[test]
    fn what_only_we_know_is_a_disagreement_and_what_one_does_not_know_is_listed() {
        let somebody = Somebody(Structure::default(), ONE);
        let mut outcome = Outcome::default();
        outcome.constant("OTHER", ONE, &[&somebody]);
        let only = outcome.disagreements.first().map(|it| it.witness);
        assert_eq!(only, Some(NOBODY));
        let mut outcome = Outcome::default();
        outcome.constant("OTHER", ONE, &[&somebody, &Everybody]);
        assert!(outcome.disagreements.is_empty());
        assert_eq!(outcome.unknown["somebody"], ["OTHER"]);
    }
}

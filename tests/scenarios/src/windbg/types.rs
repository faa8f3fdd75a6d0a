//! The types of a PDB as JSON, for what stands in for a debugger.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    path::Path,
};

use anyhow::Context as _;
use pdb_addr2line::pdb::{
    self, FallibleIterator as _, PDB, PrimitiveKind, PrimitiveType, SymbolData, TypeData,
    TypeFinder, TypeIndex, Variant,
};
use serde_json::{Value, json};

/// Bytes of a pointer.
const POINTER: u64 = 8;

/// All types of `path`: under `types` each by its number, under `names` the numbers of those
/// that have a name. Numbers of 64 bits are texts.
///
/// # Errors
/// When the PDB cannot be read.
pub(crate) fn read(path: &Path) -> anyhow::Result<Value> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let read = || -> Result<Value, pdb::Error> {
        let mut pdb = PDB::open(file)?;
        let constants = constants(&mut pdb)?;
        let information = pdb.type_information()?;
        let mut finder = information.finder();
        let mut indices = Vec::new();
        let mut types = information.iter();
        while let Some(item) = types.next()? {
            finder.update(&types);
            indices.push(item.index());
        }
        let mut reader = Reader {
            finder,
            constants,
            types: BTreeMap::new(),
            names: BTreeMap::new(),
        };
        for index in indices {
            reader.add(index)?;
        }
        Ok(json!({ "types": reader.types, "names": reader.names }))
    };
    read().with_context(|| format!("the types of {} cannot be read", path.display()))
}

/// The values of static members, by their whole names.
fn constants(pdb: &mut PDB<'static, File>) -> Result<HashMap<String, String>, pdb::Error> {
    let symbols = pdb.global_symbols()?;
    let mut symbols = symbols.iter();
    let mut found = HashMap::new();
    while let Some(symbol) = symbols.next()? {
        if let Ok(SymbolData::Constant(constant)) = symbol.parse() {
            found.insert(
                constant.name.to_string().into_owned(),
                unsigned(constant.value).to_string(),
            );
        }
    }
    Ok(found)
}

/// The bits of a constant, which the tags that they are compared with are, too.
fn unsigned(value: Variant) -> u64 {
    match value {
        Variant::U8(value) => value.into(),
        Variant::U16(value) => value.into(),
        Variant::U32(value) => value.into(),
        Variant::U64(value) => value,
        Variant::I8(value) => value.cast_unsigned().into(),
        Variant::I16(value) => value.cast_unsigned().into(),
        Variant::I32(value) => value.cast_unsigned().into(),
        Variant::I64(value) => value.cast_unsigned(),
    }
}

struct Reader<'t> {
    finder: TypeFinder<'t>,
    constants: HashMap<String, String>,
    types: BTreeMap<String, Value>,
    names: BTreeMap<String, String>,
}

impl Reader<'_> {
    /// Adds a type that values can have.
    fn add(&mut self, index: TypeIndex) -> Result<(), pdb::Error> {
        let key = index.0.to_string();
        // Types that this reader does not know are nothing that a driver's values are of.
        let Ok(data) = self.finder.find(index)?.parse() else {
            return Ok(());
        };
        let (name, value) = match data {
            TypeData::Class(class) if !class.properties.forward_reference() => {
                let name = class.name.to_string().into_owned();
                let fields = self.fields(class.fields, &name)?;
                (
                    Some(name),
                    json!({ "kind": "udt", "size": class.size, "fields": fields }),
                )
            }
            TypeData::Union(union) if !union.properties.forward_reference() => {
                let name = union.name.to_string().into_owned();
                let fields = self.fields(Some(union.fields), &name)?;
                (
                    Some(name),
                    json!({ "kind": "udt", "size": union.size, "fields": fields }),
                )
            }
            TypeData::Enumeration(names) if !names.properties.forward_reference() => {
                let name = names.name.to_string().into_owned();
                let fields = self.fields(Some(names.fields), &name)?;
                self.primitive(names.underlying_type)?;
                let base = names.underlying_type.0;
                (
                    Some(name),
                    json!({ "kind": "enum", "base": base, "fields": fields }),
                )
            }
            TypeData::Class(class) => (None, json!({ "forward": class.name.to_string() })),
            TypeData::Union(union) => (None, json!({ "forward": union.name.to_string() })),
            TypeData::Enumeration(names) => (None, json!({ "forward": names.name.to_string() })),
            TypeData::Pointer(pointer) => {
                self.primitive(pointer.underlying_type)?;
                let base = pointer.underlying_type.0;
                (
                    None,
                    json!({ "kind": "pointer", "size": POINTER, "base": base }),
                )
            }
            TypeData::Modifier(modifier) => {
                self.primitive(modifier.underlying_type)?;
                (None, json!({ "same": modifier.underlying_type.0 }))
            }
            TypeData::Array(array) => {
                self.primitive(array.element_type)?;
                let (base, size) = (array.element_type.0, array.dimensions.last());
                (None, json!({ "kind": "array", "size": size, "base": base }))
            }
            TypeData::Procedure(_) => (None, json!({ "kind": "function", "size": 0 })),
            TypeData::Bitfield(bits) => {
                self.primitive(bits.underlying_type)?;
                (None, json!({ "same": bits.underlying_type.0 }))
            }
            _ => return Ok(()),
        };
        let mut value = value;
        if let Some(name) = name {
            value["name"] = name.clone().into();
            self.names.insert(name, key.clone());
        }
        self.types.insert(key, value);
        Ok(())
    }

    fn fields(&mut self, list: Option<TypeIndex>, class: &str) -> Result<Value, pdb::Error> {
        let mut found = Vec::new();
        let mut next = list;
        while let Some(index) = next {
            let Ok(TypeData::FieldList(list)) = self.finder.find(index)?.parse() else {
                break;
            };
            for field in list.fields {
                match field {
                    TypeData::Member(member) => {
                        self.primitive(member.field_type)?;
                        found.push(json!({
                            "name": member.name.to_string(),
                            "kind": "member",
                            "offset": member.offset.to_string(),
                            "type": member.field_type.0,
                        }));
                    }
                    TypeData::StaticMember(member) => {
                        self.primitive(member.field_type)?;
                        let name = member.name.to_string();
                        found.push(json!({
                            "name": name,
                            "kind": "constant",
                            "value": self.constants.get(&format!("{class}::{name}")),
                            "type": member.field_type.0,
                        }));
                    }
                    TypeData::Enumerate(value) => found.push(json!({
                        "name": value.name.to_string(),
                        "kind": "constant",
                        "value": unsigned(value.value).to_string(),
                    })),
                    _ => {}
                }
            }
            next = list.continuation;
        }
        Ok(found.into())
    }

    /// Adds a type that the compiler knows by itself, if this is one.
    fn primitive(&mut self, index: TypeIndex) -> Result<(), pdb::Error> {
        let key = index.0.to_string();
        if self.types.contains_key(&key) {
            return Ok(());
        }
        if let Ok(TypeData::Primitive(primitive)) = self.finder.find(index)?.parse() {
            self.types.insert(key, intrinsic(primitive));
        }
        Ok(())
    }
}

fn intrinsic(primitive: PrimitiveType) -> Value {
    use PrimitiveKind::{
        Bool8, Char, I8, I16, I32, I64, Long, Quad, RChar, Short, U8, U16, U32, U64, UChar, ULong,
        UQuad, UShort,
    };
    let (name, size) = match primitive.kind {
        Bool8 => ("bool", 1),
        Char | RChar | I8 => ("char", 1),
        UChar | U8 => ("unsigned char", 1),
        Short | I16 => ("short", 2),
        UShort | U16 => ("unsigned short", 2),
        Long | I32 => ("long", 4),
        ULong | U32 => ("unsigned long", 4),
        Quad | I64 => ("__int64", 8),
        UQuad | U64 => ("unsigned __int64", 8),
        _ => ("void", 0),
    };
    if primitive.indirection.is_some() {
        return json!({ "kind": "pointer", "size": POINTER, "to": name });
    }
    json!({ "kind": "intrinsic", "name": name, "size": size })
}

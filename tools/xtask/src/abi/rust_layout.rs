//! How rustc lays out the `repr(C)` structures of a crate, and what its constants are.
//!
//! The rules are C's, for x64. They are not taken on trust: what bindgen made carries the
//! numbers that a C compiler found, rustc confirms them whenever the bindings are compiled,
//! and here all of them are compared with what was worked out. The same code then works out
//! the layouts of `windows-sys`, of which `tests/abi` has rustc compare many.

use anyhow::{Context as _, bail, ensure};
use syn::{BinOp, Expr, Lit, Type, UnOp};

use super::{
    items::{Items, Path, Record},
    layout::{Constant, Place, Structure, join},
};

const POINTER: Extent = Extent { size: 8, align: 8 };

/// How much room something takes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) size: u64,
    pub(super) align: u64,
}

impl Items {
    /// The structure `name` of `module`, with all that is in it.
    pub(super) fn laid_out(&self, module: &[String], name: &str) -> anyhow::Result<Structure> {
        let record = self.record(module, name)?;
        let extent = self.record_extent(module, name, record)?;
        let mut structure = Structure {
            size: extent.size,
            align: Some(extent.align),
            ..Structure::default()
        };
        self.walk(module, name, "", 0, true, &mut structure)?;
        Ok(structure)
    }

    /// Where the field `field` of the structure `name` begins, in bytes.
    pub(super) fn offset(&self, module: &[String], name: &str, field: &str) -> anyhow::Result<u64> {
        let record = self.record(module, name)?;
        self.fields(module, name, record)?
            .iter()
            .find(|(present, ..)| *present == field)
            .map(|(_, _, offset, _)| *offset)
            .with_context(|| format!("{name} has no field {field}"))
    }

    fn record(&self, module: &[String], name: &str) -> anyhow::Result<&Record> {
        self.modules
            .get(module)
            .and_then(|found| found.records.get(name))
            .with_context(|| format!("there is no structure {name}"))
    }

    /// Notes what is in the structure `name`, which begins at bit `base`.
    fn walk(
        &self,
        module: &[String],
        name: &str,
        path: &str,
        base: u64,
        is_own: bool,
        into: &mut Structure,
    ) -> anyhow::Result<()> {
        let record = self.record(module, name)?;
        for (field, kind, offset, extent) in self.fields(module, name, record)? {
            let begin = base + offset * 8;
            for bits in record.bit_fields.iter().filter(|bits| bits.unit == field) {
                let place = Place {
                    offset: begin + bits.offset,
                    size: bits.size,
                    is_bit_field: true,
                };
                into.note(&join(path, &bits.name), place, is_own);
            }
            if is_no_field(field) {
                continue;
            }
            let path = if is_anonymous(field) {
                path.to_owned()
            } else {
                let path = join(path, field);
                let place = Place {
                    offset: begin,
                    size: extent.size * 8,
                    is_bit_field: false,
                };
                into.note(&path, place, is_own);
                path
            };
            if let Some((inside, inner)) = self.record_of(module, kind) {
                let is_own = is_own && is_part_of(&inner, name);
                self.walk(&inside, &inner, &path, begin, is_own, into)?;
            }
        }
        Ok(())
    }

    /// Each field with its offset and extent.
    fn fields<'a>(
        &self,
        module: &[String],
        name: &str,
        record: &'a Record,
    ) -> anyhow::Result<Vec<(&'a str, &'a Type, u64, Extent)>> {
        let mut end = 0_u64;
        let mut fields = Vec::new();
        for (field, kind) in &record.fields {
            let extent = self
                .extent(module, kind)
                .with_context(|| format!("the field {field} of {name}"))?;
            let align = extent.align.min(record.pack.unwrap_or(u64::MAX));
            let offset = if record.is_union {
                0
            } else {
                end.next_multiple_of(align)
            };
            fields.push((field.as_str(), kind, offset, Extent { align, ..extent }));
            end = end.max(offset + extent.size);
        }
        Ok(fields)
    }

    fn record_extent(
        &self,
        module: &[String],
        name: &str,
        record: &Record,
    ) -> anyhow::Result<Extent> {
        let mut whole = Extent {
            size: 0,
            align: record.align.unwrap_or(1),
        };
        for (_, _, offset, extent) in self.fields(module, name, record)? {
            whole.align = whole.align.max(extent.align);
            whole.size = whole.size.max(offset + extent.size);
        }
        whole.size = whole.size.next_multiple_of(whole.align);
        Ok(whole)
    }

    /// The structure that `kind` is, by value, under whatever name.
    pub(super) fn record_of(&self, module: &[String], kind: &Type) -> Option<(Path, String)> {
        let Type::Path(path) = kind else { return None };
        // What bindgen adds to the language is no structure of C's.
        if !path.path.segments.last()?.arguments.is_none() {
            return None;
        }
        let (inside, name) = self.find(module, &path.path)?;
        let found = self.modules.get(&inside)?;
        if found.records.contains_key(&name) {
            return Some((inside, name));
        }
        self.record_of(&inside, found.aliases.get(&name)?)
    }

    /// How much room a value of type `kind` takes, named from within `module`.
    pub(super) fn extent(&self, module: &[String], kind: &Type) -> anyhow::Result<Extent> {
        match kind {
            Type::Ptr(_) | Type::BareFn(_) | Type::Reference(_) => Ok(POINTER),
            Type::Array(array) => {
                let element = self.extent(module, &array.elem)?;
                let length = self.value(module, &array.len)?;
                let length = u64::try_from(length).context("an array's length")?;
                Ok(Extent {
                    size: element.size * length,
                    ..element
                })
            }
            Type::Path(path) => self.named_extent(module, &path.path),
            _ => bail!("a type of a kind that C does not have"),
        }
    }

    fn named_extent(&self, module: &[String], path: &syn::Path) -> anyhow::Result<Extent> {
        let last = path.segments.last().context("a path has a name")?;
        let name = last.ident.to_string();
        if let syn::PathArguments::AngleBracketed(arguments) = &last.arguments {
            let Some(syn::GenericArgument::Type(inner)) = arguments.args.first() else {
                bail!("{name} is given no type");
            };
            return match name.as_str() {
                // Of a function pointer, which is all that the bindings have.
                "Option" => Ok(POINTER),
                "ManuallyDrop" => self.extent(module, inner),
                "__BindgenBitfieldUnit" => {
                    let align = 1;
                    let Extent { size, .. } = self.extent(module, inner)?;
                    Ok(Extent { size, align })
                }
                "__IncompleteArrayField" => Ok(Extent {
                    size: 0,
                    ..self.extent(module, inner)?
                }),
                // A marker: what has the room is another field.
                "__BindgenUnionField" => Ok(Extent { size: 0, align: 1 }),
                _ => bail!("the size of {name}<...> is not known"),
            };
        }
        if let Some(size) = primitive(&name) {
            return Ok(Extent { size, align: size });
        }
        let (inside, name) = self
            .find(module, path)
            .with_context(|| format!("there is no type {name}"))?;
        let found = self.modules.get(&inside).context("it was found")?;
        if let Some(record) = found.records.get(&name) {
            return self.record_extent(&inside, &name, record);
        }
        let alias = found.aliases.get(&name);
        self.extent(
            &inside,
            alias.with_context(|| format!("there is no type {name}"))?,
        )
    }

    /// The constant `name` of `module`.
    pub(super) fn constant(&self, module: &[String], name: &str) -> anyhow::Result<Constant> {
        let (kind, value) = self
            .modules
            .get(module)
            .and_then(|found| found.constants.get(name))
            .with_context(|| format!("there is no constant {name}"))?;
        let (width, is_signed) = self.integer(module, kind)?;
        let value = wrap(self.value(module, value)?, width, is_signed);
        Ok(Constant { value, width })
    }

    /// The width of an integer type in bytes, and whether it has a sign.
    fn integer(&self, module: &[String], kind: &Type) -> anyhow::Result<(u64, bool)> {
        let Type::Path(path) = kind else {
            bail!("it is no integer")
        };
        let name = path
            .path
            .segments
            .last()
            .map(|last| last.ident.to_string())
            .unwrap_or_default();
        if let Some(size) = primitive(&name) {
            ensure!(!matches!(name.as_str(), "f32" | "f64"), "it is no integer");
            let is_signed = name.starts_with('i')
                || matches!(
                    name.as_str(),
                    "c_int" | "c_long" | "c_short" | "c_schar" | "c_char" | "c_longlong"
                );
            return Ok((size, is_signed));
        }
        let (inside, name) = self
            .find(module, &path.path)
            .with_context(|| format!("there is no type {name}"))?;
        let alias = self
            .modules
            .get(&inside)
            .and_then(|found| found.aliases.get(&name));
        self.integer(&inside, alias.context("it is no integer")?)
    }

    /// What an expression of literals and constants comes to.
    pub(super) fn value(&self, module: &[String], expression: &Expr) -> anyhow::Result<i128> {
        Ok(match expression {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Int(number) => number.base10_parse()?,
                Lit::Bool(value) => value.value.into(),
                Lit::Byte(byte) => byte.value().into(),
                _ => bail!("a literal that is no integer"),
            },
            Expr::Paren(inner) => self.value(module, &inner.expr)?,
            Expr::Group(inner) => self.value(module, &inner.expr)?,
            Expr::Unary(unary) => {
                let value = self.value(module, &unary.expr)?;
                match unary.op {
                    UnOp::Neg(_) => -value,
                    UnOp::Not(_) => !value,
                    _ => bail!("an operator that is not known"),
                }
            }
            Expr::Cast(cast) => {
                let value = self.value(module, &cast.expr)?;
                match self.integer(module, &cast.ty) {
                    Ok((width, is_signed)) => wrap(value, width, is_signed),
                    // `as _`: to the type of the constant.
                    Err(_) => value,
                }
            }
            Expr::Binary(binary) => {
                let left = self.value(module, &binary.left)?;
                let right = self.value(module, &binary.right)?;
                match binary.op {
                    BinOp::Add(_) => left + right,
                    BinOp::Sub(_) => left - right,
                    BinOp::Mul(_) => left * right,
                    BinOp::BitOr(_) => left | right,
                    BinOp::BitAnd(_) => left & right,
                    BinOp::BitXor(_) => left ^ right,
                    BinOp::Shl(_) => left << right,
                    BinOp::Shr(_) => left >> right,
                    _ => bail!("an operator that is not known"),
                }
            }
            Expr::Path(path) => {
                let (inside, name) = self
                    .find(module, &path.path)
                    .context("a name that is not known")?;
                self.constant(&inside, &name)?.value
            }
            _ => bail!("an expression that is not known"),
        })
    }
}

/// `value` in so many bytes.
fn wrap(value: i128, width: u64, is_signed: bool) -> i128 {
    let bits = width * 8;
    if bits >= 128 {
        return value;
    }
    let low = value & ((1 << bits) - 1);
    if is_signed && low >> (bits - 1) == 1 {
        low - (1 << bits)
    } else {
        low
    }
}

fn primitive(name: &str) -> Option<u64> {
    Some(match name {
        "u8" | "i8" | "bool" | "c_char" | "c_schar" | "c_uchar" | "c_void" => 1,
        "u16" | "i16" | "c_short" | "c_ushort" => 2,
        // A C long has 32 bits on Windows.
        "u32" | "i32" | "f32" | "c_int" | "c_uint" | "c_long" | "c_ulong" | "c_float" => 4,
        "u64" | "i64" | "f64" | "usize" | "isize" | "c_longlong" | "c_ulonglong" | "c_double" => 8,
        "u128" | "i128" => 16,
        _ => return None,
    })
}

/// Whether C has no such field: padding, alignment, and what holds bit-fields.
fn is_no_field(field: &str) -> bool {
    field.starts_with("_bitfield")
        || field.starts_with("__bindgen_padding_")
        || field == "_bindgen_align"
}

/// Whether bindgen or Microsoft's metadata had to make up this field's name.
fn is_anonymous(field: &str) -> bool {
    field.starts_with("__bindgen_anon_")
        || field
            .strip_prefix("Anonymous")
            .is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit()))
}

/// Whether the structure `inner` has no name but what was made of that of `outer`.
fn is_part_of(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| {
        rest.starts_with("__bindgen_ty_")
            || rest
                .strip_prefix('_')
                .is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
        pub type ULONG = ::core::ffi::c_ulong;
        pub mod _KIND {
            pub type Type = ::core::ffi::c_int;
            pub const First: Type = -1;
        }
        pub use self::_KIND::Type as KIND;
        #[repr(C)]
        pub struct _INNER { pub Byte: u8, pub Number: u64 }
        #[repr(C)]
        pub struct _OUTER {
            pub Flags: u16,
            pub Kind: KIND,
            pub __bindgen_anon_1: _OUTER__bindgen_ty_1,
            pub Array: [u16; COUNT as usize],
            pub _bitfield_align_1: [u8; 0],
            pub _bitfield_1: __BindgenBitfieldUnit<[u8; 4usize]>,
            pub Routine: ::core::option::Option<unsafe extern \"C\" fn(ULONG)>,
        }
        #[repr(C)]
        pub union _OUTER__bindgen_ty_1 { pub Named: _INNER, pub Pointer: *mut _INNER }
        #[repr(C, packed(4))]
        pub struct _PACKED { pub Length: ULONG, pub Start: u64 }
        #[cfg(target_arch = \"x86\")]
        #[repr(C)]
        pub struct _PACKED { pub Elsewhere: u8 }
        pub const COUNT: u32 = 1 << 1 | 1;
        pub const STATUS: i32 = 0xC000_0001_u32 as _;
        impl _OUTER {
            pub fn Bits(&self) -> ULONG {
                unsafe { ::core::mem::transmute(self._bitfield_1.get_const::<3usize, 5u8>() as u32) }
            }
        }
    ";

    fn items() -> Items {
        let mut items = Items::of_crate("bindings", &[]);
        items.add(&[], TEXT).expect("it is Rust");
        items
    }

    #[test]
    fn a_structure_is_laid_out_as_in_c() {
        let outer = items().laid_out(&[], "_OUTER").expect("it is there");
        let bytes = |path: &str| {
            let place = outer.all[path];
            (place.offset / 8, place.size / 8)
        };
        assert_eq!((outer.size, outer.align), (48, Some(8)));
        assert_eq!(bytes("Kind"), (4, 4));
        assert_eq!(bytes("Named.Number"), (16, 8));
        assert_eq!(bytes("Pointer"), (8, 8));
        assert_eq!(bytes("Array"), (24, 6));
        assert_eq!(bytes("Routine"), (40, 8));
        let bits = outer.own["Bits"];
        assert_eq!(
            (bits.offset, bits.size, bits.is_bit_field),
            (30 * 8 + 3, 5, true)
        );
        assert!(
            !outer.own.contains_key("Named.Number"),
            "it is that of _INNER"
        );
        assert!(outer.all.keys().all(|name| !name.starts_with('_')));
    }

    #[test]
    fn packing_and_the_processor_count() {
        let packed = items().laid_out(&[], "_PACKED").expect("it is there");
        assert_eq!((packed.size, packed.align), (12, Some(4)));
        assert_eq!(packed.own["Start"].offset, 4 * 8);
    }

    #[test]
    fn constants_have_the_width_and_the_sign_of_their_type() {
        let items = items();
        let constant = |module: &[String], name| items.constant(module, name).ok();
        let is = |value, width| Some(Constant { value, width });
        assert_eq!(constant(&[], "COUNT"), is(3, 4));
        assert_eq!(constant(&[], "STATUS"), is(-0x3fff_ffff, 4));
        assert_eq!(constant(&["_KIND".to_owned()], "First"), is(-1, 4));
        assert_eq!(constant(&[], "NONE"), None);
    }
}

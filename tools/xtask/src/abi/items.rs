//! Rust source, as definitions by name: what bindgen made of the headers, and
//! `windows-sys`.
//!
//! A definition that is for another processor, or for documentation alone, is none.

use std::collections::BTreeMap;

use anyhow::Context as _;
use quote::ToTokens as _;
use syn::{Attribute, Expr, Fields, Item, Meta, ReturnType, Type, UseTree, punctuated::Punctuated};

/// Names from the root of a crate to one of its modules.
pub(super) type Path = Vec<String>;

/// A structure or union.
pub(super) struct Record {
    pub(super) is_union: bool,
    /// From `repr(packed(N))`.
    pub(super) pack: Option<u64>,
    /// From `repr(align(N))`.
    pub(super) align: Option<u64>,
    pub(super) fields: Vec<(String, Type)>,
    pub(super) bit_fields: Vec<BitField>,
}

/// A bit-field, as bindgen's accessors have it.
#[derive(Debug)]
pub(super) struct BitField {
    pub(super) name: String,
    /// The field that has the bits.
    pub(super) unit: String,
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// What a module defines.
#[derive(Default)]
pub(super) struct Module {
    pub(super) records: BTreeMap<String, Record>,
    pub(super) aliases: BTreeMap<String, Type>,
    pub(super) constants: BTreeMap<String, (Type, Expr)>,
    /// Names that stand for what is elsewhere.
    uses: BTreeMap<String, Path>,
    /// The types in the signature of each function.
    pub(super) functions: BTreeMap<String, Vec<Type>>,
    /// What bindgen has the compiler confirm: text and number.
    pub(super) assertions: Vec<(String, u64)>,
}

/// A crate's definitions.
#[derive(Default)]
pub(super) struct Items {
    pub(super) modules: BTreeMap<Path, Module>,
    /// What the crate calls itself in paths.
    name: String,
    /// With which it was compiled.
    features: Vec<String>,
}

impl Items {
    pub(super) fn of_crate(name: &str, features: &[String]) -> Self {
        Self {
            modules: BTreeMap::new(),
            name: name.to_owned(),
            features: features.to_vec(),
        }
    }

    /// Adds the text of the module at `path`.
    pub(super) fn add(&mut self, path: &[String], text: &str) -> anyhow::Result<()> {
        let file = syn::parse_file(text)
            .with_context(|| format!("module {} is not Rust", path.join("::")))?;
        self.add_items(path, file.items);
        Ok(())
    }

    fn add_items(&mut self, path: &[String], items: Vec<Item>) {
        let mut methods = Vec::new();
        for item in items {
            if !applies(attributes(&item), &self.features) {
                continue;
            }
            if let Item::Mod(inner) = item {
                let mut inside = path.to_vec();
                inside.push(inner.ident.to_string());
                self.add_items(&inside, inner.content.unwrap_or_default().1);
                continue;
            }
            let module = self.modules.entry(path.to_vec()).or_default();
            match item {
                Item::Struct(item) => {
                    let record = record(&item.attrs, item.fields, false);
                    module.records.insert(item.ident.to_string(), record);
                }
                Item::Union(item) => {
                    let record = record(&item.attrs, Fields::Named(item.fields), true);
                    module.records.insert(item.ident.to_string(), record);
                }
                Item::Type(item) => {
                    module.aliases.insert(item.ident.to_string(), *item.ty);
                }
                Item::Const(item) if item.ident == "_" => {
                    module.assertions.extend(assertions(&item.expr));
                }
                Item::Const(item) => {
                    let value = (*item.ty, *item.expr);
                    module.constants.insert(item.ident.to_string(), value);
                }
                Item::Use(item) => note_uses(&item.tree, &mut Path::new(), &mut module.uses),
                Item::Impl(item) if item.trait_.is_none() => methods.push(item),
                Item::ForeignMod(item) => {
                    for item in item.items {
                        if let syn::ForeignItem::Fn(item) = item {
                            let name = item.sig.ident.to_string();
                            module.functions.insert(name, signature(item.sig));
                        }
                    }
                }
                _ => {}
            }
        }
        let module = self.modules.entry(path.to_vec()).or_default();
        for item in methods {
            let name = item.self_ty.to_token_stream().to_string();
            if let Some(record) = module.records.get_mut(&name) {
                record.bit_fields.extend(bit_fields(item.items));
            }
        }
    }

    /// Where the item that `path` names from within `module` is: its module and its name.
    pub(super) fn find(&self, module: &[String], path: &syn::Path) -> Option<(Path, String)> {
        let names: Path = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        self.follow(module, &names)
    }

    fn follow(&self, module: &[String], names: &[String]) -> Option<(Path, String)> {
        let mut place = module.to_vec();
        let (name, way) = names.split_last()?;
        for step in way {
            match step.as_str() {
                "self" => {}
                "super" => drop(place.pop()?),
                "crate" => place.clear(),
                name if name == self.name => place.clear(),
                name => {
                    place.push(name.to_owned());
                    if !self.modules.contains_key(&place) {
                        return None;
                    }
                }
            }
        }
        let found = self.modules.get(&place)?;
        // One that leads nowhere is of a module that is not told apart from this one here.
        let elsewhere = found.uses.get(name);
        elsewhere
            .and_then(|names| self.follow(&place, names))
            .or_else(|| Some((place, name.clone())))
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether what has these attributes is there on x64, with these features.
fn applies(attributes: &[Attribute], features: &[String]) -> bool {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"))
        .all(|attribute| {
            attribute
                .parse_args::<Meta>()
                .is_ok_and(|condition| holds(&condition, features))
        })
}

fn holds(condition: &Meta, features: &[String]) -> bool {
    let holds = |condition: &Meta| holds(condition, features);
    match condition {
        Meta::NameValue(pair) if pair.path.is_ident("target_arch") => {
            pair.value.to_token_stream().to_string() == "\"x86_64\""
        }
        // How this workspace has wdk-sys configured.
        Meta::NameValue(pair) if pair.path.is_ident("driver_model__driver_type") => {
            pair.value.to_token_stream().to_string() == "\"WDM\""
        }
        Meta::NameValue(pair) => {
            let value = pair.value.to_token_stream().to_string();
            pair.path.is_ident("feature")
                && features.iter().any(|it| *it == value.trim_matches('"'))
        }
        Meta::Path(path) => path.is_ident("windows"),
        Meta::List(list) => {
            let inner = list
                .parse_args_with(Punctuated::<Meta, syn::Token![,]>::parse_terminated)
                .unwrap_or_default();
            let mut inner = inner.iter();
            if list.path.is_ident("any") {
                inner.any(holds)
            } else if list.path.is_ident("not") {
                !inner.any(holds)
            } else {
                inner.all(holds)
            }
        }
    }
}

fn record(attributes: &[Attribute], fields: Fields, is_union: bool) -> Record {
    let (mut pack, mut align) = (None, None);
    for attribute in attributes.iter().filter(|it| it.path().is_ident("repr")) {
        let parsed = attribute.parse_nested_meta(|meta| {
            let number = if meta.input.peek(syn::token::Paren) {
                let inner;
                syn::parenthesized!(inner in meta.input);
                inner.parse::<syn::LitInt>()?.base10_parse()?
            } else {
                1
            };
            if meta.path.is_ident("packed") {
                pack = Some(number);
            } else if meta.path.is_ident("align") {
                align = Some(number);
            }
            Ok(())
        });
        debug_assert!(parsed.is_ok(), "rustc has read it: {parsed:?}");
    }
    let fields = fields
        .into_iter()
        .enumerate()
        .map(|(index, field)| {
            let name = field.ident.map_or(index.to_string(), |it| it.to_string());
            // A C name that is a keyword in Rust has an underscore, or is raw.
            (name.trim_start_matches("r#").to_owned(), field.ty)
        })
        .collect();
    Record {
        is_union,
        pack,
        align,
        fields,
        bit_fields: Vec::new(),
    }
}

fn note_uses(tree: &UseTree, path: &mut Path, uses: &mut BTreeMap<String, Path>) {
    let mut note = |path: &Path, name: &syn::Ident, as_name: &syn::Ident| {
        let mut path = path.clone();
        path.push(name.to_string());
        uses.insert(as_name.to_string(), path);
    };
    match tree {
        UseTree::Path(tree) => {
            path.push(tree.ident.to_string());
            note_uses(&tree.tree, path, uses);
            path.pop();
        }
        UseTree::Name(name) => note(path, &name.ident, &name.ident),
        UseTree::Rename(name) => note(path, &name.ident, &name.rename),
        UseTree::Group(group) => {
            for tree in &group.items {
                note_uses(tree, path, uses);
            }
        }
        UseTree::Glob(_) => {}
    }
}

fn signature(signature: syn::Signature) -> Vec<Type> {
    let result = match signature.output {
        ReturnType::Type(_, kind) => Some(*kind),
        ReturnType::Default => None,
    };
    signature
        .inputs
        .into_iter()
        .filter_map(|input| match input {
            syn::FnArg::Typed(input) => Some(*input.ty),
            syn::FnArg::Receiver(_) => None,
        })
        .chain(result)
        .collect()
}

/// `fn name(&self) -> T { ... self.unit.get_const::<OFFSET, SIZE>() ... }`, among others.
fn bit_fields(items: Vec<syn::ImplItem>) -> impl Iterator<Item = BitField> {
    items.into_iter().filter_map(|item| {
        let syn::ImplItem::Fn(item) = item else {
            return None;
        };
        let body = item.block.to_token_stream().to_string().replace(' ', "");
        let (before, after) = body.split_once(".get_const::<")?;
        let unit = before.rsplit("self.").next()?;
        let mut numbers = after.split('>').next()?.split(',');
        let mut number = || {
            let number = numbers.next()?.trim_end_matches("usize");
            number.trim_end_matches("u8").parse().ok()
        };
        Some(BitField {
            name: item.sig.ident.to_string(),
            unit: unit.to_owned(),
            offset: number()?,
            size: number()?,
        })
    })
}

/// `["text"][size_of::<T>() - NUMBERusize];`, any number of them.
fn assertions(expression: &Expr) -> Vec<(String, u64)> {
    let Expr::Block(block) = expression else {
        return Vec::new();
    };
    block
        .block
        .stmts
        .iter()
        .filter_map(|statement| {
            let syn::Stmt::Expr(Expr::Index(index), _) = statement else {
                return None;
            };
            let Expr::Array(text) = &*index.expr else {
                return None;
            };
            let Some(Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Str(text),
                ..
            })) = text.elems.first()
            else {
                return None;
            };
            let Expr::Binary(difference) = &*index.index else {
                return None;
            };
            let Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Int(number),
                ..
            }) = &*difference.right
            else {
                return None;
            };
            Some((text.value(), number.base10_parse().ok()?))
        })
        .collect()
}

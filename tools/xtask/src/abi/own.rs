//! Constants of the kernel's that the driver and the rig spell out themselves, under the kernel's
//! names.
//!
//! The library has to compile where there are no bindings, and the rig must not have its numbers
//! from the driver; so both write some as literals. What is written so is compared with the
//! constant of that name in the bindings, which in its turn is compared with what others say.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context as _, bail, ensure};
use syn::{BinOp, Expr, ItemConst, Lit, UnOp, visit::Visit};

use super::{layout::Witness as _, ours::Ours};
use crate::workspace;

/// What was compared, and what is wrong.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Own {
    pub(super) compared: usize,
    pub(super) complaints: Vec<String>,
}

impl Own {
    /// Compares the constants of `files`.
    ///
    /// # Errors
    /// If a file cannot be read, or none of them has a constant that the bindings have.
    pub(super) fn of(files: &[PathBuf], ours: &Ours) -> anyhow::Result<Self> {
        let mut own = Self::default();
        let known = |name: &str| ours.constant(name).map(|constant| constant.value);
        for path in files {
            let name = path.display().to_string();
            let text = String::from_utf8(workspace::read(path)?)
                .with_context(|| format!("{name} is not UTF-8"))?;
            own.add(&name, &text, &known)?;
        }
        ensure!(
            own.compared > 0,
            "no source has a constant that the bindings have, so the sources are misread"
        );
        Ok(own)
    }

    fn add(
        &mut self,
        file: &str,
        text: &str,
        known: &dyn Fn(&str) -> Option<i128>,
    ) -> anyhow::Result<()> {
        let parsed = syn::parse_file(text).with_context(|| format!("{file} is not Rust"))?;
        let mut found = Found::default();
        found.visit_file(&parsed);
        for (name, constant) in &found.0 {
            let Some(right) = known(name) else { continue };
            // A name for what the bindings have is that, and no number of its own.
            if is_path(&constant.expr) {
                continue;
            }
            self.compared += 1;
            match value(&constant.expr, &found.0) {
                Ok(value) if is_same(value, right) => {}
                Ok(value) => self.complaints.push(format!(
                    "{file}: {name} is {value:#x}, and the bindings have {right:#x}"
                )),
                Err(error) => self.complaints.push(format!(
                    "{file}: {name} cannot be compared with the bindings': {error:#}"
                )),
            }
        }
        Ok(())
    }
}

/// Whether both are one number, in 32 bits with a sign or without.
fn is_same(one: i128, other: i128) -> bool {
    const WORD: i128 = 1 << 32;
    one == other
        || one.rem_euclid(WORD) == other.rem_euclid(WORD) && one.abs().max(other.abs()) < WORD
}

/// The constants of a file, by name.
#[derive(Default)]
struct Found(BTreeMap<String, ItemConst>);

impl Visit<'_> for Found {
    fn visit_item_const(&mut self, item: &ItemConst) {
        self.0.insert(item.ident.to_string(), item.clone());
    }
}

fn is_path(value: &Expr) -> bool {
    match value {
        Expr::Path(_) => true,
        Expr::Cast(cast) => is_path(&cast.expr),
        _ => false,
    }
}

/// The number that an expression is.
fn value(of: &Expr, constants: &BTreeMap<String, ItemConst>) -> anyhow::Result<i128> {
    match of {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(number) => Ok(number.base10_parse()?),
            Lit::Bool(truth) => Ok(truth.value.into()),
            _ => bail!("it is no number"),
        },
        Expr::Paren(inner) => value(&inner.expr, constants),
        Expr::Cast(cast) => value(&cast.expr, constants),
        // Of these none changes the bits: `cast_signed`, and functions that only give a type.
        Expr::MethodCall(call) if call.args.is_empty() => value(&call.receiver, constants),
        Expr::Call(call) if call.args.len() == 1 => {
            value(call.args.first().context("it has one")?, constants)
        }
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => {
            Ok(-value(&unary.expr, constants)?)
        }
        Expr::Binary(binary) => {
            let (left, right) = (
                value(&binary.left, constants)?,
                value(&binary.right, constants)?,
            );
            let result = match binary.op {
                BinOp::Add(_) => left.checked_add(right),
                BinOp::Sub(_) => left.checked_sub(right),
                BinOp::BitOr(_) => Some(left | right),
                BinOp::BitAnd(_) => Some(left & right),
                BinOp::Shl(_) => u32::try_from(right)
                    .ok()
                    .and_then(|by| left.checked_shl(by)),
                _ => None,
            };
            result.context("it is not understood")
        }
        Expr::Path(path) => {
            let name = path.path.segments.last().context("a path has a name")?;
            let constant = constants
                .get(&name.ident.to_string())
                .with_context(|| format!("{} is of another file", name.ident))?;
            // What is made of itself does not compile.
            value(&constant.expr, constants)
        }
        _ => bail!("it is not understood"),
    }
}

#[cfg(test)]
mod tests {
    use super::Own;

    fn compared(text: &str) -> Own {
        let known = |name: &str| match name {
            "DO_DIRECT_IO" => Some(0x10),
            "STATUS_PENDING" => Some(0x103),
            "STATUS_NO" => Some(-0x3fff_ffff),
            _ => None,
        };
        let mut own = Own::default();
        own.add("a.rs", text, &known).expect("it is Rust");
        own
    }

    #[test]
    fn a_literal_is_what_the_bindings_have() {
        let right = "const DO_DIRECT_IO: u32 = 1 << 4; const MINE: u8 = 7;
            mod inside { pub const STATUS_PENDING: i32 = 0x100 | LOW; const LOW: i32 = 3; }
            const STATUS_NO: NTSTATUS = 0xC000_0001_u32.cast_signed();";
        let own = compared(right);
        assert_eq!((own.compared, own.complaints), (3, vec![]));
        let own = compared("const DO_DIRECT_IO: u32 = 0x20;");
        assert_eq!(
            own.complaints,
            ["a.rs: DO_DIRECT_IO is 0x20, and the bindings have 0x10"]
        );
    }

    #[test]
    fn what_is_not_understood_is_said() {
        let own = compared("const DO_DIRECT_IO: u32 = other(1, 2);");
        assert!(own.complaints[0].contains("cannot be compared"), "{own:?}");
    }

    #[test]
    fn a_name_for_what_the_bindings_have_is_that() {
        let own = compared("const DO_DIRECT_IO: u32 = wdk_sys::DO_DIRECT_IO as u32;");
        assert_eq!(own, Own::default());
    }
}

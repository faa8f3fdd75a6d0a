//! The NatVis files in a PDB: each type that they name is there, and so is each field of each
//! expression. A debugger says nothing of those that are not, and shows less.

use std::{collections::BTreeMap, fs::File, path::Path};

use anyhow::{Context as _, bail, ensure};
use pdb_addr2line::pdb::PDB;
use serde_json::Value;

/// Where linkers put source files that they were told to keep.
const SOURCES: &str = "/src/files/";
/// How values can be asked to be shown.
const FORMATS: [&str; 3] = ["d", "en", "x"];
const OPERATORS: [&str; 5] = ["==", "!=", "%", "/", "-"];

/// The NatVis files that were put into `pdb`, by name.
///
/// # Errors
/// When the PDB cannot be read.
pub(crate) fn embedded(pdb: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let file = File::open(pdb).with_context(|| format!("cannot read {}", pdb.display()))?;
    let mut pdb = PDB::open(file)?;
    let information = pdb.pdb_information()?;
    let names = information.stream_names()?;
    let mut found = BTreeMap::new();
    for name in &names {
        let name = name.name.to_string().into_owned();
        let Some(source) = name.strip_prefix(SOURCES) else {
            continue;
        };
        if source.ends_with(".natvis") {
            let stream = pdb.named_stream(name.as_bytes())?;
            let text = String::from_utf8(stream.as_slice().to_vec())
                .with_context(|| format!("{source} is no text"))?;
            found.insert(source.to_owned(), text);
        }
    }
    Ok(found)
}

/// What was looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checked {
    pub(crate) types: usize,
    pub(crate) expressions: usize,
}

/// Looks everything in a NatVis file up in the types of a PDB.
///
/// # Errors
/// When something is not there, or the file is none that this reads.
pub(crate) fn check(natvis: &str, types: &Value) -> anyhow::Result<Checked> {
    let document = roxmltree::Document::parse(natvis).context("this is no XML")?;
    let types = Types(types);
    let mut checked = Checked::default();
    for element in document
        .descendants()
        .filter(|one| one.has_tag_name(named("Type")))
    {
        let pattern = element.attribute("Name").context("a type has no name")?;
        let keys = types.matching(pattern);
        ensure!(!keys.is_empty(), "no type is called {pattern}");
        checked.types += 1;
        for expression in expressions(element)? {
            for key in &keys {
                types
                    .check(key, &expression)
                    .with_context(|| format!("{expression:?} of {pattern}"))?;
            }
            checked.expressions += 1;
        }
    }
    ensure!(checked.types > 0, "there are no types in it");
    Ok(checked)
}

fn named(name: &str) -> (&'static str, &str) {
    (
        "http://schemas.microsoft.com/vstudio/debugger/natvis/2010",
        name,
    )
}

/// All expressions of a type.
fn expressions(element: roxmltree::Node<'_, '_>) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for node in element.descendants().filter(roxmltree::Node::is_element) {
        found.extend(node.attribute("Condition").map(str::to_owned));
        let text = node.text().unwrap_or_default().trim();
        match node.tag_name().name() {
            "DisplayString" => found.extend(in_braces(text)?),
            "Item" | "ExpandedItem" | "Size" | "ValuePointer" => found.push(text.to_owned()),
            "Type" | "Expand" | "ArrayItems" => {}
            other => bail!("the element {other} is none that is looked at here"),
        }
    }
    Ok(found)
}

/// The expressions in a text; a brace that is doubled is a brace.
fn in_braces(text: &str) -> anyhow::Result<Vec<String>> {
    let text = text.replace("{{", "").replace("}}", "");
    text.split('{')
        .skip(1)
        .map(|part| {
            let (expression, _) = part.split_once('}').context("a brace is not closed")?;
            Ok(expression.to_owned())
        })
        .collect()
}

/// The types, as [`super::types`] writes them.
struct Types<'a>(&'a Value);

impl Types<'_> {
    /// The types of this name, in which `*` is any text.
    fn matching(&self, pattern: &str) -> Vec<String> {
        let (begin, end) = pattern.split_once('*').unwrap_or((pattern, ""));
        let exact = !pattern.contains('*');
        let names = self.0["names"].as_object();
        names
            .into_iter()
            .flatten()
            .filter(|(name, _)| {
                let rest = name.strip_prefix(begin);
                rest.is_some_and(|rest| {
                    if exact {
                        rest.is_empty()
                    } else {
                        rest.ends_with(end)
                    }
                })
            })
            .filter_map(|(_, key)| key.as_str().map(str::to_owned))
            .collect()
    }

    /// Fails unless the expression can be evaluated in a value of this type.
    fn check(&self, key: &str, expression: &str) -> anyhow::Result<()> {
        let (expression, format) = match expression.rsplit_once(',') {
            Some((expression, format)) => (expression, Some(format.trim())),
            None => (expression, None),
        };
        if let Some(format) = format {
            ensure!(FORMATS.contains(&format), "there is no format {format:?}");
        }
        for term in expression.split_whitespace() {
            if OPERATORS.contains(&term) || term.parse::<u64>().is_ok() {
                continue;
            }
            let path = match term.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
                Some((cast, path)) => {
                    ensure!(!self.matching(cast).is_empty(), "no type is called {cast}");
                    path
                }
                None => term,
            };
            self.follow(key, path)?;
        }
        Ok(())
    }

    fn follow(&self, key: &str, path: &str) -> anyhow::Result<()> {
        let mut here = self.resolved(key)?;
        for (place, part) in path.split("->").enumerate() {
            if place > 0 {
                ensure!(
                    here["kind"] == "pointer",
                    "{path}: -> behind what is no pointer"
                );
                here = self.behind(here)?;
            }
            for name in part.split('.') {
                let fields = here["fields"].as_array();
                let field = fields
                    .into_iter()
                    .flatten()
                    .find(|field| field["name"] == name && field["kind"] == "member")
                    .with_context(|| format!("{} has no field {name}", here["name"]))?;
                here = self.resolved(&field["type"].to_string())?;
            }
        }
        Ok(())
    }

    fn behind(&self, pointer: &Value) -> anyhow::Result<&Value> {
        self.resolved(&pointer["base"].to_string())
    }

    /// A type, through what only refers to it.
    fn resolved(&self, key: &str) -> anyhow::Result<&Value> {
        let found = &self.0["types"][key];
        if let Some(name) = found["forward"].as_str() {
            let key = self.0["names"][name].as_str();
            return self.resolved(key.with_context(|| format!("{name} is never defined"))?);
        }
        if found["same"].is_u64() {
            return self.resolved(&found["same"].to_string());
        }
        ensure!(found.is_object(), "there is no type number {key}");
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Checked, check};

    fn types() -> Value {
        let field = |name: &str, index: u32| json!({ "name": name, "kind": "member", "offset": "0", "type": index });
        json!({
            "names": { "a::List<u8>": "4096", "a::Node": "4097" },
            "types": {
                "4096": { "kind": "udt", "name": "a::List<u8>",
                    "fields": [field("length", 35), field("first", 4098)] },
                "4097": { "kind": "udt", "name": "a::Node", "fields": [field("value", 35)] },
                "4098": { "kind": "pointer", "base": 4099 },
                "4099": { "forward": "a::Node" },
                "35": { "kind": "intrinsic", "name": "unsigned __int64" },
            },
        })
    }

    fn looked_up(name: &str, content: &str) -> anyhow::Result<Checked> {
        let natvis = format!(
            "<AutoVisualizer xmlns=\"http://schemas.microsoft.com/vstudio/debugger/natvis/2010\">\
             <Type Name=\"{name}\">{content}</Type></AutoVisualizer>"
        );
        check(&natvis, &types())
    }

    #[test]
    fn what_is_there_is_found() {
        let content = "<DisplayString Condition=\"length % 2 == 0\">{{ {length,x} }}</DisplayString>\
                       <Expand><Item Name=\"n\">first->value</Item>\
                       <ExpandedItem>(a::Node)length</ExpandedItem></Expand>";
        let checked = looked_up("a::List&lt;*&gt;", content).expect("all of it is there");
        assert_eq!(
            checked,
            Checked {
                types: 1,
                expressions: 4
            }
        );
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        for (name, content) in [
            (
                "a::Lost&lt;*&gt;",
                "<DisplayString>{length}</DisplayString>",
            ),
            ("a::List", "<DisplayString>{length}</DisplayString>"),
            ("a::List&lt;*&gt;", "<DisplayString>{size}</DisplayString>"),
            (
                "a::List&lt;*&gt;",
                "<DisplayString Condition=\"size == 0\">x</DisplayString>",
            ),
            (
                "a::List&lt;*&gt;",
                "<DisplayString>{length,q}</DisplayString>",
            ),
            ("a::List&lt;*&gt;", "<DisplayString>{length</DisplayString>"),
            (
                "a::List&lt;*&gt;",
                "<Expand><Item Name=\"n\">length->value</Item></Expand>",
            ),
            (
                "a::List&lt;*&gt;",
                "<Expand><Item Name=\"n\">first->lost</Item></Expand>",
            ),
            (
                "a::List&lt;*&gt;",
                "<Expand><Item Name=\"n\">(a::Lost)length</Item></Expand>",
            ),
            ("a::List&lt;*&gt;", "<SmartView/>"),
        ] {
            assert!(looked_up(name, content).is_err(), "{name} {content}");
        }
    }
}

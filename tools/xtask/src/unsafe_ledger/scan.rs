//! Every `unsafe` of a file, where it is, what it does, and what it is argued with.
//!
//! Found among the file's tokens, so no formatting, macro or macro's argument hides one;
//! what a macro of another crate expands to is that crate's. Comments are no tokens: the
//! one that belongs to a block is looked for in the lines above.

use anyhow::Context as _;
use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};

const COMMENT: &str = "// SAFETY:";
/// Longer code is cut short.
const LONGEST: usize = 90;

/// What an `unsafe` is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Block,
    Impl,
    /// A function that its callers have to meet a contract of.
    Function,
    /// One of a trait's, in an implementation: the contract is in the trait.
    Method,
    /// One that the kernel calls, or that stands for one of the kernel's: the contract is on
    /// the page of its kind of routine.
    Routine,
    /// Functions of another language that are declared.
    Foreign,
    Trait,
    /// Such as `#[unsafe(no_mangle)]`.
    Attribute,
}

/// One `unsafe`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) kind: Kind,
    /// The item that it is in, with those around it: `Device::new`.
    pub(super) place: String,
    pub(super) line: usize,
    /// The code of a block; else what is declared.
    pub(super) code: String,
    /// The `SAFETY` comment, or the contract of a function.
    pub(super) argument: Option<String>,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Impl => "impl",
            Self::Function => "function",
            Self::Method => "method of a trait",
            Self::Routine => "routine",
            Self::Foreign => "foreign functions",
            Self::Trait => "trait",
            Self::Attribute => "attribute",
        }
    }
}

/// All of them in the text of a file, in their order.
pub(super) fn scan(text: &str) -> anyhow::Result<Vec<Use>> {
    let tokens: TokenStream = text
        .parse()
        .map_err(|error| anyhow::anyhow!("it is not Rust: {error}"))?;
    let mut scanner = Scanner {
        text,
        lines: text.lines().collect(),
        around: Vec::new(),
        found: Vec::new(),
    };
    scanner.walk(tokens)?;
    Ok(scanner.found)
}

struct Scanner<'a> {
    text: &'a str,
    lines: Vec<&'a str>,
    /// The items that are open here.
    around: Vec<String>,
    found: Vec<Use>,
}

impl Scanner<'_> {
    fn walk(&mut self, tokens: TokenStream) -> anyhow::Result<()> {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        // What the next group in braces is the inside of.
        let mut item: Option<String> = None;
        for (index, token) in tokens.iter().enumerate() {
            let rest = tokens.get(index + 1..).unwrap_or_default();
            match token {
                TokenTree::Ident(word) if word == "unsafe" => self.note(word, rest)?,
                TokenTree::Ident(word) => {
                    // What is in a signature opens nothing.
                    item = item.or_else(|| self.opened(word, rest));
                }
                TokenTree::Group(group) => {
                    let inside = match group.delimiter() {
                        Delimiter::Brace => item.take(),
                        _ => None,
                    };
                    let is_item = inside.is_some();
                    self.around.extend(inside);
                    self.walk(group.stream())?;
                    if is_item {
                        self.around.pop();
                    }
                }
                // A declaration without a body opens nothing.
                TokenTree::Punct(mark) if mark.as_char() == ';' => item = None,
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
        Ok(())
    }

    fn is_in_trait_impl(&self) -> bool {
        let innermost = self.around.last();
        innermost.is_some_and(|item| item.starts_with('<') && item.contains(" as "))
    }

    /// The name of the item that begins with `word`, if it is one.
    fn opened(&self, word: &Ident, rest: &[TokenTree]) -> Option<String> {
        let word = word.to_string();
        match (word.as_str(), rest) {
            ("fn" | "mod" | "trait", [TokenTree::Ident(name), ..]) => Some(name.to_string()),
            ("macro_rules", [_, TokenTree::Ident(name), ..]) => Some(format!("{name}!")),
            ("impl", [first, ..]) => {
                let end = rest.iter().position(|token| {
                    matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
                })?;
                let last = rest.get(end.checked_sub(1)?)?;
                self.source(first.span(), last.span()).map(implemented)
            }
            _ => None,
        }
    }

    /// The text from the beginning of one token to the end of another.
    fn source(&self, first: Span, last: Span) -> Option<&str> {
        self.text
            .get(first.byte_range().start..last.byte_range().end)
    }

    fn note(&mut self, word: &Ident, rest: &[TokenTree]) -> anyhow::Result<()> {
        let line = word.span().start().line;
        let (kind, code) = match rest {
            [TokenTree::Group(group), ..] if group.delimiter() == Delimiter::Brace => {
                (Kind::Block, self.inside(group))
            }
            [TokenTree::Group(group), ..] => (Kind::Attribute, self.inside(group)),
            [TokenTree::Ident(next), ..] if next == "impl" => (Kind::Impl, self.line(line)),
            [TokenTree::Ident(next), ..] if next == "trait" => (Kind::Trait, self.line(line)),
            _ => match declared(rest) {
                Declared::Function(name) if self.is_in_trait_impl() => (Kind::Method, name),
                Declared::Function(name) => (Kind::Function, name),
                Declared::Routine(name) => (Kind::Routine, name),
                Declared::Foreign => (Kind::Foreign, self.line(line)),
                Declared::Type => return Ok(()),
                Declared::Unknown => {
                    anyhow::bail!("line {line}: an `unsafe` of a kind that is not known")
                }
            },
        };
        let argument = match kind {
            Kind::Function | Kind::Method | Kind::Routine | Kind::Trait => {
                self.contract(line).or_else(|| self.comment(line))
            }
            Kind::Block | Kind::Impl | Kind::Foreign | Kind::Attribute => self.comment(line),
        };
        self.found.push(Use {
            kind,
            place: self.around.join("::"),
            line,
            code: shortened(&code),
            argument,
        });
        Ok(())
    }

    /// The code in a group.
    fn inside(&self, group: &Group) -> String {
        let mut tokens = group.stream().into_iter();
        let Some(first) = tokens.next() else {
            return String::new();
        };
        let last = tokens.last().unwrap_or_else(|| first.clone());
        let text = self.source(first.span(), last.span());
        text.unwrap_or_default().to_owned()
    }

    fn line(&self, number: usize) -> String {
        let line = self.lines.get(number.saturating_sub(1));
        let line = line.copied().unwrap_or_default().trim();
        line.trim_end_matches(['{', '}', ' ']).to_owned()
    }

    /// The lines above `number`, nearest first.
    fn above(&self, number: usize) -> impl Iterator<Item = &str> {
        let lines = self.lines.get(..number.saturating_sub(1));
        lines
            .unwrap_or_default()
            .iter()
            .rev()
            .map(|line| line.trim())
    }

    /// The `SAFETY` comment of what begins on the line `number`, or in the middle of a
    /// statement there.
    fn comment(&self, number: usize) -> Option<String> {
        let mut begin = number;
        for line in self.above(number) {
            if line.starts_with("//") {
                return self.comment_above(begin);
            }
            // Another statement or item ends, or begins, here.
            if line.is_empty() || line.ends_with([';', '{', '}']) {
                return None;
            }
            begin -= 1;
        }
        None
    }

    /// The `SAFETY` comment right above the line `number`.
    fn comment_above(&self, number: usize) -> Option<String> {
        let mut lines: Vec<&str> = self
            .above(number)
            .take_while(|line| line.starts_with("//"))
            .collect();
        lines.reverse();
        let begin = lines.iter().rposition(|line| line.starts_with(COMMENT))?;
        Some(joined(lines.get(begin..)?))
            .map(|text| text.trim_start_matches("SAFETY:").trim().to_owned())
    }

    /// The `# Safety` section of the documentation of what begins on the line `number`.
    fn contract(&self, number: usize) -> Option<String> {
        let mut lines: Vec<&str> = self
            .above(number)
            .take_while(|line| {
                // Attributes may have several lines.
                line.starts_with("///") || !(line.is_empty() || line.ends_with([';', '{', '}']))
            })
            .filter(|line| line.starts_with("///"))
            .collect();
        lines.reverse();
        let begin = lines.iter().position(|line| *line == "/// # Safety")?;
        let section: Vec<&str> = lines
            .get(begin + 1..)?
            .iter()
            .take_while(|line| !line.starts_with("/// # "))
            .copied()
            .collect();
        Some(joined(&section)).filter(|text| !text.is_empty())
    }
}

/// What follows `unsafe`, where that is neither a block nor an implementation.
enum Declared {
    Function(String),
    Routine(String),
    Foreign,
    /// Of a pointer to a function.
    Type,
    Unknown,
}

fn declared(rest: &[TokenTree]) -> Declared {
    let mut rest = rest.iter().peekable();
    let mut is_foreign = false;
    while let Some(token) = rest.next() {
        match token {
            TokenTree::Ident(word) if word == "extern" => is_foreign = true,
            TokenTree::Literal(_) if is_foreign => {}
            TokenTree::Ident(word) if word == "fn" => {
                return match rest.peek() {
                    Some(TokenTree::Ident(name)) => {
                        let name = name.to_string();
                        // Rust has no such names: they are the kernel's.
                        if is_foreign || name.starts_with(|c: char| c.is_ascii_uppercase()) {
                            Declared::Routine(name)
                        } else {
                            Declared::Function(name)
                        }
                    }
                    // The name is a macro's parameter.
                    Some(TokenTree::Punct(mark)) if mark.as_char() == '$' => {
                        Declared::Routine("$name".to_owned())
                    }
                    _ => Declared::Type,
                };
            }
            TokenTree::Group(group) if is_foreign && group.delimiter() == Delimiter::Brace => {
                return Declared::Foreign;
            }
            _ => return Declared::Unknown,
        }
    }
    Declared::Unknown
}

/// `<T> Trait<U> for Type<T> where ...` as `Type`, and what is implemented for it.
fn implemented(text: &str) -> String {
    let text = one_line(text);
    let text = text.split(" where ").next().unwrap_or_default();
    let text = text.strip_prefix('<').map_or(text, |rest| {
        // The list of parameters may have lists in it.
        let mut depth = 1_usize;
        let end = rest.char_indices().find(|(_, c)| {
            match c {
                '<' => depth += 1,
                '>' => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        end.and_then(|(end, _)| rest.get(end + 1..)).unwrap_or(rest)
    });
    match text.split_once(" for ") {
        Some((implemented, kind)) => format!("<{} as {}>", kind.trim(), implemented.trim()),
        None => text.trim().to_owned(),
    }
}

/// Comment lines as one text.
fn joined(lines: &[&str]) -> String {
    let words: Vec<&str> = lines
        .iter()
        .flat_map(|line| line.trim_start_matches('/').split_whitespace())
        .collect();
    words.join(" ")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn shortened(code: &str) -> String {
    // A comment among the code would take the rest of the line with it.
    let lines: Vec<&str> = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let code = one_line(&lines.join(" "));
    match code.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} ...", code.get(..end).unwrap_or_default().trim_end()),
        None => code,
    }
}

/// Reads the file's text, naming what is wrong.
pub(super) fn scan_file(name: &str, text: &str) -> anyhow::Result<Vec<Use>> {
    scan(text).with_context(|| format!("{name}: cannot be searched for unsafe"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(Kind, String, String, Option<String>)> {
        let uses = scan(text).expect("it is Rust");
        uses.into_iter()
            .map(|it| (it.kind, it.place, it.code, it.argument))
            .collect()
    }

    fn one(
        kind: Kind,
        place: &str,
        code: &str,
        argument: Option<&str>,
    ) -> Vec<(Kind, String, String, Option<String>)> {
        let argument = argument.map(str::to_owned);
        vec![(kind, place.to_owned(), code.to_owned(), argument)]
    }

    #[test]
    fn a_block_has_its_place_its_code_and_its_comment() {
        let text = "mod inner {\n    impl<T: Into<u8>> Drop for Thing<T> {\n        fn drop(&mut self) {\n            \
                    // Before.\n            // SAFETY: alive,\n            // fact 1.\n            let x = unsafe {\n                \
                    // Within.\n                free(self)\n            };\n        }\n    }\n}\n";
        assert_eq!(
            found(text),
            one(
                Kind::Block,
                "inner::<Thing<T> as Drop>::drop",
                "free(self)",
                Some("alive, fact 1.")
            )
        );
    }

    #[test]
    fn a_comment_belongs_to_one_statement() {
        let text =
            "fn f() {\n    // SAFETY: of a.\n    let a = 1;\n    let b = unsafe { b() };\n}\n";
        assert_eq!(found(text), one(Kind::Block, "f", "b()", None));
        let text = "fn f() {\n    // SAFETY: of b.\n    let b = first(\n        unsafe { b() },\n    );\n}\n";
        assert_eq!(found(text), one(Kind::Block, "f", "b()", Some("of b.")));
        let text = "fn f() {\n    // Some comment.\n    unsafe { b() }\n}\n";
        assert_eq!(found(text), one(Kind::Block, "f", "b()", None));
    }

    #[test]
    fn no_macro_hides_one() {
        let text = "macro_rules! hidden {\n    ($a:expr) => {\n        unsafe { $a }\n    };\n}\n";
        assert_eq!(found(text), one(Kind::Block, "hidden!", "$a", None));
        let text = "fn f() { call!(a, { unsafe{b()} }) }\n";
        assert_eq!(found(text), one(Kind::Block, "f", "b()", None));
        assert_eq!(
            found("// unsafe { no }\nconst T: &str = \"unsafe { no }\";\n"),
            []
        );
    }

    #[test]
    fn each_kind_is_told_apart() {
        let kinds = |text: &str| -> Vec<Kind> { found(text).into_iter().map(|it| it.0).collect() };
        assert_eq!(kinds("unsafe impl Send for X {}\n"), [Kind::Impl]);
        assert_eq!(kinds("unsafe trait T {}\n"), [Kind::Trait]);
        assert_eq!(kinds("unsafe extern \"C\" { fn f(); }\n"), [Kind::Foreign]);
        assert_eq!(
            kinds("#[unsafe(no_mangle)]\nfn f() {}\n"),
            [Kind::Attribute]
        );
        assert_eq!(kinds("pub(crate) unsafe fn f() {}\n"), [Kind::Function]);
        assert_eq!(kinds("unsafe extern \"C\" fn isr() {}\n"), [Kind::Routine]);
        assert_eq!(kinds("unsafe fn KeSetEvent() {}\n"), [Kind::Routine]);
        assert_eq!(kinds("impl T for X { unsafe fn f() {} }\n"), [Kind::Method]);
        assert_eq!(
            kinds("type F = unsafe extern \"C\" fn();\ntype G = unsafe fn(u8);\n"),
            []
        );
    }

    #[test]
    fn a_function_has_the_contract_of_its_documentation() {
        let text = "/// Frees.\n///\n/// # Safety\n/// `x` is\n/// alive.\n#[expect(\n    a,\n    reason = \"b\"\n)]\nunsafe fn free() {}\n";
        assert_eq!(
            found(text),
            one(Kind::Function, "", "free", Some("`x` is alive."))
        );
        assert_eq!(
            found("/// Frees.\nunsafe fn free() {}\n"),
            one(Kind::Function, "", "free", None)
        );
    }
}

//! The numbered facts that `SAFETY` comments lean on.
//!
//! They stand in the `# Soundness` sections of the documentation of a crate and its modules. In one
//! crate each has a name, and a number that no other fact of the crate has; in another the numbers
//! are those of a module, and meant there and in the modules below it.

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) number: u32,
    /// Empty, if the facts are a module's own.
    pub(super) name: String,
    pub(super) text: String,
    /// Where it is written.
    pub(super) module: String,
}

/// How facts are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `7. **Name.** Text`
    Named,
    /// `7. Text`
    Plain,
}

/// The facts that the documentation of `module`, a file's text, defines.
pub(super) fn defined(module: &str, text: &str, style: Style) -> Vec<Fact> {
    let mut facts: Vec<Fact> = Vec::new();
    let mut is_section = false;
    let mut is_open = false;
    for line in text.lines().map_while(|line| line.strip_prefix("//!")) {
        let line = line.strip_prefix(' ').unwrap_or(line);
        if line.starts_with("# ") {
            is_section = line == "# Soundness";
        }
        if !is_section {
            continue;
        }
        if let Some((number, name, begin)) = beginning(line, style) {
            is_open = true;
            facts.push(Fact {
                number,
                name: name.to_owned(),
                text: begin.trim().to_owned(),
                module: module.to_owned(),
            });
        } else if line.trim().is_empty() {
            is_open = false;
        } else if is_open && let Some(fact) = facts.last_mut() {
            fact.text.push(' ');
            fact.text.push_str(line.trim());
        }
    }
    facts
}

fn beginning(line: &str, style: Style) -> Option<(u32, &str, &str)> {
    let (number, rest) = line.split_once(". ")?;
    let (name, text) = match style {
        Style::Named => rest.strip_prefix("**")?.split_once(".**")?,
        Style::Plain => ("", rest),
    };
    Some((number.parse().ok()?, name, text))
}

/// The fact of this number that is meant in `module`: its own, else that of the next module above
/// it that has one.
pub(super) fn of_module<'a>(facts: &'a [Fact], module: &str, number: u32) -> Option<&'a Fact> {
    let mut module = module;
    loop {
        let found = facts
            .iter()
            .find(|fact| fact.module == module && fact.number == number);
        if found.is_some() {
            return found;
        }
        (module, _) = module.rsplit_once("::")?;
    }
}

/// The numbers behind each "fact" and "facts" of a comment.
pub(super) fn cited(text: &str) -> Vec<u32> {
    let mut words = text.split_whitespace().peekable();
    let mut numbers = Vec::new();
    while let Some(word) = words.next() {
        let word = word.trim_start_matches('(').to_lowercase();
        if word != "fact" && word != "facts" {
            continue;
        }
        while let Some(next) = words.peek() {
            let bare = next.trim_end_matches(|c: char| !c.is_ascii_digit());
            match bare.parse() {
                Ok(number) => numbers.push(number),
                Err(_) if matches!(*next, "and" | "to") => {}
                Err(_) => break,
            }
            words.next();
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_out_of_their_section_alone() {
        let text = "//! # Soundness\n//!\n//! 1. **One.** Is\n//!    so.\n//! 2. **Two.** Too.\n//!\n\
                    //! More text.\n//!\n//! # Not here\n//!\n//! 3. **Three.** Is no fact.\n";
        let found = defined("crate", text, Style::Named);
        let found: Vec<_> = found
            .iter()
            .map(|fact| (fact.number, fact.name.as_str(), fact.text.as_str()))
            .collect();
        assert_eq!(found, [(1, "One", "Is so."), (2, "Two", "Too.")]);
    }

    #[test]
    fn a_modules_own_facts_are_meant_there_and_below() {
        let text = "//! # Soundness\n//! 1. It is\n//!    so.\n//! 2. Too.\n";
        let mut facts = defined("nt::thread", text, Style::Plain);
        facts.extend(defined(
            "nt::thread::list",
            "//! # Soundness\n//! 1. Other.\n",
            Style::Plain,
        ));
        let meant =
            |module: &str, number| of_module(&facts, module, number).map(|fact| fact.text.as_str());
        assert_eq!(meant("nt::thread", 1), Some("It is so."));
        assert_eq!(meant("nt::thread::switch", 2), Some("Too."));
        assert_eq!(meant("nt::thread::list", 1), Some("Other."));
        assert_eq!(meant("nt::thread::list", 3), None);
        assert_eq!(meant("nt::irp", 1), None);
        assert_eq!(defined("a", text, Style::Named), [], "they have no names");
    }

    #[test]
    fn numbers_are_read_however_they_are_listed() {
        assert_eq!(
            cited("as fact 4, and (facts 2, 3 and 10) say."),
            [4, 2, 3, 10]
        );
        assert_eq!(cited("Fact 7. (Ready) 12 bytes"), [7]);
        assert_eq!(cited("a matter of fact"), [0; 0]);
    }
}

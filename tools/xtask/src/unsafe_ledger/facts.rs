//! The numbered facts that `SAFETY` comments lean on.
//!
//! They stand in the `# Soundness` sections of the documentation of a crate and its
//! modules, each number once in the whole crate.

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) number: u32,
    pub(super) name: String,
    pub(super) text: String,
    /// Where it is written.
    pub(super) module: String,
}

/// The facts that the documentation of `module`, a file's text, defines.
pub(super) fn defined(module: &str, text: &str) -> Vec<Fact> {
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
        if let Some((number, name, begin)) = beginning(line) {
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

/// `7. **Name.** Text`
fn beginning(line: &str) -> Option<(u32, &str, &str)> {
    let (number, rest) = line.split_once(". **")?;
    let (name, text) = rest.split_once(".**")?;
    Some((number.parse().ok()?, name, text))
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
        let found = defined("crate", text);
        let found: Vec<_> = found
            .iter()
            .map(|fact| (fact.number, fact.name.as_str(), fact.text.as_str()))
            .collect();
        assert_eq!(found, [(1, "One", "Is so."), (2, "Two", "Too.")]);
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

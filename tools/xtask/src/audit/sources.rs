//! Whether `dirql` has what the tables here name: a row that names nothing is no rule any more.

use std::{fs, path::PathBuf};

/// Fails unless a function takes a token of PASSIVE_LEVEL.
pub(super) fn expect_passive(name: &str) {
    let path = name.trim_end_matches('<');
    let function = path.rsplit("::").next().unwrap_or(path);
    let text = expect(name);
    let (_, rest) = text
        .split_once(&format!("fn {function}"))
        .expect("it has a function");
    let (signature, _) = rest.split_once('{').expect("it has a body");
    assert!(signature.contains(": &mut Passive"), "{name}: {signature}");
}

/// Fails unless the source has something whose path begins with `name`: a module's function, or a
/// type. The text of its file.
pub(super) fn expect(name: &str) -> String {
    let path = name.trim_end_matches('<').trim_end_matches("::");
    let mut parts: Vec<&str> = path
        .split("::")
        .filter(|part| !part.contains('$'))
        .collect();
    assert_eq!(parts.remove(0), "dirql", "{name}");
    let mut module = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../driver/dirql/src"
    ));
    let mut text = String::new();
    let mut parts = parts.into_iter().peekable();
    while let Some(part) = parts.peek() {
        let (file, folder) = (module.join(format!("{part}.rs")), module.join(part));
        let Some(found) = [file, folder.join("mod.rs")]
            .iter()
            .find_map(|file| fs::read_to_string(file).ok())
        else {
            break;
        };
        (text, module) = (found, folder);
        parts.next();
    }
    assert!(!text.is_empty(), "{name}: there is no such module");
    for part in parts {
        let begins = ["fn", "struct", "enum", "trait"];
        assert!(
            begins
                .iter()
                .any(|word| text.contains(&format!("{word} {part}"))),
            "{name}: there is no {part}"
        );
    }
    text
}

#[test]
fn what_is_not_there_is_missed() {
    for name in [
        "dirql::timer::custom_timer_dpd",
        "dirql::tinker::",
        "dirql::timer::Tinker<",
    ] {
        let missed = std::panic::catch_unwind(|| expect(name));
        assert!(missed.is_err(), "{name}");
    }
}

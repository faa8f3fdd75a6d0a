//! What is changed in `wdk-build` before it is compiled on a host that is not
//! Windows.
//!
//! `wdk-build` 0.6.0 refuses such hosts in four places only, none of which a
//! build needs: the registry look-up of an installed WDK (`WDKContentRoot`
//! is always set here), a link to its makefile, and two stubs for cargo-make.
//! Each edit names its upstream text and how often that must occur, so a new
//! upstream version cannot be half adapted.

use anyhow::{bail, ensure};

/// The only version that the edits below were written for.
pub(crate) const VERSION: &str = "0.6.0";

/// One textual change to one file of `wdk-build`.
#[derive(Debug)]
struct Edit {
    file: &'static str,
    find: &'static str,
    replace: &'static str,
    occurrences: usize,
}

const EDITS: &[Edit] = &[
    Edit {
        file: "utils.rs",
        find: "\nuse windows::{\n",
        replace: "\n#[cfg(windows)]\nuse windows::{\n",
        occurrences: 1,
    },
    Edit {
        file: "utils.rs",
        find: "    if let Some(path) = read_registry_key_string_value(\n",
        replace: "    #[cfg(windows)]\n    if let Some(path) = read_registry_key_string_value(\n",
        occurrences: 2,
    },
    Edit {
        file: "utils.rs",
        find: "\nfn read_registry_key_string_value(\n",
        replace: "\n#[cfg(windows)]\nfn read_registry_key_string_value(\n",
        occurrences: 1,
    },
    Edit {
        file: "utils.rs",
        find: "    compile_error!(\n",
        replace: "    panic!(\n",
        occurrences: 2,
    },
    Edit {
        file: "cargo_make.rs",
        find: "std::os::windows::fs::symlink_file(",
        replace: "std::os::unix::fs::symlink(",
        occurrences: 2,
    },
];

/// `source` with every edit for `file` applied.
pub(crate) fn apply(file: &str, source: &str) -> anyhow::Result<String> {
    let mut adapted = source.to_owned();
    for edit in EDITS.iter().filter(|edit| edit.file == file) {
        let found = adapted.matches(edit.find).count();
        if found != edit.occurrences {
            bail!(
                "wdk-build's src/{file} should contain the following {} time(s), but does {found} \
                 time(s):\n{}\nUpstream changed there: bring tools/xtask/src/wdk_build_edits.rs up \
                 to date with it.",
                edit.occurrences,
                edit.find.trim_matches('\n'),
            );
        }
        adapted = adapted.replace(edit.find, edit.replace);
    }
    Ok(adapted)
}

/// Fails unless `files`, the names below wdk-build's `src`, include every file
/// that has an edit.
pub(crate) fn check_all_found(files: &[String]) -> anyhow::Result<()> {
    for edit in EDITS {
        ensure!(
            files.iter().any(|file| file == edit.file),
            "wdk-build has no src/{} any more: bring tools/xtask/src/wdk_build_edits.rs up to date \
             with it.",
            edit.file
        );
    }
    Ok(())
}

/// Changes whenever an edit does. Cargo takes a registry package for immutable
/// and would not compile it again by itself.
pub(crate) fn stamp() -> String {
    format!("wdk-build {VERSION}\n{EDITS:#?}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const UTILS: &str = "\n\nuse windows::{\n};\n    if let Some(path) = \
                         read_registry_key_string_value(\n    if let Some(path) = \
                         read_registry_key_string_value(\n\nfn \
                         read_registry_key_string_value(\n    compile_error!(\n    \
                         compile_error!(\n";

    #[test]
    fn every_edit_is_applied_as_often_as_it_says() {
        let adapted = apply("utils.rs", UTILS).expect("all the upstream text is there");
        assert_eq!(adapted.matches("#[cfg(windows)]").count(), 4);
        assert_eq!(adapted.matches("panic!(").count(), 2);
        assert!(!adapted.contains("compile_error!"));
    }

    #[test]
    fn upstream_text_that_changed_stops_the_build_and_is_named() {
        let changed = UTILS.replacen("compile_error!", "core::compile_error!", 1);
        let error = apply("utils.rs", &changed).expect_err("one of two is gone");
        let message = error.to_string();
        assert!(message.contains("src/utils.rs"), "{message}");
        assert!(message.contains("compile_error!("), "{message}");
        assert!(message.contains("2 time(s), but does 1"), "{message}");
    }

    #[test]
    fn a_file_without_edits_stays_as_it_is() {
        assert_eq!(apply("lib.rs", UTILS).expect("no edits"), UTILS);
    }

    #[test]
    fn a_file_that_upstream_removed_is_named() {
        let error = check_all_found(&["utils.rs".to_owned()]).expect_err("one is missing");
        assert!(error.to_string().contains("cargo_make.rs"), "{error}");
    }
}

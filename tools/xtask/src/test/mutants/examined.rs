//! `.cargo/mutants.toml` says of each file of the library whether it is mutated. One that is in
//! neither list would be left out without anybody's having said why.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde::Deserialize;

use crate::{workspace, workspace::Workspace};

/// What is looked at here; cargo-mutants knows more.
#[derive(Deserialize)]
struct Lists {
    examine_globs: Vec<String>,
    exclude_globs: Vec<String>,
}

/// The source files below `folder`, from the root on.
fn sources(workspace: &Workspace, folder: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let entries = fs::read_dir(workspace.root().join(folder)).expect("a folder of sources");
    for entry in entries {
        let entry = entry.expect("an entry of it");
        let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            found.extend(sources(workspace, &name));
        } else if Path::new(&name)
            .extension()
            .is_some_and(|extension| extension == "rs")
        {
            found.insert(name);
        }
    }
    found
}

/// How many of `patterns` each file is named by, and the patterns that name no file.
fn named<'a>(
    patterns: &'a [String],
    files: &BTreeSet<String>,
) -> (BTreeMap<String, usize>, Vec<&'a str>) {
    let mut times = BTreeMap::new();
    let mut nothing = Vec::new();
    for pattern in patterns {
        let (folder, is_folder) = pattern
            .strip_suffix("**/*.rs")
            .map_or((pattern.as_str(), false), |folder| (folder, true));
        let fits = |file: &&String| *file == pattern || is_folder && file.starts_with(folder);
        let mut fitting = files.iter().filter(fits).peekable();
        if fitting.peek().is_none() {
            nothing.push(pattern.as_str());
        }
        for file in fitting {
            *times.entry(file.clone()).or_insert(0) += 1;
        }
    }
    (times, nothing)
}

#[test]
fn each_file_of_the_library_is_mutated_or_left_out_with_a_reason() {
    let workspace = Workspace::current().expect("this workspace");
    let text = workspace::read(&workspace.root().join(".cargo/mutants.toml")).expect("the lists");
    let lists: Lists = toml::from_str(&String::from_utf8_lossy(&text)).expect("lists of files");
    let library = sources(&workspace, "driver/dirql/src");
    let all: Vec<String> = lists
        .examine_globs
        .into_iter()
        .chain(lists.exclude_globs)
        .filter(|pattern| pattern.starts_with("driver/dirql/"))
        .collect();
    let (times, nothing) = named(&all, &library);
    assert_eq!(nothing, Vec::<&str>::new(), "there are no such files");
    for file in &library {
        assert_eq!(
            times.get(file),
            Some(&1),
            "{file}: how often it is in a list"
        );
    }
}

#[test]
fn a_pattern_is_a_file_or_a_folder() {
    let files: BTreeSet<String> = ["a/b.rs", "a/c/d.rs", "a/c.rs"].map(str::to_owned).into();
    let patterns = ["a/b.rs", "a/c/**/*.rs", "a/e.rs"].map(str::to_owned);
    let (times, nothing) = named(&patterns, &files);
    let times: Vec<(&str, usize)> = times
        .iter()
        .map(|(file, times)| (file.as_str(), *times))
        .collect();
    assert_eq!(times, [("a/b.rs", 1), ("a/c/d.rs", 1)]);
    assert_eq!(nothing, ["a/e.rs"]);
}

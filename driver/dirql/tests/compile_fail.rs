//! What must not compile, each with the message that the driver's author gets.
//!
//! The messages are the compiler's and change with it, so they are compared for the
//! release that they were recorded with; that the code does not compile, and with
//! which error, the documentation tests check for every release.

/// The release whose messages stand in `ui/*.stderr`.
const RECORDED_WITH: &str = "rustc 1.95.";

#[test]
fn misuse_does_not_compile() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = std::process::Command::new(rustc)
        .arg("--version")
        .output()
        .expect("rustc runs: it has compiled this test");
    let version = String::from_utf8_lossy(&output.stdout).into_owned();
    if version.starts_with(RECORDED_WITH) {
        let cases = trybuild::TestCases::new();
        cases.compile_fail("tests/ui/*.rs");
    } else {
        eprintln!("{version}: messages are compared for {RECORDED_WITH}x only");
    }
}

/// The guide lists the cases by guarantee: none is missing, and none is made up.
#[test]
fn the_guide_lists_every_case() {
    let guide = include_str!("../GUIDE.md");
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    let mut cases: Vec<String> = std::fs::read_dir(folder)
        .expect("the cases are there")
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    let table = guide.split("## What the compiler refuses").nth(1);
    let rows = table.expect("the guide has the table").lines();
    let mut listed: Vec<String> = rows
        .filter_map(|row| row.strip_prefix("| ")?.split(" | ").nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect();
    cases.sort();
    listed.sort();
    assert_eq!(listed, cases);
}

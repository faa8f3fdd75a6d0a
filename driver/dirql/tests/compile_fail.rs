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

//! libFuzzer at the targets: it sees which code an input reaches, and alters inputs until
//! they reach more.
//!
//! A stable Rust is enough. Coverage is instrumented by a pass of LLVM's, as `cargo fuzz`
//! does it, and AddressSanitizer, where its runtime came with the toolchain, by
//! `RUSTC_BOOTSTRAP`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};

use crate::{
    command,
    test::counting::{Failure, Tally},
    toolchain::host_cargo,
    workspace::Workspace,
};

/// How long libFuzzer has each target.
const SECONDS: u32 = 300;
/// Bytes that an input may have: no target makes use of more.
const LONGEST: u32 = 1_024;
/// Memory that one allocation may take, in MiB. Nothing that comes from outside is that long.
const LARGEST_ALLOCATION_MB: u32 = 64;

/// What libFuzzer needs to know which code was reached, and by which comparisons.
const INSTRUMENTED: [&str; 7] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
];

/// Runs the targets whose names are in `chosen`, or all, and counts those that nothing was
/// found in.
pub(super) fn run(workspace: &Workspace, chosen: &[String]) -> anyhow::Result<Tally> {
    let target_dir = workspace.root().join("target/fuzz");
    let triple = host_triple()?;
    build(workspace, &target_dir, &triple)?;
    let programs = target_dir.join(&triple).join("release");
    let mut tally = Tally::default();
    for target in targets(workspace)? {
        if !chosen.is_empty() && !chosen.contains(&target) {
            continue;
        }
        match drive(workspace, &programs, &target_dir, &target) {
            Ok(found) => {
                println!("fuzz: {target:12} libFuzzer found nothing: {found}");
                tally.add(Tally::one());
            }
            Err(error) => {
                println!("fuzz: {target:12} FAILED: {error:#}");
                tally.failures.push(Failure {
                    what: format!("fuzz: {target}: {error:#}"),
                    rerun: format!("cargo xtask test fuzz --long -- {target}"),
                });
            }
        }
    }
    Ok(tally)
}

/// The targets: each has a folder in the corpus.
fn targets(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let corpus = workspace.root().join("tests/fuzz/corpus");
    let mut names = Vec::new();
    for entry in fs::read_dir(&corpus).with_context(|| format!("{}", corpus.display()))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn host_triple() -> anyhow::Result<String> {
    let told = command::output(Command::new("rustc").arg("-vV"))?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}

/// Whether AddressSanitizer's runtime came with the toolchain.
fn has_address_sanitizer(triple: &str) -> anyhow::Result<bool> {
    let sysroot = command::output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let library = Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(triple)
        .join("lib");
    let files = fs::read_dir(&library).with_context(|| format!("{}", library.display()))?;
    Ok(files.flatten().any(|file| {
        let name = file.file_name();
        name.to_string_lossy().ends_with("_rt.asan.a")
    }))
}

fn build(workspace: &Workspace, target_dir: &Path, triple: &str) -> anyhow::Result<()> {
    let mut flags = INSTRUMENTED.join(" ");
    if has_address_sanitizer(triple)? {
        flags.push_str(" -Zsanitizer=address");
    } else {
        println!("fuzz: without AddressSanitizer, whose runtime this Rust does not have");
    }
    let mut cargo = host_cargo(workspace);
    cargo
        .args(["build", "--locked", "--release", "--package", "fuzz"])
        .args(["--bins", "--features", "libfuzzer", "--target", triple])
        .arg("--target-dir")
        .arg(target_dir)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", flags)
        // libFuzzer is C++; clang comes with what that takes.
        .env("CXX", "clang++");
    // The release profile is that of kernel images, which have no assertions.
    for setting in [
        "lto=false",
        "debug='line-tables-only'",
        "debug-assertions=true",
        "overflow-checks=true",
    ] {
        cargo.args(["--config", &format!("profile.release.{setting}")]);
    }
    command::run(&mut cargo)
}

/// Has libFuzzer look for `SECONDS`; what it has reached.
fn drive(
    workspace: &Workspace,
    programs: &Path,
    target_dir: &Path,
    target: &str,
) -> anyhow::Result<String> {
    let grown = target_dir.join("corpus").join(target);
    let finds = target_dir.join("finds");
    for folder in [&grown, &finds] {
        fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
    }
    let log = target_dir.join(format!("{target}.log"));
    let written = fs::File::create(&log).with_context(|| format!("{}", log.display()))?;
    let mut program = Command::new(programs.join(format!("libfuzzer-{target}")));
    program
        .current_dir(workspace.root())
        .arg(&grown)
        .arg(workspace.root().join("tests/fuzz/corpus").join(target))
        .arg(format!("-max_total_time={SECONDS}"))
        .arg(format!("-max_len={LONGEST}"))
        .arg(format!("-malloc_limit_mb={LARGEST_ALLOCATION_MB}"))
        .arg(format!("-artifact_prefix={}/{target}-", finds.display()))
        .args(["-timeout=10", "-print_final_stats=1"])
        .stdin(Stdio::null())
        .stderr(written);
    eprintln!("$ {}", command::rendered(&program));
    let status = program
        .status()
        .with_context(|| format!("cannot start the target {target}"))?;
    let said = fs::read_to_string(&log).with_context(|| format!("{}", log.display()))?;
    if !status.success() {
        bail!(
            "libFuzzer found an input that breaks a promise: {}. {} has the reason. Mend what \
             is wrong, and keep the input in tests/fuzz/corpus/{target} under a name that says \
             what it found",
            artifact(&said)
                .unwrap_or_else(|| PathBuf::from("none was kept"))
                .display(),
            log.display()
        );
    }
    figures(&said).with_context(|| format!("{} has no figures", log.display()))
}

/// The file in which libFuzzer has kept the input.
fn artifact(said: &str) -> Option<PathBuf> {
    let line = said.lines().find_map(|line| line.split_once("written to "));
    line.map(|(_, file)| PathBuf::from(file.trim()))
}

/// Executions, and what they have reached.
fn figures(said: &str) -> Option<String> {
    let executions = said
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))?;
    let last = said.lines().rev().find(|line| line.contains(" cov: "))?;
    let mut words = last.split_whitespace();
    words.find(|word| *word == "cov:")?;
    let edges = words.next()?;
    words.find(|word| *word == "ft:")?;
    let features = words.next()?;
    Some(format!(
        "{} executions reach {edges} edges of the code and {features} features",
        executions.trim()
    ))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{artifact, figures};

    const DONE: &str = "\
#2\tINITED cov: 301 ft: 302 corp: 1/1b exec/s: 0 rss: 62Mb
#53921\tREDUCE cov: 901 ft: 3564 corp: 469/6511b lim: 38 exec/s: 665 rss: 159Mb L: 25/38
#60000\tDONE   cov: 905 ft: 3600 corp: 471/6546b lim: 38 exec/s: 666 rss: 159Mb
Done 60000 runs in 91 second(s)
stat::number_of_executed_units: 60000
stat::average_exec_per_sec:     659
";

    #[test]
    fn the_last_figures_are_those_that_count() {
        assert_eq!(
            figures(DONE).as_deref(),
            Some("60000 executions reach 905 edges of the code and 3600 features")
        );
        assert_eq!(figures("==1== ERROR: libFuzzer: deadly signal"), None);
    }

    #[test]
    fn an_input_that_was_kept_is_named() {
        let said = "artifact_prefix='/x/'; Test unit written to /x/frames-crash-0a1b\nBase64: AA";
        assert_eq!(artifact(said), Some(PathBuf::from("/x/frames-crash-0a1b")));
        assert_eq!(artifact(DONE), None);
    }
}

//! The parts of `cargo xtask test`.

use super::counting::{self, Failure, Tally};
use crate::{
    abi, audit, bench, build, cost,
    image_check::{self, Subject, Verdict},
    lint, package, reproducible,
    toolchain::host_cargo,
    workspace::Workspace,
};

/// `cargo test`.
pub(super) fn unit(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<Tally> {
    let mut cargo = host_cargo(workspace);
    cargo.args(["test", "--no-fail-fast"]).args(arguments);
    let (mut tally, succeeded) =
        counting::count(&mut cargo, |name| format!("cargo test -- --exact '{name}'"))?;
    if !succeeded && tally.failures.is_empty() {
        tally.failures.push(Failure {
            what: "unit: a test program did not build, or ended early".to_owned(),
            rerun: "cargo test".to_owned(),
        });
    }
    Ok(tally)
}

/// `cargo xtask lint`, each lint a test.
pub(super) fn lint() -> anyhow::Result<Tally> {
    let (count, failed) = lint::all()?;
    let passed = u64::try_from(count - failed.len()).unwrap_or_default();
    let failures = failed
        .into_iter()
        .map(|name| Failure {
            rerun: format!("cargo xtask lint {name}"),
            what: format!("lint: {name}"),
        })
        .collect();
    Ok(Tally { passed, failures })
}

/// Everything that ships, and what boots it.
pub(super) fn build() -> anyhow::Result<Tally> {
    build::all()?;
    Ok(Tally::one())
}

/// Structures and constants compared with what others say of them; some of that is done by
/// the compiler, on Windows as well.
pub(super) fn abi(workspace: &Workspace) -> anyhow::Result<Tally> {
    build::check("abi")?;
    let mut tally = Tally::one();
    if abi::has_witnesses() {
        println!("abi: {}", abi::check(workspace)?);
        tally.add(Tally::one());
    } else {
        println!("abi: {}", abi::NO_WITNESSES);
    }
    Ok(tally)
}

/// The image that was built, check by check.
pub(super) fn image(workspace: &Workspace) -> anyhow::Result<Tally> {
    build::driver()?;
    Ok(judged(
        "image",
        image_check::verdicts(&Subject::built(workspace)?),
    ))
}

/// What is installed on Windows, check by check.
pub(super) fn package(workspace: &Workspace) -> anyhow::Result<Tally> {
    Ok(judged("package", package::verdicts(workspace)?))
}

/// What `cargo xtask audit` finds.
pub(super) fn audit(workspace: &Workspace, is_long: bool) -> anyhow::Result<Tally> {
    build::driver()?;
    Ok(judged("audit", audit::verdicts(workspace, is_long)?))
}

/// Prints what each check of `part` said, and counts.
fn judged(part: &str, verdicts: Vec<Verdict>) -> Tally {
    let mut tally = Tally::default();
    for Verdict { check, result } in verdicts {
        match result {
            Ok(found) => {
                println!("{part}: {check:48} ok      {found}");
                tally.add(Tally::one());
            }
            Err(error) => {
                println!("{part}: {check:48} FAILED  {error:#}");
                tally.failures.push(Failure {
                    what: format!("{part}: {check}: {error:#}"),
                    rerun: format!("cargo xtask test {part}"),
                });
            }
        }
    }
    tally
}

/// The wrappers' code against C, routine by routine.
pub(super) fn cost(workspace: &Workspace) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    for cost::Verdict { name, result } in cost::verdicts(workspace)? {
        match result {
            Ok(found) => {
                println!("cost: {name:48} ok      {found}");
                tally.add(Tally::one());
            }
            Err(error) => {
                println!("cost: {name:48} FAILED  {error:#}");
                tally.failures.push(Failure {
                    what: format!("cost: {name}"),
                    rerun: "cargo xtask test cost".to_owned(),
                });
            }
        }
    }
    Ok(tally)
}

/// The benchmark's figures that are the same in every run, against those that are committed.
pub(super) fn bench(workspace: &Workspace) -> anyhow::Result<Tally> {
    build::for_the_bench()?;
    let found = bench::regressions(workspace)?;
    for line in &found.said {
        println!("bench: {line}");
    }
    let failures: Vec<Failure> = found
        .worse
        .into_iter()
        .map(|worse| {
            println!("bench: FAILED  {worse}");
            Failure {
                what: format!("bench: {worse}"),
                rerun: "cargo xtask test bench".to_owned(),
            }
        })
        .collect();
    let failed = u64::try_from(failures.len()).unwrap_or(u64::MAX);
    Ok(Tally {
        passed: found.compared.saturating_sub(failed),
        failures,
    })
}

/// The image, built a second time in another place.
pub(super) fn reproducible(workspace: &Workspace) -> anyhow::Result<Tally> {
    build::driver()?;
    println!("reproducible: {}", reproducible::check(workspace)?);
    Ok(Tally::one())
}

/// The scenarios, which print as Rust's test harness does.
pub(super) fn scenarios(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<Tally> {
    let mut cargo = host_cargo(workspace);
    cargo
        .args([
            "run",
            "--quiet",
            "--package",
            "scenarios",
            "--bin",
            "scenarios",
            "--",
        ])
        .args(arguments);
    let (mut tally, succeeded) = counting::count(&mut cargo, |name| {
        format!("cargo xtask test scenarios -- --exact {name}")
    })?;
    if !succeeded && tally.failures.is_empty() {
        tally.failures.push(Failure {
            what: "scenarios: they could not be run to their end".to_owned(),
            rerun: "cargo xtask test scenarios".to_owned(),
        });
    }
    Ok(tally)
}

//! `cargo xtask setup`: installs what the other verbs need on Debian, or says
//! exactly what is missing where it cannot.

use std::{env, process::Command};

use anyhow::bail;

use crate::{
    command,
    needs::{NEEDS, Need},
    python, test,
    workspace::Workspace,
};

/// Shows all that the other verbs need, after installing what is missing.
pub(crate) fn run() -> anyhow::Result<()> {
    let needs = ensure()?;
    for (need, found) in &needs {
        println!("{:32} {found}", need.name);
    }
    let python = python::interpreter(&Workspace::current()?)?;
    println!("{:32} {}", "Python packages", python.display());
    let mutants = test::mutants::program(&Workspace::current()?)?;
    println!("{:32} {}", "cargo-mutants", mutants.display());
    println!("setup: {} of {} needs met", needs.len(), NEEDS.len());
    Ok(())
}

/// Installs what is missing, and returns every need with what meets it; says
/// nothing where nothing is missing. Every verb calls this first.
pub(crate) fn ensure() -> anyhow::Result<Vec<(&'static Need, String)>> {
    let (met, missing) = look();
    if missing.is_empty() {
        return Ok(met);
    }
    for need in &missing {
        eprintln!("missing: {}, needed to {}", need.name, need.purpose);
    }
    if !has_apt() {
        bail!(
            "this system has no apt-get, so nothing was installed. Install the above with its \
             package manager (Debian's packages are {}), or set PATH so that they are found.",
            first_choices(&missing).join(" ")
        );
    }
    if !is_root()? {
        bail!(
            "nothing was installed, since that takes root. Run:\n    sudo apt-get update\n    sudo \
             apt-get install --yes --no-install-recommends {}",
            first_choices(&missing).join(" ")
        );
    }
    install(&missing)?;
    let (met, missing) = look();
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(|need| need.name).collect();
        bail!(
            "apt-get installed its packages, but these are still not found: {}. This system's \
             versions may be too old (Debian 12 has Rust 1.96 in its security updates: are they in \
             the package sources?), or in a place that is not in PATH.",
            names.join(", ")
        );
    }
    Ok(met)
}

/// What is here, and what is missing.
fn look() -> (Vec<(&'static Need, String)>, Vec<&'static Need>) {
    let mut met = Vec::new();
    let mut missing = Vec::new();
    for need in NEEDS {
        match need.found() {
            Some(found) => met.push((need, found)),
            None => missing.push(need),
        }
    }
    (met, missing)
}

/// The lists are renewed each time: an old one names packages that are gone, or
/// versions that are too old, and there is no telling beforehand.
fn install(missing: &[&Need]) -> anyhow::Result<()> {
    if let Err(error) = command::run(apt_get().arg("update")) {
        println!("{error:#}; going on with the package lists that are here.");
    }
    let mut packages = Vec::new();
    for need in missing {
        for package in available(need)? {
            if !packages.contains(package) {
                packages.push(*package);
            }
        }
    }
    command::run(
        apt_get()
            .args(["install", "--yes", "--no-install-recommends"])
            .args(packages),
    )
}

/// The first set of packages for `need` that can all be had here.
fn available(need: &Need) -> anyhow::Result<&'static [&'static str]> {
    for set in need.packages {
        let policy = command::output(
            Command::new("apt-cache")
                .env("LC_ALL", "C")
                .arg("policy")
                .args(*set),
        )?;
        if candidates(&policy) == set.len() {
            return Ok(set);
        }
    }
    bail!(
        "this system's package lists have nothing for {}; Debian has it as {}.",
        need.name,
        need.packages
            .iter()
            .map(|set| set.join(" "))
            .collect::<Vec<_>>()
            .join(", or ")
    )
}

/// How many of the packages that `apt-cache policy` was asked about it can get.
fn candidates(policy: &str) -> usize {
    policy
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Candidate: "))
        .filter(|version| *version != "(none)")
        .count()
}

fn first_choices(needs: &[&Need]) -> Vec<&'static str> {
    let mut packages = Vec::new();
    for package in needs
        .iter()
        .filter_map(|need| need.packages.first())
        .copied()
        .flatten()
    {
        if !packages.contains(package) {
            packages.push(*package);
        }
    }
    packages
}

fn apt_get() -> Command {
    let mut apt_get = Command::new("apt-get");
    apt_get.env("DEBIAN_FRONTEND", "noninteractive");
    apt_get
}

fn has_apt() -> bool {
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).any(|folder| folder.join("apt-get").is_file())
}

fn is_root() -> anyhow::Result<bool> {
    Ok(command::output(Command::new("id").arg("-u"))?.trim() == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_without_a_candidate_does_not_count() {
        let policy =
            "rustc-web:\n  Installed: (none)\n  Candidate: 1.96.0\nnone:\n  Candidate: (none)\n";
        assert_eq!(candidates(policy), 1);
        assert_eq!(candidates(""), 0);
    }

    #[test]
    fn packages_that_two_needs_share_are_named_once() {
        let all: Vec<&Need> = NEEDS.iter().collect();
        let packages = first_choices(&all);
        let mut unique = packages.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(packages.len(), unique.len());
        assert!(packages.contains(&"ovmf"));
    }
}

//! eductl.exe under Wine. Wine has no edu device, so what can be shown is that
//! the program starts, explains itself, and says what to check.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use anyhow::{Context as _, ensure};

use super::{
    List,
    command_line::{exits_with, says},
};
use crate::artifacts::Artifacts;

/// Wine's first start makes a prefix, which takes a while.
const LIMIT_SECONDS: &str = "180";

pub(super) fn add(list: &mut List) {
    list.add("eductl.exe/help", |artifacts| {
        let output = eductl_exe(artifacts, &["--help"])?;
        exits_with(&output, 0, &["--help"])?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        for word in ["factorial", "install", "verify", "Exit codes", "--json"] {
            ensure!(
                text.contains(word),
                "the help does not mention {word}: {text}"
            );
        }
        ensure!(
            !text.contains("--rig"),
            "the help offers the rig, which Windows does not have: {text}"
        );
        Ok(())
    });
    list.add("eductl.exe/no-device", |artifacts| {
        for arguments in [&["info"][..], &["verify"], &["--json", "stats"]] {
            let output = eductl_exe(artifacts, arguments)?;
            exits_with(&output, 3, arguments)?;
            for words in [
                "no edu device",
                "Device Manager",
                "testsigning",
                "-device edu",
            ] {
                says(&output, words)?;
            }
        }
        Ok(())
    });
    list.add("eductl.exe/no-package", |artifacts| {
        for arguments in [
            &["install"][..],
            &["uninstall"],
            &["install", "--inf", "no.inf"],
        ] {
            let output = eductl_exe(artifacts, arguments)?;
            exits_with(&output, 1, arguments)?;
            says(&output, "there is no such file")?;
            says(&output, ".inf")?;
        }
        let arguments = ["completions", "powershell"];
        let output = eductl_exe(artifacts, &arguments)?;
        exits_with(&output, 0, &arguments)?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(text.contains("uninstall"), "not all is completed: {text}");
        Ok(())
    });
    list.add("eductl.exe/usage", |artifacts| {
        let output = eductl_exe(artifacts, &["factorial"])?;
        exits_with(&output, 2, &["factorial"])
    });
}

fn eductl_exe(artifacts: &Artifacts, arguments: &[&str]) -> anyhow::Result<Output> {
    let wine = wine()?;
    let folder = artifacts.wine_folder();
    let program = folder.join("eductl.exe");
    fs::copy(artifacts.eductl_exe(), &program)
        .with_context(|| format!("cannot copy eductl.exe to {}", folder.display()))?;
    Command::new("timeout")
        .args(["--kill-after=5", LIMIT_SECONDS])
        .arg(wine)
        .arg(&program)
        .args(arguments)
        .env("WINEPREFIX", folder.join("prefix"))
        // No messages of Wine's own, and no question for what eductl needs not.
        .env("WINEDEBUG", "-all")
        .env("WINEDLLOVERRIDES", "mscoree,mshtml=")
        .env_remove("DISPLAY")
        .output()
        .with_context(|| format!("cannot start {wine}"))
}

/// Debian's 64-bit Wine lies off the path unless the 32-bit one is there too.
fn wine() -> anyhow::Result<&'static str> {
    ["/usr/bin/wine", "/usr/lib/wine/wine64", "/usr/bin/wine64"]
        .into_iter()
        .find(|program| Path::new(program).is_file())
        .context("Wine is not installed: run `cargo xtask setup`.")
}

//! Whether a package is what Windows asks for, judged by programs that have no part in
//! making it: Wine's SetupAPI reads the INF, `osslsigncode` and signify verify the
//! signatures and the hashes, OpenSSL looks at the certificate, and the rig boots the
//! signed driver.

mod alterations;
mod certificate;
mod elsewhere;
mod inf_reader;
mod verifiers;

use std::{collections::BTreeSet, fs};

use anyhow::{Context as _, bail, ensure};

use super::{FILES, Package, default_folder, default_signing, digest, make};
use crate::{
    build, command, image_check::Verdict, toolchain::host_cargo, workspace, workspace::Workspace,
};
use verifiers::Verifiers;

/// Makes the package as `cargo xtask package` does, and judges it.
pub(crate) fn verdicts(workspace: &Workspace) -> anyhow::Result<Vec<Verdict>> {
    build::for_the_rig()?;
    build::for_the_package()?;
    let package = make(
        workspace,
        &default_folder(workspace),
        &default_signing(workspace),
    )?;
    let verifiers = Verifiers::new(workspace, &package)?;
    let mut verdicts = Vec::new();
    let mut judge = |check: &str, result: anyhow::Result<String>| {
        verdicts.push(Verdict {
            check: check.to_owned(),
            result,
        });
    };
    judge("files", files(&package));
    judge(
        "certificate",
        certificate::judge(workspace, &package.signer),
    );
    judge(
        "INF, read by SetupAPI",
        inf_reader::judge(workspace, &package),
    );
    judge(
        "no INF, read by SetupAPI",
        inf_reader::judge_nonsense(workspace),
    );
    judge("osslsigncode", verifiers.osslsigncode(&package.folder));
    judge("signify", verifiers.signify(&package.folder));
    judge("hashes", verifiers.hashes(&package.folder));
    for (what, result) in alterations::judge(&package, &verifiers) {
        judge(&what, result);
    }
    judge("the tested image", tested_image(workspace, &package));
    for (what, result) in elsewhere::judge(workspace, &package, &verifiers)? {
        judge(what, result);
    }
    judge(
        "the signed image in the rig",
        in_the_rig(workspace, &package),
    );
    Ok(verdicts)
}

/// The folder has what it should have, and nothing else, least of all the key.
fn files(package: &Package) -> anyhow::Result<String> {
    let present = fs::read_dir(&package.folder)
        .with_context(|| format!("cannot list {}", package.folder.display()))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<anyhow::Result<BTreeSet<String>>>()?;
    let expected: BTreeSet<String> = FILES.map(str::to_owned).into();
    ensure!(
        present == expected,
        "the package should have {expected:?}, but has {present:?}"
    );
    Ok(format!("{} of them", present.len()))
}

/// What is packaged is what was tested, apart from the signature.
fn tested_image(workspace: &Workspace, package: &Package) -> anyhow::Result<String> {
    let tested = workspace::read(&workspace.out().join("edu.sys"))?;
    let signed = workspace::read(&package.file("edu.sys"))?;
    ensure!(
        signed.len() > tested.len(),
        "the packaged edu.sys has no signature"
    );
    ensure!(
        digest::without_signature(&signed)? == tested,
        "without its signature the packaged edu.sys is another file than the one that was built"
    );
    Ok(format!(
        "{} bytes, and {} of signature",
        tested.len(),
        signed.len() - tested.len()
    ))
}

/// The signed image drives the device.
fn in_the_rig(workspace: &Workspace, package: &Package) -> anyhow::Result<String> {
    command::run(
        host_cargo(workspace)
            .args(["run", "--quiet", "--package", "scenarios"])
            .args(["--bin", "rig-run", "--", "--smp", "2", "--driver"])
            .arg(package.file("edu.sys"))
            .args(["--", "verify"]),
    )?;
    Ok("eductl verify passes".to_owned())
}

/// Turns an acceptance by `who` into the failure that it is.
fn refused(who: &str, result: anyhow::Result<String>) -> anyhow::Result<()> {
    match result {
        Ok(said) => bail!("{who} accepted it: {said}"),
        Err(_) => Ok(()),
    }
}

//! The package made a second time, in another folder and with another certificate:
//! it is the same but for the signatures, and nobody takes one's for the other's.

use std::{fs, path::Path};

use anyhow::{Context as _, ensure};

use super::{
    super::{CERTIFICATE, FILES, Package, catalogue, digest, make, signing::Signer},
    refused,
    verifiers::Verifiers,
};
use crate::{workspace, workspace::Workspace};

/// Makes a second package beside `package`, and judges the two.
pub(super) fn judge(
    workspace: &Workspace,
    package: &Package,
    verifiers: &Verifiers,
) -> anyhow::Result<Vec<(&'static str, anyhow::Result<String>)>> {
    let elsewhere = workspace.target().join("package-again");
    if elsewhere.exists() {
        remove(&elsewhere)?;
    }
    let signing = elsewhere.join("signing");
    let again = make(workspace, &elsewhere.join("package"), &signing)?;
    let verdicts = vec![
        ("made again elsewhere", the_same(package, &again)),
        (
            "another's certificate",
            not_interchangeable(workspace, package, &again, verifiers),
        ),
        ("a certificate that is there", kept(&signing, &again.signer)),
    ];
    remove(&elsewhere)?;
    Ok(verdicts)
}

/// All but the signatures and the certificate.
fn the_same(package: &Package, again: &Package) -> anyhow::Result<String> {
    let mut compared = Vec::new();
    for name in FILES {
        let contents = |package: &Package| -> anyhow::Result<Vec<u8>> {
            let file = workspace::read(&package.file(name))?;
            match name {
                "edu.sys" => digest::without_signature(&file),
                "edu.cat" => catalogue::content(&file),
                _ => Ok(file),
            }
        };
        let same = contents(package)? == contents(again)?;
        // Keys are made by chance, so two certificates are never the same.
        ensure!(
            same != (name == CERTIFICATE),
            "{name} is {} when it is made again",
            if same { "the same" } else { "another" }
        );
        if same {
            compared.push(name);
        }
    }
    Ok(format!("the same {}", compared.join(", ")))
}

/// Who trusts one certificate does not accept what the other signed.
fn not_interchangeable(
    workspace: &Workspace,
    package: &Package,
    again: &Package,
    verifiers: &Verifiers,
) -> anyhow::Result<String> {
    let others = Verifiers::new(workspace, again)?;
    for (verifiers, package) in [(verifiers, again), (&others, package)] {
        let folder = &package.folder;
        refused("osslsigncode", verifiers.image_signature(folder))?;
        refused("osslsigncode", verifiers.catalogue_signature(folder))?;
        refused("signify", verifiers.signify(folder))?;
    }
    others.osslsigncode(&again.folder)?;
    others.signify(&again.folder)?;
    Ok("refused by both".to_owned())
}

/// A certificate that is there is used again, and half of one is not made whole.
fn kept(signing: &Path, signer: &Signer) -> anyhow::Result<String> {
    let before = workspace::read(signer.certificate())?;
    let kept = Signer::in_folder(signing)?;
    ensure!(
        workspace::read(kept.certificate())? == before,
        "a certificate that was there was replaced"
    );
    fs::remove_file(signer.key())
        .with_context(|| format!("cannot remove {}", signer.key().display()))?;
    ensure!(
        Signer::in_folder(signing).is_err() && workspace::read(signer.certificate())? == before,
        "a certificate whose key is missing was replaced"
    );
    Ok("used again; refused without its key".to_owned())
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
}

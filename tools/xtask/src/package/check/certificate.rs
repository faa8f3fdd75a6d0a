//! That the test certificate is good for signing code and for nothing else, and that
//! its key stays at home.

use std::{fs, process::Command};

use anyhow::{Context as _, ensure};

use super::super::signing::Signer;
use crate::{command, workspace::Workspace};

/// What a machine that trusts the certificate must not trust it for, neither as the
/// last of a chain nor as an authority, in the words of `openssl x509 -purpose`.
const OTHER_PURPOSES: [&str; 4] = ["SSL client", "SSL server", "S/MIME signing", "Time Stamp"];

/// Looks at the certificate with OpenSSL, and at where the key is.
pub(super) fn judge(workspace: &Workspace, signer: &Signer) -> anyhow::Result<String> {
    let show = |options: &[&str]| {
        command::output(
            Command::new("openssl")
                .args(["x509", "-noout", "-in"])
                .arg(signer.certificate())
                .args(options),
        )
    };
    let subject = show(&["-subject"])?;
    ensure!(
        subject.contains("Dirql"),
        "the certificate does not name the project: {subject}"
    );
    let usage = show(&["-ext", "extendedKeyUsage,basicConstraints"])?;
    ensure!(
        usage.contains("Code Signing") && usage.contains("CA:FALSE"),
        "the certificate is no mere code-signing certificate: {usage}"
    );
    let purposes = show(&["-purpose"])?;
    for other in OTHER_PURPOSES {
        let mut lines = purposes.lines().filter(|line| line.starts_with(other));
        ensure!(
            lines.clone().count() > 0 && lines.all(|line| line.ends_with(" : No")),
            "the certificate is good for {other}, too: {purposes}"
        );
    }
    private(signer)?;
    command::run(
        Command::new("git")
            .current_dir(workspace.root())
            .args(["check-ignore", "--quiet"])
            .arg(signer.key()),
    )
    .context("git would take the key")?;
    Ok("signs code, no authority, key unknown to git".to_owned())
}

#[cfg(unix)]
fn private(signer: &Signer) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    let mode = fs::metadata(signer.key())
        .with_context(|| format!("cannot look at {}", signer.key().display()))?
        .permissions()
        .mode();
    ensure!(
        mode & 0o777 == 0o600,
        "others may read the key: its mode is {mode:o}"
    );
    Ok(())
}

#[cfg(not(unix))]
fn private(signer: &Signer) -> anyhow::Result<()> {
    fs::metadata(signer.key())
        .with_context(|| format!("cannot look at {}", signer.key().display()))?;
    Ok(())
}

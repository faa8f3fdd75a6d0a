//! Signing for tests: a certificate that is made on first use, and `osslsigncode`.
//!
//! The certificate signs itself, and code alone: it is no authority, so that a machine
//! that trusts it for testing trusts it in nothing else. Its key never leaves its
//! folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};

use crate::{command, workspace};

/// What `openssl req` makes a certificate from. `codeSigning` is the usage that Windows
/// asks of what signs drivers.
const REQUEST: &str = "\
[req]
prompt             = no
distinguished_name = subject
x509_extensions    = extensions

[subject]
CN = Dirql test signing
O  = Dirql

[extensions]
basicConstraints     = critical, CA:false
keyUsage             = critical, digitalSignature
extendedKeyUsage     = critical, codeSigning
subjectKeyIdentifier = hash
";
/// How long a certificate is valid: a year longer than most test machines live.
const DAYS: &str = "1826";
/// What the signature says that it is about.
const DESCRIPTION: &str = "edu, a driver for QEMU's edu device";

/// The certificate for tests, and the key to it.
#[derive(Clone, Debug)]
pub(super) struct Signer {
    key: PathBuf,
    certificate: PathBuf,
}

impl Signer {
    /// That in `folder`, which is made if there is none.
    pub(super) fn in_folder(folder: &Path) -> anyhow::Result<Self> {
        let signer = Self {
            key: folder.join("dirql-test.key"),
            certificate: folder.join("dirql-test.pem"),
        };
        match (signer.key.is_file(), signer.certificate.is_file()) {
            (true, true) => signer.ensure_valid()?,
            (false, false) => signer.make(folder)?,
            _ => anyhow::bail!(
                "{} has a certificate without its key, or the key alone: give back what is \
                 missing, or remove the folder to have both made anew",
                folder.display()
            ),
        }
        Ok(signer)
    }

    /// The certificate in the form that OpenSSL's family reads.
    pub(super) fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// The key, for the tests.
    pub(super) fn key(&self) -> &Path {
        &self.key
    }

    /// The certificate in the form that Windows imports.
    pub(super) fn certificate_in_der(&self) -> anyhow::Result<Vec<u8>> {
        let made = self.certificate.with_extension("cer");
        command::run(
            Command::new("openssl")
                .args(["x509", "-outform", "DER", "-in"])
                .arg(&self.certificate)
                .arg("-out")
                .arg(&made),
        )?;
        workspace::read(&made)
    }

    /// Writes `file` to `signed` with a signature, which is embedded in an image.
    pub(super) fn sign(&self, file: &Path, signed: &Path) -> anyhow::Result<()> {
        // osslsigncode writes over nothing.
        if signed.exists() {
            fs::remove_file(signed)
                .with_context(|| format!("cannot replace {}", signed.display()))?;
        }
        command::run(
            Command::new("osslsigncode")
                .args(["sign", "-h", "sha256", "-n", DESCRIPTION, "-certs"])
                .arg(&self.certificate)
                .arg("-key")
                .arg(&self.key)
                .arg("-in")
                .arg(file)
                .arg("-out")
                .arg(signed),
        )
    }

    fn make(&self, folder: &Path) -> anyhow::Result<()> {
        workspace::create_folder(folder)?;
        let request = folder.join("request.cnf");
        workspace::write_if_changed(&request, REQUEST.as_bytes())?;
        command::output(
            Command::new("openssl")
                .args(["req", "-new", "-x509", "-newkey", "rsa:3072", "-nodes"])
                .args(["-sha256", "-days", DAYS, "-config"])
                .arg(&request)
                .arg("-keyout")
                .arg(&self.key)
                .arg("-out")
                .arg(&self.certificate),
        )?;
        eprintln!(
            "A certificate for tests was made: {}",
            self.certificate.display()
        );
        Ok(())
    }

    fn ensure_valid(&self) -> anyhow::Result<()> {
        let checked = Command::new("openssl")
            .args(["x509", "-checkend", "0", "-noout", "-in"])
            .arg(&self.certificate)
            .output()
            .context("cannot start openssl: is it installed?")?;
        ensure!(
            checked.status.success(),
            "{} is no certificate, or is no longer valid: remove its folder, and a new one is made",
            self.certificate.display()
        );
        Ok(())
    }
}

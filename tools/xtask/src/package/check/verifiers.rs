//! The programs that verify a package: `osslsigncode`, which also signed it, and two
//! that had no part in that, signify and OpenSSL.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};

use super::super::{Package, digest::Digests};
use crate::{command, python, workspace, workspace::Workspace};

/// The files that a catalogue has hashes of.
const MEMBERS: [&str; 2] = ["edu.inf", "edu.sys"];

/// What the verifiers trust, and where they are.
#[derive(Clone, Debug)]
pub(super) struct Verifiers {
    certificate: PathBuf,
    python: PathBuf,
    script: PathBuf,
}

impl Verifiers {
    /// Those that trust the certificate that signed `package`, and no other.
    pub(super) fn new(workspace: &Workspace, package: &Package) -> anyhow::Result<Self> {
        Ok(Self {
            certificate: package.signer.certificate().to_path_buf(),
            python: python::interpreter(workspace)?,
            script: workspace.root().join("tests/package/signatures.py"),
        })
    }

    /// osslsigncode verifies the signatures of the image and of the catalogue in
    /// `folder`, and that the image and the INF are in the catalogue.
    pub(super) fn osslsigncode(&self, folder: &Path) -> anyhow::Result<String> {
        self.image_signature(folder)?;
        self.image_in_catalogue(folder)?;
        self.inf_in_catalogue(folder)?;
        Ok("image, catalogue, image and INF in the catalogue".to_owned())
    }

    /// The image's own signature, by osslsigncode. Returns what it says.
    pub(super) fn image_signature(&self, folder: &Path) -> anyhow::Result<String> {
        self.run_osslsigncode(&folder.join("edu.sys"), None)
    }

    /// The catalogue's signature, by osslsigncode.
    pub(super) fn catalogue_signature(&self, folder: &Path) -> anyhow::Result<String> {
        self.run_osslsigncode(&folder.join("edu.cat"), None)
    }

    /// The image by its hash in the catalogue, by osslsigncode.
    pub(super) fn image_in_catalogue(&self, folder: &Path) -> anyhow::Result<String> {
        self.run_osslsigncode(&folder.join("edu.sys"), Some(&folder.join("edu.cat")))
    }

    /// The INF by its hash in the catalogue, whose signature osslsigncode verifies. It
    /// takes no such file as an INF, so the hash is OpenSSL's, and looked for in what
    /// OpenSSL reads in the catalogue.
    pub(super) fn inf_in_catalogue(&self, folder: &Path) -> anyhow::Result<String> {
        self.catalogue_signature(folder)?;
        let hash = openssl_hash("-sha256", &folder.join("edu.inf"))?;
        ensure!(
            structure(folder)?.contains(&hash.to_uppercase()),
            "the catalogue does not have the hash of edu.inf, {hash}"
        );
        Ok(hash)
    }

    /// signify verifies all of it. Returns what it computed, `name sha256 sha1` a file.
    pub(super) fn signify(&self, folder: &Path) -> anyhow::Result<String> {
        let computed = command::output(
            Command::new(&self.python)
                .arg(&self.script)
                .arg(&self.certificate)
                .args(["edu.cat", "edu.sys", "edu.inf"].map(|name| folder.join(name))),
        )?;
        let named: BTreeSet<&str> = computed
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(name, _)| name)
            .collect();
        ensure!(
            named == MEMBERS.into(),
            "signify should have verified {MEMBERS:?}, but it verified {named:?}"
        );
        Ok(computed.trim_end().replace('\n', ", "))
    }

    /// osslsigncode, signify and OpenSSL compute the hashes that are in the catalogue.
    pub(super) fn hashes(&self, folder: &Path) -> anyhow::Result<String> {
        let image = Hashes::from(Digests::of_image(&workspace::read(
            &folder.join("edu.sys"),
        )?)?);
        let inf = Hashes::from(Digests::of_flat_file(&workspace::read(
            &folder.join("edu.inf"),
        )?));
        let said = self.image_in_catalogue(folder)?.to_lowercase();
        ensure!(
            said.contains(&image.sha256),
            "osslsigncode has another hash of edu.sys than {}:\n{said}",
            image.sha256
        );
        for (option, hash) in [("-sha256", &inf.sha256), ("-sha1", &inf.sha1)] {
            let other = openssl_hash(option, &folder.join("edu.inf"))?;
            ensure!(
                other == *hash,
                "OpenSSL has another hash of edu.inf than {hash}: {other}"
            );
        }
        let signify = self.signify(folder)?;
        let catalogue = structure(folder)?.to_lowercase();
        for (name, Hashes { sha256, sha1 }) in [("edu.sys", image), ("edu.inf", inf)] {
            let line = format!("{name} {sha256} {sha1}");
            ensure!(
                signify.contains(&line),
                "signify should have computed {line}, but it computed {signify}"
            );
            ensure!(
                catalogue.contains(&sha256) && catalogue.contains(&sha1),
                "the catalogue should have both of {line}"
            );
        }
        Ok("SHA-256 and SHA-1 of both files, the same by all of them".to_owned())
    }

    fn run_osslsigncode(&self, file: &Path, catalogue: Option<&Path>) -> anyhow::Result<String> {
        let mut command = Command::new("osslsigncode");
        command.args(["verify", "-CAfile"]).arg(&self.certificate);
        if let Some(catalogue) = catalogue {
            command.arg("-catalog").arg(catalogue);
        }
        let said = command::output(command.arg("-in").arg(file))?;
        ensure!(
            said.contains("Signature verification: ok"),
            "osslsigncode ended well, but verified nothing:\n{said}"
        );
        Ok(said)
    }
}

/// Hashes in hexadecimal digits.
struct Hashes {
    sha256: String,
    sha1: String,
}

impl From<Digests> for Hashes {
    fn from(digests: Digests) -> Self {
        let digits = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
        };
        Self {
            sha256: digits(&digests.sha256),
            sha1: digits(&digests.sha1),
        }
    }
}

/// What OpenSSL reads in the catalogue.
fn structure(folder: &Path) -> anyhow::Result<String> {
    command::output(
        Command::new("openssl")
            .args(["asn1parse", "-inform", "DER", "-in"])
            .arg(folder.join("edu.cat")),
    )
}

fn openssl_hash(option: &str, file: &Path) -> anyhow::Result<String> {
    let said = command::output(
        Command::new("openssl")
            .args(["dgst", option, "-r"])
            .arg(file),
    )?;
    let hash = said.split_whitespace().next();
    Ok(hash.context("openssl printed no hash")?.to_lowercase())
}

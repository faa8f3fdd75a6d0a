//! `cargo xtask package`: the folder that is installed on Windows, made on any system.
//!
//! It is what `cargo make` makes on Windows with Microsoft's tools: a stamped INF, a
//! catalogue with the hashes of the INF and of the driver, both signed for testing,
//! beside what a person needs with them. `edu.sys` is the file that the tests run,
//! with nothing added but its signature.

mod catalogue;
mod check;
mod digest;
mod inf;
mod signing;
mod source_date;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;

use crate::{build, workspace, workspace::Workspace};
use catalogue::Catalogue;
use signing::Signer;
use source_date::SourceDate;

pub(crate) use check::verdicts;

#[derive(Args, Debug)]
pub(crate) struct PackageArguments {
    /// Make the package in this folder [default: target/package]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// The folder of the test certificate and its key, which are made there if it has
    /// none [default: target/signing]
    #[arg(long, value_name = "FOLDER")]
    signing: Option<PathBuf>,
}

/// The version of the driver package: Cargo's, with the fourth number that `DriverVer`
/// has.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), ".0");

/// The certificate, as Windows imports it.
const CERTIFICATE: &str = "dirql-test.cer";
/// What a package consists of.
const FILES: [&str; 7] = [
    "INSTALL.txt",
    CERTIFICATE,
    "edu.cat",
    "edu.inf",
    "edu.pdb",
    "edu.sys",
    "eductl.exe",
];

/// Builds what is packaged, and makes the package that `arguments` describe.
pub(crate) fn run(arguments: &PackageArguments) -> anyhow::Result<()> {
    let workspace = Workspace::current()?;
    build::for_the_package()?;
    let folder = arguments
        .out
        .clone()
        .unwrap_or_else(|| default_folder(&workspace));
    let signing = arguments
        .signing
        .clone()
        .unwrap_or_else(|| default_signing(&workspace));
    let package = make(&workspace, &folder, &signing)?;
    for name in FILES {
        let size = workspace::read(&package.file(name))?.len();
        println!("{:40} {size:>9} bytes", package.file(name).display());
    }
    println!(
        "package: version {VERSION} of {}, signed by {}",
        package.date.for_inf(),
        signing.display()
    );
    Ok(())
}

fn default_folder(workspace: &Workspace) -> PathBuf {
    workspace.target().join("package")
}

fn default_signing(workspace: &Workspace) -> PathBuf {
    workspace.target().join("signing")
}

/// A package that was made.
#[derive(Debug)]
struct Package {
    folder: PathBuf,
    signer: Signer,
    date: SourceDate,
}

impl Package {
    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Makes the package in `folder` from what was built last, with the certificate in
/// `signing`.
fn make(workspace: &Workspace, folder: &Path, signing: &Path) -> anyhow::Result<Package> {
    let out = workspace.out();
    let package = Package {
        folder: folder.to_path_buf(),
        signer: Signer::in_folder(signing)?,
        date: SourceDate::of(workspace)?,
    };
    workspace::create_folder(folder)?;
    let sources = workspace.root().join("inf");

    let inf = inf::stamped(
        &read_text(&sources.join("edu.inx"))?,
        &package.date,
        VERSION,
    )?;
    write(&package.file("edu.inf"), inf.as_bytes())?;
    let install = inf::for_windows(&read_text(&sources.join("INSTALL.txt"))?);
    write(&package.file("INSTALL.txt"), install.as_bytes())?;
    for name in ["edu.pdb", "eductl.exe"] {
        write(&package.file(name), &workspace::read(&out.join(name))?)?;
    }
    write(
        &package.file(CERTIFICATE),
        &package.signer.certificate_in_der()?,
    )?;

    package
        .signer
        .sign(&out.join("edu.sys"), &package.file("edu.sys"))?;
    let catalogue = Catalogue {
        image: &workspace::read(&package.file("edu.sys"))?,
        inf: inf.as_bytes(),
        date: &package.date,
    };
    let unsigned = folder.join("edu.cat.unsigned");
    write(&unsigned, &catalogue.encode()?)?;
    package.signer.sign(&unsigned, &package.file("edu.cat"))?;
    fs::remove_file(&unsigned).with_context(|| format!("cannot remove {}", unsigned.display()))?;
    Ok(package)
}

fn read_text(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn write(path: &Path, contents: &[u8]) -> anyhow::Result<()> {
    workspace::write_if_changed(path, contents)
}

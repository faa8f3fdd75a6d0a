//! `cargo xtask build`: everything that ships or that the tests boot, into
//! `target/out`.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use crate::{
    c_driver, command,
    cross_cargo::CrossCargo,
    toolchain::{Target, host_cargo},
    workspace,
    workspace::{TEST_DRIVERS, Workspace, test_driver_package},
};

#[derive(Args, Debug)]
pub(crate) struct BuildArguments {
    /// Build only these
    #[arg(long, short, value_name = "PRODUCT")]
    package: Vec<Product>,
    /// Type-check only this package for the kernel's target; nothing is linked
    #[arg(long, value_name = "PACKAGE", conflicts_with = "package")]
    check: Option<String>,
    /// Build into this folder below target, beside other builds
    #[arg(long, value_name = "NAME", default_value = TARGET_DIR)]
    target_dir: String,
}

/// The folder below `target` that a build uses unless it is told another.
const TARGET_DIR: &str = "windows";

/// What can be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Product {
    /// edu.sys and edu.pdb
    Edu,
    /// rig.efi and rig.pdb
    Rig,
    /// eductl for this system, which drives the rig
    Eductl,
    /// eductl.exe, and what Wine needs to run it
    EductlExe,
    /// The drivers under tests/drivers, each with its symbols
    TestDrivers,
    /// reference.sys: the job of edu.sys as a driver in C
    Reference,
}

/// Builds what `arguments` name.
pub(crate) fn run(arguments: &BuildArguments) -> anyhow::Result<()> {
    let workspace = Workspace::current()?;
    let target_dir = workspace.target().join(&arguments.target_dir);
    let cargo = CrossCargo::new(&workspace, &target_dir)?;
    if let Some(package) = &arguments.check {
        return type_check(&cargo, package);
    }
    let products: &[Product] = match arguments.package.as_slice() {
        [] => Product::value_variants(),
        chosen => chosen,
    };
    for product in products {
        build(*product, &workspace, &cargo)?;
    }
    println!("build: {} of {} built", products.len(), products.len());
    Ok(())
}

/// Where a build goes that is not told otherwise.
pub(crate) fn target_dir(workspace: &Workspace) -> PathBuf {
    workspace.target().join(TARGET_DIR)
}

/// Builds everything, as `cargo xtask build` does.
pub(crate) fn all() -> anyhow::Result<()> {
    products(Product::value_variants())
}

/// Builds what it takes to drive the device in the rig: all but `eductl.exe`,
/// which needs another standard library and minutes to compile that.
pub(crate) fn for_the_rig() -> anyhow::Result<()> {
    products(&[Product::Edu, Product::Rig, Product::Eductl])
}

/// Builds the two drivers that are compared, and what runs them.
pub(crate) fn for_the_bench() -> anyhow::Result<()> {
    products(&[
        Product::Edu,
        Product::Reference,
        Product::Rig,
        Product::Eductl,
    ])
}

/// Builds what the package has in it.
pub(crate) fn for_the_package() -> anyhow::Result<()> {
    products(&[Product::Edu, Product::EductlExe])
}

/// Builds the driver alone.
pub(crate) fn driver() -> anyhow::Result<()> {
    products(&[Product::Edu])
}

/// Builds the driver `package`, which nothing ships, and returns the folder with the
/// image and its symbols.
pub(crate) fn unshipped_driver(package: &str) -> anyhow::Result<PathBuf> {
    let workspace = Workspace::current()?;
    let cargo = CrossCargo::new(&workspace, &target_dir(&workspace))?;
    compile(&cargo, Target::Kernel, [package])
}

/// Compiles `package` for the kernel's target and links nothing.
pub(crate) fn check(package: &str) -> anyhow::Result<()> {
    let workspace = Workspace::current()?;
    type_check(
        &CrossCargo::new(&workspace, &target_dir(&workspace))?,
        package,
    )
}

fn type_check(cargo: &CrossCargo, package: &str) -> anyhow::Result<()> {
    command::run(
        cargo
            .command(Target::Kernel, "check")?
            .args(["--package", package]),
    )
}

fn products(products: &[Product]) -> anyhow::Result<()> {
    let workspace = Workspace::current()?;
    let cargo = CrossCargo::new(&workspace, &target_dir(&workspace))?;
    products
        .iter()
        .try_for_each(|product| build(*product, &workspace, &cargo))
}

/// Builds `product` and copies it to the workspace's `target/out`.
pub(crate) fn build(
    product: Product,
    workspace: &Workspace,
    cargo: &CrossCargo,
) -> anyhow::Result<()> {
    let out = workspace.out();
    match product {
        Product::Edu => {
            let made = compile(cargo, Target::Kernel, ["edu"])?;
            copy_driver(&made, "edu", &out, "edu")
        }
        Product::Rig => {
            let made = compile(cargo, Target::Kernel, ["rig"])?;
            copy(&made.join("rig.exe"), &out.join("rig.efi"))?;
            copy(&made.join("rig.pdb"), &out.join("rig.pdb"))
        }
        Product::Eductl => host_eductl(workspace),
        Product::EductlExe => {
            let made = compile(cargo, Target::User, ["eductl"])?;
            copy(&made.join("eductl.exe"), &out.join("eductl.exe"))?;
            wine_library(workspace)
        }
        Product::Reference => c_driver::build(
            workspace,
            &cargo.linker()?,
            &workspace.root().join("tests/reference"),
            "reference",
        ),
        Product::TestDrivers => {
            let packages = TEST_DRIVERS.iter().map(|name| test_driver_package(name));
            let made = compile(cargo, Target::Kernel, packages)?;
            TEST_DRIVERS.iter().try_for_each(|name| {
                let library = test_driver_package(name).replace('-', "_");
                copy_driver(&made, &library, &out, name)
            })
        }
    }
}

/// Compiles `packages` and returns the folder with the results.
fn compile(
    cargo: &CrossCargo,
    target: Target,
    packages: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> anyhow::Result<PathBuf> {
    let mut command = cargo.command(target, "build")?;
    for package in packages {
        command.arg("--package").arg(package);
    }
    command::run(&mut command)?;
    Ok(cargo.output(target))
}

/// A driver is a DLL to cargo.
fn copy_driver(made: &Path, library: &str, out: &Path, name: &str) -> anyhow::Result<()> {
    copy(
        &made.join(library).with_extension("dll"),
        &out.join(name).with_extension("sys"),
    )?;
    copy(
        &made.join(library).with_extension("pdb"),
        &out.join(name).with_extension("pdb"),
    )
}

/// Builds the library that Wine before version 9 lacks, with the compiler that
/// `eductl.exe` is linked by.
fn wine_library(workspace: &Workspace) -> anyhow::Result<()> {
    let source = workspace.wdk_sources().join("wine/bcryptprimitives.c");
    let library = workspace.out().join("wine/bcryptprimitives.dll");
    if workspace::is_newer(&library, &source) {
        return Ok(());
    }
    workspace::create_folder(&workspace.out().join("wine"))?;
    command::run(
        Command::new("x86_64-w64-mingw32-gcc")
            .args(["-shared", "-O2", "-Wall", "-Wextra", "-Werror", "-o"])
            .arg(library)
            .arg(source)
            .arg("-ladvapi32"),
    )
}

/// Builds `eductl` for this system, to drive the rig, with the toolchain that
/// started this program.
fn host_eductl(workspace: &Workspace) -> anyhow::Result<()> {
    let target_dir = workspace.target();
    command::run(
        host_cargo(workspace)
            .args(["build", "--locked", "--package", "eductl", "--target-dir"])
            .arg(&target_dir),
    )?;
    let name = format!("eductl{}", env::consts::EXE_SUFFIX);
    let (made, shipped) = (
        target_dir.join("debug").join(&name),
        workspace.out().join(&name),
    );
    copy(&made, &shipped)?;
    let permissions = fs::metadata(&made)
        .with_context(|| format!("cannot read {}", made.display()))?
        .permissions();
    fs::set_permissions(&shipped, permissions)
        .with_context(|| format!("cannot make {} executable", shipped.display()))
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    workspace::write_if_changed(to, &workspace::read(from)?)
}

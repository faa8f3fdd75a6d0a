//! Links the rig as a UEFI application.

/// Nothing of a C run-time, the entry point that the firmware calls, no time stamp.
const LINKER_ARGUMENTS: [&str; 4] = [
    "/NODEFAULTLIB",
    "/SUBSYSTEM:EFI_APPLICATION",
    "/ENTRY:efi_main",
    "/Brepro",
];

fn main() -> Result<(), wdk_build::ConfigError> {
    println!("cargo::rerun-if-changed=build.rs");
    // `wdk-sys` names the kernel's import libraries, so the linker must find them;
    // the rig calls none of their routines and imports nothing.
    for path in wdk_build::Config::from_env_auto()?.library_paths()? {
        println!("cargo::rustc-link-search={}", path.display());
    }
    for argument in LINKER_ARGUMENTS {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    Ok(())
}

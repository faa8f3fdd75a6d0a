//! Links the rig as a UEFI application.

/// Nothing of a C run-time, the entry point that the firmware calls, no time stamp.
const LINKER_ARGUMENTS: [&str; 4] = [
    "/NODEFAULTLIB",
    "/SUBSYSTEM:EFI_APPLICATION",
    "/ENTRY:efi_main",
    "/Brepro",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for argument in LINKER_ARGUMENTS {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}

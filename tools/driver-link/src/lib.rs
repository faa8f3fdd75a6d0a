//! What the build script of a driver says to the linker, in one place for all of
//! them: the arguments that `wdk-build` gives a WDM driver, and those of the WDK's
//! own project files that it leaves out.

#![forbid(unsafe_code)]

/// The WDK's project files pass these, and `wdk-build` does not.
const MORE_LINKER_ARGUMENTS: [&str; 4] = [
    // Windows 10; the linker takes the last `/SUBSYSTEM`.
    "/SUBSYSTEM:NATIVE,10.00",
    "/OSVERSION:10.0",
    // Stores the checksum that the loader verifies.
    "/RELEASE",
    // A hash in place of the time, so that the same source gives the same image.
    "/Brepro",
];

/// Tells cargo how to link the package whose build script calls this.
///
/// # Errors
/// What `wdk-build` finds wrong with the WDK or the workspace's configuration.
pub fn configure() -> Result<(), wdk_build::ConfigError> {
    // Only a Windows target is a driver; checking the code on another target needs
    // nothing linked.
    if std::env::var_os("CARGO_CFG_WINDOWS").is_none() {
        return Ok(());
    }
    wdk_build::configure_wdk_binary_build()?;
    for argument in MORE_LINKER_ARGUMENTS {
        println!("cargo::rustc-cdylib-link-arg={argument}");
    }
    Ok(())
}

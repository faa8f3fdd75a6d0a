//! Asks `wdk-build` for the linker arguments of a WDM driver, and adds those of
//! the WDK's own project files that it leaves out.

fn main() -> Result<(), wdk_build::ConfigError> {
    // Only a Windows target is a driver; checking the code on another target needs
    // nothing linked.
    if std::env::var_os("CARGO_CFG_WINDOWS").is_none() {
        return Ok(());
    }
    wdk_build::configure_wdk_binary_build()?;
    for argument in [
        // Windows 10; the linker takes the last `/SUBSYSTEM`.
        "/SUBSYSTEM:NATIVE,10.00",
        "/OSVERSION:10.0",
        // Stores the checksum that the loader verifies.
        "/RELEASE",
        // A hash in place of the time, so that the same source gives the same
        // image.
        "/Brepro",
    ] {
        println!("cargo::rustc-cdylib-link-arg={argument}");
    }
    Ok(())
}

//! Asks `wdk-build` for the linker arguments of a WDM driver.

fn main() -> Result<(), wdk_build::ConfigError> {
    // Only a Windows target is a driver; checking the code on another target needs
    // nothing linked.
    if std::env::var_os("CARGO_CFG_WINDOWS").is_none() {
        return Ok(());
    }
    wdk_build::configure_wdk_binary_build()
}

//! Links edu.sys as a driver.

fn main() -> Result<(), wdk_build::ConfigError> {
    driver_link::configure()
}

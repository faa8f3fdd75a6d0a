//! Links the driver.

fn main() -> Result<(), wdk_build::ConfigError> {
    driver_link::configure()
}

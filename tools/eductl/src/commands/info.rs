//! `info`: who is there.

use std::fmt;

use edu_interface::{INTERFACE_VERSION, Identity, InterruptKind};
use serde::Serialize;

use super::CommandError;
use crate::device::Device;

/// Fixed part of the identification register; the upper half is the revision.
const IDENTIFICATION_MARK: u32 = 0x00ed;

/// What `info` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Info {
    /// Version of the driver's interface.
    pub interface_version: u32,
    /// The identification register.
    pub identification: u32,
    /// The device's revision, major and minor.
    pub revision: String,
    /// How the interrupt is connected: `line`, `message` or `fully specified`.
    pub interrupt: &'static str,
    /// Vector of the interrupt.
    pub vector: u32,
    /// IRQL of the ISR and of every critical section.
    pub synchronize_irql: u32,
    /// Active processors.
    pub processors: u32,
}

/// Asks the driver and checks that the answer makes sense.
///
/// # Errors
/// [`CommandError`].
pub fn run(device: &Device<'_>) -> Result<Info, CommandError> {
    let identity = device.identify()?;
    Ok(Info {
        interface_version: identity.version,
        identification: identity.identification,
        revision: format!(
            "{}.{}",
            identity.revision_major(),
            identity.revision_minor()
        ),
        interrupt: check(&identity).map_err(CommandError::WrongAnswer)?,
        vector: identity.vector,
        synchronize_irql: identity.synchronize_irql,
        processors: identity.processors,
    })
}

/// The name of the interrupt's kind, or what is wrong with the identity.
pub(crate) fn check(identity: &Identity) -> Result<&'static str, String> {
    if identity.version != INTERFACE_VERSION {
        return Err(format!(
            "the driver's interface has version {} and this program knows version \
             {INTERFACE_VERSION}; use programs of one release",
            identity.version
        ));
    }
    if identity.identification & 0xffff != IDENTIFICATION_MARK {
        return Err(format!(
            "the identification register reads 0x{:08x}, which is no edu device (0x....00ed)",
            identity.identification
        ));
    }
    if identity.synchronize_irql <= 2 || identity.synchronize_irql > 15 {
        return Err(format!(
            "SynchronizeIrql is {}, which is no device IRQL",
            identity.synchronize_irql
        ));
    }
    if identity.processors == 0 {
        return Err("the driver counts no processors".to_owned());
    }
    match InterruptKind::from_value(identity.interrupt_kind) {
        Some(InterruptKind::Line) => Ok("line"),
        Some(InterruptKind::Message) => Ok("message"),
        Some(InterruptKind::FullySpecified) => Ok("fully specified"),
        None => Err(format!(
            "{} is no kind of interrupt",
            identity.interrupt_kind
        )),
    }
}

impl fmt::Display for Info {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "device      edu, revision {} (identification 0x{:08x})",
            self.revision, self.identification
        )?;
        writeln!(
            formatter,
            "driver      edu.sys, interface version {}",
            self.interface_version
        )?;
        writeln!(
            formatter,
            "interrupt   {}, vector 0x{:02x}, critical sections at IRQL {}",
            self.interrupt, self.vector, self.synchronize_irql
        )?;
        write!(formatter, "processors  {}", self.processors)
    }
}

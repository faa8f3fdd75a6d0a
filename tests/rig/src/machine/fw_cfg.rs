//! Files that the host hands over on QEMU's command line (`-fw_cfg name=...`).

use alloc::vec::Vec;

use qemu_fw_cfg::FwCfg;

use crate::machine::stop;
use crate::machine::sync::IrqLock;

/// Keeps two processors from using the device at once.
static DEVICE: IrqLock<()> = IrqLock::new(());

/// The contents of a file; `None` when the host gave no file of that name.
/// `PASSIVE_LEVEL`: it reads a byte at a time.
pub(crate) fn file(name: &str) -> Option<Vec<u8>> {
    DEVICE.with(|()| {
        // SAFETY: QEMU has the device at these ports on every x86 machine, the
        // signature is checked, and the lock makes this the only value in use.
        let device = unsafe { FwCfg::new_for_x86() };
        let Ok(mut device) = device else {
            stop::refuse(format_args!(
                "This machine has no fw_cfg device, so it is not QEMU: the rig runs in QEMU only."
            ));
        };
        let file = device.find_file(name)?;
        Some(device.read_file(&file))
    })
}

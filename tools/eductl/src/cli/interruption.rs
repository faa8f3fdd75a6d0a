//! Ctrl-C of this process.

use std::process;

use super::INTERRUPTED;
use crate::stop::Stop;

/// Has Ctrl-C, and a request of the system to end, be a wish to stop. The second one
/// ends the program on the spot; the system closes its handles then, and the driver
/// cancels what is left.
pub(super) fn watch_for(stop: Stop) -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(move || {
        if stop.requested() {
            process::exit(INTERRUPTED.into());
        }
        stop.request();
    })
}

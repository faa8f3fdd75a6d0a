//! A rig that is started wrongly says what is wrong.

use super::{List, support::refused};
use crate::machine::Machine;

pub(super) fn add(list: &mut List) {
    list.add("bad-option/no-device", |artifacts| {
        refused(
            &Machine::new(artifacts).with_devices(0),
            &["no", "edu", "device"],
        )
    });
    for (name, option, words) in [
        ("unknown", "colour=red", &["colour"]),
        ("without-a-value", "irq", &["irq"]),
        ("wrong-interrupt", "irq=usb", &["usb"]),
        (
            "malformed-parameter",
            "parameter=Level:dword:many",
            &["Level"],
        ),
        ("malformed-patience", "patience=little", &["patience"]),
        ("unknown-self-test", "self-test=NONE-01", &["NONE-01"]),
    ] {
        list.add(format!("bad-option/{name}"), move |artifacts| {
            refused(&Machine::new(artifacts).with_option(option), words)
        });
    }
}

//! What edu.sys must refuse, whoever asks for it: thousands of control codes that are
//! nearly its own or nobody's, major functions that it does not have, addresses of user
//! mode, offsets and lengths that wrap around.

use anyhow::ensure;
use edu_interface::CONTROL_CODES;
use eductl::{
    NtStatus, Open,
    rig::{Rig, RigHandle},
    verify,
};

use super::{
    List,
    support::{fails_with, in_rig, passed},
};
use crate::{artifacts::Artifacts, machine::Machine};

/// Major functions that edu.sys does not have: all but CREATE, CLOSE, READ, WRITE,
/// DEVICE_CONTROL, CLEANUP, POWER and PNP.
const OTHER_MAJORS: [u8; 20] = [
    0x01, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0f, 0x10, 0x11, 0x13, 0x14, 0x15,
    0x17, 0x18, 0x19, 0x1a,
];
/// `METHOD_NEITHER`, in the low two bits of a control code.
const METHOD_NEITHER: u32 = 3;
/// At least so many are refused: a device type's functions but for those that exist.
const MANY: u64 = 4_000;

/// Offsets and lengths of transfers that lie outside the device's buffer, by a byte, by
/// all that there is, and by what wraps around in 32 or 64 bits.
const OUTSIDE: [(u64, usize); 10] = [
    (4_095, 1),
    (4_094, 2),
    (1, 4_095),
    (0, 4_096),
    (u32::MAX as u64, 1),
    (1 << 32, 16),
    ((1 << 32) - 8, 16),
    (i64::MAX as u64, 16),
    (u64::MAX - 7, 16),
    (u64::MAX, 1),
];
/// What a transfer ends with that lies outside.
const REFUSED: [NtStatus; 2] = [NtStatus::INVALID_PARAMETER, NtStatus::END_OF_FILE];

pub(super) fn add(list: &mut List) {
    for (name, options) in [
        ("security/what-must-be-refused", &[] as &[&str]),
        (
            "security/what-must-be-refused-beneath-a-filter",
            &["filter=on"],
        ),
    ] {
        list.add(name, move |artifacts| refuses(artifacts, options));
    }
}

fn refuses(artifacts: &Artifacts, options: &[&str]) -> anyhow::Result<()> {
    let machine = options.iter().fold(
        Machine::new(artifacts).with_processors(2),
        |machine, option| machine.with_option(option),
    );
    in_rig(&machine, |rig: &Rig| {
        let handle = rig.open_handle(&Open::read_write(0))?;
        let codes = CONTROL_CODES.map(|(code, _)| code.value());
        let refused = handle.probe(&codes, &OTHER_MAJORS)?;
        ensure!(refused > MANY, "only {refused} requests were tried");
        user_addresses(&handle, &codes)?;
        outside(&handle)?;
        drop(handle);
        passed(&verify::run(rig, 0)?)
    })?;
    Ok(())
}

/// Control codes with METHOD_NEITHER, with buffers at addresses of user mode.
fn user_addresses(handle: &RigHandle, codes: &[u32]) -> anyhow::Result<()> {
    for code in codes {
        let code = code | METHOD_NEITHER;
        fails_with(
            &format!("control code {code:#010x}"),
            handle.start_control(code, &[0; 64], 64)?.wait(),
            &[NtStatus::INVALID_DEVICE_REQUEST],
        )?;
    }
    Ok(())
}

/// Reads and writes that do not lie in the device's buffer.
fn outside(handle: &RigHandle) -> anyhow::Result<()> {
    for (offset, length) in OUTSIDE {
        fails_with(
            &format!("{length} bytes read at {offset:#x}"),
            handle.start_read(offset, length)?.wait(),
            &REFUSED,
        )?;
        fails_with(
            &format!("{length} bytes written at {offset:#x}"),
            handle.start_write(offset, &vec![0; length])?.wait(),
            &REFUSED,
        )?;
    }
    Ok(())
}

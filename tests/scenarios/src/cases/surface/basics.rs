//! Pool, registers, strings, parameters in the registry, device properties.

use anyhow::ensure;

use super::{List, machine, on_1_and_4, with_device};
use crate::artifacts::Artifacts;

/// The registry as an administrator, a tool and somebody with bad intentions leave it.
const PARAMETERS: &[&str] = &[
    "Level:dword:3",
    "Limit:qword:5000000000",
    "Name:sz:edu",
    "Names:multi:ab|cde",
    "Bytes:binary:015aff",
    "ShortLevel:raw-4:0102",
    "LongLevel:raw-4:0102030405",
    "OddName:raw-1:650064",
    "GrowingName:growing:edu",
    "LargeName:large:1",
];

pub(super) fn add(list: &mut List) {
    on_1_and_4(list, "basics", everything);
    on_1_and_4(list, "basics-no-parameters", |artifacts, processors| {
        let machine = machine(artifacts, "basics", processors)?;
        with_device(&machine, |_, subject| subject.check(8, &[]).map(drop))
    });
}

fn everything(artifacts: &Artifacts, processors: u32) -> anyhow::Result<()> {
    let machine = machine(artifacts, "basics", processors)?;
    let machine = PARAMETERS.iter().fold(machine, |machine, parameter| {
        machine.with_option(&format!("parameter={parameter}"))
    });
    with_device(&machine, |_, subject| {
        subject.check(1, &[])?;
        for count in [0, 1, 5, 1000] {
            subject.check(2, &[count])?;
        }
        let [identification, ..] = subject.check(3, &[])?;
        ensure!(
            identification == 0x0100_00ed,
            "the device identifies itself as {identification:#x}"
        );
        let [_bus, _address, identifiers, ..] = subject.check(4, &[])?;
        ensure!(identifiers == 4, "{identifiers} hardware identifiers");
        let [level, limit, path, ..] = subject.check(5, &[])?;
        ensure!((level, limit) == (3, 5_000_000_000), "{level}, {limit}");
        let service = r"\Registry\Machine\System\CurrentControlSet\Services\basics";
        ensure!(path == service.len() as u64, "a path of {path} characters");
        subject.check(6, &[])?;
        subject.check(7, &[])?;
        Ok(())
    })
}

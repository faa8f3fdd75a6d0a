//! What each scenario is about, in a line for people who choose among them.
//!
//! A line stands for all scenarios whose names begin with its key; of several, the
//! longest key wins. A scenario of a new group needs a line here, which a test demands.

/// Keys and lines.
const ABOUT: &[(&str, &str)] = &[
    (
        "bad-image/",
        "an image that is none, or is damaged, is refused with the reason",
    ),
    ("bad-option/", "a wrong option is refused with the reason"),
    ("boot/", "how a run begins: behind the firmware, or with it"),
    (
        "cancel/",
        "requests are cancelled by hand, by closing, by the end of the program",
    ),
    (
        "cancel/storm",
        "requests are cancelled between any two calls of the driver's",
    ),
    (
        "bugcheck/",
        "what eductl says of a panic and of a broken invariant that stopped a machine",
    ),
    (
        "channel/",
        "the channel to the rig: garbage, programs that vanish, 256 requests at once",
    ),
    (
        "connect/fully-specified",
        "the platform only offers CONNECT_FULLY_SPECIFIED",
    ),
    (
        "connect/interrupt-while-connecting",
        "the ISR is called inside the connect call",
    ),
    (
        "dma/",
        "transfers by DMA, under load, cancelled, over removal",
    ),
    ("eductl.exe/", "the Windows program, under Wine"),
    ("eductl/", "the companion program against the rig"),
    (
        "events/",
        "the inverted call: waiters, slow readers, under load",
    ),
    (
        "faults/",
        "each call that may fail fails, requests and devices go at any call, DPCs are late",
    ),
    (
        "icount/",
        "a processor whose instructions are counted does the same in every run",
    ),
    ("hung/", "a device that takes longer than its deadline"),
    (
        "interrupt/",
        "each form of an interrupt, any processor, a neighbour that storms, merged and spurious messages",
    ),
    (
        "mmio/",
        "register accesses counted, and a device that stops answering",
    ),
    (
        "pnp/",
        "stop, start, removal and surprise removal with requests under way",
    ),
    (
        "pnp/every-state-under-load",
        "all PnP and power states in turn while requests are under way",
    ),
    ("power/", "sleep and waking up with requests under way"),
    (
        "random/",
        "requests by chance: codes, lengths, bytes, handles, cancellations, each answer judged",
    ),
    (
        "recorder/",
        "what the flight recorder wrote is what happened",
    ),
    (
        "reference/",
        "a driver in C that shares nothing with edu.sys but the job",
    ),
    (
        "report/",
        "what a run says of itself at its end, for the report",
    ),
    (
        "security/",
        "what a driver must refuse: codes, lengths, addresses",
    ),
    ("self-test/", "the rig notices when this rule is broken"),
    ("self-test/list", "each self test of the rig is run"),
    (
        "self-test/machine",
        "the rig notices this fault of the machine's",
    ),
    ("self-test/none", "a driver without fault comes to its end"),
    (
        "stack/",
        "a filter driver above, and a bus driver below that completes late",
    ),
    (
        "start/",
        "each call of a start fails in turn; nothing is left, and the next succeeds",
    ),
    (
        "stress/",
        "everything at once, checked, with random cancellation",
    ),
    (
        "surface/",
        "one way of the library's to reach interrupt-shared state, each with its own driver",
    ),
    (
        "throughput/",
        "so many requests outstanding, kept up by the rig itself, for the benchmark",
    ),
    (
        "trace/",
        "the timeline shows who held the lock and who waited",
    ),
    ("two-devices/", "two devices of one driver"),
    ("unplug/", "QEMU unplugs the device under load"),
    (
        "verify/",
        "everything that the driver promises, against values computed on the host",
    ),
    ("watchdog", "a device that does not answer"),
    (
        "windbg/",
        "the debugger extension and NatVis on the memory and the PDB of a real run",
    ),
];

/// What the scenario of this name is about.
pub(crate) fn about(name: &str) -> Option<&'static str> {
    ABOUT
        .iter()
        .filter(|(key, _)| name.starts_with(key))
        .max_by_key(|(key, _)| key.len())
        .map(|(_, line)| *line)
}

#[cfg(test)]
mod tests {
    use super::about;
    use crate::cases;

    #[test]
    fn every_scenario_has_a_line() {
        for scenario in cases::all() {
            let name = scenario.name();
            assert!(about(name).is_some(), "about.rs says nothing of {name}");
        }
    }
}

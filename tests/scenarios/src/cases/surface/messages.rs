//! Row 12: several messages, with a lock each and with one lock over all.

use std::time::Duration;

use anyhow::ensure;
use eductl::rig::Rig;
use rig_protocol::{Reply, Request};

use super::{List, Subject, machine, on_1_and_4, with_device};
use crate::artifacts::Artifacts;

/// Messages that the driver wants.
const WANTED: u64 = 4;
/// Interrupts of each message, and critical sections beside them.
const MANY: u64 = 200;
/// How long the rig may take to send a message and see it served.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

pub(super) fn add(list: &mut List) {
    on_1_and_4(
        list,
        "12-a-lock-for-each-message",
        |artifacts, processors| counted(artifacts, processors, "messages=4", WANTED),
    );
    on_1_and_4(
        list,
        "12-more-messages-than-wanted",
        |artifacts, processors| counted(artifacts, processors, "messages=6", WANTED),
    );
    on_1_and_4(list, "12-one-lock-over-all", |artifacts, processors| {
        counted(artifacts, processors, "messages=3", 1)
    });
}

/// Sends every message many times while critical sections count too: each message's
/// count is the sum, so its lock kept them apart, and nobody else's count moved.
fn counted(artifacts: &Artifacts, processors: u32, option: &str, locks: u64) -> anyhow::Result<()> {
    let machine = machine(artifacts, "messages", processors)?
        .with_option(option)
        .with_option("early-isr=on");
    with_device(&machine, |rig, subject| {
        let [connected, ..] = subject.check(1, &[])?;
        ensure!(connected == locks, "{connected} locks instead of {locks}");
        subject.check(3, &[10])?;
        let before = subject.check(2, &[])?;
        let mut expected = before;
        for (message, place) in (0..3).zip(&mut expected) {
            *place += storm(rig, subject, message)?;
        }
        let after = subject.check(2, &[])?;
        ensure!(after == expected, "{after:?} instead of {expected:?}");
        if locks == 1 {
            let [count, ..] = subject.check(5, &[])?;
            ensure!(count == after[1] + 1, "{count} after {}", after[1]);
        }
        Ok(())
    })
}

/// Sends a message many times, each after the one before was served, while the driver counts beside
/// its ISR; how many it should have counted.
fn storm(rig: &Rig, subject: &Subject, message: u32) -> anyhow::Result<u64> {
    let number = u64::from(message);
    let beside = subject.start(4, &[number, MANY])?;
    // The first message is the device's own, which raises it itself.
    let sent = if message == 0 { 0 } else { MANY };
    for _ in 0..sent {
        let request = Request::Message { device: 0, message };
        let reply = rig.send(request)?.wait(ANSWER_LIMIT)?;
        ensure!(
            matches!(reply, Reply::Completed { status: 0, .. }),
            "message {message} was not sent: {reply:?}"
        );
    }
    beside.wait()?;
    Ok(sent + MANY)
}

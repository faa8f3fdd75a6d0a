//! `mem::forget` of each kind of handle: memory stays safe, the rig names that leak by its
//! rule, and nothing else happens.

use anyhow::{Context as _, ensure};

use super::{List, PROCESSORS, Subject, machine};
use crate::{artifacts::Artifacts, ended::Outcome, machine::Machine};

/// The check that shows that the driver works.
const WORKS: u32 = 0;
/// The request that is never completed.
const PENDING_IRP: u32 = 9;

/// How the rig finds a leak: the rule, and a word of what it says.
type Finding = (&'static str, &'static str);

/// A kind of handle: its name, the check that forgets one, and how the rig finds it when
/// the driver is to go: in one of these ways. None: it is no leak.
const KINDS: &[(&str, u32, &[Finding])] = &[
    ("pool-box", 1, &[("PNP-16", "'Leak'")]),
    ("pool-vec", 2, &[("PNP-16", "'Leak'")]),
    ("unicode-string", 3, &[("PNP-16", "'Leak'")]),
    ("unicode-strings", 4, &[("PNP-16", "'Leak'")]),
    ("io-mem", 5, &[("MMIO-01", "still mapped")]),
    ("interrupt-state", 6, &[("MMIO-01", "still mapped")]),
    ("connected-interrupt", 7, &[]),
    // The device is not removed before it is given back, which is never.
    ("held-device", 8, &[("HANG", "IoReleaseRemoveLockAndWait")]),
    (
        // The request is cancelled at the end, and nobody completes it; on a slow host it
        // has been looked for in vain before that.
        "pending-irp",
        PENDING_IRP,
        &[
            ("CAN-07", "still not completed"),
            ("HANG", "the end of the last requests"),
            ("HANG", "has been outstanding"),
        ],
    ),
];

pub(super) fn add(list: &mut List) {
    for processors in PROCESSORS {
        for (name, check, found) in KINDS {
            list.add(
                format!("surface/forgotten-{name}/{processors}"),
                move |artifacts| forgotten(artifacts, processors, *check, found),
            );
        }
        list.add(
            format!("surface/forgotten-kept-controller/{processors}"),
            move |artifacts| kept_controller(artifacts, processors),
        );
    }
}

fn forgotten(
    artifacts: &Artifacts,
    processors: u32,
    check: u32,
    found: &[Finding],
) -> anyhow::Result<()> {
    // What waits for ever is found before the run's end is waited for no longer.
    let machine = machine(artifacts, "leaks", processors)?.with_option("patience=10");
    ends_with(&machine, found, |subject| {
        subject.check(WORKS, &[])?;
        let request = subject.start(check, &[])?;
        if check != PENDING_IRP {
            request.wait()?;
        }
        // It goes on working, and pool is what it was.
        subject.check(WORKS, &[]).map(drop)
    })
}

/// A controller that is kept and forgotten is never the next one's turn; it is found when
/// the controller object is deleted.
fn kept_controller(artifacts: &Artifacts, processors: u32) -> anyhow::Result<()> {
    const FORGET: u32 = 4;
    let machine = machine(artifacts, "controller", processors)?
        .with_interrupts(crate::machine::Interrupts::Intx)
        .with_option("model=legacy");
    ends_with(&machine, &[("CTL-04", "it is allocated")], |subject| {
        subject.check(FORGET, &[]).map(drop)
    })
}

/// Runs `case` and takes the rig down, which must then stop in one of these ways.
fn ends_with(
    machine: &Machine,
    found: &[Finding],
    case: impl FnOnce(&Subject) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (running, _) = machine.start()?.wait_ready()?;
    let outcome = running.connect().and_then(|rig| {
        let subject = Subject::open(&rig, 0)?;
        case(&subject)
    });
    let (report, ended) = running.shut_down()?;
    outcome.with_context(|| ended.to_string())?;
    if found.is_empty() {
        ensure!(ended.outcome == Outcome::Success, "{ended}");
        let report = report.context("the rig ended without a report")?;
        ensure!(report.violations == 0, "{} violations", report.violations);
        return Ok(());
    }
    let stop = ended
        .stop
        .as_ref()
        .with_context(|| format!("the rig should have stopped with {found:?}, but {ended}"))?;
    ensure!(
        found.iter().any(|(code, words)| {
            stop.code == *code && stop.text.iter().any(|line| line.contains(words))
        }),
        "the rig should have stopped with one of {found:?}, but {stop}"
    );
    Ok(())
}

//! A rig that stays up for a person, and eductl run against it.

use std::{
    io,
    process::Command,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::Duration,
};

use anyhow::Context as _;

use crate::{artifacts::Artifacts, running::Running};

/// How often it is looked whether a rig still runs that stays up.
const LOOK: Duration = Duration::from_millis(200);

/// What a person wants.
pub(crate) struct Wish {
    interrupted: Receiver<()>,
    sender: Sender<()>,
}

impl Wish {
    /// Whether Ctrl-C was pressed since this was last asked.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.try_iter().count() > 0
    }
}

/// Has Ctrl-C mean that the rig is to be taken down, not left behind. While eductl runs,
/// Ctrl-C is eductl's.
///
/// # Errors
/// When the system does not let it.
pub(crate) fn watch_keyboard() -> anyhow::Result<Wish> {
    let (sender, interrupted) = mpsc::channel();
    let on_interrupt = sender.clone();
    ctrlc::set_handler(move || {
        // Nobody listens any more when the rig is on its way down already.
        let _heard = on_interrupt.send(());
    })
    .context("cannot watch for Ctrl-C")?;
    Ok(Wish {
        interrupted,
        sender,
    })
}

/// Runs eductl and returns its exit code.
///
/// # Errors
/// When it does not start.
pub(crate) fn eductl(
    artifacts: &Artifacts,
    running: &Running,
    arguments: &[String],
) -> anyhow::Result<u8> {
    let program = artifacts.eductl();
    let status = Command::new(&program)
        .arg("--rig")
        .arg(running.socket())
        .args(arguments)
        .status()
        .with_context(|| format!("cannot start {}", program.display()))?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1))
}

/// Says how to drive the rig from elsewhere, and waits until it is wanted no more or has
/// ended.
///
/// # Errors
/// When QEMU cannot be asked whether it runs.
pub(crate) fn wait(artifacts: &Artifacts, running: &Running, wish: &Wish) -> anyhow::Result<()> {
    eprintln!(
        "Drive it from elsewhere with\n    {} --rig {} COMMAND\nand press Enter or Ctrl-C here to end it.",
        artifacts.eductl().display(),
        running.socket().display()
    );
    let enter = wish.sender.clone();
    thread::spawn(move || {
        let mut line = String::new();
        // Without a keyboard only Ctrl-C, or the signal to end, takes it down.
        if io::stdin()
            .read_line(&mut line)
            .is_ok_and(|length| length > 0)
        {
            let _heard = enter.send(());
        }
    });
    loop {
        match wish.interrupted.recv_timeout(LOOK) {
            Err(RecvTimeoutError::Timeout) if !running.has_ended() => {}
            _ => return Ok(()),
        }
    }
}

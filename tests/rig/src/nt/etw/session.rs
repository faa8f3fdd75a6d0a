//! The session: the last events that drivers wrote, for whoever asks for them.

use alloc::collections::VecDeque;

use rig_protocol::TracedEvent;

use crate::machine::log::log;
use crate::machine::sync::IrqLock;

/// Events that are kept. Of a later one the oldest makes room.
const ROOM: usize = 256;

/// What is kept.
struct Session {
    is_on: bool,
    events: VecDeque<TracedEvent>,
    written: u64,
    /// Events that made room before somebody took them.
    lost: u64,
}

static SESSION: IrqLock<Session> = IrqLock::new(Session {
    is_on: true,
    events: VecDeque::new(),
    written: 0,
    lost: 0,
});

/// Says whether there is a session, by the option's word; `false` when it is no such word.
pub(crate) fn choose(word: &str) -> bool {
    let is_on = match word {
        "on" => true,
        "off" => false,
        _ => return false,
    };
    SESSION.with(|session| session.is_on = is_on);
    true
}

/// Whether there is a session. Any IRQL.
pub(super) fn is_on() -> bool {
    SESSION.with(|session| session.is_on)
}

/// Keeps an event. Any IRQL.
pub(super) fn keep(event: TracedEvent) {
    // What makes room is freed when the lock is not held any more.
    let _dropped = SESSION.with(|session| {
        session.written += 1;
        let oldest = (session.events.len() == ROOM)
            .then(|| session.events.pop_front())
            .flatten();
        session.lost += u64::from(oldest.is_some());
        session.events.push_back(event);
        oldest
    });
}

/// Takes the oldest event, and says how many were lost so far. Any IRQL.
pub(crate) fn take() -> (Option<TracedEvent>, u64) {
    SESSION.with(|session| (session.events.pop_front(), session.lost))
}

/// Says in the log how much was traced, if anything was.
pub(crate) fn describe() {
    let (written, left, lost) =
        SESSION.with(|session| (session.written, session.events.len(), session.lost));
    if written != 0 {
        log!("{written} events were traced; {left} were not asked for, {lost} made room.");
    }
}

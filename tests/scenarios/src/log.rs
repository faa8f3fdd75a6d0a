//! The rig's log as it comes: kept whole, and searched for records by whoever
//! waits for one.

use std::{
    io::{BufRead as _, BufReader, Read},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::record::Record;

/// Lines that are kept. A run writes some hundreds; a rig that writes without
/// end must not fill the host's memory.
const KEPT: usize = 100_000;

/// Bytes of one line that are kept.
const LONGEST_LINE: u64 = 16 * 1024;

/// A log that is being written.
pub(crate) struct Log {
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<String>,
    ended: bool,
}

impl Log {
    /// Reads `source` to its end; `echo` also prints each line to standard error.
    pub(crate) fn of(source: impl Read + Send + 'static, echo: bool) -> Self {
        let shared = Arc::new(Shared::default());
        let reader = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                read_lines(source, |line| {
                    if echo {
                        eprintln!("{line}");
                    }
                    shared.push(line);
                });
                shared.end();
            })
        };
        Self {
            shared,
            reader: Some(reader),
        }
    }

    /// Waits until a line holds what `wanted` looks for, or the log ends.
    /// None when neither happens within `limit`.
    pub(crate) fn wait_for<T>(
        &self,
        limit: Duration,
        wanted: impl Fn(&str) -> Option<T>,
    ) -> Option<Found<T>> {
        let mut seen = 0;
        let mut found = None;
        let (state, _) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), limit, |state| {
                found = state.lines[seen..].iter().find_map(|line| wanted(line));
                seen = state.lines.len();
                found.is_none() && !state.ended
            })
            .unwrap_or_else(PoisonError::into_inner);
        match found {
            Some(found) => Some(Found::Line(found)),
            None if state.ended => Some(Found::End),
            None => None,
        }
    }

    /// Waits until the log ends. False when it does not within `limit`.
    pub(crate) fn wait_end(&self, limit: Duration) -> bool {
        let (state, _) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), limit, |state| !state.ended)
            .unwrap_or_else(PoisonError::into_inner);
        state.ended
    }

    /// All lines, once whoever writes the log has closed it.
    pub(crate) fn finish(mut self) -> Vec<String> {
        if let Some(reader) = self.reader.take() {
            // The reader only stores lines; were it to panic, what it stored
            // before is still here.
            drop(reader.join());
        }
        self.shared.lock().lines.clone()
    }

    /// The lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.shared.lock().lines.clone()
    }
}

/// What a wait ended with.
pub(crate) enum Found<T> {
    /// The line came.
    Line(T),
    /// The log ended without it.
    End,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: String) {
        let mut state = self.lock();
        if state.lines.len() < KEPT {
            state.lines.push(line);
        }
        drop(state);
        self.changed.notify_all();
    }

    fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }
}

/// Firmware writes control sequences and carriage returns; both are left out.
fn read_lines(source: impl Read, mut each: impl FnMut(String)) {
    let mut source = BufReader::new(source);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let read = source
            .by_ref()
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut bytes);
        match read {
            Ok(0) => return,
            Ok(_) => each(plain_text(&bytes)),
            Err(error) => {
                each(format!("(the log cannot be read any further: {error})"));
                return;
            }
        }
    }
}

fn plain_text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            // A control sequence: ESC [ ... letter.
            '\u{1b}' => {
                characters.by_ref().find(char::is_ascii_alphabetic);
            }
            '\r' | '\n' => {}
            other => plain.push(other),
        }
    }
    plain
}

/// The records among `lines`. A line that only looks like a record is the
/// firmware's or a person's, and whoever needs a record finds it missing.
pub(crate) fn records(lines: &[String]) -> Vec<Record> {
    lines
        .iter()
        .filter_map(|line| Record::parse(line).ok().flatten())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{io::Cursor, time::Duration};

    use super::{Found, Log};

    const LIMIT: Duration = Duration::from_secs(20);

    #[test]
    fn a_line_is_found_and_the_rest_is_kept() {
        let log = Log::of(
            Cursor::new("\u{1b}[2J\u{1b}[01;01Hfirst\r\nsecond\nthird"),
            false,
        );
        let found = log.wait_for(LIMIT, |line| line.strip_prefix("sec").map(str::to_owned));
        assert!(matches!(found, Some(Found::Line(rest)) if rest == "ond"));
        assert_eq!(log.finish(), ["first", "second", "third"]);
    }

    #[test]
    fn a_log_that_ends_without_the_line_says_so() {
        let log = Log::of(Cursor::new("first\n"), false);
        let found = log.wait_for(LIMIT, |line| (line == "second").then_some(()));
        assert!(matches!(found, Some(Found::End)));
    }

    #[test]
    fn waiting_has_a_limit() {
        let (_writer, reader) = std::os::unix::net::UnixStream::pair().unwrap();
        let log = Log::of(reader, false);
        let found = log.wait_for(Duration::from_millis(20), |_| Some(()));
        assert!(found.is_none());
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let log = Log::of(Cursor::new(vec![b'x'; 100_000]), false);
        let lines = log.finish();
        assert!(lines.iter().all(|line| line.len() <= 16 * 1024));
        assert_eq!(lines.iter().map(String::len).sum::<usize>(), 100_000);
    }
}

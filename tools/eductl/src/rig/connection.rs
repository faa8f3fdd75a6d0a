//! The command channel from this end: one writer at a time, one reader thread,
//! replies matched to requests by their number.
//!
//! Everything here has a time limit. Once the channel has ended or has carried
//! something that is no frame, every request fails with the reason, those that
//! wait and those that come later.

use std::{
    collections::HashMap,
    io::Write as _,
    net::Shutdown,
    os::unix::net::UnixStream,
    process,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::Duration,
};

use rig_protocol::{Frame, MAX_OUTSTANDING, Reply, Request, encode};

use super::incoming::{ENDED, Event, Incoming, is_end};
use crate::transport::{Operation, TransportError};

/// How long the rig may leave a request lying in the socket.
const WRITE_LIMIT: Duration = Duration::from_secs(30);

/// The channel to one rig.
pub(super) struct Connection {
    writer: Mutex<UnixStream>,
    state: Mutex<State>,
    /// Signalled when a request has ended.
    room: Condvar,
}

struct State {
    last_number: u32,
    waiting: HashMap<u32, mpsc::SyncSender<Reply>>,
    /// Set by the first reply to a request of ours. What comes before may be
    /// left over from a program that used the channel before this one.
    greeted: bool,
    ended: Option<String>,
}

/// A request that was sent and whose reply is still to come.
pub struct Pending {
    connection: Arc<Connection>,
    operation: Operation,
    number: u32,
    reply: mpsc::Receiver<Reply>,
    /// What [`Pending::answers_within`] found.
    early: Option<Reply>,
}

impl Pending {
    /// The number of the request's frame.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Whether the reply comes within `limit`; it is kept.
    pub fn answers_within(&mut self, limit: Duration) -> bool {
        if self.early.is_none() {
            self.early = self.reply.recv_timeout(limit).ok();
        }
        self.early.is_some()
    }

    /// Whether the reply comes within `limit`, or is known never to come.
    pub(super) fn ends_within(&mut self, limit: Duration) -> bool {
        self.answers_within(limit) || self.connection.lock().ended.is_some()
    }

    /// Waits for the reply.
    ///
    /// # Errors
    /// [`TransportError::Lost`] when none comes within `limit`.
    pub fn wait(mut self, limit: Duration) -> Result<Reply, TransportError> {
        if let Some(reply) = self.early.take() {
            return Ok(reply);
        }
        let operation = self.operation;
        self.reply.recv_timeout(limit).map_err(|error| match error {
            mpsc::RecvTimeoutError::Timeout => unanswered(operation, limit),
            mpsc::RecvTimeoutError::Disconnected => TransportError::Lost {
                operation,
                reason: self.connection.reason(),
            },
        })
    }
}

/// What a request fails with to which no reply comes within `limit`.
pub(super) fn unanswered(operation: Operation, limit: Duration) -> TransportError {
    TransportError::Lost {
        operation,
        reason: format!(
            "the rig has not answered within {} s; its log says what it does",
            limit.as_secs()
        ),
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.connection.forget(self.number);
    }
}

impl Connection {
    /// Starts to read from `stream`.
    pub(super) fn over(stream: UnixStream) -> Result<Arc<Self>, TransportError> {
        let prepare = || {
            stream.set_write_timeout(Some(WRITE_LIMIT))?;
            // Ends whatever an earlier program left half sent.
            (&stream).write_all(&[0])?;
            stream.try_clone()
        };
        let reader = prepare().map_err(|error| TransportError::Lost {
            operation: Operation::Rig("opening the command channel"),
            reason: error.to_string(),
        })?;
        let connection = Arc::new(Self {
            writer: Mutex::new(stream),
            state: Mutex::new(State {
                // A reply to a request of an earlier program must not be taken
                // for one of ours.
                last_number: process::id() << 12,
                waiting: HashMap::new(),
                greeted: false,
                ended: None,
            }),
            room: Condvar::new(),
        });
        let weak = Arc::downgrade(&connection);
        thread::spawn(move || {
            for event in Incoming::new(reader) {
                let Some(connection) = weak.upgrade() else {
                    return;
                };
                connection.take(event);
            }
        });
        Ok(connection)
    }

    /// Sends a request and waits for its reply.
    pub(super) fn request(
        self: &Arc<Self>,
        operation: Operation,
        body: Request,
        limit: Duration,
    ) -> Result<Reply, TransportError> {
        self.send(operation, body, limit)?.wait(limit)
    }

    /// Sends a request; waits only while [`MAX_OUTSTANDING`] others are under way.
    pub(super) fn send(
        self: &Arc<Self>,
        operation: Operation,
        body: Request,
        limit: Duration,
    ) -> Result<Pending, TransportError> {
        let lost = |reason: String| TransportError::Lost { operation, reason };
        let (sender, reply) = mpsc::sync_channel(1);
        let number = self.register(sender, limit).map_err(lost)?;
        let pending = Pending {
            connection: Arc::clone(self),
            operation,
            number,
            reply,
            early: None,
        };
        self.write(number, body).map_err(lost)?;
        Ok(pending)
    }

    /// Sends a request whose reply nobody waits for. A failure to send is a
    /// failure of the channel, which every other request meets and reports.
    pub(super) fn send_without_reply(&self, body: Request) {
        let number = self.lock().next_number();
        if let Err(reason) = self.write(number, body) {
            self.end(reason);
        }
    }

    fn register(&self, sender: mpsc::SyncSender<Reply>, limit: Duration) -> Result<u32, String> {
        let full =
            |state: &mut State| state.ended.is_none() && state.waiting.len() >= MAX_OUTSTANDING;
        let (mut state, timed_out) = self
            .room
            .wait_timeout_while(self.lock(), limit, full)
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(reason) = &state.ended {
            return Err(reason.clone());
        }
        if timed_out.timed_out() {
            return Err(format!(
                "{MAX_OUTSTANDING} requests are outstanding and none has ended within {} s",
                limit.as_secs()
            ));
        }
        let number = state.next_number();
        state.waiting.insert(number, sender);
        Ok(number)
    }

    fn write(&self, number: u32, body: Request) -> Result<(), String> {
        let bytes = encode(&Frame { number, body }).map_err(|error| error.to_string())?;
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write_all(&bytes).map_err(|error| {
            self.reason_or(if is_end(&error) {
                ENDED.to_owned()
            } else {
                format!("the rig takes no more requests: {error}")
            })
        })
    }

    fn take(&self, event: Event) {
        match event {
            Event::Reply(Frame { number, body }) => self.take_reply(number, body),
            Event::Garbled(reason) if self.lock().greeted => self.end(reason),
            // The tail of a reply that an earlier program did not read.
            Event::Garbled(_) => {}
            Event::Ended(reason) => self.end(reason),
        }
    }

    fn take_reply(&self, number: u32, body: Reply) {
        let mut state = self.lock();
        if let Some(sender) = state.waiting.remove(&number) {
            state.greeted = true;
            drop(state);
            self.room.notify_all();
            // Cannot block, for the channel has room for the only reply, and
            // fails only when the waiter has given up, which it has reported.
            drop(sender.try_send(body));
        } else if matches!(body, Reply::Malformed) && state.greeted {
            drop(state);
            self.end("the rig could not read a request that was sent to it".to_owned());
        }
        // Any other number belongs to a request that was given up.
    }

    fn end(&self, reason: String) {
        let mut state = self.lock();
        state.ended.get_or_insert(reason);
        // Drops the senders, which wakes those who wait.
        state.waiting.clear();
        drop(state);
        self.room.notify_all();
    }

    fn forget(&self, number: u32) {
        self.lock().waiting.remove(&number);
        self.room.notify_all();
    }

    fn reason(&self) -> String {
        self.reason_or(ENDED.to_owned())
    }

    fn reason_or(&self, otherwise: String) -> String {
        self.lock().ended.clone().unwrap_or(otherwise)
    }

    /// A thread that panicked while it held the lock has left nothing half
    /// done: each critical section here is one update.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let writer = self
            .writer
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        // Of this half only: QEMU forgets what it has not read yet when both are shut,
        // and a request of which a part is lost reaches the rig as garbage. QEMU closes
        // its end when it has read all, which ends the reader thread; a socket that is
        // already closed has done so before.
        drop(writer.shutdown(Shutdown::Write));
    }
}

impl State {
    fn next_number(&mut self) -> u32 {
        // Zero is the number of replies to what the rig could not read.
        self.last_number = self.last_number.checked_add(1).unwrap_or(1);
        self.last_number
    }
}

#[cfg(test)]
mod tests;

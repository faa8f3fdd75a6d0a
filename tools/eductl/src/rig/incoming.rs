//! The reading half of the command channel: bytes into replies.

use std::{
    io::{self, ErrorKind, Read as _},
    os::unix::net::UnixStream,
};

use rig_protocol::{Deframer, Frame, Reply};

/// Why a channel is over that the rig has closed.
pub(super) const ENDED: &str = "the rig has ended the command channel; its log says why";

/// What came.
pub(super) enum Event {
    /// A reply.
    Reply(Frame<Reply>),
    /// Something that is none; what is wrong with it.
    Garbled(String),
    /// Nothing will come any more; why.
    Ended(String),
}

/// The frames that come out of a socket, and its end.
pub(super) struct Incoming {
    stream: UnixStream,
    deframer: Deframer,
    bytes: std::vec::IntoIter<u8>,
    ended: bool,
}

impl Incoming {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            deframer: Deframer::new(),
            bytes: Vec::new().into_iter(),
            ended: false,
        }
    }

    fn fill(&mut self) -> Result<(), String> {
        let mut buffer = vec![0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(ENDED.to_owned()),
            Ok(length) => {
                buffer.truncate(length);
                self.bytes = buffer.into_iter();
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) if is_end(&error) => Err(ENDED.to_owned()),
            Err(error) => Err(format!("the command channel cannot be read: {error}")),
        }
    }
}

impl Iterator for Incoming {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        loop {
            for byte in self.bytes.by_ref() {
                match self.deframer.push(byte) {
                    Some(Ok(frame)) => return Some(Event::Reply(frame)),
                    Some(Err(error)) => return Some(Event::Garbled(error.to_string())),
                    None => {}
                }
            }
            if self.ended {
                return None;
            }
            if let Err(reason) = self.fill() {
                self.ended = true;
                return Some(Event::Ended(reason));
            }
        }
    }
}

/// Whether the other side has closed the socket, perhaps with unread bytes in it.
pub(super) fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
    )
}

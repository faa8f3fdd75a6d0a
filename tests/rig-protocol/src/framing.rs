//! Frames: `postcard`, COBS, a zero byte at the end.

use alloc::vec::Vec;
use core::fmt;

use serde::{Serialize, de::DeserializeOwned};

use crate::messages::{Frame, MAX_TRANSFER};

/// Longest encoded frame, in bytes, with its zero byte. A direct control request with
/// two full buffers is the longest message; COBS adds one byte in 254.
pub const MAX_FRAME: usize = 2 * MAX_TRANSFER + 2 * MAX_TRANSFER / 254 + 256;

/// A frame that cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// More than [`MAX_FRAME`] bytes without a zero byte.
    TooLong,
    /// The bytes are no message of the expected type.
    Malformed,
}

impl fmt::Display for FrameError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::TooLong => "a frame on the command channel is longer than the protocol allows",
            Self::Malformed => "a frame on the command channel does not decode",
        })
    }
}

impl core::error::Error for FrameError {}

/// The bytes of a frame, ready to be sent.
///
/// # Errors
/// [`FrameError::TooLong`] when the message does not fit into [`MAX_FRAME`].
pub fn encode<T: Serialize>(frame: &Frame<T>) -> Result<Vec<u8>, FrameError> {
    let bytes = postcard::to_allocvec_cobs(frame).map_err(|_| FrameError::Malformed)?;
    if bytes.len() > MAX_FRAME {
        return Err(FrameError::TooLong);
    }
    Ok(bytes)
}

/// Cuts a stream of bytes into frames.
#[derive(Debug)]
pub struct Deframer {
    buffer: Vec<u8>,
    overrun: bool,
}

impl Default for Deframer {
    fn default() -> Self {
        Self::new()
    }
}

impl Deframer {
    /// An empty one; the first byte is taken for the first of a frame.
    #[must_use]
    pub fn new() -> Self {
        Self {
            buffer: Vec::with_capacity(MAX_FRAME),
            overrun: false,
        }
    }

    /// Takes one byte; a frame, or an error in its place, comes out with its last.
    ///
    /// An empty frame (two zero bytes in a row) is no frame: a sender may put a
    /// zero byte first to end whatever an earlier sender left behind.
    pub fn push<T: DeserializeOwned>(&mut self, byte: u8) -> Option<Result<Frame<T>, FrameError>> {
        if byte != 0 {
            if self.buffer.len() < MAX_FRAME {
                self.buffer.push(byte);
            } else {
                self.overrun = true;
            }
            return None;
        }
        let overrun = core::mem::take(&mut self.overrun);
        let mut frame = core::mem::take(&mut self.buffer);
        let decoded = if overrun {
            Some(Err(FrameError::TooLong))
        } else if frame.is_empty() {
            None
        } else {
            Some(postcard::from_bytes_cobs(&mut frame).map_err(|_| FrameError::Malformed))
        };
        frame.clear();
        self.buffer = frame;
        decoded
    }
}

#[cfg(test)]
mod tests {
    use alloc::{string::String, vec, vec::Vec};

    use super::{Deframer, FrameError, MAX_FRAME, encode};
    use crate::messages::{Frame, MAX_TRANSFER, Reply, Request};

    fn push_all(deframer: &mut Deframer, bytes: &[u8]) -> Vec<Result<Frame<Request>, FrameError>> {
        bytes
            .iter()
            .filter_map(|byte| deframer.push(*byte))
            .collect()
    }

    fn control(input: Vec<u8>) -> Frame<Request> {
        Frame {
            number: 7,
            body: Request::DeviceControl {
                handle: 1,
                code: 0x8ed0_e008,
                input,
                output_length: u32::MAX,
            },
        }
    }

    #[test]
    fn the_longest_message_fits_and_comes_back() {
        for byte in [0, 0xff] {
            let frame = control(vec![byte; MAX_TRANSFER]);
            let bytes = encode(&frame).unwrap();
            assert!(bytes.len() <= MAX_FRAME);
            assert_eq!(
                push_all(&mut Deframer::new(), &bytes),
                vec![Ok(frame.clone())]
            );
        }
        let reply = Frame {
            number: u32::MAX,
            body: Reply::Completed {
                status: u32::MAX,
                information: u64::MAX,
                output: vec![0; MAX_TRANSFER],
            },
        };
        assert!(encode(&reply).unwrap().len() <= MAX_FRAME);
    }

    #[test]
    fn garbage_costs_one_error_and_the_next_frame_comes_through() {
        let frame = control(vec![1, 0, 2]);
        let mut bytes = vec![0xfe; 5];
        bytes.push(0);
        bytes.extend(encode(&frame).unwrap());
        assert_eq!(
            push_all(&mut Deframer::new(), &bytes),
            vec![Err(FrameError::Malformed), Ok(frame)]
        );
    }

    #[test]
    fn a_frame_without_end_is_bounded() {
        let frame = control(vec![]);
        let mut bytes = vec![1; MAX_FRAME * 3];
        bytes.push(0);
        bytes.extend(encode(&frame).unwrap());
        let mut deframer = Deframer::new();
        assert_eq!(
            push_all(&mut deframer, &bytes),
            vec![Err(FrameError::TooLong), Ok(frame)]
        );
    }

    #[test]
    fn a_leading_zero_byte_is_no_frame() {
        assert_eq!(push_all(&mut Deframer::new(), &[0, 0]), vec![]);
    }

    #[test]
    fn too_long_a_message_is_refused() {
        let frame = Frame {
            number: 0,
            body: Reply::Refused {
                reason: String::from_utf8(vec![b'x'; MAX_FRAME]).unwrap(),
            },
        };
        assert_eq!(encode(&frame), Err(FrameError::TooLong));
    }
}

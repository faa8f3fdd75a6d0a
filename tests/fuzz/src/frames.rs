//! The command channel: frames as they come out of any bytes, at both of its ends.

use rig_protocol::{Deframer, Frame, FrameError, Reply, Request, encode};
use serde::{Serialize, de::DeserializeOwned};

/// What is wrong with the channel that is tried: nothing with that of the rig.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// Nothing.
    None,
    /// What was left of a frame that does not decode is taken for the begin of the next.
    Leftover,
    /// A byte with its highest bit set is lost.
    SevenBits,
}

/// Has both ends read any bytes.
///
/// # Panics
/// When a frame that was understood is not understood the same way again, or a good frame
/// behind garbage does not come through.
pub fn run(data: &[u8], mistake: Mistake) {
    let Some((first, bytes)) = data.split_first() else {
        return;
    };
    if first & 1 == 0 {
        read::<Request>(bytes, mistake, &Request::Hello);
    } else {
        read::<Reply>(bytes, mistake, &Reply::Malformed);
    }
}

fn read<T>(bytes: &[u8], mistake: Mistake, last: &T)
where
    T: Serialize + DeserializeOwned + Clone + PartialEq + std::fmt::Debug,
{
    let mut deframer = Deframer::new();
    let mut understood = 0_usize;
    let mut taken = |byte: u8| match mistake {
        Mistake::SevenBits if byte > 0x7f => None,
        Mistake::Leftover if byte == 0 => deframer
            .push::<T>(0)
            .filter(|frame| !matches!(frame, Err(FrameError::Malformed)))
            .or_else(|| {
                let _leftover = deframer.push::<T>(1);
                None
            }),
        _ => deframer.push::<T>(byte),
    };
    for byte in bytes {
        match taken(*byte) {
            Some(Ok(frame)) => {
                understood += 1;
                comes_back(&frame);
            }
            Some(Err(FrameError::TooLong)) => {
                assert!(
                    bytes.len() > rig_protocol::MAX_FRAME,
                    "nothing was too long"
                );
            }
            Some(Err(FrameError::Malformed)) | None => {}
        }
    }
    assert!(understood <= bytes.len(), "more frames than bytes");
    // A sender may end with a zero byte whatever an earlier one left behind.
    let _ended = taken(0);
    let wanted = Frame {
        number: 0xffee_ddcc,
        body: last.clone(),
    };
    let Ok(encoded) = encode(&wanted) else {
        unreachable!("the frame has no buffers")
    };
    let mut frames = encoded.iter().filter_map(|byte| taken(*byte));
    assert_eq!(frames.next(), Some(Ok(wanted)), "behind {bytes:?}");
}

/// A frame that was understood is one that can be sent, and means the same there.
fn comes_back<T>(frame: &Frame<T>)
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    // What COBS adds may make it too long for the way back.
    let Ok(bytes) = encode(frame) else { return };
    let mut deframer = Deframer::new();
    let mut frames = bytes.iter().filter_map(|byte| deframer.push::<T>(*byte));
    match frames.next() {
        Some(Ok(again)) => assert_eq!(again, *frame),
        other => panic!("{frame:?} comes back as {other:?}"),
    }
}

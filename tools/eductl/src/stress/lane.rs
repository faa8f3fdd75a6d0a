//! A lane: one request at a time, each begun when the one before has ended.

use std::time::{Duration, Instant};

use fastrand::Rng;

use super::{
    follower::Follower,
    mix::Kind,
    request::{Asked, Sent},
    slice::Slice,
    tally::{End, Tally},
};
use crate::{commands::CommandError, device::DeviceError, status::NtStatus, transport::Transport};

/// Longest time that a request which shall be cancelled has before. Some are cancelled
/// in the driver's queue, some while the device works on them, some too late; that takes
/// an operation some milliseconds at most, and a transfer as long as those before it.
const REPRIEVE: Duration = Duration::from_millis(20);
const LONG_REPRIEVE: Duration = Duration::from_millis(1_500);

/// One request at a time, and what is known from those before it.
pub(super) struct Lane<'t> {
    slice: Slice,
    follower: Follower,
    under_way: Option<UnderWay<'t>>,
}

struct UnderWay<'t> {
    asked: Asked,
    sent: Sent<'t>,
    cancel: Cancel,
}

/// Whether a request is to be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cancel {
    Never,
    At(Instant),
    Done,
}

impl<'t> Lane<'t> {
    pub(super) fn new(slice: Slice) -> Self {
        Self {
            slice,
            follower: Follower::default(),
            under_way: None,
        }
    }

    /// What is under way.
    pub(super) fn kind(&self) -> Option<Kind> {
        self.under_way
            .as_ref()
            .map(|under_way| under_way.asked.kind())
    }

    /// Sends a request, of which `percent` in a hundred are cancelled.
    pub(super) fn start(
        &mut self,
        transport: &'t dyn Transport,
        kind: Kind,
        percent: u8,
        random: &mut Rng,
    ) -> Result<(), CommandError> {
        let asked = Asked::choose(kind, random, &self.slice);
        let cancel = if random.u8(0..100) < percent {
            let reprieve = match random.u8(0..4) {
                0 => Duration::ZERO,
                1 => LONG_REPRIEVE.mul_f64(random.f64()),
                _ => REPRIEVE.mul_f64(random.f64()),
            };
            Cancel::At(Instant::now() + reprieve)
        } else {
            Cancel::Never
        };
        let sent = asked.start(transport, &self.follower)?;
        self.under_way = Some(UnderWay {
            asked,
            sent,
            cancel,
        });
        Ok(())
    }

    /// Cancels what is under way, if its time for that has come.
    pub(super) fn cancel_in_time(&mut self) -> Result<(), CommandError> {
        match &self.under_way {
            Some(UnderWay {
                cancel: Cancel::At(at),
                ..
            }) if *at <= Instant::now() => self.cancel(),
            _ => Ok(()),
        }
    }

    /// Cancels what is under way, once.
    pub(super) fn cancel(&mut self) -> Result<(), CommandError> {
        if let Some(under_way) = &mut self.under_way
            && under_way.cancel != Cancel::Done
        {
            under_way.sent.cancel()?;
            under_way.cancel = Cancel::Done;
        }
        Ok(())
    }

    /// Whether what was under way has ended within `limit`; then its answer is right.
    pub(super) fn ends_within(
        &mut self,
        limit: Duration,
        tally: &Tally,
    ) -> Result<bool, CommandError> {
        let ended = self
            .under_way
            .as_mut()
            .is_some_and(|under_way| under_way.sent.ends_within(limit));
        if ended {
            self.take(tally)?;
        }
        Ok(ended)
    }

    /// Waits for what is under way.
    pub(super) fn take(&mut self, tally: &Tally) -> Result<(), CommandError> {
        let Some(under_way) = self.under_way.take() else {
            return Ok(());
        };
        let asked = under_way.asked;
        let end = match under_way.sent.wait() {
            Ok(reply) => {
                asked
                    .judge(&reply, &mut self.slice, &mut self.follower)
                    .map_err(CommandError::WrongAnswer)?;
                End::Right
            }
            Err(error) if under_way.cancel == Cancel::Done && is_cancelled(&error) => {
                asked.cancelled(&mut self.slice);
                End::Cancelled
            }
            Err(error) => return Err(error.into()),
        };
        tally.count(asked.kind(), end, asked.bytes());
        Ok(())
    }
}

/// Whether this is how a cancelled request ends.
pub(super) fn is_cancelled(error: &DeviceError) -> bool {
    match error {
        DeviceError::Transport(error) => error
            .failure()
            .is_some_and(|failure| failure.is(NtStatus::CANCELLED)),
        DeviceError::ReplyLength { .. } | DeviceError::Malformed { .. } => false,
    }
}

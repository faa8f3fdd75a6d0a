//! Events must come in order, each once, and those that are gone must be counted.

use edu_interface::{Event, EventsHeader, FROM_NOW};

use crate::device::{BATCH_BYTES, Events};

/// Events that one reply has room for. The driver fills it while it has more.
pub(super) const MOST_AT_ONCE: usize =
    (BATCH_BYTES - size_of::<EventsHeader>()) / size_of::<Event>();

/// Where somebody is who follows the events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Follower {
    /// The next event's sequence number; none before the first reply.
    next: Option<u64>,
    seen: u64,
    lost: u64,
}

impl Follower {
    /// One who follows from this sequence number on.
    pub(crate) const fn at(next: u64) -> Self {
        Self {
            next: Some(next),
            seen: 0,
            lost: 0,
        }
    }

    /// What the next request asks for.
    pub(crate) fn after(&self) -> u64 {
        self.next.unwrap_or(FROM_NOW)
    }

    /// Events that came.
    pub(crate) const fn seen(&self) -> u64 {
        self.seen
    }

    /// Events that the driver did not have any more.
    pub(crate) const fn lost(&self) -> u64 {
        self.lost
    }

    /// Events of which it knows.
    pub(crate) const fn accounted(&self) -> u64 {
        self.seen.saturating_add(self.lost)
    }

    /// Checks a reply and follows it.
    pub(crate) fn take(&mut self, reply: &Events) -> Result<(), String> {
        let Some(first) = reply.events.first() else {
            return Err("a wait for events ended without one".to_owned());
        };
        let due = match self.next {
            Some(next) => next.checked_add(reply.lost),
            // Of what comes from now on nothing can be gone.
            None => Some(first.sequence).filter(|_| reply.lost == 0),
        };
        if due != Some(first.sequence) {
            return Err(format!(
                "the first event has the sequence number {} and {} are said to be lost, after a \
                 request for those from {} on",
                first.sequence,
                reply.lost,
                self.next
                    .map_or_else(|| "now".to_owned(), |next| next.to_string())
            ));
        }
        let mut sequence = first.sequence;
        for event in &reply.events {
            if event.sequence != sequence {
                return Err(format!(
                    "event {} came where {sequence} was due",
                    event.sequence
                ));
            }
            if event.causes == 0 || event.reserved != 0 {
                return Err(format!("event {sequence} is none: {event:?}"));
            }
            sequence += 1;
        }
        if reply.next != sequence {
            return Err(format!(
                "the events end before {sequence}, and the driver says that the next one is {}",
                reply.next
            ));
        }
        self.next = Some(sequence);
        self.seen += u64::try_from(reply.events.len()).unwrap_or(u64::MAX);
        self.lost += reply.lost;
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use edu_interface::{Clock, Event, FROM_NOW};

    use super::Follower;
    use crate::device::Events;

    pub(in crate::stress) fn reply(next: u64, lost: u64, sequences: &[u64]) -> Events {
        let event = |sequence: &u64| Event {
            sequence: *sequence,
            causes: 1,
            ..Event::default()
        };
        Events {
            clock: Clock::default(),
            next,
            lost,
            events: sequences.iter().map(event).collect(),
        }
    }

    #[test]
    fn events_are_followed_over_a_gap() {
        let mut follower = Follower::default();
        assert_eq!(follower.after(), FROM_NOW);
        follower.take(&reply(12, 0, &[10, 11])).unwrap();
        assert_eq!(follower.after(), 12);
        follower.take(&reply(20, 7, &[19])).unwrap();
        assert_eq!((follower.seen(), follower.lost()), (3, 7));
    }

    #[test]
    fn whatever_is_out_of_order_is_found() {
        let mut no_causes = reply(11, 0, &[10]);
        no_causes.events[0].causes = 0;
        let mut follower = Follower::at(10);
        for (reply, word) in [
            (reply(11, 0, &[]), "without one"),
            (reply(12, 0, &[11]), "lost"),
            (reply(11, 1, &[10]), "lost"),
            (reply(10, 0, &[9]), "first event"),
            (reply(13, 0, &[10, 12]), "due"),
            (reply(12, 0, &[10, 10]), "due"),
            (reply(11, 0, &[10, 11]), "next one"),
            (no_causes, "none"),
        ] {
            let error = follower.take(&reply).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
        let error = Follower::default().take(&reply(11, 1, &[10])).unwrap_err();
        assert!(error.contains("from now on"), "{error}");
        assert_eq!(follower, Follower::at(10));
    }
}

//! Interrupts on their way from the ISR to those who want to know of each.
//!
//! The ISR saves the causes and the time stamp of every interrupt that it claims; a DPC, or
//! whoever is about to wait for the next one, takes all of them in one critical section.
//! Nothing is overwritten in between: what finds no room is counted, and whoever takes the
//! others learns how many came after them.
//!
//! An interrupt that ends an operation requests a DPC anyway, and that DPC takes the events
//! along. For the sake of an event alone a DPC is requested only when somebody waits
//! ([`Events::expect`]) or when the room becomes scarce. So interrupts that nobody asked for
//! and nobody waits for cost no DPC, and none of them is lost for one who asks later.

use core::hash::{Hash, Hasher};

/// Interrupts that can be on their way. More than one or two are there only when DPCs are held
/// up: each engine of the device has one operation under way, and the next one is programmed
/// by the DPC that takes the end of the one before.
pub const EVENTS: usize = 32;

/// From here on the room is scarce.
const SCARCE: usize = EVENTS / 2;

/// An interrupt that the ISR claimed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Event {
    /// The time stamp that the ISR was given.
    pub stamp: u64,
    /// The interrupt status that it read and acknowledged.
    pub causes: u32,
}

/// Where events go, in the order in which they came.
pub trait EventSink {
    /// The next event.
    fn event(&mut self, event: Event);

    /// After that, so many came that no room was left for.
    fn lost(&mut self, count: u64);
}

/// Events that are on their way together.
#[derive(Clone, Copy, Debug)]
struct Batch {
    // Apart, because together each would be padded to 16 bytes.
    stamps: [u64; EVENTS],
    causes: [u32; EVENTS],
    /// So many are there.
    length: usize,
    /// So many came after those.
    lost: u64,
}

impl Batch {
    const EMPTY: Self = Self {
        stamps: [0; EVENTS],
        causes: [0; EVENTS],
        length: 0,
        lost: 0,
    };

    /// Those that are there: what was taken is left in its place, and says nothing.
    fn significant(&self) -> impl Iterator<Item = (&u64, &u32)> {
        self.stamps.iter().zip(&self.causes).take(self.length)
    }

    const fn is_empty(&self) -> bool {
        self.length == 0 && self.lost == 0
    }

    /// There is nothing in it any more.
    const fn clear(&mut self) {
        self.length = 0;
        self.lost = 0;
    }
}

/// Events that were taken in a critical section, to be looked at after it.
///
/// One by one they would keep everybody who waits for the interrupt lock waiting for as many
/// rounds as there are events; so they leave the critical section in one piece.
#[derive(Debug)]
pub struct EventBatch(Batch);

impl Default for EventBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl EventBatch {
    /// A batch without events.
    #[must_use]
    pub const fn new() -> Self {
        Self(Batch::EMPTY)
    }

    /// How many events there are, without those that were lost.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.length
    }

    /// Whether there are none, none that were lost either.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives all of them away.
    pub fn drain(&mut self, sink: &mut impl EventSink) {
        for (&stamp, &causes) in self.0.significant() {
            sink.event(Event { stamp, causes });
        }
        if self.0.lost > 0 {
            sink.lost(self.0.lost);
        }
        self.0.clear();
    }
}

/// Events between the ISR and whoever takes them.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    saved: Batch,
    /// Somebody waits for the next one.
    expected: bool,
}

impl PartialEq for Events {
    fn eq(&self, other: &Self) -> bool {
        self.saved.significant().eq(other.saved.significant())
            && (self.saved.lost, self.expected) == (other.saved.lost, other.expected)
    }
}

impl Eq for Events {}

impl Hash for Events {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Batch { length, lost, .. } = self.saved;
        self.saved.significant().for_each(|event| event.hash(state));
        (length, lost, self.expected).hash(state);
    }
}

impl Events {
    pub(crate) const fn new() -> Self {
        Self {
            saved: Batch::EMPTY,
            expected: false,
        }
    }

    /// Saves an event, behind the others; false if there is no room for it.
    pub(crate) fn save(&mut self, event: Event) -> bool {
        let saved = &mut self.saved;
        let place = (
            saved.stamps.get_mut(saved.length),
            saved.causes.get_mut(saved.length),
        );
        let (Some(stamp), Some(causes)) = place else {
            saved.lost = saved.lost.saturating_add(1);
            return false;
        };
        *stamp = event.stamp;
        *causes = event.causes;
        saved.length = saved.length.saturating_add(1);
        true
    }

    /// Whether a DPC is to take them, even if no operation has ended.
    pub(crate) const fn want_dpc(&self) -> bool {
        self.expected || self.saved.length >= SCARCE
    }

    /// From now on somebody waits for the next one, until one is taken.
    pub(crate) const fn expect(&mut self) {
        self.expected = true;
    }

    /// Takes all of them out, unless the batch has some already.
    pub(crate) fn take(&mut self, batch: &mut EventBatch) {
        if self.saved.is_empty() || !batch.is_empty() {
            return;
        }
        batch.0 = self.saved;
        if self.saved.length > 0 {
            // Whoever waits is answered with these.
            self.expected = false;
        }
        self.saved.clear();
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::{hash::DefaultHasher, vec::Vec};

    use core::hash::{Hash as _, Hasher as _};

    use super::{EVENTS, Event, EventBatch, EventSink, Events, SCARCE};

    /// Numbers what it is given, as the driver's log does.
    #[derive(Default)]
    struct Log {
        next: u64,
        events: Vec<(u64, Event)>,
    }

    impl EventSink for Log {
        fn event(&mut self, event: Event) {
            self.events.push((self.next, event));
            self.next += 1;
        }

        fn lost(&mut self, count: u64) {
            self.next += count;
        }
    }

    fn drain(events: &mut Events, sink: &mut impl EventSink) {
        let mut batch = EventBatch::new();
        events.take(&mut batch);
        batch.drain(sink);
        assert!(batch.is_empty());
    }

    fn event(number: usize) -> Event {
        let causes = u32::try_from(number).expect("a small number");
        Event {
            stamp: 1_000 + u64::from(causes),
            causes,
        }
    }

    #[test]
    fn come_out_in_order_and_once() {
        let mut events = Events::new();
        let mut log = Log::default();
        for number in 0..1_000 {
            assert!(events.save(event(number)));
            if number % 7 == 3 {
                drain(&mut events, &mut log);
            }
        }
        drain(&mut events, &mut log);
        drain(&mut events, &mut log);
        let wanted = (0..1_000).map(|number| (number as u64, event(number)));
        assert!(log.events.into_iter().eq(wanted));
    }

    #[test]
    fn those_without_room_are_counted_and_keep_their_numbers() {
        let mut events = Events::new();
        let mut log = Log::default();
        for round in 0..3 {
            for number in 0..EVENTS {
                assert!(events.save(event(round + number)));
            }
            for _ in 0..5 {
                assert!(!events.save(event(9_999)));
            }
            drain(&mut events, &mut log);
        }
        assert_eq!(log.events.len(), 3 * EVENTS);
        assert_eq!(log.next, 3 * (EVENTS as u64 + 5));
        let wanted = (0..3_u64).flat_map(|round| {
            let first = round * (EVENTS as u64 + 5);
            (0..EVENTS).map(move |number| {
                let index = usize::try_from(round).expect("small") + number;
                (first + number as u64, event(index))
            })
        });
        assert!(log.events.into_iter().eq(wanted));
    }

    #[test]
    fn a_batch_that_is_not_drained_takes_nothing() {
        let (mut events, mut batch) = (Events::new(), EventBatch::new());
        events.save(event(0));
        events.take(&mut batch);
        assert_eq!((batch.len(), batch.is_empty()), (1, false));
        events.save(event(1));
        events.take(&mut batch);
        let mut log = Log::default();
        batch.drain(&mut log);
        assert_eq!(log.events, [(0, event(0))]);
        assert_eq!((batch.len(), batch.is_empty()), (0, true));
        drain(&mut events, &mut log);
        assert_eq!(log.events, [(0, event(0)), (1, event(1))]);
    }

    #[test]
    fn want_a_dpc_when_expected_until_one_is_taken() {
        let mut events = Events::new();
        let mut log = Log::default();
        events.save(event(0));
        assert!(!events.want_dpc());
        drain(&mut events, &mut log);
        events.expect();
        // Nothing was there to be taken, so whoever waits does so still.
        drain(&mut events, &mut log);
        events.save(event(1));
        assert!(events.want_dpc());
        drain(&mut events, &mut log);
        events.save(event(2));
        assert!(!events.want_dpc());
    }

    #[test]
    fn want_a_dpc_before_the_room_ends() {
        let mut events = Events::new();
        for number in 0..SCARCE {
            assert!(!events.want_dpc());
            events.save(event(number));
        }
        assert!(events.want_dpc());
        const { assert!(SCARCE < EVENTS, "later would be too late") };
    }

    /// A sink that may be told of events, and of no loss.
    struct Lossless;

    impl EventSink for Lossless {
        fn event(&mut self, _: Event) {}

        fn lost(&mut self, count: u64) {
            panic!("{count} were lost");
        }
    }

    #[test]
    fn none_lost_is_not_told() {
        let mut events = Events::new();
        drain(&mut events, &mut Lossless);
        events.save(event(1));
        drain(&mut events, &mut Lossless);
    }

    fn hash_of(events: &Events) -> u64 {
        let mut hasher = DefaultHasher::new();
        events.hash(&mut hasher);
        hasher.finish()
    }

    /// What was in the places before does not count; all else does. Whoever explores states
    /// takes those for one that are equal, or that have the same hash.
    #[test]
    fn are_the_same_if_the_same_can_come_out() {
        let empty = Events::new();
        let mut drained = Events::new();
        drained.save(event(1));
        drain(&mut drained, &mut Log::default());
        assert_eq!((&drained, hash_of(&drained)), (&empty, hash_of(&empty)));

        let [mut one, mut other, mut full, mut lossy, mut expected] = [const { Events::new() }; 5];
        one.save(event(1));
        other.save(event(2));
        for number in 0..EVENTS {
            full.save(event(number));
            lossy.save(event(number));
        }
        lossy.save(event(0));
        expected.expect();
        let all = [empty, one, other, full, lossy, expected];
        for (index, events) in all.iter().enumerate() {
            for (other_index, other) in all.iter().enumerate() {
                let same = index == other_index;
                assert_eq!(events == other, same, "{events:?} and {other:?}");
                assert_eq!(
                    hash_of(events) == hash_of(other),
                    same,
                    "{events:?}, {other:?}"
                );
            }
        }
    }
}

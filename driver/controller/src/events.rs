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

use core::{
    borrow::BorrowMut,
    hash::{Hash, Hasher},
};

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

/// What an ISR has noted of itself, where somebody wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Noted {
    /// The time stamp of its end; not zero, which says that nothing was noted.
    pub end: u64,
    /// The processor that it ran on.
    pub processor: u32,
}

/// Where events go, in the order in which they came.
pub trait EventSink {
    /// The next event, and what its ISR has noted.
    fn event(&mut self, event: Event, noted: Option<Noted>);

    /// After that, so many came that no room was left for; of `noted` of them the ISR has
    /// noted something that is lost with them.
    fn lost(&mut self, count: u64, noted: u64);
}

/// An event on its way.
#[derive(Clone, Copy, Debug)]
struct Saved {
    stamp: u64,
    /// Zero if the ISR has noted nothing; then `processor` says nothing.
    end: u64,
    causes: u32,
    processor: u32,
}

impl Saved {
    const NONE: Self = Self {
        stamp: 0,
        end: 0,
        causes: 0,
        processor: 0,
    };

    const fn event(&self) -> Event {
        Event {
            stamp: self.stamp,
            causes: self.causes,
        }
    }

    fn noted(&self) -> Option<Noted> {
        (self.end != 0).then_some(Noted {
            end: self.end,
            processor: self.processor,
        })
    }
}

/// Events that are on their way together.
///
/// There are two of them for a controller: the one that the ISR fills, and the one that a
/// DPC looks at after it has left the critical section in which they were exchanged. One by
/// one, events would keep everybody who waits for the interrupt lock waiting for as many
/// rounds as there are events, and in one piece for as long as it takes to copy the room that
/// there is for them.
#[derive(Clone, Debug)]
pub struct EventBatch {
    saved: [Saved; EVENTS],
    /// So many are there.
    length: usize,
    /// So many came after those.
    lost: u64,
    /// Of so many of the lost ones the ISR has noted something.
    notes_lost: u64,
}

impl Default for EventBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl EventBatch {
    /// A batch without events.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            saved: [Saved::NONE; EVENTS],
            length: 0,
            lost: 0,
            notes_lost: 0,
        }
    }

    /// How many events there are, without those that were lost.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none, none that were lost either.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0 && self.lost == 0
    }

    /// Gives all of them away.
    pub fn drain(&mut self, sink: &mut impl EventSink) {
        for saved in self.significant() {
            sink.event(saved.event(), saved.noted());
        }
        if self.lost > 0 {
            sink.lost(self.lost, self.notes_lost);
        }
        self.length = 0;
        self.lost = 0;
        self.notes_lost = 0;
    }

    /// Those that are there: what was taken is left in its place, and says nothing.
    fn significant(&self) -> impl Iterator<Item = &Saved> {
        self.saved.iter().take(self.length)
    }

    /// Saves an event, behind the others; false if there is no room for it.
    fn save(&mut self, event: Event) -> bool {
        let Some(place) = self.saved.get_mut(self.length) else {
            self.lost = self.lost.wrapping_add(1);
            return false;
        };
        place.stamp = event.stamp;
        place.end = 0;
        place.causes = event.causes;
        self.length = self.length.wrapping_add(1);
        true
    }

    /// Notes something beside the event that was saved last, or was lost.
    fn note(&mut self, noted: Noted) {
        let last = self.length.wrapping_sub(1);
        match self.saved.get_mut(last) {
            Some(place) if self.lost == 0 => {
                place.end = noted.end;
                place.processor = noted.processor;
            }
            _ => self.notes_lost = self.notes_lost.wrapping_add(1),
        }
    }
}

impl PartialEq for EventBatch {
    fn eq(&self, other: &Self) -> bool {
        let counts = |batch: &Self| (batch.length, batch.lost, batch.notes_lost);
        let can_come_out = |saved: &Saved| (saved.event(), saved.noted());
        counts(self) == counts(other)
            && self
                .significant()
                .map(can_come_out)
                .eq(other.significant().map(can_come_out))
    }
}

impl Eq for EventBatch {}

impl Hash for EventBatch {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.length, self.lost, self.notes_lost).hash(state);
        self.significant()
            .for_each(|saved| (saved.event(), saved.noted()).hash(state));
    }
}

/// Events between the ISR and whoever takes them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Events<B> {
    saved: B,
    /// Somebody waits for the next one.
    expected: bool,
}

impl<B: BorrowMut<EventBatch>> Events<B> {
    /// None yet; the batch is for the first ones.
    pub(crate) const fn new(saved: B) -> Self {
        Self {
            saved,
            expected: false,
        }
    }

    /// Saves an event, behind the others; false if there is no room for it.
    pub(crate) fn save(&mut self, event: Event) -> bool {
        self.saved.borrow_mut().save(event)
    }

    /// Notes something beside the event that was saved last, or was lost.
    pub(crate) fn note(&mut self, noted: Noted) {
        self.saved.borrow_mut().note(noted);
    }

    /// Whether a DPC is to take them, even if no operation has ended.
    pub(crate) fn want_dpc(&self) -> bool {
        self.expected || self.saved.borrow().length >= SCARCE
    }

    /// From now on somebody waits for the next one, until one is taken.
    pub(crate) const fn expect(&mut self) {
        self.expected = true;
    }

    /// Takes all of them out, unless the batch has some already: it is left here in their
    /// place.
    pub(crate) fn take(&mut self, batch: &mut B) {
        if self.saved.borrow().is_empty() || !batch.borrow().is_empty() {
            return;
        }
        core::mem::swap(&mut self.saved, batch);
        if batch.borrow().length > 0 {
            // Whoever waits is answered with these.
            self.expected = false;
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::{hash::DefaultHasher, vec::Vec};

    use core::hash::{Hash as _, Hasher as _};

    use super::{EVENTS, Event, EventBatch, EventSink, Noted, SCARCE};

    type Events = super::Events<EventBatch>;

    /// Numbers what it is given, as the driver's log does.
    #[derive(Default)]
    struct Log {
        next: u64,
        events: Vec<(u64, Event)>,
        /// By number.
        noted: Vec<(u64, Noted)>,
        notes_lost: u64,
    }

    impl EventSink for Log {
        fn event(&mut self, event: Event, noted: Option<Noted>) {
            self.events.push((self.next, event));
            self.noted.extend(noted.map(|noted| (self.next, noted)));
            self.next += 1;
        }

        fn lost(&mut self, count: u64, noted: u64) {
            self.next += count;
            self.notes_lost += noted;
        }
    }

    fn empty() -> Events {
        Events::new(EventBatch::new())
    }

    fn note(number: u32) -> Noted {
        Noted {
            end: u64::from(number) + 1,
            processor: number,
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
        let mut events = empty();
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
        let mut events = empty();
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
        let (mut events, mut batch) = (empty(), EventBatch::new());
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
    fn what_is_noted_belongs_to_the_event_that_was_saved_last() {
        let (mut events, mut log) = (empty(), Log::default());
        for number in 0..5 {
            events.save(event(number as usize));
            if number % 2 == 1 {
                events.note(note(number));
            }
        }
        drain(&mut events, &mut log);
        // In places that had a note before.
        for number in 5..10 {
            events.save(event(number));
        }
        drain(&mut events, &mut log);
        assert_eq!(log.noted, [(1, note(1)), (3, note(3))]);
        assert_eq!((log.next, log.notes_lost), (10, 0));
    }

    #[test]
    fn what_is_noted_of_an_event_without_room_is_lost_with_it() {
        let (mut events, mut log) = (empty(), Log::default());
        for number in 0..EVENTS + 3 {
            if events.save(event(number)) {
                continue;
            }
            if number > EVENTS {
                events.note(note(9));
            }
        }
        drain(&mut events, &mut log);
        assert_eq!(log.noted, []);
        assert_eq!((log.events.len(), log.notes_lost), (EVENTS, 2));
        drain(&mut events, &mut log);
        assert_eq!(log.notes_lost, 2, "once");
    }

    #[test]
    fn want_a_dpc_when_expected_until_one_is_taken() {
        let mut events = empty();
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
        let mut events = empty();
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
        fn event(&mut self, _: Event, _: Option<Noted>) {}

        fn lost(&mut self, count: u64, _: u64) {
            panic!("{count} were lost");
        }
    }

    #[test]
    fn none_lost_is_not_told() {
        let mut events = empty();
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
        let (empty, mut drained) = (empty(), empty());
        drained.save(event(1));
        drain(&mut drained, &mut Log::default());
        assert_eq!((&drained, hash_of(&drained)), (&empty, hash_of(&empty)));

        let [
            mut one,
            mut other,
            mut noted,
            mut full,
            mut lossy,
            mut lossier,
            mut expected,
        ] = [const { Events::new(EventBatch::new()) }; 7];
        one.save(event(1));
        other.save(event(2));
        noted.save(event(1));
        noted.note(note(1));
        for number in 0..EVENTS {
            full.save(event(number));
            lossy.save(event(number));
            lossier.save(event(number));
        }
        lossy.save(event(0));
        lossier.save(event(0));
        lossier.note(note(0));
        expected.expect();
        let all = [empty, one, other, noted, full, lossy, lossier, expected];
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

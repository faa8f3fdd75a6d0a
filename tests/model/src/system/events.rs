//! Interrupts on their way to those who want to know of each: `events` of `edu.sys`.

use edu_controller::{EventBatch, EventLog, Numbered, Service};

use super::{EduController, Rule, System};
use crate::{
    choice::Mistake,
    request::{End, Id, Kind, Request},
};

type Log = EventLog<Vec<Numbered>>;

/// More events than there are in any case.
const KEPT: usize = 16;

/// What there is for those who want to know, and what they are to be told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Events {
    /// `None` if nobody asks: then what was is forgotten, and states are fewer.
    log: Option<Log>,
    /// The causes of the interrupts that the ISR has claimed and nobody has taken, as the
    /// device has said them.
    expected: Vec<u32>,
    /// Requests that have not looked yet.
    pub(super) looking: Vec<Id>,
    /// Those that have found nothing, and are not queued yet.
    pub(super) queueing: Vec<(Id, u64)>,
    /// Those that wait, each for the events from a number on.
    waiting: Vec<(Id, u64)>,
    /// Somebody is going to answer those who wait.
    pub(super) answering: bool,
}

impl Events {
    pub(super) fn new(requests: &[Request]) -> Self {
        let are_asked_for = requests
            .iter()
            .any(|request| matches!(request.kind, Kind::Events(_)));
        Self {
            log: are_asked_for.then(empty_log),
            expected: Vec::new(),
            looking: Vec::new(),
            queueing: Vec::new(),
            waiting: Vec::new(),
            answering: false,
        }
    }

    pub(super) fn take_waiting(&mut self, id: Id) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|(waiting, _)| *waiting != id);
        self.waiting.len() != before
    }
}

fn empty_log() -> Log {
    EventLog::new(vec![Numbered::default(); KEPT])
}

impl System {
    /// Remembers what the device has said to the ISR.
    pub(super) fn note_service(&mut self, service: Service) {
        let said = self.seen.causes;
        let why = match service {
            Service::Claimed(_) => {
                self.events.expected.extend(said);
                let left = said.unwrap_or_default() & !self.seen.acknowledged;
                if self.seen.unseen != 0 {
                    let unseen = self.seen.unseen;
                    Some(format!("{unseen:#x} was acknowledged unseen"))
                } else {
                    (left != 0).then(|| format!("{left:#x} was not acknowledged"))
                }
            }
            Service::NotOurs => said
                .filter(|causes| *causes != 0 && *causes != u32::MAX)
                .map(|causes| format!("the ISR does not claim {causes:#x}")),
        };
        if let Some(why) = why {
            self.fail(Rule::Interrupts, why);
        }
    }

    /// What a DPC does: takes the events, and something else, in one critical section.
    pub(super) fn drain<R>(&mut self, take: impl FnOnce(&mut EduController) -> R) -> Option<R> {
        self.with_log(|system, log| {
            system.section(|controller| {
                controller.drain_events(log);
                take(controller)
            })
        })
    }

    /// As [`drain`](Self::drain), and the events get lost.
    pub(super) fn drain_badly<R>(
        &mut self,
        take: impl FnOnce(&mut EduController) -> R,
    ) -> Option<R> {
        self.section(|controller| {
            controller.drain_events(&mut empty_log());
            take(controller)
        })
    }

    /// As [`drain`](Self::drain), of a controller whose interrupt is disconnected.
    pub(super) fn drain_disconnected(&mut self) {
        self.with_log(|system, log| {
            system.with_controller(|controller| controller.drain_events(log))
        });
    }

    /// Runs `routine` with the log, and looks at what came to it: all that was expected, in
    /// its order, if a critical section ran.
    fn with_log<R>(&mut self, routine: impl FnOnce(&mut Self, &mut Log) -> Option<R>) -> Option<R> {
        let kept = self.events.log.take();
        let is_kept = kept.is_some();
        let mut log = kept.unwrap_or_else(empty_log);
        let (next, end) = (log.next(), log.end());
        let result = routine(self, &mut log);
        if result.is_some() {
            let found = log.read(next, usize::MAX);
            let told: Vec<u32> = found
                .iter()
                .flat_map(|found| found.iter().map(|numbered| numbered.event.causes))
                .collect();
            let lost = found.map_or(0, |found| found.lost);
            let expected = std::mem::take(&mut self.events.expected);
            if told != expected {
                let why = format!("interrupts {expected:x?} are reported as {told:x?}");
                self.fail(Rule::Interrupts, why);
            }
            if lost != 0 {
                self.fail(Rule::NothingLost, format!("{lost} events are lost"));
            }
        }
        if is_kept {
            self.events.answering |= log.end() != end;
            self.events.log = Some(log);
        }
        result
    }

    /// Whether all that the ISR has claimed is in the log, or still there for whoever asks.
    pub(crate) fn all_reported(&self) -> bool {
        if self.events.expected.is_empty() {
            return true;
        }
        let mut log = empty_log();
        if let Some(mut controller) = self.controller.clone() {
            controller.drain_events(&mut log);
        }
        let there = log.read(0, usize::MAX);
        let there = there
            .iter()
            .flat_map(|found| found.iter().map(|numbered| numbered.event.causes));
        there.eq(self.events.expected.iter().copied())
    }

    /// WAIT_EVENTS: takes what there is, and is answered with it, or asks the ISR for a DPC.
    pub(super) fn look_for_events(&mut self, id: Id) {
        self.events.looking.retain(|looking| *looking != id);
        let Kind::Events(after) = self.kind(id) else {
            return;
        };
        self.with_log(|system, log| {
            let (before, next) = (log.end(), log.next());
            let mut batch = EventBatch::new();
            let looked = system.section(|controller| {
                controller.take_events(&mut batch);
                let end = match batch.len() {
                    0 => before,
                    taken => next + taken as u64,
                };
                if end <= after {
                    controller.expect_event();
                }
            });
            batch.drain(log);
            looked
        });
        let Some(log) = &self.events.log else { return };
        if after == u64::MAX {
            self.events.queueing.push((id, log.next()));
        } else if after > log.next() {
            // So each of those that wait is answered by whatever comes next.
            self.end(id, End::Invalid);
        } else if log.end() > after {
            self.answer_one(id, after);
        } else {
            self.events.queueing.push((id, after));
        }
    }

    /// It waits; then everybody who waits is looked at again.
    pub(super) fn queue_for_events(&mut self, id: Id) {
        let place = self.events.queueing.iter().position(|(it, _)| *it == id);
        let Some(place) = place else { return };
        let (_, after) = self.events.queueing.remove(place);
        if self.is_leaving_for_good() {
            self.end(id, End::Gone);
        } else if self.is_cancelled(id) {
            self.end(id, End::Cancelled);
        } else {
            self.events.waiting.push((id, after));
            self.events.answering |= self.mistake() != Mistake::LooksOnce;
        }
    }

    /// Answers all who wait for events that are in the log.
    pub(super) fn answer(&mut self) {
        self.events.answering = false;
        let end = self.events.log.as_ref().map_or(0, EventLog::end);
        let waiting = std::mem::take(&mut self.events.waiting);
        for (id, after) in waiting {
            if after < end {
                self.answer_one(id, after);
            } else {
                self.events.waiting.push((id, after));
            }
        }
    }

    fn answer_one(&mut self, id: Id, after: u64) {
        let found = self.events.log.as_ref().and_then(|log| {
            let found = log.read(after, usize::MAX)?;
            let first = found.iter().next().map(|numbered| numbered.sequence);
            Some((first, found.lost))
        });
        if found != Some((Some(after), 0)) {
            let why = format!("request {id} for events from {after} on is told {found:?}");
            self.fail(Rule::Result, why);
        }
        self.end(id, End::Success);
    }

    /// Those who wait end with the device.
    pub(super) fn fail_waiting(&mut self) {
        for (id, _) in std::mem::take(&mut self.events.waiting) {
            self.end(id, End::Gone);
        }
    }

    /// Whether a request waits for an interrupt that has not come, of a device that is there.
    pub(super) fn waits_rightly(&self, id: Id) -> bool {
        let end = self.events.log.as_ref().map_or(0, EventLog::end);
        let mut waiting = self.events.waiting.iter();
        !self.is_leaving_for_good()
            && self.events.expected.is_empty()
            && waiting.any(|(waiting, after)| *waiting == id && *after >= end)
    }
}

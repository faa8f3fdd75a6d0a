//! The state of one message, and of all of them together.

use dirql::{
    interrupt::{Claim, ServiceRoutine},
    irql::Dirql,
};
use test_driver::EduBar;

use crate::WANTED;

/// What one message counts.
#[derive(Debug)]
pub(crate) struct Message {
    /// With the first message only.
    bar: Option<EduBar>,
    /// The device may interrupt.
    armed: bool,
    /// Times that the ISR ran for it.
    count: u64,
    /// The number that the ISR was given last.
    number: Option<u32>,
}

impl Message {
    pub(crate) const fn new() -> Self {
        Self {
            bar: None,
            armed: false,
            count: 0,
            number: None,
        }
    }

    pub(crate) const fn with_registers(bar: EduBar) -> Self {
        Self {
            bar: Some(bar),
            armed: false,
            count: 0,
            number: None,
        }
    }

    pub(crate) const fn arm(&mut self) {
        self.armed = true;
    }

    pub(crate) fn silence(&mut self) {
        self.armed = false;
        if let Some(bar) = &mut self.bar {
            bar.silence();
        }
    }

    pub(crate) fn raise(&mut self, causes: u32) {
        if let Some(bar) = &mut self.bar {
            bar.raise(causes);
        }
    }

    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    pub(crate) const fn number(&self) -> Option<u32> {
        self.number
    }

    /// Adds one in so many steps that anybody who is not kept out would be seen.
    pub(crate) fn count_slowly(&mut self) {
        const STEPS: u32 = 200;
        let before = self.count;
        for _ in 0..STEPS {
            self.count = core::hint::black_box(before);
        }
        self.count = before.wrapping_add(1);
    }

    fn serve(&mut self, message: u32) -> Claim {
        if !self.armed {
            return Claim::NotOurs;
        }
        if let Some(bar) = &mut self.bar {
            let causes = bar.causes();
            if causes == 0 || causes == u32::MAX {
                return Claim::NotOurs;
            }
            bar.acknowledge(causes);
        }
        self.number = Some(message);
        self.count_slowly();
        Claim::OursRequestDpc
    }
}

impl ServiceRoutine for Message {
    /// Only messages are connected with this state.
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        Claim::NotOurs
    }

    fn service_message(&mut self, _irql: &mut Dirql, message: u32) -> Claim {
        self.serve(message)
    }
}

/// All messages, under one lock.
#[derive(Debug)]
pub(crate) struct All {
    messages: [Message; WANTED],
}

impl All {
    pub(crate) const fn new(messages: [Message; WANTED]) -> Self {
        Self { messages }
    }

    pub(crate) fn message(&mut self, message: usize) -> Option<&mut Message> {
        self.messages.get_mut(message)
    }

    pub(crate) fn arm(&mut self) {
        for message in &mut self.messages {
            message.arm();
        }
    }

    pub(crate) fn silence(&mut self) {
        for message in &mut self.messages {
            message.silence();
        }
    }
}

impl ServiceRoutine for All {
    fn service(&mut self, irql: &mut Dirql) -> Claim {
        self.service_message(irql, 0)
    }

    fn service_message(&mut self, _irql: &mut Dirql, message: u32) -> Claim {
        let state = usize::try_from(message)
            .ok()
            .and_then(|index| self.messages.get_mut(index));
        state.map_or(Claim::NotOurs, |state| state.serve(message))
    }
}

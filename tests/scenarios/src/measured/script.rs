//! The requests of a measured run.

use edu_interface::{
    ControlCode, EventsRequest, FACTORIAL, FROM_NOW, FactorialRequest, LIVENESS, LivenessRequest,
    RAISE_INTERRUPT, READ_RECORDS, RaiseRequest, RecorderRequest, RecordsRequest, STATISTICS,
    SWITCH_RECORDER, WAIT_EVENTS,
};
use rig_protocol::{Action, Frame, Open, Request, encode};
use zerocopy::IntoBytes as _;

use super::plan::{END, Kind, Phase, Purpose};

/// The first handle that the rig gives.
const HANDLE: u32 = 1;
/// Time for what takes as long as the host takes: the longest that can be asked for.
const TIMEOUT_MS: u32 = edu_interface::MAX_TIMEOUT_MS;
/// Bytes of a transfer, and where they begin in the device's buffer.
const LENGTH: u32 = 64;
const OFFSET: u64 = 128;
/// Room for a reply that has no length of its own.
const ROOM: u32 = 4_096;
/// Records that one reply has room for, by far.
const RECORDS_STEP: u64 = 64;
/// Records that a driver keeps.
const RECORDS: u64 = 2_048;

/// Kinds of requests whose end is the machine's own doing, at the same instruction in each run;
/// or the others. The device computes factorials in a thread of the host's, and what comes after
/// one comes at another time in each run: so they come last.
fn kinds(are_the_machines: bool) -> impl Iterator<Item = Kind> {
    let is_the_machines = |kind| kind != Kind::Factorial;
    Kind::ALL
        .into_iter()
        .filter(move |kind| is_the_machines(*kind) == are_the_machines)
}

/// How many requests are outstanding in each of the phases that look at just that.
const OUTSTANDING: [u32; 4] = [1, 16, 64, 256];

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Extent {
    /// Everything, with so many units of each kind of request.
    Everything {
        /// How many.
        units: u32,
    },
    /// One unit of each kind of request.
    Least,
}

impl Extent {
    const fn units(self) -> u32 {
        match self {
            Self::Everything { units } => units,
            Self::Least => 1,
        }
    }
}

/// The script, and what its requests are for.
pub(super) struct Script {
    requests: Vec<Request>,
    /// The phases, in their order; what was recorded is not known yet.
    pub(super) phases: Vec<Phase>,
    /// Numbers of the requests that read the recorder.
    pub(super) readings: Vec<u32>,
    /// Of each phase in which the recorder is on, the requests before it and at its end.
    pub(super) recorded: Vec<Stretch>,
}

/// Between which answers a phase lies.
#[derive(Clone, Copy)]
pub(super) struct Stretch {
    /// The phase, by its place.
    pub(super) phase: usize,
    /// The request whose answer comes before it.
    pub(super) before: u32,
    /// The request whose answer comes at its end.
    pub(super) end: u32,
}

impl Script {
    /// The script.
    pub(super) fn new(extent: Extent) -> Self {
        let mut script = Self {
            requests: Vec::new(),
            phases: Vec::new(),
            readings: Vec::new(),
            recorded: Vec::new(),
        };
        script.push(Request::Open(Open {
            device: 0,
            read: true,
            write: true,
            trailing_name: String::new(),
        }));
        script.one_at_a_time(kinds(true), extent.units());
        if let Extent::Everything { units } = extent {
            for outstanding in OUTSTANDING {
                script.several(outstanding);
            }
            script.held(0);
            for outstanding in OUTSTANDING {
                script.held(outstanding);
            }
            script.switch(1);
            script.recorded(kinds(true), units);
            script.recorded(kinds(false), units);
            script.switch(0);
            script.read_records();
        }
        script.one_at_a_time(kinds(false), extent.units());
        script.push(Request::Close { handle: HANDLE });
        script.push(Request::Shutdown);
        script
    }

    /// Each kind by itself. The first may find things as no later one does.
    fn one_at_a_time(&mut self, kinds: impl Iterator<Item = Kind>, units: u32) {
        for kind in kinds {
            self.unit(kind, 1);
            self.phase(kind, units);
        }
    }

    /// Each kind with the flight recorder on.
    fn recorded(&mut self, kinds: impl Iterator<Item = Kind>, units: u32) {
        for kind in kinds {
            let before = self.last();
            self.phase(kind, units);
            self.recorded.push(Stretch {
                phase: self.phases.len() - 1,
                before,
                end: self.last(),
            });
        }
    }

    /// Everything that was recorded.
    fn read_records(&mut self) {
        for step in 0..RECORDS / RECORDS_STEP {
            let after = step * RECORDS_STEP;
            self.push(control(READ_RECORDS, RecordsRequest { after }.as_bytes()));
            self.readings.push(self.last());
        }
    }

    /// As it goes into the machine.
    ///
    /// # Errors
    /// When a request is too long.
    pub(super) fn bytes(&self) -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for (number, body) in (1..).zip(self.requests.iter().cloned()) {
            bytes.extend(encode(&Frame { number, body })?);
        }
        Ok(bytes)
    }

    fn push(&mut self, request: Request) {
        self.requests.push(request);
    }

    /// The number of the request that was added last.
    fn last(&self) -> u32 {
        u32::try_from(self.requests.len()).unwrap_or(u32::MAX)
    }

    fn switch(&mut self, on: u32) {
        self.push(control(SWITCH_RECORDER, RecorderRequest { on }.as_bytes()));
    }

    /// The same request again and again, one at a time.
    fn phase(&mut self, kind: Kind, units: u32) {
        self.add(Phase {
            number: self.next_number(),
            kind,
            outstanding: 1,
            purpose: Purpose::One,
            units,
            recorded: None,
        });
    }

    /// So many transfers at a time, which wait for each other.
    fn several(&mut self, outstanding: u32) {
        self.add(Phase {
            number: self.next_number(),
            kind: Kind::DmaRead,
            outstanding,
            purpose: Purpose::Several,
            units: 1,
            recorded: None,
        });
    }

    /// So many raises, sent while the device is stopped: all of them are in the driver's queue
    /// before the first is begun.
    fn held(&mut self, outstanding: u32) {
        let phase = Phase {
            number: self.next_number(),
            kind: Kind::Raise,
            outstanding,
            purpose: Purpose::Held,
            units: 1,
            recorded: None,
        };
        self.phases.push(phase);
        let pnp = |action| Request::Pnp { device: 0, action };
        self.push(pnp(Action::Stop));
        self.push(Request::Mark {
            number: phase.number,
        });
        self.push(Request::Together {
            count: outstanding,
            are_awaited: false,
        });
        for _ in 0..outstanding {
            self.requests.extend(requests(Kind::Raise));
        }
        // Answered when all before it have been handed to the driver.
        self.push(Request::Report);
        self.push(pnp(Action::Start));
        self.push(Request::Together {
            count: 0,
            are_awaited: true,
        });
        self.push(Request::Mark { number: END });
    }

    fn next_number(&self) -> u8 {
        u8::try_from(self.phases.len() + 1).unwrap_or(u8::MAX)
    }

    fn add(&mut self, phase: Phase) {
        self.phases.push(phase);
        for _ in 0..phase.units {
            self.push(Request::Mark {
                number: phase.number,
            });
            self.unit(phase.kind, phase.outstanding);
            self.push(Request::Mark { number: END });
        }
    }

    /// Requests that are outstanding at the same time.
    fn unit(&mut self, kind: Kind, outstanding: u32) {
        let requests: Vec<Request> = (0..outstanding).flat_map(|_| requests(kind)).collect();
        if let Ok(count) = u32::try_from(requests.len())
            && count > 1
        {
            self.push(Request::Together {
                count,
                are_awaited: true,
            });
        }
        self.requests.extend(requests);
    }
}

/// What is asked for.
fn requests(kind: Kind) -> Vec<Request> {
    let raise = RaiseRequest {
        mask: 2,
        timeout_ms: TIMEOUT_MS,
    };
    let raise = control(RAISE_INTERRUPT, raise.as_bytes());
    match kind {
        Kind::Liveness => vec![control(
            LIVENESS,
            LivenessRequest { value: 0x1234_5678 }.as_bytes(),
        )],
        Kind::Factorial => {
            let request = FactorialRequest {
                n: 12,
                timeout_ms: TIMEOUT_MS,
            };
            vec![control(FACTORIAL, request.as_bytes())]
        }
        Kind::Raise => vec![raise],
        Kind::DmaRead => vec![Request::Read {
            handle: HANDLE,
            offset: OFFSET,
            length: LENGTH,
        }],
        Kind::DmaWrite => vec![Request::Write {
            handle: HANDLE,
            offset: OFFSET,
            data: (0..LENGTH).map(|byte| byte.to_le_bytes()[0]).collect(),
        }],
        Kind::Statistics => vec![control(STATISTICS, &[])],
        Kind::Event => {
            let wait = EventsRequest { after: FROM_NOW };
            vec![control(WAIT_EVENTS, wait.as_bytes()), raise]
        }
    }
}

fn control(code: ControlCode, input: &[u8]) -> Request {
    Request::DeviceControl {
        handle: HANDLE,
        code: code.value(),
        input: input.to_vec(),
        output_length: ROOM,
    }
}

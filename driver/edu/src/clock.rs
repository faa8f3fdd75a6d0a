//! The clock of the time stamps that user mode is given.

use dirql::{device::Device, time::Reading};
use edu_interface::{Clock, Moment};

use crate::Edu;

/// The clock, read now.
pub(crate) fn now(device: &Device<Edu>) -> Clock {
    let now = Reading::now();
    Clock {
        first: moment(device.added),
        now: moment(now),
        frequency: now.counter.frequency,
    }
}

const fn moment(reading: Reading) -> Moment {
    Moment {
        stamp: reading.stamp.0,
        counter: reading.counter.value,
    }
}

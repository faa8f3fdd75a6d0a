//! Good requests, one after the other: is every answer the right one?

use super::{Bench, Check};
use crate::{
    commands::{CommandError, factorial, info, liveness, raise},
    device::DeviceError,
};

/// Operands that take the device a while, though not long even under software
/// emulation: what is tested is the way of the result, not the loop.
const LARGE_OPERANDS: [u32; 6] = [35, 64, 100, 1_000, 65_536, 1_000_000];

/// The factorial of 34 is the first that is 0 modulo 2^32.
const LAST_SMALL_OPERAND: u32 = 34;

impl Bench<'_> {
    /// One liveness check: asked, counted, judged.
    pub(super) fn liveness(&self, value: u32, check: &mut Check) -> Result<(), DeviceError> {
        let answer = self.device.liveness(value)?;
        self.tally.count_liveness_check();
        check.record(liveness::check(value, answer));
        Ok(())
    }

    /// One factorial: asked, counted, judged.
    pub(super) fn factorial(&self, n: u32, check: &mut Check) -> Result<(), DeviceError> {
        let reply = self.device.factorial(n, 0)?;
        self.tally.count_operation();
        check.record(factorial::check(n, reply));
        Ok(())
    }

    /// One raised interrupt: asked, counted, judged.
    pub(super) fn raise(&self, mask: u32, check: &mut Check) -> Result<(), DeviceError> {
        let causes = self.device.raise(mask, 0)?;
        self.tally.count_operation();
        check.record(raise::check(mask, causes));
        Ok(())
    }
}

pub(super) fn identification(bench: &Bench<'_>, check: &mut Check) -> Result<(), CommandError> {
    let identity = bench.device.identify()?;
    check.record(info::check(&identity).map(drop));
    let again = bench.device.identify()?;
    check.equal("identification, asked again", &again, &identity);
    Ok(())
}

pub(super) fn liveness(bench: &Bench<'_>, check: &mut Check) -> Result<(), CommandError> {
    for value in [0, u32::MAX, 0x5555_5555, 0xaaaa_aaaa, 0x0123_4567] {
        bench.liveness(value, check)?;
    }
    for bit in 0..u32::BITS {
        bench.liveness(1 << bit, check)?;
    }
    Ok(())
}

pub(super) fn small_factorials(bench: &Bench<'_>, check: &mut Check) -> Result<(), CommandError> {
    for n in 0..=LAST_SMALL_OPERAND {
        bench.factorial(n, check)?;
    }
    Ok(())
}

pub(super) fn large_factorials(bench: &Bench<'_>, check: &mut Check) -> Result<(), CommandError> {
    for n in LARGE_OPERANDS {
        bench.factorial(n, check)?;
    }
    Ok(())
}

/// Each bit alone, among them those that the device itself uses for factorials
/// and DMA, and several together.
pub(super) fn raised_interrupts(bench: &Bench<'_>, check: &mut Check) -> Result<(), CommandError> {
    for bit in 0..u32::BITS {
        bench.raise(1 << bit, check)?;
    }
    for mask in [
        0x101,
        0xff00,
        0x8000_0001,
        0x5555_5555,
        u32::MAX - 1,
        u32::MAX,
    ] {
        bench.raise(mask, check)?;
    }
    Ok(())
}

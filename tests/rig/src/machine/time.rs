//! Time: the time-stamp counter, calibrated against the ACPI power management timer.
//!
//! The counter is read because it costs no device access; it must count at one
//! rate and show the same on every processor, which [`crate::machine::self_check`]
//! tests while the processors start.

use core::hint;
use core::sync::atomic::{AtomicU64, Ordering};

use x86_64::instructions::port::PortReadOnly;

use crate::machine::acpi::PowerTimer;
use crate::machine::stop;

/// Units of 100 ns in a second, NT's unit of time.
pub(crate) const TICKS_PER_SECOND: u64 = 10_000_000;

/// Frequency of the power management timer (ACPI specification, 4.8.3.3).
const POWER_TIMER_HZ: u64 = 3_579_545;

/// How long the counter is compared with the power management timer: 50 ms.
const CALIBRATION_TICKS: u64 = POWER_TIMER_HZ / 20;

/// A processor that spins for longer than this (20 s) has hung.
const SPIN_LIMIT: u64 = 20 * TICKS_PER_SECOND;

/// Spins between two looks at the clock.
const SPINS_PER_LOOK: u32 = 1024;

/// Counter value at calibration, when time begins.
static ORIGIN: AtomicU64 = AtomicU64::new(0);

/// 100 ns units per count, as a fraction of 2^32; zero until calibrated.
static SCALE: AtomicU64 = AtomicU64::new(0);

/// Measures the counter's rate. Called once, by processor 0, before others start.
pub(crate) fn calibrate(timer: PowerTimer) {
    let mut port = PortReadOnly::<u32>::new(timer.port);
    let mask = if timer.is_32_bit {
        u32::MAX
    } else {
        0x00ff_ffff
    };
    let mut read = || {
        // SAFETY: The firmware's FADT names this port as the power management
        // timer; reading it has no side effect.
        u64::from(unsafe { port.read() } & mask)
    };
    let modulus = u64::from(mask) + 1;
    let mut previous = read();
    let first_count = counter();
    let mut elapsed = 0;
    let mut looks_without_progress = 0_u32;
    while elapsed < CALIBRATION_TICKS {
        let now = read();
        let step = (now + modulus - previous) % modulus;
        looks_without_progress = if step == 0 {
            looks_without_progress + 1
        } else {
            0
        };
        if looks_without_progress > 10_000_000 {
            stop::refuse(format_args!(
                "The ACPI power management timer at port {:#x} does not count.",
                timer.port
            ));
        }
        elapsed += step;
        previous = now;
    }
    let counts = counter() - first_count;
    let ticks = elapsed * TICKS_PER_SECOND / POWER_TIMER_HZ;
    ORIGIN.store(first_count, Ordering::Relaxed);
    SCALE.store((ticks << 32) / counts, Ordering::Release);
}

/// The time-stamp counter. Later instructions do not start before it is read.
pub(crate) fn counter() -> u64 {
    // SAFETY: The load fence has no precondition; it keeps the read below from
    // being executed ahead of earlier loads.
    unsafe { core::arch::x86_64::_mm_lfence() };
    // SAFETY: Every x86-64 processor has the time-stamp counter, and the rig
    // never sets CR4.TSD.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Time since boot in units of 100 ns, the same on all processors. Any IRQL.
pub(crate) fn system_time_100ns() -> u64 {
    to_100ns(counter().saturating_sub(ORIGIN.load(Ordering::Relaxed)))
}

/// Counts of the time-stamp counter in units of 100 ns.
pub(crate) fn to_100ns(counts: u64) -> u64 {
    let scale = SCALE.load(Ordering::Acquire);
    let ticks = (u128::from(counts) * u128::from(scale)) >> 32;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

/// Waits without giving up the processor. Any IRQL.
pub(crate) fn stall(microseconds: u64) {
    let end = system_time_100ns() + microseconds.saturating_mul(10);
    while system_time_100ns() < end {
        hint::spin_loop();
    }
}

/// Bounds a spin loop: a processor that spins for 20 seconds stops the run.
#[derive(Debug)]
pub(crate) struct SpinLimit {
    what: &'static str,
    spins: u32,
    deadline: u64,
}

impl SpinLimit {
    /// `what` is waited for; the stop names it.
    pub(crate) const fn new(what: &'static str) -> Self {
        Self {
            what,
            spins: 0,
            deadline: 0,
        }
    }

    /// One turn of the loop. Any IRQL.
    pub(crate) fn spin(&mut self) {
        hint::spin_loop();
        self.spins = self.spins.wrapping_add(1);
        if !self.spins.is_multiple_of(SPINS_PER_LOOK) {
            return;
        }
        let now = system_time_100ns();
        if self.deadline == 0 {
            self.deadline = now + SPIN_LIMIT;
        } else if now > self.deadline {
            stop::stop(
                "SPIN-HANG",
                "spin",
                format_args!(
                    "A processor has been spinning for 20 seconds to get {}: a hang.",
                    self.what
                ),
                &stop::capture_context(),
            );
        }
    }
}

//! `factorial`: a computation that ends with an interrupt.

use std::fmt;

use edu_interface::Factorial;
use serde::Serialize;

use super::CommandError;
use crate::device::Device;

/// What `factorial` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FactorialResult {
    /// The operand.
    pub n: u32,
    /// `n!` modulo 2^32.
    pub value: u32,
    /// Whether the true factorial is larger than 32 bits hold.
    pub wrapped: bool,
}

/// Has the device compute `n!` and compares it with the value computed here.
///
/// # Errors
/// [`CommandError`].
pub fn run(device: &Device<'_>, n: u32, timeout_ms: u32) -> Result<FactorialResult, CommandError> {
    let reply = device.factorial(n, timeout_ms)?;
    check(n, reply).map_err(CommandError::WrongAnswer)?;
    Ok(FactorialResult {
        n,
        value: reply.value,
        wrapped: n > 12,
    })
}

pub(crate) fn check(n: u32, reply: Factorial) -> Result<(), String> {
    let wanted = wrapping_factorial(n);
    if (reply.n, reply.value) == (n, wanted) {
        return Ok(());
    }
    Err(format!(
        "{n}! modulo 2^32 is {wanted}, and the device says that {}! is {}",
        reply.n, reply.value
    ))
}

/// `n!` modulo 2^32.
#[must_use]
pub fn wrapping_factorial(n: u32) -> u32 {
    // From 34 on the product holds the factor 2 at least 32 times.
    if n >= 34 {
        return 0;
    }
    (1..=n).fold(1, u32::wrapping_mul)
}

impl fmt::Display for FactorialResult {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let modulo = if self.wrapped { " modulo 2^32" } else { "" };
        write!(formatter, "{}! = {}{modulo}", self.n, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::wrapping_factorial;

    #[test]
    fn the_short_cut_agrees_with_the_product() {
        for n in 0..200 {
            let product = (1..=n).fold(1, u32::wrapping_mul);
            assert_eq!(wrapping_factorial(n), product, "{n}!");
        }
        assert_eq!(wrapping_factorial(12), 479_001_600);
        assert_eq!(wrapping_factorial(13), 0x7328_cc00);
        assert_ne!(wrapping_factorial(33), 0);
        assert_eq!(wrapping_factorial(u32::MAX), 0);
    }
}

//! Which device vectors are taken.

use super::DEVICE_VECTORS;
use crate::machine::sync::IrqLock;

/// One bit per vector.
static TAKEN: IrqLock<[bool; 256]> = IrqLock::new([false; 256]);

/// A vector for a device: of the lowest class that has the fewest. `None` when
/// all are taken. Any IRQL.
pub(crate) fn allocate_vector() -> Option<u8> {
    TAKEN.with(|taken| {
        let classes = (DEVICE_VECTORS.start() >> 4)..=(DEVICE_VECTORS.end() >> 4);
        // Low nibble 0 stays free: 16 numbers to a class, 15 are plenty.
        let vector = (1..16_u8)
            .flat_map(|low| classes.clone().map(move |class| class << 4 | low))
            .find(|vector| !taken[usize::from(*vector)])?;
        taken[usize::from(vector)] = true;
        Some(vector)
    })
}

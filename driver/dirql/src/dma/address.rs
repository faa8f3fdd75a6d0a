//! Addresses as a device sees them.

use crate::sys;

/// An address in the logical address space of a device: what is written to its DMA
/// registers.
///
/// Only a mapping makes one. The physical address of the same memory is another number
/// wherever map registers or an IOMMU lie between; see "Map Registers".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogicalAddress(u64);

impl LogicalAddress {
    /// What an operation of an adapter's has answered.
    pub(super) const fn new(address: sys::LARGE_INTEGER) -> Self {
        // SAFETY: (Ready) all views of a LARGE_INTEGER are integers of its 8 bytes, fact
        // 12.
        Self(unsafe { address.QuadPart }.cast_unsigned())
    }

    /// As an operation of an adapter's takes it.
    pub(super) const fn to_operation(self) -> sys::LARGE_INTEGER {
        sys::LARGE_INTEGER {
            QuadPart: self.0.cast_signed(),
        }
    }

    /// The number, for a register of 64 bits.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The low and the high half, for two registers of 32 bits. The high half is zero for
    /// a device whose [`address_width`](super::DmaDescription::address_width) is 32 or
    /// less.
    #[must_use]
    pub const fn halves(self) -> (u32, u32) {
        const LOW: u64 = 0xffff_ffff;
        ((self.0 & LOW) as u32, (self.0 >> 32) as u32)
    }

    /// The address that lies `bytes` further on, which the caller knows to be in the same
    /// mapping; a device that is given another reaches what it may not.
    #[must_use]
    pub const fn advanced(self, bytes: u32) -> Self {
        Self(self.0.saturating_add(bytes as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::LogicalAddress;
    use crate::sys;

    const ADDRESS: u64 = 0x0123_4567_89ab_cdef;

    fn at(address: u64) -> LogicalAddress {
        LogicalAddress::new(sys::LARGE_INTEGER {
            QuadPart: address.cast_signed(),
        })
    }

    #[test]
    fn the_device_is_given_what_the_kernel_gave() {
        for address in [ADDRESS, 0, u64::MAX, 1 << 63] {
            assert_eq!(at(address).to_bits(), address);
            let back = LogicalAddress::new(at(address).to_operation());
            assert_eq!(back.to_bits(), address);
        }
        assert_eq!(at(ADDRESS).halves(), (0x89ab_cdef, 0x0123_4567));
    }

    #[test]
    fn an_address_further_on_never_comes_round_to_the_beginning() {
        assert_eq!(at(0xffff_ffff).advanced(2).to_bits(), 0x1_0000_0001);
        assert_eq!(at(ADDRESS).advanced(0), at(ADDRESS));
        assert_eq!(at(u64::MAX - 1).advanced(5).to_bits(), u64::MAX);
    }
}

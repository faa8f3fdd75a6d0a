//! The states of a device, and what each of them allows.

/// A device's PnP state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Enumerated,
    Added,
    Starting,
    Started,
    StopPending,
    Stopped,
    RemovePending,
    SurpriseRemoved,
    Removed,
}

impl State {
    /// Whether the device has resources assigned that the driver may use.
    pub(crate) const fn has_resources(self) -> bool {
        matches!(
            self,
            Self::Starting | Self::Started | Self::StopPending | Self::RemovePending
        )
    }

    /// Whether the I/O manager lets files be opened on the device.
    pub(crate) const fn takes_opens(self) -> bool {
        matches!(
            self,
            Self::Started | Self::StopPending | Self::Stopped | Self::RemovePending
        )
    }

    /// Whether no driver was asked to drive the device.
    pub(crate) const fn is_unassigned(self) -> bool {
        matches!(self, Self::Enumerated)
    }

    /// Whether the device is gone.
    pub(crate) const fn is_gone(self) -> bool {
        matches!(self, Self::SurpriseRemoved | Self::Removed)
    }
}

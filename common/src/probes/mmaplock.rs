//! Kinds of the `mmaplock` probe.

/// Kinds of events.
pub mod kind {
    /// From wanting the lock to having it.
    pub const WAIT: u32 = 0;
    /// From having it to letting go.
    pub const HOLD: u32 = 2;
    /// Distance from a kind for reading to that for writing.
    pub const WRITE: u32 = 1;
}

/// First of its kinds among those of all probes.
pub const FIRST: u32 = super::faults::FIRST + super::faults::KINDS;
/// Number of kinds.
pub const KINDS: u32 = 4;

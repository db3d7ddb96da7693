//! Kinds of the `faults` probe.

/// Kinds of page faults.
pub mod kind {
    /// The page had to be fetched from storage.
    pub const MAJOR: u32 = 0;
    /// A page that was not mapped was read, or run.
    pub const READ: u32 = 1;
    /// A page that was not mapped was written to.
    pub const WRITE: u32 = 2;
    /// A page that was mapped for reading was written to.
    pub const COPY: u32 = 3;
    /// Distance to the same kinds of faults that system calls take, on memory of their caller.
    pub const IN_CALL: u32 = 4;
}

/// First of its kinds among those of all probes.
pub const FIRST: u32 = 0;
/// Number of kinds.
pub const KINDS: u32 = 2 * kind::IN_CALL;

/// Bits of the error code with which a processor reports a fault (x86).
pub mod error_code {
    /// The page is mapped, and does not allow the access.
    pub const PROTECTION: u64 = 1;
    /// The access was a write.
    pub const WRITE: u64 = 1 << 1;
    /// The access was made by user code.
    pub const USER: u64 = 1 << 2;
}

/// Kind of a fault that is not known to be a major one, by its error code.
#[inline(always)]
#[must_use]
pub const fn kind_of(error: u64) -> u32 {
    let access = match (error & error_code::WRITE != 0, error & error_code::PROTECTION != 0) {
        (false, _) => kind::READ,
        (true, false) => kind::WRITE,
        (true, true) => kind::COPY,
    };
    if error & error_code::USER == 0 { access + kind::IN_CALL } else { access }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_code_tells_the_kind() {
        use error_code::{PROTECTION, USER, WRITE};
        let kinds = [USER, USER | WRITE, USER | WRITE | PROTECTION, 0, WRITE | PROTECTION].map(kind_of);
        let in_calls = [kind::READ, kind::COPY].map(|kind| kind + kind::IN_CALL);
        assert_eq!(kinds, [kind::READ, kind::WRITE, kind::COPY, in_calls[0], in_calls[1]]);
    }
}

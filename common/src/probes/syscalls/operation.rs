//! Operations of calls that do different things by their second argument: each has an index of its own in a directory.

use super::{CALLS, NATIVE_CALLS};

/// A call whose second argument is the operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Multiplexer {
    /// The system call `futex`.
    Futex,
    /// The system call `fcntl`.
    Fcntl,
    /// The system call `epoll_ctl`.
    EpollCtl,
    /// `futex` of the 32-bit ABI.
    CompatFutex,
    /// `futex_time64` of the 32-bit ABI.
    CompatFutexTime64,
}

/// Index of `futex` of the 32-bit ABI: i386 and arm agree.
pub const COMPAT_FUTEX: u32 = NATIVE_CALLS + 240;
/// Index of `futex_time64`, likewise.
pub const COMPAT_FUTEX_TIME64: u32 = NATIVE_CALLS + 422;

/// Flags of the futex operation: `FUTEX_PRIVATE_FLAG` and `FUTEX_CLOCK_REALTIME`.
const FUTEX_FLAGS: u32 = 128 | 256;

const FUTEX: u32 = 16;
const FCNTL: u32 = 40;
const EPOLL_CTL: u32 = 4;

/// Entries of a directory: calls, then operations.
pub const INDICES: u32 = Multiplexer::CompatFutexTime64.first() + FUTEX;

impl Multiplexer {
    /// Every one, in the order of the indices.
    pub const ALL: [Self; 5] =
        [Self::Futex, Self::Fcntl, Self::EpollCtl, Self::CompatFutex, Self::CompatFutexTime64];

    const fn first(self) -> u32 {
        match self {
            Self::Futex => CALLS,
            Self::Fcntl => CALLS + FUTEX,
            Self::EpollCtl => CALLS + FUTEX + FCNTL,
            Self::CompatFutex => CALLS + FUTEX + FCNTL + EPOLL_CTL,
            Self::CompatFutexTime64 => CALLS + FUTEX + FCNTL + EPOLL_CTL + FUTEX,
        }
    }

    /// The last is that of operations without an index of their own.
    const fn count(self) -> u32 {
        match self {
            Self::Fcntl => FCNTL,
            Self::EpollCtl => EPOLL_CTL,
            Self::Futex | Self::CompatFutex | Self::CompatFutexTime64 => FUTEX,
        }
    }

    /// The index that a call with this argument is counted under.
    #[inline(always)]
    #[must_use]
    pub const fn index(self, argument: u32) -> u32 {
        let (operation, last) = (self.operation(argument), self.count() - 1);
        let place = match self {
            Self::Fcntl => match operation {
                0..=17 => operation,
                // Locks of open files.
                36..=38 => operation - 18,
                // What only Linux has.
                1024..=1041 => operation - 1003,
                _ => last,
            },
            Self::EpollCtl => operation.wrapping_sub(1),
            _ => operation,
        };
        self.first() + if place < last { place } else { last }
    }

    /// The argument without its flags.
    const fn operation(self, argument: u32) -> u32 {
        match self {
            Self::Fcntl | Self::EpollCtl => argument,
            _ => argument & !FUTEX_FLAGS,
        }
    }

    /// The operation at a place, counted from the first index.
    const fn at(self, place: u32) -> Option<u32> {
        if place + 1 == self.count() {
            return None;
        }
        Some(match self {
            Self::Fcntl if place >= 21 => place + 1003,
            Self::Fcntl if place >= 18 => place + 18,
            Self::EpollCtl => place + 1,
            _ => place,
        })
    }
}

/// The call counted at an index, and the operation where it has an index of its own. `None` below the operations.
#[must_use]
pub fn operation_at(index: u32) -> Option<(Multiplexer, Option<u32>)> {
    let holds = |it: &Multiplexer| (it.first()..it.first() + it.count()).contains(&index);
    let multiplexer = Multiplexer::ALL.into_iter().find(holds)?;
    Some((multiplexer, multiplexer.at(index - multiplexer.first())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_comes_back_from_its_operation() {
        assert_eq!(operation_at(CALLS - 1), None);
        assert_eq!(operation_at(INDICES), None);
        for index in CALLS..INDICES {
            let (multiplexer, operation) = operation_at(index).unwrap();
            assert_eq!(multiplexer.index(operation.unwrap_or(0x7fff_0000)), index, "{multiplexer:?}");
        }
    }

    #[test]
    fn operations_are_told_apart_and_flags_are_not() {
        let known = |multiplexer: Multiplexer, argument| operation_at(multiplexer.index(argument)).unwrap().1;
        for argument in [0, 128, 256, 128 | 256] {
            assert_eq!(known(Multiplexer::Futex, argument), Some(0), "{argument}");
        }
        for operation in [0, 4, 7, 17, 36, 38, 1024, 1030, 1041] {
            assert_eq!(known(Multiplexer::Fcntl, operation), Some(operation));
        }
        for operation in [18, 35, 39, 1023, 1042, u32::MAX] {
            assert_eq!(known(Multiplexer::Fcntl, operation), None, "{operation}");
        }
        let ours = [0, 1, 2, 3, 4].map(|it| known(Multiplexer::EpollCtl, it));
        assert_eq!(ours, [None, Some(1), Some(2), Some(3), None]);
    }
}

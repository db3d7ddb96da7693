//! Resources of this process as the kernel counts them: CPU time, context switches, page faults.
#![expect(unsafe_code, reason = "getrusage fills a structure")]

use serde::{Deserialize, Serialize};

/// Totals since the process began, or the difference of two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// CPU time in user mode.
    pub user_ns: u64,
    /// CPU time in the kernel.
    pub system_ns: u64,
    /// Context switches because it waited.
    pub voluntary_switches: u64,
    /// Context switches because another thread was to run.
    pub involuntary_switches: u64,
    /// Page faults served without reading a disk.
    pub minor_faults: u64,
    /// Page faults that had to read one.
    pub major_faults: u64,
}

impl Usage {
    /// Of this process, all threads together.
    #[must_use]
    pub fn now() -> Self {
        // SAFETY: all zero is a valid `rusage`.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: the structure outlives the call, which cannot fail for the calling process.
        unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
        Self {
            user_ns: nanoseconds(usage.ru_utime),
            system_ns: nanoseconds(usage.ru_stime),
            voluntary_switches: usage.ru_nvcsw.unsigned_abs(),
            involuntary_switches: usage.ru_nivcsw.unsigned_abs(),
            minor_faults: usage.ru_minflt.unsigned_abs(),
            major_faults: usage.ru_majflt.unsigned_abs(),
        }
    }

    /// Counts added since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        self.each(earlier, u64::saturating_sub)
    }

    /// The sum of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.each(other, u64::saturating_add)
    }

    fn each(self, other: Self, join: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            user_ns: join(self.user_ns, other.user_ns),
            system_ns: join(self.system_ns, other.system_ns),
            voluntary_switches: join(self.voluntary_switches, other.voluntary_switches),
            involuntary_switches: join(self.involuntary_switches, other.involuntary_switches),
            minor_faults: join(self.minor_faults, other.minor_faults),
            major_faults: join(self.major_faults, other.major_faults),
        }
    }
}

fn nanoseconds(time: libc::timeval) -> u64 {
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_usec.unsigned_abs() * 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_booked() {
        let before = Usage::now();
        let mut sum = 0u64;
        while Usage::now().since(before).user_ns + Usage::now().since(before).system_ns < 5_000_000 {
            sum = std::hint::black_box(sum + 1);
        }
        let spent = Usage::now().since(before);
        assert_eq!(spent.plus(spent).since(spent), spent);
    }
}

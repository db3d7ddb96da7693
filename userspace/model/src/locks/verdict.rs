//! Decides whether threads fought for a lock or merely waited for something to do. This is the only place that decides
//! it.

use super::{FutexStats, StackCount, runtimes::row_of};

/// Meaning of the waits on a futex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Threads wanted a lock that another one had.
    Contention,
    /// It cannot be told.
    Unclear,
    /// On a condition, an event or a timer, or so long that it looks like one; a lock built on one looks the same.
    Waiting,
    /// Threads had nothing to do, for certain: no lock is waited for in this way.
    Idle,
}

impl Verdict {
    /// In one word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Contention => "contention",
            Self::Unclear => "unclear",
            Self::Waiting => "waiting",
            Self::Idle => "idle",
        }
    }

    /// True of waits that are more likely for work than for a lock.
    #[must_use]
    pub const fn is_for_work(self) -> bool {
        matches!(self, Self::Waiting | Self::Idle)
    }
}

/// Median of a wait from which on it is long: a lock that is held for so long is noticed without this tool.
pub const LONG_NS: u64 = 10_000_000;

/// Operations that wait.
const WAITS: [&str; 7] = ["WAIT", "WAIT_BITSET", "LOCK_PI", "LOCK_PI2", "WAIT_REQUEUE_PI", "WAITV", "WAIT2"];
/// Operations that wake, or let go.
const WAKES: [&str; 10] = [
    "WAKE",
    "WAKE_BITSET",
    "WAKE_OP",
    "REQUEUE",
    "CMP_REQUEUE",
    "CMP_REQUEUE_PI",
    "UNLOCK_PI",
    "UNLOCK_PI2",
    "WAKE2",
    "REQUEUE2",
];
const ETIMEDOUT: u32 = 110;

/// Reports whether an operation waits.
#[must_use]
pub fn waits(op: &str) -> bool {
    WAITS.contains(&op)
}

/// Reports whether an operation says how many it woke: the kernel returns 0 from those that hand a lock on.
#[must_use]
pub fn tells_woken(op: &str) -> bool {
    wakes(op) && !op.starts_with("UNLOCK_PI")
}

/// Reports whether an operation wakes.
#[must_use]
pub fn wakes(op: &str) -> bool {
    WAKES.contains(&op)
}

impl FutexStats {
    /// The meaning of the waits of one operation; the first rule that applies decides.
    ///
    /// 1. An operation that locks (`LOCK_PI`) is contention; one that waits for a condition
    ///    (`WAIT_REQUEUE_PI`) is waiting.
    /// 2. Most waits found a mutex that a thread held: contention.
    /// 3. Sampled stacks, as far as they name anything: the action of most of them. They take a lock: contention; wait
    ///    for a condition: waiting; for the end of a thread: idle; for what may be either, such as a semaphore:
    ///    unclear, and so are two of the others that are equally frequent.
    /// 4. It never looked like a mutex, and at least half of the waits timed out, or the median of a wait is at
    ///    least [`LONG_NS`]: waiting.
    /// 5. Anything else is unclear: nothing is guessed.
    #[must_use]
    pub fn verdict(&self, op: &str) -> Verdict {
        let waits = self.wait.count();
        match op {
            "LOCK_PI" | "LOCK_PI2" => return Verdict::Contention,
            "WAIT_REQUEUE_PI" => return Verdict::Waiting,
            _ if waits == 0 => return Verdict::Unclear,
            _ => {}
        }
        if self.mutex.is_some() && self.unlike_mutex.saturating_mul(2) < waits {
            return Verdict::Contention;
        }
        if let Some(verdict) = by_stacks(&self.stacks) {
            return verdict;
        }
        let timed_out = self.errors.get(&ETIMEDOUT).copied().unwrap_or(0);
        let long = self.wait.quantile(0.5).is_some_and(|median| median >= LONG_NS);
        if self.mutex.is_none() && (timed_out.saturating_mul(2) >= waits || long) {
            return Verdict::Waiting;
        }
        Verdict::Unclear
    }
}

/// Meaning of most stacks; `None` where they tell nothing.
fn by_stacks<'a>(stacks: impl IntoIterator<Item = &'a StackCount>) -> Option<Verdict> {
    const ALL: [Verdict; 4] = [Verdict::Contention, Verdict::Unclear, Verdict::Waiting, Verdict::Idle];
    let mut counts = [0_u64; ALL.len()];
    for stack in stacks {
        if let Some(row) = row_of(stack) {
            counts[row.meaning as usize] += stack.count;
        }
    }
    let unclear = std::mem::take(&mut counts[Verdict::Unclear as usize]);
    let most = counts.into_iter().max().filter(|most| most + unclear > 0)?;
    let mut found = ALL.into_iter().filter(|verdict| counts[*verdict as usize] == most);
    match (found.next(), found.next()) {
        (Some(verdict), None) if unclear <= most => Some(verdict),
        _ => Some(Verdict::Unclear),
    }
}

/// True of a lock that is only threads without work, none of whose waits has ended: there is nothing to show.
pub fn is_idle_only<'a>(operations: impl Iterator<Item = &'a FutexStats> + Clone) -> bool {
    operations.clone().all(|stats| stats.wait.count() == 0)
        && by_stacks(operations.flat_map(|stats| &stats.stacks)) == Some(Verdict::Idle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locks::MutexSeen;

    fn waits_of(ns: &[u64]) -> FutexStats {
        let mut stats = FutexStats { count: ns.len() as u64, ..FutexStats::default() };
        ns.iter().for_each(|wait| stats.wait.record(*wait));
        stats
    }

    fn with_stack(frames: &[&str], count: u64, mut stats: FutexStats) -> FutexStats {
        let frames = frames.iter().map(|frame| (*frame).to_owned()).collect();
        stats.stacks.push(StackCount { frames, caller: None, cut: None, count });
        stats
    }

    #[test]
    fn what_the_kernel_locks_is_contention_and_what_it_requeues_is_a_condition() {
        assert_eq!(waits_of(&[1 << 40]).verdict("LOCK_PI"), Verdict::Contention);
        assert_eq!(waits_of(&[5]).verdict("WAIT_REQUEUE_PI"), Verdict::Waiting);
    }

    #[test]
    fn a_held_mutex_is_contention_however_long_it_is_held() {
        let held = |unlike| FutexStats {
            mutex: Some(MutexSeen::default()),
            unlike_mutex: unlike,
            ..waits_of(&[1 << 30; 4])
        };
        assert_eq!(held(1).verdict("WAIT"), Verdict::Contention);
        assert_eq!(held(2).verdict("WAIT"), Verdict::Unclear);
    }

    #[test]
    fn stacks_tell_a_lock_of_another_library_from_a_worker_without_work() {
        let rust = ["futex_wait", "std::sys::sync::mutex::futex::Mutex::lock_contended", "work"];
        let idle = ["futex_wait", "std::sys::sync::condvar::futex::Condvar::wait", "Mutex::lock_contended"];
        assert_eq!(with_stack(&rust, 1, waits_of(&[1 << 30])).verdict("WAIT_BITSET"), Verdict::Contention);
        assert_eq!(with_stack(&idle, 1, waits_of(&[50])).verdict("WAIT_BITSET"), Verdict::Waiting);
        let parking = ["parking_lot_core::parking_lot::park", "parking_lot::RawMutex::lock_slow", "work"];
        assert_eq!(with_stack(&parking, 1, waits_of(&[50])).verdict("WAIT"), Verdict::Contention);
        let both = |locks, idles| with_stack(&idle, idles, with_stack(&rust, locks, waits_of(&[50])));
        assert_eq!(both(3, 2).verdict("WAIT"), Verdict::Contention);
        assert_eq!(both(2, 3).verdict("WAIT"), Verdict::Waiting);
        assert_eq!(both(2, 2).verdict("WAIT"), Verdict::Unclear);
        let ends = with_stack(&["pthread_join", "main"], 1, waits_of(&[1 << 30]));
        assert_eq!(ends.verdict("WAIT"), Verdict::Idle);
    }

    #[test]
    fn a_semaphore_may_be_a_lock_or_a_queue_however_long_it_is_waited_for() {
        let timed_out = FutexStats { errors: [(ETIMEDOUT, 3)].into(), ..waits_of(&[1 << 30; 3]) };
        for stats in [waits_of(&[1 << 30; 3]), timed_out] {
            for function in
                ["sem_wait", "sem_timedwait", "sem_clockwait", "__new_sem_wait_slow64.constprop.0"]
            {
                let stats = with_stack(&["libc.so.6+0x85f04", function, "work"], 3, stats.clone());
                assert_eq!(stats.verdict("WAIT_BITSET"), Verdict::Unclear, "{function}");
                let fought = with_stack(&["pthread_mutex_lock", "work"], 3, stats);
                assert_eq!(fought.verdict("WAIT_BITSET"), Verdict::Contention, "{function}");
            }
        }
    }

    #[test]
    fn timers_and_long_waits_are_for_work_only_where_nothing_looked_like_a_mutex() {
        let mut timer = waits_of(&[1000, 1000, 1000]);
        assert_eq!(timer.verdict("WAITV"), Verdict::Unclear);
        timer.errors.insert(ETIMEDOUT, 2);
        assert_eq!(timer.verdict("WAITV"), Verdict::Waiting);
        assert_eq!(waits_of(&[2 * LONG_NS]).verdict("WAIT"), Verdict::Waiting);
        let seen =
            FutexStats { mutex: Some(MutexSeen::default()), unlike_mutex: 1, ..waits_of(&[2 * LONG_NS]) };
        assert_eq!(seen.verdict("WAIT"), Verdict::Unclear);
    }

    #[test]
    fn without_waits_there_is_nothing_to_tell() {
        assert_eq!(FutexStats::default().verdict("WAIT"), Verdict::Unclear);
    }
}

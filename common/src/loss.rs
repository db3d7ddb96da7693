//! Every way in which the kernel side can fail to count, each with a slot of its own.
//!
//! A slot is an index into one per-CPU array. Slots are appended, never reordered: recordings name them.

macro_rules! slots {
    ($($(#[$doc:meta])* $variant:ident = $index:literal, $name:literal, $class:ident;)*) => {
        /// A slot of the loss array.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u32)]
        pub enum Slot { $($(#[$doc])* $variant = $index,)* }

        impl Slot {
            /// Every slot, in the order of the array.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The slot's name in ledgers, files and messages.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The effect of an entry of this slot on the count of calls.
            #[must_use]
            pub const fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class,)* }
            }
        }
    };
}

/// The effect of an entry of a [`Slot`] on the counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// An event is missing from the counts.
    Lost,
    /// The event is counted, but a detail of it (its latency bucket, a process's name) is missing.
    Degraded,
    /// The event lies partly outside the session.
    Censored,
    /// Nothing is missing: something worth knowing happened.
    Noted,
}

slots! {
    /// A call ended whose beginning was not seen although the thread was being followed.
    /// It is booked by the number that the kernel still has, without latency.
    UnmatchedExit = 0, "unmatched_exit", Degraded;
    /// A call began while the thread's last one had not been seen to end.
    /// The old one is booked without latency.
    UnmatchedEntry = 1, "unmatched_entry", Degraded;
    /// No room for another (process, call) pair: the call is not attributed to anything.
    CellsFull = 2, "cells_full", Lost;
    /// A call of a thread for which there was no slot, or of a process for which there was no row.
    UntrackedThread = 3, "untracked_thread", Lost;
    /// A process or thread for which there was no room; its calls are counted in the slot above.
    TargetsFull = 4, "targets_full", Degraded;
    /// A call that ended before it began, by the clock: counted without latency.
    ClockBackwards = 5, "clock_backwards", Degraded;
    /// The histogram pool was empty: count, sum and maximum are exact, quantiles of this call are missing.
    HistogramsFull = 6, "histograms_full", Degraded;
    /// A call that was already running when the session began.
    BeganBefore = 7, "began_before_attach", Censored;
    /// A kernel structure could not be read.
    KernelRead = 8, "kernel_read", Degraded;
    /// A wakeup of a thread that was not asleep: no wakeup, and no latency.
    WakeupOfRunning = 9, "wakeup_of_running", Noted;
    /// A thread ran again without a wakeup that was seen: its time is accounted as blocked, not as run queue.
    WakeupUnseen = 10, "wakeup_unseen", Degraded;
    /// No room for another pair of waker and woken: the wakeup is counted, but not by whom it was made.
    WakersFull = 11, "wakers_full", Degraded;
    /// The pool of histograms for scheduling and locks was empty: the value is counted, but not distributed.
    DistributionsFull = 12, "distributions_full", Degraded;
    /// A thread died faster than its accounts could be read: its time is missing from its process's budget.
    ThreadEndsFull = 13, "thread_ends_full", Degraded;
    /// A thread left a CPU that it was not seen to get, or got one that it was not seen to leave: that time is
    /// booked as unknown.
    SwitchUnseen = 14, "switch_unseen", Degraded;
    /// No room for another operation on another futex, not even together with others: the call is counted as
    /// a call only.
    FutexesFull = 15, "futexes_full", Degraded;
    /// No room for another pair of lock and holder: the wait is counted, but not who made it necessary.
    HoldersFull = 16, "holders_full", Degraded;
    /// No room in the ring for another stack: the event is counted, but not where it came from.
    StacksLost = 17, "stacks_lost", Degraded;
    /// A thread's stack could not be read: likewise.
    StackUnreadable = 18, "stack_unreadable", Degraded;
    /// No room for another contended lock: an acquisition is counted nowhere.
    MutexesFull = 19, "mutexes_full", Lost;
    /// A thread had more mutexes at a time than are followed: how long one of them was held is missing.
    HoldsUnfollowed = 20, "holds_unfollowed", Degraded;
    /// A mutex that was still held when observation ended, or when its holder ended.
    HoldsUnfinished = 21, "holds_unfinished", Censored;
    /// A thread died in a call on a futex, where calls are not counted.
    FutexUnreturned = 22, "futex_unreturned", Censored;
    /// A process for which there was no row: what it does is counted with others of its kind.
    ProcessesShared = 23, "processes_shared", Degraded;
    /// No room for another (process, call) pair: the call is counted with those of other processes.
    CellsShared = 24, "cells_shared", Degraded;
    /// A page fault ended whose beginning was not seen: it is in no number.
    FaultsUnseen = 25, "faults_unseen", Lost;
}

/// Length of the loss array; slots beyond [`Slot::ALL`] are reserved.
pub const SLOTS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_dense_and_named_once() {
        for (index, slot) in Slot::ALL.iter().enumerate() {
            assert_eq!(*slot as usize, index);
            assert!(Slot::ALL.iter().all(|other| other == slot || other.name() != slot.name()));
        }
        assert!(Slot::ALL.len() <= SLOTS);
    }
}

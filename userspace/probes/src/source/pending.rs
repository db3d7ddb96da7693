//! Numbers of a process since the last frame, with the places of its parts: thousands of threads add to it in every
//! frame.

use model::{
    events::EventFrame,
    frame::{Call, CallFrame, CallStats, ProcessFrame, ThreadName},
    inline::InlineFrame,
    locks::{FutexFrame, MutexFrame},
    merge::Places,
    sched::{SchedFrame, SchedStats},
};

/// A frame of one process in the making.
pub struct Pending {
    pub frame: ProcessFrame,
    calls: Places,
    sched: Places,
    futexes: Places,
    mutexes: Places,
    inline: Places,
    events: Places,
}

impl Pending {
    /// One to which nothing was added yet.
    pub fn of(frame: ProcessFrame) -> Self {
        let new = Places::default;
        Self {
            frame,
            calls: new(),
            sched: new(),
            futexes: new(),
            mutexes: new(),
            inline: new(),
            events: new(),
        }
    }

    /// Adds what happened in a call.
    pub fn add_call(&mut self, new: CallFrame) {
        self.calls.add(&mut self.frame.syscalls, new);
    }

    /// Adds what happened in calls of a process that come in their order.
    pub fn add_calls_in_order(&mut self, calls: impl Iterator<Item = (Call, CallStats)>) {
        if !self.frame.syscalls.is_empty() {
            return calls.for_each(|(call, stats)| self.add_call(CallFrame { thread: None, call, stats }));
        }
        for (call, stats) in calls {
            // Two threads that make the first call of a kind at the same time may each have had it counted apart.
            match self.frame.syscalls.last_mut().filter(|last| last.call == call) {
                Some(known) => known.stats.merge(&stats),
                None => self.frame.syscalls.push(CallFrame { thread: None, call, stats }),
            }
        }
    }

    /// Adds what a thread did, or the process as a whole.
    pub fn add_sched(&mut self, thread: Option<ThreadName>, stats: &SchedStats) {
        let new = SchedFrame { thread, stats: SchedStats::default() };
        self.sched.add(&mut self.frame.sched, new).stats.merge(stats);
    }

    /// Adds what happened on a futex.
    pub fn add_futex(&mut self, new: FutexFrame) {
        self.futexes.add(&mut self.frame.futexes, new);
    }

    /// Adds what probes in the code, or counters inside, saw of a lock.
    pub fn add_mutex(&mut self, new: MutexFrame) {
        self.mutexes.add(&mut self.frame.mutexes, new);
    }

    /// Adds what counters inside saw of all locks of a kind.
    pub fn add_inline(&mut self, new: InlineFrame) {
        self.inline.add(&mut self.frame.inline, new);
    }

    /// Adds events of a kind.
    pub fn add_event(&mut self, new: EventFrame) {
        self.events.add(&mut self.frame.events, new);
    }
}

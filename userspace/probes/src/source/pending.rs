//! Numbers of a process since the last frame, with the places of its parts: thousands of threads add to it in every
//! frame.

use std::collections::HashMap;

use model::{
    events::EventFrame,
    frame::{Call, CallFrame, CallStats, ProcessFrame, ThreadName},
    locks::{FutexFrame, LockPlace, MutexFrame},
    sched::{SchedFrame, SchedStats},
};

/// A frame of one process in the making.
pub struct Pending {
    pub frame: ProcessFrame,
    /// Places of calls, once there is need to look one up.
    calls: HashMap<(Option<ThreadName>, Call), usize>,
    /// By thread id; `None` is the process.
    sched: HashMap<Option<u32>, usize>,
    futexes: HashMap<(LockPlace, u64, String), usize>,
    /// With runtime and generation.
    mutexes: HashMap<(LockPlace, u64, String, Option<String>), usize>,
}

impl Pending {
    /// One to which nothing was added yet.
    pub fn of(frame: ProcessFrame) -> Self {
        let (calls, sched) = (HashMap::new(), HashMap::new());
        Self { frame, calls, sched, futexes: HashMap::new(), mutexes: HashMap::new() }
    }

    /// Adds what happened in a call.
    pub fn add_call(&mut self, new: CallFrame) {
        let all = &mut self.frame.syscalls;
        if self.calls.len() != all.len() {
            let places = all.iter().enumerate();
            self.calls = places.map(|(at, known)| ((known.thread.clone(), known.call), at)).collect();
        }
        match self.calls.get(&(new.thread.clone(), new.call)).and_then(|at| all.get_mut(*at)) {
            Some(known) => known.stats.merge(&new.stats),
            None => {
                self.calls.insert((new.thread.clone(), new.call), all.len());
                all.push(new);
            }
        }
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
        let (all, tid) = (&mut self.frame.sched, thread.as_ref().map(|thread| thread.tid));
        match self.sched.get(&tid).and_then(|at| all.get_mut(*at)) {
            Some(known) => {
                // The newest name is the last.
                known.thread = thread;
                known.stats.merge(stats);
            }
            None => {
                self.sched.insert(tid, all.len());
                all.push(SchedFrame { thread, stats: stats.clone() });
            }
        }
    }

    /// Adds what happened on a futex.
    pub fn add_futex(&mut self, new: FutexFrame) {
        let all = &mut self.frame.futexes;
        let key = (new.place.clone(), new.address, new.op.clone());
        match self.futexes.get(&key).and_then(|at| all.get_mut(*at)) {
            Some(known) => known.stats.merge(&new.stats),
            None => {
                self.futexes.insert(key, all.len());
                all.push(new);
            }
        }
    }

    /// Adds what probes in the code, or counters inside, saw of a lock.
    pub fn add_mutex(&mut self, new: MutexFrame) {
        let all = &mut self.frame.mutexes;
        let key = (new.place.clone(), new.address, new.runtime.clone(), new.generation.clone());
        match self.mutexes.get(&key).and_then(|at| all.get_mut(*at)) {
            Some(known) => known.stats.merge(&new.stats),
            None => {
                self.mutexes.insert(key, all.len());
                all.push(new);
            }
        }
    }

    /// Adds events of a kind.
    pub fn add_event(&mut self, new: EventFrame) {
        let same = |known: &&mut EventFrame| known.name == new.name && known.thread == new.thread;
        match self.frame.events.iter_mut().find(same) {
            Some(known) => known.stats.merge(&new.stats),
            None => self.frame.events.push(new),
        }
    }
}

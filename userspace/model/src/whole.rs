//! A process over a whole session, as if that were one interval.

use super::{
    events::EventFrame,
    frame::{CallFrame, ProcessFrame, ProcessKey},
    inline::InlineFrame,
    locks::{FutexFrame, MutexFrame},
    sched::SchedFrame,
    session::Process,
};

impl Process {
    /// The process in the form of a frame, all threads together.
    #[must_use]
    pub fn whole(&self, key: ProcessKey) -> ProcessFrame {
        let calls = self.calls().into_iter();
        let futexes = self.futexes.iter();
        let mutexes = self.mutexes.iter();
        ProcessFrame {
            key,
            comm: self.comm.clone(),
            parent: self.parent,
            threads: self.threads,
            exit: self.exit,
            counters: self.counters.clone(),
            syscalls: calls.map(|(call, stats)| CallFrame { thread: None, call, stats }).collect(),
            sched: self.sched.iter().map(|stats| SchedFrame { thread: None, stats: stats.clone() }).collect(),
            futexes: futexes
                .map(|((place, address, op), stats)| FutexFrame {
                    place: place.clone(),
                    address: *address,
                    op: op.clone(),
                    stats: stats.clone(),
                })
                .collect(),
            mutexes: mutexes
                .map(|((place, address), mutex)| MutexFrame {
                    place: place.clone(),
                    address: *address,
                    runtime: mutex.runtime.clone(),
                    generation: mutex.generation.clone(),
                    kind: mutex.kind,
                    stats: mutex.stats.clone(),
                })
                .collect(),
            events: self
                .events
                .iter()
                .map(|((name, _), stats)| EventFrame {
                    name: name.clone(),
                    thread: None,
                    stats: stats.clone(),
                })
                .collect(),
            inline: self
                .inline
                .iter()
                .map(|(kind, seen)| InlineFrame {
                    kind: *kind,
                    generation: seen.generation.clone(),
                    stats: seen.stats.clone(),
                })
                .collect(),
        }
    }
}

//! Processes that ran for a part of their lives before their probes were in, or ended before: what they did then is in
//! no number, and the ledger says for how long.

use std::collections::HashMap;

use model::frame::ProcessKey;
use pulse_trace_common::target::Row;

use super::Probing;

/// State of one process that runs.
#[derive(Clone, Copy, Debug, Default)]
struct Life {
    /// Time at which it was looked at last.
    looked_ns: u64,
    /// True if there are probes in its code, or it is known that there is no place for any.
    is_settled: bool,
    is_told: bool,
}

/// Processes without probes.
#[derive(Debug, Default)]
pub struct Lives {
    /// Time since which every process is to have probes; `None` while no process is.
    since_ns: Option<u64>,
    all: HashMap<ProcessKey, Life>,
    /// Number of processes without probes and their time without, ns, since the last frame and in all.
    new: (u64, u64),
    total: (u64, u64),
}

impl Lives {
    /// From here on every process is to have probes, or none.
    pub const fn watch(&mut self, since_ns: Option<u64>) {
        self.since_ns = since_ns;
    }

    /// A process was looked at from one time to another. It is settled if its probes are in or there is no place for
    /// any; late if some were put in that were not there before.
    pub fn looked(&mut self, key: ProcessKey, at: (u64, u64), is_settled: bool, is_late: bool) {
        let life = self.all.entry(key).or_default();
        let before = life.looked_ns;
        life.looked_ns = at.0;
        life.is_settled |= is_settled;
        if is_late && self.since_ns.is_some() {
            self.missed(key, before, at.1);
        }
    }

    /// A process has ended, or the session before it.
    pub fn ended(&mut self, key: ProcessKey, at_ns: u64) {
        let life = self.all.entry(key).or_default();
        let is_settled = std::mem::replace(&mut life.is_settled, true);
        if !is_settled {
            self.missed(key, 0, at_ns);
        }
    }

    /// Nothing more will be heard of a process.
    pub fn forget(&mut self, key: ProcessKey) {
        self.all.remove(&key);
    }

    fn missed(&mut self, key: ProcessKey, from_ns: u64, to_ns: u64) {
        let (Some(since), Some(life)) = (self.since_ns, self.all.get_mut(&key)) else { return };
        let count = u64::from(!std::mem::replace(&mut life.is_told, true));
        let ns = to_ns.saturating_sub(from_ns.max(key.joined_ns).max(since));
        for (known, time) in [&mut self.new, &mut self.total] {
            *known += count;
            *time += ns;
        }
    }

    /// Number of processes since the last call, and the time that they ran without probes, ns.
    pub fn take(&mut self) -> (u64, u64) {
        std::mem::take(&mut self.new)
    }

    /// Note for the reader at the end.
    pub fn note(&self) -> Option<String> {
        let (count, ns) = self.total;
        let who = if count == 1 { "1 process".to_owned() } else { format!("{count} processes") };
        (count > 0).then(|| {
            format!(
                "mutex: {who} ran code before its probes were in, for up to {:.1} ms in all, or ended before: contention there is in no \
                 number; the probe futex has what went to the kernel",
                ns as f64 / 1e6
            )
        })
    }
}

impl Probing {
    /// True if a process was not looked at yet, or runs another program by now.
    pub(super) fn is_new(&self, pid: u32, execs: u32) -> bool {
        self.processes.get(&pid).is_none_or(|known| known.execs != execs)
    }

    /// Processes that have ended, of which nothing more will be heard.
    pub fn bury(&mut self, ended: &[Row]) {
        for row in ended {
            let key = ProcessKey { pid: row.tgid, joined_ns: row.joined_ns };
            self.lives.ended(key, row.exited_ns);
            self.lives.forget(key);
        }
    }

    /// Processes that ran without probes, and for how long, since the last frame.
    pub fn take_unprobed(&mut self) -> (u64, u64) {
        self.lives.take()
    }

    /// The same of the whole session, in words.
    pub fn note_unprobed(&self) -> Option<String> {
        self.lives.note()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn key(pid: u32, joined_ns: u64) -> ProcessKey {
        ProcessKey { pid, joined_ns }
    }

    #[test]
    fn a_process_that_ran_without_probes_is_reported_once_with_all_its_time() {
        let mut lives = Lives::default();
        // Found before the session.
        lives.looked(key(1, 10), (20, 50), true, true);
        lives.watch(Some(100));
        lives.ended(key(1, 10), 500);
        assert_eq!(lives.take(), (0, 0));
        // Forked, and probed a little later; then it maps a library.
        lives.looked(key(2, 200), (220, 250), true, true);
        assert_eq!(lives.take(), (1, 50));
        lives.looked(key(2, 200), (300, 301), true, false);
        lives.looked(key(2, 200), (400, 430), true, true);
        assert_eq!(lives.take(), (0, 130));
        // Ended before anybody looked, and before its libraries were there.
        lives.ended(key(3, 500), 540);
        lives.looked(key(4, 600), (610, 611), false, false);
        lives.ended(key(4, 600), 650);
        lives.ended(key(4, 600), 700);
        assert_eq!(lives.take(), (2, 90));
        assert!(lives.note().unwrap().contains("3 processes ran"), "{:?}", lives.note());
        // No process has probes.
        lives.watch(None);
        lives.ended(key(5, 700), 740);
        assert_eq!(lives.take(), (0, 0));
    }
}

//! Processes behind the numbers that they count under.

use std::collections::BTreeMap;

use kernel::{
    inline::{Own, Patch},
    target,
};
use model::{frame::ProcessKey, text::of_comm};

use crate::source::{gather::Gatherer, host};

/// The processes that were forked from one target since.
#[derive(Default)]
pub struct Kin {
    known: BTreeMap<u16, ProcessKey>,
    /// True if the target calls its threads by the ids that this tool knows.
    same_ids: bool,
    /// Start of the target, in clock ticks since boot.
    began: u64,
}

impl Kin {
    /// Makes an empty list for a target.
    pub fn of(target: u32) -> Self {
        let status = target::text(&format!("/proc/{target}/status")).unwrap_or_default();
        let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        let same_ids = ids.is_some_and(|ids| ids.split_ascii_whitespace().count() == 1);
        let began = target::stat(target).map_or(0, |stat| stat.started);
        Self { known: BTreeMap::new(), same_ids, began }
    }

    /// The process of a number; `None` where it is not known, or not yet.
    pub fn find(
        &mut self,
        number: u16,
        own: &Own,
        parent: (ProcessKey, &str),
        patch: &Patch,
        gatherer: &mut Gatherer,
    ) -> Option<ProcessKey> {
        if let Some(known) = self.known.get(&number) {
            return Some(*known);
        }
        // Alive it can be asked. When it has ended, it is known if its first thread was born with it.
        let threads = [own.leader, own.thread];
        let alive = threads.into_iter().filter(|tid| *tid != 0).find_map(|tid| patch.process(number, tid));
        let gone = || self.is_itself(own, patch.about.own_id, gatherer).then_some(own.leader);
        let pid = alive.or_else(gone)?;
        let (target, name) = parent;
        let comm = alive.and_then(target::comm).map_or_else(|| name.to_owned(), |comm| of_comm(&comm));
        // Two numbers are never one process, though one may have the id of another that has ended.
        let known = gatherer.known(pid).filter(|key| !self.has(key));
        let key = known.unwrap_or(ProcessKey { pid, joined_ns: host::monotonic_ns() });
        gatherer.expect_child(key, comm, target.pid);
        self.known.insert(number, key);
        Some(key)
    }

    /// True if the recorded id of its first thread is right. Where another thread has forked it, the id of the process
    /// that this thread was of stands there: either the thread that counted tells, or that such a child is
    /// not known of.
    fn is_itself(&self, own: &Own, target: u32, gatherer: &Gatherer) -> bool {
        let is_taken = || self.known.values().any(|key| key.pid == own.leader);
        let is_likely = || gatherer.knows_childless(own.leader) && !is_taken();
        // If it is in a PID namespace of its own, its id may be that of an older process here.
        let is_later = || target::stat(own.leader).is_none_or(|stat| stat.started >= self.began);
        let can_tell = self.same_ids && own.leader != 0 && own.leader != target;
        can_tell && (own.leader == own.thread || is_likely()) && is_later()
    }

    /// True if a process is one of them.
    pub fn has(&self, key: &ProcessKey) -> bool {
        self.known.values().any(|known| known == key)
    }
}

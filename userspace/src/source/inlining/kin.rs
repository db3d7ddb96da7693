//! Which processes are behind the numbers that they count under.

use std::collections::BTreeMap;

use crate::{
    inline::{Own, Patch},
    model::{frame::ProcessKey, text::of_comm},
    source::{gather::Gatherer, host},
    target,
};

/// The processes that were forked from one target since.
#[derive(Default)]
pub struct Kin {
    known: BTreeMap<u16, ProcessKey>,
    /// Whether the target calls its threads by the ids that this tool knows.
    same_ids: bool,
}

impl Kin {
    /// Nobody yet.
    pub fn of(target: u32) -> Self {
        let status = target::text(&format!("/proc/{target}/status")).unwrap_or_default();
        let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        let same_ids = ids.is_some_and(|ids| ids.split_ascii_whitespace().count() == 1);
        Self { known: BTreeMap::new(), same_ids }
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
        // Alive it can be asked. When it has ended, it is known if the thread that forked it was the target's first.
        let threads = [own.leader, own.thread];
        let alive = threads.into_iter().filter(|tid| *tid != 0).find_map(|tid| patch.process(number, tid));
        let is_known = own.leader != 0 && own.leader != patch.own_id && self.same_ids;
        let gone = || is_known.then_some(own.leader);
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

    /// Whether a process is one of them.
    pub fn has(&self, key: &ProcessKey) -> bool {
        self.known.values().any(|known| known == key)
    }
}

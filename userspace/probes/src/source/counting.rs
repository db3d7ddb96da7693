//! Performance counters in a live session: opened with the targets, read with each frame.

use model::frame::ProcessKey;

use super::{gather::Gatherer, live::Target};
use crate::{Counters, Wanted};

/// The counters, where they are wanted.
#[derive(Default)]
pub struct Counting {
    counters: Counters,
    /// Counters that could have been had, until a ledger has told so.
    missing: u64,
    /// Reason for which there are none, until a frame has told so.
    note: Option<&'static str>,
}

/// Counters reach those born later as heirs of a target only.
const NOT_OF_EVERYBODY: &str = "counters: cannot count for every process; name targets with -p or --comm, and with --children what they fork";

impl Counting {
    /// Opens the counters of targets that joined at these times.
    pub fn prepare(
        targets: &[Target<'_>],
        joined_ns: &[u64],
        follow_children: bool,
        gatherer: &mut Gatherer,
    ) -> Self {
        let mut wanted: Vec<Wanted<'_>> = Vec::with_capacity(targets.len());
        for (Target { pinned, held }, joined_ns) in targets.iter().zip(joined_ns) {
            // Threads of one process that are traced alone share the row that was opened last.
            for other in wanted.iter_mut().filter(|other| other.pinned.pid == pinned.pid) {
                other.joined_ns = *joined_ns;
            }
            wanted.push(Wanted { pinned, joined_ns: *joined_ns, held: *held });
        }
        let counters = Counters::open(&wanted, follow_children);
        for Wanted { pinned, joined_ns, .. } in &wanted {
            gatherer.expect_counters(ProcessKey { pid: pinned.pid, joined_ns: *joined_ns }, &pinned.comm);
        }
        Self { missing: counters.missing(), counters, note: None }
    }

    /// Starts all counters.
    pub fn begin(&self) {
        self.counters.start();
    }

    /// None, where every process is a target.
    pub fn of_everybody() -> Self {
        Self { note: Some(NOT_OF_EVERYBODY), ..Self::default() }
    }

    /// Note for the reader, once.
    pub fn take_note(&mut self) -> Option<String> {
        self.note.take().map(str::to_owned)
    }

    /// Reads all counters.
    pub fn collect(&mut self, gatherer: &mut Gatherer) {
        for (key, counters) in self.counters.drain() {
            gatherer.add_counters(key, &counters);
        }
    }

    /// Reads them for the last time.
    pub fn finish(&mut self, gatherer: &mut Gatherer) {
        self.counters.settle(|key| gatherer.has_ended(key));
        self.collect(gatherer);
    }

    /// Counters that could have been had, once.
    pub fn take_missing(&mut self) -> u64 {
        std::mem::take(&mut self.missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_every_process_it_is_reported_once_that_none_is_counted() {
        let mut counting = Counting::of_everybody();
        assert!(counting.take_note().is_some_and(|note| note.contains("--comm")));
        assert_eq!((counting.take_note(), counting.take_missing()), (None, 0));
    }
}

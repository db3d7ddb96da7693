//! Some time and its numbers, as they are shown.

use std::sync::Arc;

use model::{
    frame::{Call, ProcessKey},
    glance::{Glance, Quick},
};

use crate::sums::Sums;

/// A sum and the time that it is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Period {
    /// Beginning, ns since the session began.
    pub from_ns: u64,
    /// End, ns since the session began.
    pub to_ns: u64,
    /// Sums of the period.
    pub sums: Arc<Sums>,
    /// Calls since its end, if they belong to it.
    pub ahead: Option<Glance>,
}

impl Period {
    /// Length of the period including the part in which only calls are counted, ns.
    #[must_use]
    pub fn calls_span_ns(&self) -> u64 {
        self.sums.span_ns + self.ahead.as_ref().map_or(0, |glance| glance.span_ns)
    }

    /// Calls in it.
    #[must_use]
    pub fn calls_count(&self) -> u64 {
        self.sums.call_totals().0 + self.ahead.as_ref().map_or(0, Glance::count)
    }

    /// Numbers of a call since its end.
    #[must_use]
    pub fn call_ahead(&self, call: Call) -> Quick {
        self.ahead.as_ref().map_or(Quick::default(), |glance| found(&glance.calls, &call))
    }

    /// Numbers of a process since its end.
    #[must_use]
    pub fn process_ahead(&self, key: ProcessKey) -> Quick {
        self.ahead.as_ref().map_or(Quick::default(), |glance| found(&glance.processes, &key))
    }
}

fn found<K: Ord>(all: &[(K, Quick)], key: &K) -> Quick {
    all.binary_search_by(|it| it.0.cmp(key)).map_or(Quick::default(), |at| all[at].1)
}

//! Completeness of a ledger, in the words of report, dashboard, page and JSON.

use std::collections::BTreeMap;

use super::{
    frame::Ledger,
    probes::{Point, with_events},
    units,
};

/// The grade of a ledger.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Grade {
    /// Every event is counted, with all of its details.
    Complete,
    /// Every event is counted; this share of those of one kind lacks a detail, where their number is known.
    Partial(Option<f64>),
    /// This share of those of one kind is missing, where their number is known.
    Lost(Option<f64>),
}

/// A loss above this share stands above everything else; details that are missing in fewer events change no comparison.
const GRAVE: f64 = 0.01;

/// Events of one kind: the name of their number in [`Ledger::events`] (empty for system calls), and the entries that
/// are some of them.
const KINDS: [(&str, &str, &[&str]); 7] = [
    (
        "",
        "system calls",
        &[
            "cells_full",
            "cells_shared",
            "untracked_thread",
            "calls_left_out",
            "unmatched_exit",
            "unmatched_entry",
            "clock_backwards",
            "histograms_full",
            "recursion_misses",
        ],
    ),
    ("wakeups", "wakeups", &["wakeup_unseen", "wakers_full"]),
    ("context_switches", "context switches", &["switch_unseen"]),
    ("futex_calls", "futex calls", &["futexes_full", "futexes_shared", "holders_full"]),
    (
        "stacks",
        "stacks",
        &[
            "stacks_lost",
            "stack_unreadable",
            "stacks_cut",
            "stacks_broken",
            "stacks_unobserved",
            "stacks_unread",
        ],
    ),
    ("contended_acquisitions", "contended acquisitions", &["mutexes_full"]),
    (
        "acquisitions",
        "acquisitions",
        &[
            "inline_nobodys",
            "inline_removed",
            "inline_without_lock",
            "inline_contended_without_lock",
            "inline_spins_clamped",
        ],
    ),
];

/// The entry of events, of any probe, at which the kernel ran no program.
pub const EVENTS_MISSED: &str = "events_missed";

/// The limit to raise for a table that was full.
#[must_use]
pub fn limit_of(slot: &str) -> Option<&'static str> {
    Some(match slot {
        "untracked_thread" | "targets_full" => "threads",
        "processes_shared" => "processes",
        "cells_full" | "cells_shared" => "lean-cells",
        "histograms_full" => "histograms",
        "distributions_full" => "distributions",
        "wakers_full" => "wakers",
        "futexes_full" | "futexes_shared" => "futexes",
        "holders_full" => "holders",
        "mutexes_full" => "mutexes",
        _ => return None,
    })
}

/// The largest value that an option takes.
const LARGEST_LIMIT: u64 = 1 << 20;

impl Grade {
    /// The word for this grade.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial(_) => "partial",
            Self::Lost(_) => "LOST",
        }
    }

    /// The share of the events of one kind that is missing, or lacks a detail.
    #[must_use]
    pub const fn share(self) -> Option<f64> {
        match self {
            Self::Complete => None,
            Self::Partial(share) | Self::Lost(share) => share,
        }
    }

    /// True where a comparison may be wrong by it: of anything that is missing, and of a detail that is missing in more
    /// than 1 % of the events.
    #[must_use]
    pub fn is_doubtful(self) -> bool {
        match self {
            Self::Complete => false,
            Self::Partial(share) => share.is_none_or(|share| share > GRAVE),
            Self::Lost(_) => true,
        }
    }

    /// The word, and the share where it is known: `partial (0.12%)`.
    #[must_use]
    pub fn words(self) -> String {
        let share = self.share().map_or(String::new(), |share| format!(" ({})", units::share(share)));
        format!("{}{share}", self.name())
    }
}

impl Ledger {
    /// Its grade: a loss outweighs details, and of several kinds of events the worst counts.
    #[must_use]
    pub fn grade(&self) -> Grade {
        let filled = |slots: &BTreeMap<String, u64>| slots.values().any(|count| *count > 0);
        match (filled(&self.lost), filled(&self.degraded)) {
            (true, _) => Grade::Lost(self.worst(&self.lost).map(|worst| worst.share)),
            (false, true) => Grade::Partial(self.worst(&self.degraded).map(|worst| worst.share)),
            (false, false) => Grade::Complete,
        }
    }

    /// A loss above 1 % of one kind of events, and its remedy.
    #[must_use]
    pub fn grave_loss(&self) -> Option<String> {
        let worst = self.worst(&self.lost).filter(|worst| worst.share > GRAVE)?;
        let mut words = format!(
            "{}: {} of {} {} are missing ({})",
            Grade::Lost(Some(worst.share)).words(),
            units::grouped(worst.events),
            units::grouped(worst.of),
            worst.noun,
            worst.slot
        );
        if let Some(remedy) = self.remedy(worst.slot) {
            words += &format!("; {remedy} makes room");
        }
        Some(words)
    }

    /// The options that make room in the table that an entry names, with values.
    #[must_use]
    pub fn remedy(&self, slot: &str) -> Option<String> {
        let name = limit_of(slot)?;
        let option = |name: &str| {
            let Some(size) = self.room.get(name) else { return format!("--limit {name}=N") };
            // Of most tables it is not known how many found no room: twice as many are a beginning.
            let refused = self.degraded.get("targets_full").filter(|_| limit_of(slot) == Some("threads"));
            let more = refused.copied().unwrap_or(0).max(*size);
            format!("--limit {name}={}", (size + more).next_power_of_two().min(LARGEST_LIMIT))
        };
        // A thread finds no room where its process has none, either.
        let names = ["processes", "threads"].into_iter().filter(|it| self.room.contains_key(*it));
        let options: Vec<String> = names.filter(|_| name == "threads").map(option).collect();
        Some(if options.is_empty() { option(name) } else { options.join(" ") })
    }

    /// The kind of events of which the largest share is among these.
    fn worst<'a>(&self, slots: &'a BTreeMap<String, u64>) -> Option<Worst<'a>> {
        let of_probes = with_events().map(|(spec, table)| {
            let counted_by_kernel = spec.hooks.iter().any(|hook| matches!(hook.point, Point::Software(..)));
            let missed = counted_by_kernel.then_some(EVENTS_MISSED);
            let missing = table.missing.iter().map(|(name, _)| *name).chain(missed);
            (spec.name, table.noun, missing.collect::<Vec<_>>())
        });
        let kinds = KINDS.iter().map(|(events, noun, members)| (*events, *noun, members.to_vec()));
        let all = kinds.chain(of_probes).filter_map(|(events, noun, members)| {
            let mine = || slots.iter().filter(|(name, _)| members.contains(&name.as_str()));
            let sum: u64 = mine().map(|(_, count)| count).sum();
            let (slot, _) = mine().max_by_key(|(_, count)| **count)?;
            let missing = self.lost.iter().filter(|(name, _)| members.contains(&name.as_str()));
            let missing: u64 = missing.map(|(_, count)| count).sum();
            let counted =
                if events.is_empty() { self.counted } else { self.events.get(events).copied().unwrap_or(0) };
            let of = (counted + missing).max(sum);
            (sum > 0).then(|| Worst { share: sum as f64 / of as f64, events: sum, of, noun, slot })
        });
        all.max_by(|one, other| one.share.total_cmp(&other.share))
    }
}

/// The kind of events that decides a grade.
struct Worst<'a> {
    share: f64,
    events: u64,
    of: u64,
    noun: &'static str,
    /// The largest entry.
    slot: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
        pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn details_that_are_missing_are_a_share_of_their_kind() {
        let events = slots(&[("wakeups", 4000), ("context_switches", 5000)]);
        let ledger = Ledger { counted: 100_000, events, ..Ledger::default() };
        assert_eq!(ledger.grade().words(), "complete");
        let degraded = slots(&[("wakeup_unseen", 8), ("switch_unseen", 2), ("kernel_read", 0)]);
        let ledger = Ledger { degraded, ..ledger };
        assert_eq!((ledger.grade().words().as_str(), ledger.grave_loss()), ("partial (0.20%)", None));
        let ledger = Ledger { degraded: slots(&[("cells_shared", 4000)]), ..ledger };
        assert_eq!(ledger.grade().words(), "partial (4.0%)");
        let ledger = Ledger { degraded: slots(&[("kernel_read", 3)]), ..ledger };
        assert_eq!(ledger.grade(), Grade::Partial(None));
        assert_eq!(ledger.grade().words(), "partial");
    }

    #[test]
    fn a_loss_is_a_share_of_what_was_and_names_the_remedy_with_a_value() {
        let mut ledger = Ledger {
            counted: 64_000,
            lost: slots(&[("untracked_thread", 35_000), ("cells_full", 1000)]),
            degraded: slots(&[("targets_full", 5000), ("wakers_full", 9)]),
            room: [("threads".to_owned(), 1024)].into(),
            ..Ledger::default()
        };
        assert_eq!(ledger.grade().words(), "LOST (36%)");
        assert_eq!(
            ledger.grave_loss().unwrap(),
            "LOST (36%): 36,000 of 100,000 system calls are missing (untracked_thread); --limit threads=8192 makes room"
        );
        // Threads whose process has no row are not helped by room for threads.
        ledger.room.insert("processes".to_owned(), 254);
        let both = "; --limit processes=8192 --limit threads=8192 makes room";
        assert!(ledger.grave_loss().unwrap().ends_with(both));
        ledger.lost = slots(&[("untracked_thread", 500)]);
        assert_eq!((ledger.grade().words().as_str(), ledger.grave_loss()), ("LOST (0.78%)", None));
        ledger.lost = slots(&[("something_new", 5)]);
        assert_eq!((ledger.grade().words().as_str(), ledger.grave_loss()), ("LOST", None));
    }

    #[test]
    fn a_table_that_is_full_is_to_be_twice_as_large() {
        let mut ledger = Ledger { lost: slots(&[("mutexes_full", 7)]), ..Ledger::default() };
        assert_eq!(ledger.remedy("mutexes_full").as_deref(), Some("--limit mutexes=N"));
        assert!(
            ledger
                .grave_loss()
                .unwrap()
                .starts_with("LOST (100%): 7 of 7 contended acquisitions are missing")
        );
        ledger.room.insert("mutexes".to_owned(), 1024);
        assert_eq!(ledger.remedy("mutexes_full").as_deref(), Some("--limit mutexes=2048"));
        ledger.room.insert("mutexes".to_owned(), 1 << 20);
        assert_eq!(ledger.remedy("mutexes_full").as_deref(), Some("--limit mutexes=1048576"));
        assert_eq!(ledger.remedy("kernel_read"), None);
        assert_eq!(ledger.remedy("processes_shared").as_deref(), Some("--limit processes=N"));
    }

    #[test]
    fn every_entry_is_of_one_kind_at_most() {
        let members: Vec<&str> = KINDS.iter().flat_map(|kind| kind.2).copied().collect();
        let mut apart = members.clone();
        apart.sort_unstable();
        apart.dedup();
        assert_eq!(apart.len(), members.len());
    }
}

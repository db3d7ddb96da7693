//! The ledger: what is in the numbers, what is not, and what that means for them.

use std::collections::BTreeMap;

use model::{frame::Ledger, grade::Grade, probes::with_events, session::Session, text::printable, units};

use super::layout::{Layout, Tone};

pub fn render(session: &Session, layout: Layout) -> String {
    let ledger = &session.ledger;
    let counted = counted(ledger, session.header.counts_calls());
    let mut words =
        format!("{}, {counted}, {} lost", ledger.grade().words(), units::count(total(&ledger.lost)));
    for (slots, noun) in [(&ledger.degraded, "partial"), (&ledger.censored, "partly outside of the session")]
    {
        if total(slots) > 0 {
            words += &format!(", {} {noun}", units::count(total(slots)));
        }
    }
    if ledger.complete() && total(&ledger.censored) > 0 {
        words += &format!(" ({})", listed(&ledger.censored));
    }
    let head = layout.wrap("ledger: ", &words);
    let mut text = match ledger.grade() {
        Grade::Lost(_) => layout.paint(Tone::Alarm, head.trim_end()) + "\n",
        _ => head,
    };
    let classes = [("lost", &ledger.lost), ("partial", &ledger.degraded), ("censored", &ledger.censored)];
    for (class, slots) in classes.into_iter().filter(|_| !ledger.complete()) {
        text += &lines(class, slots, ledger, layout);
    }
    text + &lines("noted", noted(ledger), ledger, layout)
}

fn lines<'a>(
    class: &str,
    slots: impl IntoIterator<Item = (&'a String, &'a u64)>,
    ledger: &Ledger,
    layout: Layout,
) -> String {
    let line = |(name, count): (&String, &u64)| {
        let room = ledger.remedy(name).map_or(String::new(), |remedy| format!("; {remedy} makes room"));
        let words = format!("{}: {}{room}", printable(name), meaning(name));
        layout.wrap(&format!("  {class:<9} {:>9}  ", units::count(*count)), &words)
    };
    slots.into_iter().filter(|(_, count)| **count > 0).map(line).collect()
}

/// Events that need an explanation: nothing is missing, but something worth knowing happened.
fn noted(ledger: &Ledger) -> impl Iterator<Item = (&String, &u64)> {
    ledger.events.iter().filter(|(name, _)| meaning(name) != UNKNOWN)
}

/// Counts of the events of every kind that are in the numbers.
fn counted(ledger: &Ledger, calls: bool) -> String {
    let events = ledger.events.iter().filter(|(name, count)| **count > 0 && meaning(name) == UNKNOWN);
    let events = events
        .map(|(name, count)| format!("{} {}", units::count(*count), printable(&name.replace('_', " "))));
    let calls = (calls || ledger.counted > 0).then(|| format!("{} calls", units::count(ledger.counted)));
    let all: Vec<String> = calls.into_iter().chain(events).collect();
    if all.is_empty() {
        return "no event was counted".to_owned();
    }
    format!("{} counted", all.join(", "))
}

fn total(slots: &BTreeMap<String, u64>) -> u64 {
    slots.values().sum()
}

fn listed(slots: &BTreeMap<String, u64>) -> String {
    let filled = slots.iter().filter(|(_, count)| **count > 0);
    let pairs: Vec<String> = filled.map(|(name, count)| format!("{} {count}", printable(name))).collect();
    pairs.join(", ")
}

const UNKNOWN: &str = "a slot that this version does not know; a newer one made this file";

/// Meaning of an entry of a slot, and its effect on the numbers.
fn meaning(name: &str) -> &'static str {
    match name {
        "unmatched_exit" => {
            "calls that ended without having been seen to begin, as those that seccomp refuses; counted where calls are, \
             but missing in total, mean and quantiles, and on no futex"
        }
        "unmatched_entry" => {
            "calls that were not seen to end; counted, but missing in total, mean and quantiles"
        }
        "cells_full" => "no room for another pair of process and call; these calls are in no row",
        "untracked_thread" => "calls of threads that found no room in the thread table; they are in no row",
        "targets_full" => {
            "processes or threads that found no room; their calls are lost, as untracked_thread counts"
        }
        "clock_backwards" => {
            "calls that ended before they began, by the clock; counted, but missing in total, mean and quantiles"
        }
        "histograms_full" => {
            "calls without a histogram; count, total, mean and max hold them, quantiles do not"
        }
        "began_before_attach" => {
            "calls that were running already when the session began; they are not in the counts"
        }
        "in_flight_at_detach" => "calls still running when session or probe ended; not in the counts",
        "calls_left_out" => {
            "calls of which the kernel may have left out both ends (Linux 7, where a thread is preempted in a program): at \
             most so many, those of other processes included"
        }
        "recursion_misses" => {
            "runs of our programs that the kernel left out, for any process: a call that lost one end is counted, \
             without latency"
        }
        "counters_missing" => {
            "performance counters that could have been opened in a less busy moment; the process's section says which \
             and why"
        }
        "probe_switched_off" => "times that a probe was switched off; notes say which, and from when to when",
        "kernel_read" => {
            "kernel structures that could not be read; a name, a parent or an exit status may be missing"
        }
        "wakeup_of_running" => {
            "wakeups of threads that were not asleep; they are no wakeups, and have no latency"
        }
        "waiting_at_detach" => {
            "threads that were off the CPU when the session ended; the budget has that time, the distributions do not"
        }
        "wakeup_unseen" => {
            "threads that ran again without having been seen woken; their wait for a CPU is booked as blocked"
        }
        "switch_unseen" => {
            "stretches of which only one end was seen; that time is in the budget as unknown, and in no distribution"
        }
        "wakers_full" => {
            "wakeups for which there was no room to note by whom they were made; counted, but missing among the wakers"
        }
        "thread_ends_full" => {
            "threads that ended faster than their accounts could be read; their time is missing in the budget"
        }
        _ => meaning_of_shared(name),
    }
}

/// The same for entries about rows that several share.
fn meaning_of_shared(name: &str) -> &'static str {
    match name {
        "processes_shared" => {
            "processes that came when there was no row for them; what they did is counted, together as [others]"
        }
        "cells_shared" => {
            "calls for which there was no room beside the others of their process; they are counted with [others]"
        }
        "futexes_shared" => {
            "calls on futexes that had no entry of their own at that time; counted as those of \"other locks\""
        }
        _ => meaning_of_locks(name),
    }
}

/// The same for those of locks, and of what they share with scheduling.
fn meaning_of_locks(name: &str) -> &'static str {
    match name {
        "distributions_full" => "values without a histogram; counts and budgets have them, quantiles do not",
        "futexes_full" => {
            "futex calls for which there was no room to note on which futex; counted as calls where these are counted"
        }
        "futex_unreturned" => "calls on futexes in which their threads died",
        "holders_full" => {
            "waits for a mutex for which there was no room to note who held it; counted, but missing among the holders"
        }
        "stacks_lost" => {
            "waits whose stack found no room on its way; counted, but where they came from is not. Their locks have others"
        }
        "stack_unreadable" => {
            "waits whose stack was not in memory, or none; counted, but where they came from is not"
        }
        "stacks_cut" => "stacks deeper than what is copied of them: their outermost callers are missing",
        "stacks_broken" => "stacks that end in code without unwind information, or at what can be no caller",
        "stacks_unread" => {
            "stacks through files that could not be read: they have no names; a note says which, and why"
        }
        "stacks_unobserved" => {
            "stacks of programs that had ended before their code was known: they have no names"
        }
        "inline_spins_clamped" => "spin counts too large to be told apart; counted as the largest that is",
        "inline_removed" => "processes whose counters another program has removed; a note says when",
        "inline_unread" => {
            "times that counters inside of a process could not be read; the next time has it all"
        }
        "inline_without_lock" => {
            "acquisitions of mutexes for which there was no row; in the numbers of their kind, in no mutex's"
        }
        "inline_contended_without_lock" => "those of them that found it taken",
        "inline_nobodys" => {
            "acquisitions in processes that targets forked, of which it is not known in which, or with no room for them"
        }
        "mutex_unprobed" => {
            "processes that ran code before its probes (mutex) were in, or ended before; contention there is not counted"
        }
        "mutex_unprobed_us" => "us, how long they ran so, at most and in all",
        "events_missed" => {
            "events of any process at which the kernel left our program out: as many at most are missing here"
        }
        "mutexes_full" => {
            "passes of contended paths whose lock had no room any more; they are counted nowhere"
        }
        "holds_unfollowed" => {
            "mutexes of threads that had more than four at a time; how long these were held is missing"
        }
        "holds_unfinished" => {
            "mutexes that were still held when the session ended, or when their holder ended; they are in no distribution"
        }
        _ => meaning_of_events(name).unwrap_or(UNKNOWN),
    }
}

/// The same for events that a probe misses.
fn meaning_of_events(name: &str) -> Option<&'static str> {
    let missing = with_events().flat_map(|(_, table)| table.missing);
    missing.into_iter().find(|(slot, _)| *slot == name).map(|(_, words)| *words)
}

#[cfg(test)]
mod tests {
    use pulse_trace_common::loss::Slot;

    use super::*;

    fn rendered(ledger: Ledger) -> String {
        render(&Session { ledger, ..Session::default() }, Layout::new(80, false))
    }

    fn slots(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
        pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn a_complete_one_is_one_short_line() {
        let text = rendered(Ledger { counted: 123_456, ..Ledger::default() });
        assert_eq!(text, "ledger: complete, 123456 calls counted, 0 lost\n");
    }

    #[test]
    fn events_of_other_probes_are_counted_by_name() {
        let events = slots(&[("wakeups", 12), ("futex_calls", 0), ("e\x1b_x", 3)]);
        let text = rendered(Ledger { counted: 7, events, ..Ledger::default() });
        assert_eq!(text, "ledger: complete, 7 calls, 3 e\\x1b x, 12 wakeups counted, 0 lost\n");
    }

    #[test]
    fn uncounted_calls_are_not_reported_as_none() {
        let mut session = Session::default();
        session.header.probes = vec!["futex".to_owned()];
        let text = render(&session, Layout::new(80, false));
        assert_eq!(text, "ledger: complete, no event was counted, 0 lost\n");
        session.ledger.events = slots(&[("futex_calls", 9)]);
        let text = render(&session, Layout::new(80, false));
        assert_eq!(text, "ledger: complete, 9 futex calls counted, 0 lost\n");
    }

    #[test]
    fn what_is_worth_knowing_stands_below_with_its_meaning() {
        let events = slots(&[("wakeups", 5), ("wakeup_of_running", 3)]);
        let text = rendered(Ledger { counted: 7, events, ..Ledger::default() });
        assert!(text.starts_with("ledger: complete, 7 calls, 5 wakeups counted, 0 lost\n  noted"), "{text}");
        assert!(text.contains(" 3  wakeup_of_running: wakeups of threads that were not\n"), "{text}");
    }

    #[test]
    fn calls_at_the_edges_do_not_make_it_incomplete() {
        let censored = slots(&[("began_before_attach", 2), ("in_flight_at_detach", 0)]);
        let text = rendered(Ledger { counted: 5, censored, ..Ledger::default() });
        assert!(text.starts_with("ledger: complete, 5 calls counted, 0 lost, 2 partly outside"), "{text}");
    }

    #[test]
    fn a_few_details_that_are_missing_are_no_alarm_and_have_a_share() {
        let events = slots(&[("wakeups", 5000)]);
        let ledger =
            Ledger { counted: 9000, events, degraded: slots(&[("wakeup_unseen", 8)]), ..Ledger::default() };
        let session = Session { ledger, ..Session::default() };
        let text = render(&session, Layout::new(80, true));
        assert!(
            text.starts_with(
                "ledger: partial (0.16%), 9000 calls, 5000 wakeups counted, 0 lost, 8 partial\n  partial "
            ),
            "{text}"
        );
    }

    #[test]
    fn a_full_table_is_named_with_the_option_and_a_value() {
        let room = [("threads".to_owned(), 1024), ("futexes".to_owned(), 1024)].into();
        let text = rendered(Ledger {
            counted: 64,
            lost: slots(&[("untracked_thread", 36)]),
            degraded: slots(&[("targets_full", 5000), ("futexes_full", 3)]),
            room,
            ..Ledger::default()
        });
        assert!(text.starts_with("ledger: LOST (36%), 64 calls counted, 36 lost, 5003 partial\n"), "{text}");
        let text = text.replace('\n', " ").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("in no row; --limit threads=8192 makes room"), "{text}");
        assert!(text.contains("where these are counted; --limit futexes=2048 makes room"), "{text}");
    }

    #[test]
    fn every_slot_is_explained_by_name() {
        for slot in Slot::ALL {
            let text = rendered(Ledger {
                lost: slots(&[(slot.name(), 7)]),
                degraded: slots(&[("from_the_future", 1)]),
                ..Ledger::default()
            });
            assert!(text.contains("ledger: LOST") && text.contains(slot.name()), "{text}");
            assert!(!meaning(slot.name()).contains("does not know"), "{}", slot.name());
            assert!(text.contains("does not know"), "{text}");
            assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        }
    }
}

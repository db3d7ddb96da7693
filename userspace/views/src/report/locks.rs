//! Futexes as locks, ranked by how long threads waited for them; waits that were no contention stand below.

use std::cmp::Reverse;

use model::{
    errno,
    hist::Largest,
    locks::{self, FutexStats, Lock, MutexSeen, Verdict},
    session::Session,
    text::printable,
    units,
};

use super::{
    Options, Sort, histogram,
    layout::{Layout, Row, Tone, shown_name},
    place,
    share::{percent, percents_words},
};

const COLUMNS: [&str; 9] = ["lock", "waits", "total", "mean", "p50", "p99", "max", "blocked", "queued"];
const NONE: &str = "-";
/// Locks that are shown by default, ...
const LOCKS: usize = 10;
/// ... and waits for work.
const IDLE: usize = 5;
/// Stacks of a lock that are shown.
const STACKS: usize = 3;
/// Threads that held it that are named.
const HOLDERS: usize = 4;

pub fn render(session: &Session, options: &Options, layout: Layout) -> String {
    let mut locks = locks::ranked(&session.processes);
    if locks.is_empty() {
        return String::new();
    }
    locks.sort_by_cached_key(|lock| {
        (lock.verdict, Reverse(weight(options.sort, lock)), by_name(options.sort, lock))
    });
    let idle_from = locks.iter().position(|lock| lock.verdict.is_for_work()).unwrap_or(locks.len());
    let (fought, idle) = locks.split_at(idle_from);
    let mut text = String::new();
    if !fought.is_empty() {
        let title = "locks, by total wait; queued is the part of a wait between the wake and running";
        text += &(layout.paint(Tone::Title, layout.wrap("", title).trim_end()) + "\n");
        text += &table(fought, options, options.top.unwrap_or(LOCKS), details, layout);
    }
    if !idle.is_empty() {
        if !text.is_empty() {
            text.push('\n');
        }
        let title = "waiting on a condition, an event or a timer (a lock built on one looks the same)";
        text += &(layout.paint(Tone::Title, layout.wrap("", title).trim_end()) + "\n");
        text += &table(idle, options, options.top.unwrap_or(IDLE), outline, layout);
    }
    text
}

fn weight(sort: Sort, lock: &Lock) -> u64 {
    let wait = &lock.sum.wait;
    let quantile = |share| wait.quantile(share).unwrap_or(0);
    match sort {
        Sort::Count => lock.sum.count,
        Sort::Errors => lock.sum.errors.values().sum(),
        Sort::Mean => wait.mean().map_or(0, |mean| mean as u64),
        Sort::P50 => quantile(0.5),
        Sort::P90 => quantile(0.9),
        Sort::P99 => quantile(0.99),
        Sort::P999 => quantile(0.999),
        Sort::Max => wait.max.unwrap_or(0),
        Sort::Blocked => lock.sum.blocked.sum,
        Sort::Queue => lock.sum.run_queue.sum,
        Sort::Name => 0,
        Sort::Total | Sort::Cpu | Sort::Switches => lock.wait_ns(),
    }
}

fn by_name(sort: Sort, lock: &Lock) -> String {
    if sort == Sort::Name { place::name(&lock.place) } else { String::new() }
}

fn table(
    locks: &[Lock],
    options: &Options,
    shown: usize,
    notes: fn(&Lock) -> Vec<String>,
    layout: Layout,
) -> String {
    let shown = shown.min(locks.len());
    let rows: Vec<Row> =
        locks.iter().take(shown).map(|lock| Row { cells: cells(lock), notes: notes(lock) }).collect();
    let mut text = layout.table(&COLUMNS, &rows);
    if let Some(rest) = locks.get(shown..).filter(|rest| !rest.is_empty()) {
        let words = format!(
            "{} more are left out ({} of waiting in total); --top {} shows them",
            rest.len(),
            units::time(rest.iter().map(Lock::wait_ns).sum()),
            locks.len()
        );
        text += &layout.wrap("", &words);
    }
    if options.histograms {
        for lock in locks.iter().take(shown) {
            let title = place::name(&lock.place);
            text +=
                &histogram::render(&title, "wait", "waits", &lock.sum.wait, histogram::Scale::Time, layout);
        }
    }
    text
}

fn cells(lock: &Lock) -> Vec<String> {
    let wait = &lock.sum.wait;
    let time = |ns: Option<u64>| ns.map_or(NONE.to_owned(), units::time);
    let slept = lock.sum.blocked.count() > 0 || lock.sum.run_queue.count() > 0;
    let part = |ns: u64| if slept { units::time(ns) } else { NONE.to_owned() };
    vec![
        place::name(&lock.place),
        units::count(wait.count()),
        if wait.count() > 0 { units::time(wait.sum) } else { NONE.to_owned() },
        wait.mean().map_or(NONE.to_owned(), units::fraction_of_time),
        time(wait.quantile(0.5)),
        time(wait.quantile(0.99)),
        wait.largest().map_or(NONE.to_owned(), Largest::time),
        part(lock.sum.blocked.sum),
        part(lock.sum.run_queue.sum),
    ]
}

fn details(lock: &Lock) -> Vec<String> {
    let mut notes = vec![what(lock), operations(lock)];
    if let Some(seen) = &lock.sum.mutex {
        notes.extend(holders(seen, lock.waiting_calls()));
        notes.extend(spins(seen));
        notes.extend(spin_mean(seen));
    }
    notes.extend(sampled(lock));
    notes.extend(place::stacks(&lock.sum.stacks, STACKS));
    notes
}

/// Number of waits that the stacks are of, where it is not all of them.
fn sampled(lock: &Lock) -> Option<String> {
    let (sampled, waits) = (lock.sum.sampled, lock.sum.wait.count());
    let text = || format!("stacks of {} of {} waits", units::count(sampled), units::count(waits));
    (sampled > 0 && sampled < waits).then(text)
}

fn outline(lock: &Lock) -> Vec<String> {
    let stacks = place::stacks(&lock.sum.stacks, 1).into_iter().take(1);
    let mut notes = vec![format!("{}; {}", what(lock), operations(lock))];
    notes.extend(stacks);
    notes
}

/// Kind and runtime of the lock.
fn what(lock: &Lock) -> String {
    let unresolved = matches!(lock.place, locks::LockPlace::Unresolved { .. });
    let kind = match (lock.kind(), lock.runtime()) {
        (Some(kind), _) => format!("{} mutex", kind.name()),
        // Its word is gone with its stack, but nothing else is waited for so.
        (None, Some((runtime, locks::END_OF_A_THREAD))) => format!("{runtime} {}", locks::END_OF_A_THREAD),
        (None, _) if unresolved => "shared lock, object not known,".to_owned(),
        (None, Some((runtime, what))) => format!("{runtime} {what}"),
        (None, None) => "futex".to_owned(),
    };
    let mut text = format!("{kind} of {}", place::users(&lock.place, &lock.users));
    if lock.parts.len() > lock.users.len() {
        text += &format!(", {} futexes", lock.parts.len());
    }
    match lock.verdict {
        Verdict::Unclear if lock.sum.wait.count() > 0 => {
            text += "; whether another thread held it cannot be told";
        }
        Verdict::Waiting if lock.runtime().is_none() => {
            text += "; long or timed out, for work or for a lock that is held long";
        }
        _ => {}
    }
    text
}

fn operations(lock: &Lock) -> String {
    let words: Vec<String> = lock.operations.iter().map(|(op, stats)| operation(op, stats)).collect();
    words.join("; ")
}

fn operation(op: &str, stats: &FutexStats) -> String {
    let mut parts = Vec::new();
    if locks::waits(op) {
        parts.push(format!("{} woken", units::count(stats.succeeded())));
    } else if locks::wakes(op) {
        if locks::tells_woken(op) {
            parts.push(format!("woke {}", units::count(stats.woken)));
        }
        if stats.vain > 0 {
            let share = percent(stats.vain, stats.count);
            parts.push(format!("{} in vain ({share}%)", units::count(stats.vain)));
        }
    }
    let mut errors: Vec<(u32, u64)> = stats.errors.iter().map(|(errno, count)| (*errno, *count)).collect();
    errors.sort_by_key(|(errno, count)| (Reverse(*count), *errno));
    let errors = errors.into_iter().filter(|(_, count)| *count > 0);
    parts.extend(errors.map(|(errno, count)| format!("{} {}", errno::name(errno), units::count(count))));
    let text = format!("{} {}", printable(op), units::count(stats.count));
    if parts.is_empty() { text } else { format!("{text}: {}", parts.join(", ")) }
}

/// Holders of the lock: shares where each wait tells, else counts of the few that do.
fn holders(seen: &MutexSeen, waits: u64) -> Option<String> {
    let mut holders: Vec<(&(u32, String), u64)> =
        seen.holders.iter().map(|(holder, count)| (holder, *count)).filter(|(_, count)| *count > 0).collect();
    if holders.is_empty() {
        return None;
    }
    holders.sort_by_key(|(holder, count)| (Reverse(*count), *holder));
    let counts: Vec<u64> = holders.iter().map(|(_, count)| *count).collect();
    let known: u64 = counts.iter().sum();
    let parts = if known < waits {
        counts.iter().map(|count| units::count(*count)).collect()
    } else {
        percents_words(&counts)
    };
    let named = holders.iter().zip(parts).take(HOLDERS);
    let mut listed: Vec<String> =
        named.map(|(((tid, comm), _), part)| format!("{tid} {} {part}", shown_name(comm))).collect();
    if holders.len() > HOLDERS {
        listed.push(format!("{} more", holders.len() - HOLDERS));
    }
    let listed = listed.join(", ");
    Some(if known < waits {
        let (known, waits) = (units::count(known), units::count(waits));
        format!("who held it is known of {known} of {waits} waits: {listed}")
    } else {
        format!("held, by number of waits, by {listed}")
    })
}

fn spins(seen: &MutexSeen) -> Option<String> {
    let mean = seen.spins.mean()?;
    let of = |share| seen.spins.quantile(share).unwrap_or(0);
    Some(format!(
        "__spins {mean:.1} on average as waits began, p50 {}, p99 {} (the library's running mean, not that of all spins)",
        of(0.5),
        of(0.99)
    ))
}

/// The mean spin count by the library's running mean, in as many words as it is worth.
fn spin_mean(seen: &MutexSeen) -> Option<String> {
    let mean = seen.spin_mean()?;
    let worth = match (mean.doubt, mean.below()) {
        (None, _) => "the mean spin count to 10%".to_owned(),
        (Some(doubt), Some(below)) => format!("the mean spin count is below {below:.0}; {}", doubt.words()),
        (Some(doubt), None) => format!("not the mean spin count, {}", doubt.words()),
    };
    Some(format!(
        "__spins {:.1} on average over time, {} samples: {worth}",
        mean.mean,
        units::count(mean.samples)
    ))
}

#[cfg(test)]
mod tests {
    use model::synthetic::{self, Shape};

    use super::*;

    fn rendered(session: &Session, options: &Options) -> String {
        render(session, options, Layout::new(120, false))
    }

    #[test]
    fn a_lock_of_two_processes_is_one_row_with_both() {
        let session = synthetic::session(3, Shape { processes: 2, ..Shape::default() });
        let text = rendered(&session, &Options::default());
        assert_eq!(text.lines().filter(|line| line.starts_with("shm /q +0")).count(), 1, "{text}");
        assert!(text.contains("mutex of 1000 at 0x7f3a00001040, 1010 at 0x7f3a01001040"), "{text}");
    }

    #[test]
    fn idle_waits_stand_below_and_in_their_own_order() {
        let session = synthetic::session(3, Shape { processes: 4, ..Shape::default() });
        for sort in Sort::ALL {
            let text = rendered(&session, &Options { sort, top: Some(99), ..Options::default() });
            let idle = text.find("waiting on a condition").unwrap();
            assert!(text[..idle].contains("LOCK_PI") && !text[..idle].contains("WAITV"), "{sort:?}: {text}");
            assert!(text[idle..].contains("WAITV") && !text[idle..].contains("LOCK_PI"), "{sort:?}: {text}");
        }
    }

    #[test]
    fn what_is_left_out_and_what_cannot_be_told_is_said() {
        let session = synthetic::session(3, Shape { processes: 4, ..Shape::default() });
        let text = rendered(&session, &Options { top: Some(1), ..Options::default() });
        assert!(
            text.contains("more are left out (") && text.contains("of waiting in total); --top"),
            "{text}"
        );
        let text = rendered(&session, &Options { top: Some(99), ..Options::default() });
        let unclear = "shared lock, object not known, of 1030; whether another thread held it cannot be told";
        assert!(text.contains(unclear), "{text}");
    }

    #[test]
    fn shares_of_holders_are_told_only_where_every_wait_tells_one() {
        let holders_of = |counts: &[u64], waits| {
            let mut seen = MutexSeen::default();
            for (tid, count) in (7..).zip(counts) {
                seen.holders.insert((tid, "server".to_owned()), *count);
            }
            holders(&seen, waits)
        };
        let few = "who held it is known of 2 of 17595 waits: 7 server 1, 8 server 1";
        assert_eq!(holders_of(&[1, 1], 17_595).as_deref(), Some(few));
        let all = "held, by number of waits, by 8 server 75%, 7 server 25%";
        assert_eq!(holders_of(&[1, 3], 4).as_deref(), Some(all));
        assert_eq!(holders_of(&[0], 9), None);
    }

    #[test]
    fn the_end_of_a_thread_is_told_also_where_its_word_is_gone() {
        let frames = vec!["pthread_join".to_owned(), "main".to_owned()];
        let stack = locks::StackCount { frames, caller: None, cut: None, count: 1 };
        for place in [locks::LockPlace::Unresolved { address: 16 }, locks::LockPlace::Private { address: 16 }]
        {
            let mut stats = FutexStats { count: 1, stacks: vec![stack.clone()], ..FutexStats::default() };
            stats.wait.record(1000);
            let mut process = model::session::Process::default();
            process.futexes.insert((place, 16, "WAIT".to_owned()), stats);
            let key = model::frame::ProcessKey { pid: 7, joined_ns: 0 };
            let ranked = locks::ranked([(&key, &process)]);
            assert!(what(&ranked[0]).starts_with("pthread end of a thread of 7"), "{}", what(&ranked[0]));
        }
    }

    #[test]
    fn whom_an_unlock_woke_is_not_told_since_the_kernel_does_not() {
        let stats = FutexStats { count: 120, ..FutexStats::default() };
        assert_eq!(operation("UNLOCK_PI", &stats), "UNLOCK_PI 120");
        assert_eq!(operation("WAKE", &stats), "WAKE 120: woke 0");
    }

    #[test]
    fn without_the_probe_there_is_no_section() {
        assert_eq!(rendered(&Session::default(), &Options::default()), "");
    }
}

//! Locks by the time that they cost; the selected one taken apart.

use model::{
    errno,
    locks::{FutexStats, MutexSeen, MutexStats, SpinMean, most},
    text::printable,
    units,
};
use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    charts,
    parts::{self, below, beside, heading, line, row, top},
};
use crate::{
    app::App,
    heat::edge,
    palette::{Look, Tone},
    rows, shown,
    sums::Lock,
    tables::Item,
};

/// Reason why there are no locks.
pub fn nothing(app: &App) -> &'static str {
    let ran = |stem: &str| app.facts.header.probes.iter().any(|probe| probe == stem);
    if ran("futex") || ran("mutex") {
        "no lock was waited for in this time"
    } else {
        "no probe for locks runs in this session; `pulse-trace probes` lists them"
    }
}

pub fn draw(app: &App, look: Look, buf: &mut Buffer, area: Rect) {
    let area = inside(app, look, buf, area);
    if app.shown.period.sums.locks.is_empty() {
        parts::wrap(buf, look, area, nothing(app), Tone::Faint);
        return;
    }
    let detail = if area.height >= 14 { area.height * 3 / 5 } else { 0 };
    let list = top(area, area.height - detail);
    parts::table(buf, look, list, &app.shown.table, Some(app.table()));
    let Some(Item::Lock(key)) = app.selected().filter(|_| detail > 0) else { return };
    let Some(lock) = app.shown.period.sums.locks.get(key) else { return };
    let area = below(area, area.height - detail);
    let area = heading(buf, look, area, &rows::lock_name(key), &kind(lock));
    let (left, right) = beside(area, area.width / 2);
    waits(lock, look, buf, left);
    facts(lock, look, buf, right);
}

/// Runtime and kind of a lock, by its probes and its memory, else by its stacks.
fn kind(lock: &Lock) -> String {
    let runtime = lock.runtime.as_deref().map(printable);
    let kind = lock.kind.map(|kind| kind.name());
    if runtime.is_some() || kind.is_some() {
        return [runtime, kind].into_iter().flatten().collect::<Vec<_>>().join(" ");
    }
    let by_stacks = most(lock.futexes.values().flat_map(|stats| &stats.stacks));
    by_stacks.map_or(String::new(), |(runtime, what)| format!("{runtime} {what}"))
}

/// Draws the counts of counters inside of processes, in one line for each kind of mutex; returns the rest of the area.
fn inside(app: &App, look: Look, buf: &mut Buffer, area: Rect) -> Rect {
    let kinds = &app.shown.period.sums.inline;
    for (at, (kind, stats)) in (0..).zip(kinds) {
        let mut words = format!(
            "inline, {}: {} acquired, {} contended",
            kind.name(),
            units::count(stats.acquisitions),
            units::count(stats.contended)
        );
        if let Some(mean) = stats.spins.mean() {
            let median = stats.spins.quantile(0.5).map_or(String::new(), units::count);
            words += &format!(
                ", {} gave up, spins {mean:.1} on average, {median} in the median",
                units::count(stats.gave_up)
            );
        }
        line(buf, look, row(area, at), &[(&words, Tone::Title)]);
    }
    below(area, kinds.len() as u16)
}

/// Distributions: of spinning where it was measured, of sleeping.
fn waits(lock: &Lock, look: Look, buf: &mut Buffer, area: Rect) {
    let slept = rows::waits_of(lock);
    let Some(mutex) = lock.mutex.as_ref().filter(|mutex| mutex.spin_count.count() > 0) else {
        line(buf, look, area, &[("waits in the kernel", Tone::Title)]);
        charts::histogram(buf, look, below(area, 1), &[&slept], edge);
        return;
    };
    let half = area.height / 2;
    line(buf, look, area, &[("spins (iterations)", Tone::Title)]);
    charts::histogram(buf, look, below(top(area, half), 1), &[&mutex.spin_count], |octave| {
        (1u64 << octave).to_string()
    });
    let lower = below(area, half);
    line(buf, look, lower, &[("waits in the kernel", Tone::Title)]);
    charts::histogram(buf, look, below(lower, 1), &[&slept], edge);
}

/// Draws acquisitions, holders, and the stacks of the lock's users.
fn facts(lock: &Lock, look: Look, buf: &mut Buffer, area: Rect) {
    let mut lines: Vec<(String, Tone)> = Vec::new();
    lines.extend(lock.mutex.iter().flat_map(|mutex| ends(lock, mutex)).map(|words| (words, Tone::Plain)));
    lock.futexes.iter().for_each(|(op, stats)| lines.push((operation(op, stats), Tone::Plain)));
    lines.extend(split(lock).map(|words| (words, Tone::Plain)));
    lines.extend(spins(lock));
    lines.extend(holders(lock));
    lines.extend(stacks(lock));
    for (at, (words, tone)) in lines.iter().enumerate() {
        line(buf, look, row(area, at as u16), &[(words, *tone)]);
    }
}

/// Outcomes of contended acquisitions, as far as they are seen.
fn ends(lock: &Lock, mutex: &MutexStats) -> [String; 2] {
    let of = |count: u64| units::count(count);
    let contended = format!("contended {}", of(mutex.contended));
    let kernel = format!("{} went to the kernel", of(mutex.went_to_kernel));
    if lock.counts_spins() {
        return [
            format!("{contended}: {} got by spinning,", of(mutex.got_by_spinning())),
            format!("  {} gave up, {kernel}", of(mutex.gave_up)),
        ];
    }
    match lock.kind {
        Some(kind) if !kind.spins() => [contended + "; this kind does not spin", format!("  {kernel}")],
        _ if lock.kind.is_some() || mutex.went_to_kernel > 0 => {
            [contended + "; spins are not seen", format!("  {kernel}")]
        }
        _ => [contended, "  neither spins nor waits of it are seen".to_owned()],
    }
}

fn operation(op: &str, stats: &FutexStats) -> String {
    let mut words = format!("{op} {}", units::count(stats.count));
    for (number, count) in &stats.errors {
        words += &format!(", {} {}", errno::name(*number), units::count(*count));
    }
    if stats.woken > 0 || stats.vain > 0 {
        words += &format!(": woke {}, in vain {}", units::count(stats.woken), units::count(stats.vain));
    }
    words
}

/// Sleep taken apart: until woken, and from then to running.
fn split(lock: &Lock) -> Option<String> {
    let blocked: u64 = lock.futexes.values().map(|stats| stats.blocked.sum).sum();
    let queued: u64 = lock.futexes.values().map(|stats| stats.run_queue.sum).sum();
    (blocked + queued > 0).then(|| {
        format!("asleep {} until woken, then {} for a CPU", units::time(blocked), units::time(queued))
    })
}

/// The mean spin count by the library's running mean.
fn spins(lock: &Lock) -> Vec<(String, Tone)> {
    let seen = lock.futexes.values().filter_map(|stats| stats.mutex.as_ref());
    let line = |mean: SpinMean| match (mean.doubt, mean.below()) {
        (None, _) => format!("mean spin count {:.1} to 10%", mean.mean),
        (_, Some(below)) => format!("mean spin count below {below:.0}"),
        _ => format!("__spins {:.1}, not the mean spin count", mean.mean),
    };
    seen.filter_map(MutexSeen::spin_mean).map(|mean| (line(mean), Tone::Plain)).collect()
}

fn holders(lock: &Lock) -> Vec<(String, Tone)> {
    let mut holders: Vec<_> = lock
        .futexes
        .values()
        .filter_map(|stats| stats.mutex.as_ref())
        .flat_map(|seen| &seen.holders)
        .collect();
    holders.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let line = |((tid, comm), count): &(&(u32, String), &u64)| {
        (format!("  {tid} {} {}", shown::name(comm), units::count(**count)), Tone::Plain)
    };
    let known: u64 = holders.iter().map(|(_, count)| **count).sum();
    let title =
        format!("who held it is known of {} of {} waits", units::count(known), units::count(lock.waits()));
    let title = (known > 0).then_some((title, Tone::Title));
    title.into_iter().chain(holders.iter().take(3).map(line)).collect()
}

fn stacks(lock: &Lock) -> Vec<(String, Tone)> {
    let futexes = lock.futexes.values().flat_map(|stats| &stats.stacks);
    let mut stacks: Vec<_> = futexes.chain(lock.mutex.iter().flat_map(|mutex| &mutex.stacks)).collect();
    stacks.sort_by_key(|stack| std::cmp::Reverse(stack.count));
    let all: u64 = stacks.iter().map(|stack| stack.count).sum();
    let mut lines = Vec::new();
    for stack in stacks.iter().take(3) {
        // Each stands for many waits: a count of them would not be the count of waits.
        let share = 100.0 * stack.count as f64 / all.max(1) as f64;
        lines.push((format!("{share:.0}% of the stacks taken"), Tone::Title));
        lines.extend(stack.frames.iter().map(|frame| (format!("  {}", printable(frame)), Tone::Faint)));
        lines.extend(stack.cut.iter().map(|why| (format!("  cut: {}", printable(why)), Tone::Accent)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use model::locks::MutexKind;

    use super::*;

    #[test]
    fn what_does_not_spin_has_not_given_up() {
        let stats = MutexStats { contended: 565, gave_up: 565, went_to_kernel: 560, ..MutexStats::default() };
        let lock = |form| Lock {
            kind: Some(MutexKind { form, ..MutexKind::default() }),
            tells_spins: true,
            mutex: Some(stats.clone()),
            ..Lock::default()
        };
        assert_eq!(
            ends(&lock(0), &stats),
            ["contended 565; this kind does not spin", "  560 went to the kernel"]
        );
        assert_eq!(
            ends(&lock(3), &stats),
            ["contended 565: 0 got by spinning,", "  565 gave up, 560 went to the kernel"]
        );
        let unknown = Lock { kind: None, tells_spins: false, ..lock(0) };
        assert_eq!(ends(&unknown, &stats), ["contended 565; spins are not seen", "  560 went to the kernel"]);
    }
}

//! Mutexes as probes in the library saw them, beside what those probes cost.

use model::{
    frame::Traps,
    locks::{self, ContendedMutex, MutexKind},
    session::Session,
    text::printable,
    units,
};

use super::{
    Options, histogram,
    holds::marked,
    inline::COUNTED as INSIDE,
    layout::{Layout, Row, Tone},
    place,
    share::percent_words,
};

const COLUMNS: [&str; 10] =
    ["mutex", WANTED, "contended", "spun", "gave up", "kernel", "spins", "p99", "time p50", "p99"];
/// Only there where calls that found it free were counted, too.
const WANTED: &str = "wanted";
const NONE: &str = "-";
const MUTEXES: usize = 10;
const STACKS: usize = 2;
/// Spin histograms that are drawn by default.
const DRAWN: usize = 1;

pub fn render(session: &Session, options: &Options, layout: Layout) -> String {
    let mutexes = locks::ranked_mutexes(&session.processes);
    let traps = session.overhead.traps.as_ref();
    let detached = traps.is_some_and(|traps| traps.detached_at_ns.is_some());
    if mutexes.is_empty() && !detached {
        return String::new();
    }
    let total = mutexes.iter().any(|mutex| mutex.seen.stats.calls > 0);
    // Both never see mutexes in one session.
    let inside = traps.is_none() && session.overhead.inline.is_some();
    let which = if total { "every call" } else { "contended acquisitions only" };
    let title = match inside {
        true => {
            format!("mutexes one by one, as counters inside of the processes saw them: {INSIDE}")
        }
        false => format!("mutexes, as probes in the library saw them: {which}"),
    };
    let mut text = layout.paint(Tone::Title, layout.wrap("", &title).trim_end()) + "\n";
    text += &traps.map_or(String::new(), |traps| perturbation(traps, layout));
    if total && !inside {
        text += &distorted(layout);
    }
    let shown = options.top.unwrap_or(MUTEXES).min(mutexes.len());
    let trap_ns = traps.map_or(0.0, |traps| traps.trap_ns);
    let rows: Vec<Row> = mutexes.iter().take(shown).map(|mutex| row(mutex, trap_ns)).collect();
    if !rows.is_empty() {
        text += &table(&rows, total, layout);
    }
    text += &layout.left_out(shown, mutexes.len());
    let trap = units::fraction_of_time(trap_ns);
    let words = format!("shorter than one hit of a probe ({trap}): it is in there, and may be most of it");
    text += &layout.footnote(&rows, &words);
    let spinning = mutexes.iter().take(shown).filter(|mutex| mutex.seen.stats.spin_count.count() > 0);
    for mutex in spinning.take(if options.histograms { shown } else { DRAWN }) {
        text += &drawing(mutex, layout);
    }
    if options.histograms {
        for mutex in mutexes.iter().take(shown) {
            let title = format!("{}, time to the end of the spin", place::name(&mutex.place));
            let times = &mutex.seen.stats.spin_time;
            text += &histogram::render(
                &title,
                "acquisition",
                "acquisitions",
                times,
                histogram::Scale::Time,
                layout,
            );
        }
    }
    text
}

/// Leaves out the column of calls if they were not counted.
fn table(rows: &[Row], total: bool, layout: Layout) -> String {
    if total {
        return layout.table(&COLUMNS, rows);
    }
    let without = |row: &Row| {
        let mut cells = row.cells.clone();
        cells.remove(1);
        Row { cells, notes: row.notes.clone() }
    };
    let columns: Vec<&str> = COLUMNS.into_iter().filter(|column| *column != WANTED).collect();
    layout.table(&columns, &rows.iter().map(without).collect::<Vec<_>>())
}

/// Text about the distortion by probes that every call passes.
fn distorted(layout: Layout) -> String {
    let words = "--mutex-total: a probe held up each call, also of those who found the mutex free. What is said of contention and of \
                 spins is true of the program as it ran so, not of the program alone: for that, leave the option out.";
    layout.paint(Tone::Alarm, layout.wrap("", words).trim_end()) + "\n"
}

fn drawing(mutex: &ContendedMutex, layout: Layout) -> String {
    let title = format!("{}, spins", place::name(&mutex.place));
    let spins = &mutex.seen.stats.spin_count;
    histogram::render(&title, "acquisition", "acquisitions", spins, histogram::Scale::Count, layout)
}

/// By how much the probes slowed the targets down, and whether they had to go.
fn perturbation(traps: &Traps, layout: Layout) -> String {
    let cost = format!(
        "{} hits of {} each in {}",
        units::count(traps.hits),
        units::fraction_of_time(traps.trap_ns),
        units::time(traps.attached_ns)
    );
    let words = match traps.slowdown() {
        Some(slowdown) => format!(
            "slow-down {} while they were in ({cost}); threads that wait for one another slow down \
             more, and another thread may win the lock",
            slowdown.words()
        ),
        None => format!("slow-down not known ({cost})"),
    };
    let mut text = layout.wrap("", &words);
    if let Some(at_ns) = traps.detached_at_ns {
        let limit = traps.budget_percent.map_or(String::new(), |limit| format!(" of {limit}%"));
        let words = format!(
            "The probes cost more than their budget{limit} and were taken out at {}: what came later is missing here. \
             --budget unlimited insists.",
            units::time(at_ns)
        );
        text += &layout.paint(Tone::Alarm, layout.wrap("", &words).trim_end());
        text.push('\n');
    }
    text
}

fn row(mutex: &ContendedMutex, trap_ns: f64) -> Row {
    let stats = &mutex.seen.stats;
    let spins = |share| stats.spin_count.quantile(share).map_or(NONE.to_owned(), units::count);
    let time = |share| marked(&stats.spin_time, share, trap_ns);
    let known = |is_known: bool, count: u64| if is_known { units::count(count) } else { NONE.to_owned() };
    let spinning = mutex.seen.counts_spins();
    let waits = spinning || mutex.seen.kind.is_some() || stats.went_to_kernel > 0;
    let cells = vec![
        place::name(&mutex.place),
        known(stats.calls > 0, stats.calls),
        units::count(stats.contended),
        known(spinning, stats.got_by_spinning()),
        known(spinning, stats.gave_up),
        known(waits, stats.went_to_kernel),
        stats.spin_count.mean().map_or(NONE.to_owned(), |mean| format!("{mean:.1}")),
        spins(0.99),
        time(0.5),
        time(0.99),
    ];
    Row { cells, notes: notes(mutex) }
}

fn notes(mutex: &ContendedMutex) -> Vec<String> {
    let seen = &mutex.seen;
    let mut what = printable(&seen.runtime);
    if let Some(generation) = &seen.generation {
        what += &format!(" ({})", printable(generation));
    }
    if let Some(kind) = seen.kind.map(MutexKind::name) {
        what += &format!(", {kind}");
    }
    if seen.kind.is_some_and(|kind| !kind.spins()) {
        what += ", does not spin";
    }
    what += &format!(", of {}", place::users(&mutex.place, &mutex.users));
    let stats = &seen.stats;
    if stats.spin_time.count() > 0 {
        what += &format!("; {} in all", units::time(stats.spin_time.sum));
    }
    if stats.calls > 0 {
        what += &format!("; {} found it taken", percent_words(stats.contended, stats.calls));
    }
    if stats.contended > 0 && seen.counts_spins() {
        what +=
            &format!(", {} got it while spinning", percent_words(stats.got_by_spinning(), stats.contended));
    }
    let stacks = place::stacks(&stats.stacks, STACKS).into_iter();
    [what].into_iter().chain(stacks).collect()
}

#[cfg(test)]
mod tests {
    use model::{
        locks::MutexStats,
        synthetic::{self, Shape},
    };

    use super::*;

    fn rendered(session: &Session) -> String {
        render(session, &Options::default(), Layout::new(120, false))
    }

    #[test]
    fn probes_that_were_taken_out_are_told_even_where_they_saw_nothing() {
        let mut session = synthetic::session(3, Shape::default());
        let told =
            "cost more than their budget of 5% and were taken out at 2.12s: what came later is missing here";
        assert!(rendered(&session).replace('\n', " ").contains(told), "{}", rendered(&session));
        session.processes.clear();
        let text = rendered(&session);
        assert!(
            text.replace('\n', " ").contains("--budget unlimited insists") && !text.contains("gave up"),
            "{text}"
        );
    }

    #[test]
    fn the_slow_down_stands_beside_the_table() {
        let mut session = synthetic::session(3, Shape { lossy: false, ..Shape::default() });
        let traps = session.overhead.traps.as_mut().unwrap();
        (traps.trap_ns, traps.hits, traps.target_cpu_ns) = (1000.0, 1000, 2_000_000);
        assert!(rendered(&session).contains("slow-down about 2.00x while"), "{}", rendered(&session));
        assert!(!rendered(&session).contains("taken out"));
        let mut with_cpu = |ns| {
            session.overhead.traps.as_mut().unwrap().target_cpu_ns = ns;
            rendered(&session).replace('\n', " ")
        };
        assert!(with_cpu(0).contains("slow-down not known"), "{}", with_cpu(0));
        let most = "slow-down more than 2x, probes took 97% of the targets' CPU time while they were in";
        assert!(with_cpu(1_030_000).contains(most), "{}", with_cpu(1_030_000));
        for ns in [1000, 1_000_000, 1_010_000] {
            assert!(
                with_cpu(ns).contains("probes took nearly all of the targets' CPU time"),
                "{}",
                with_cpu(ns)
            );
        }
    }

    #[test]
    fn calls_have_a_column_where_they_were_counted_and_a_warning_beside_it() {
        let mut session = synthetic::session(3, Shape { lossy: false, ..Shape::default() });
        let text = rendered(&session);
        assert!(
            text.contains("wanted") && text.contains("--mutex-total: a probe held up each call"),
            "{text}"
        );
        assert!(text.contains("9% found it taken"), "{text}");
        session
            .processes
            .values_mut()
            .flat_map(|it| it.mutexes.values_mut())
            .for_each(|it| it.stats.calls = 0);
        let text = rendered(&session);
        assert!(!text.contains("wanted") && !text.contains("--mutex-total"), "{text}");
    }

    #[test]
    fn what_does_not_spin_has_neither_spun_nor_given_up() {
        let kind = MutexKind { form: 0, robust: false, inherits: false, protects: false, shared: false };
        let stats = MutexStats { contended: 7, gave_up: 7, went_to_kernel: 5, ..MutexStats::default() };
        let seen = model::session::Mutex {
            runtime: "glibc 2.36".to_owned(),
            kind: Some(kind),
            stats,
            generation: None,
        };
        let place = locks::LockPlace::Private { address: 64 };
        let mutex = ContendedMutex { place, users: [(1, 64)].into(), seen };
        let Row { cells, notes } = row(&mutex, 0.0);
        assert_eq!(cells[1..6], ["-", "7", "-", "-", "5"]);
        assert!(
            notes[0].contains("normal, does not spin") && !notes[0].contains("got it while"),
            "{notes:?}"
        );
    }

    #[test]
    fn without_the_probe_there_is_no_section() {
        assert_eq!(rendered(&Session::default()), "");
    }
}

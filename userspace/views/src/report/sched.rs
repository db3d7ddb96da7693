//! Scheduling of each process: switches, waits for a CPU, wakers.

use std::cmp::Reverse;

use model::{
    frame::ProcessKey,
    hist::{Hist, Largest},
    sched::{SchedStats, Waker},
    session::{Process, Session},
    units,
};

use super::{
    DEFAULT_TOP, Options, Sort, budget,
    calls::QUANTILES,
    histogram,
    layout::{Layout, Row, Tone, shown_name},
    share::{apportion, percents_words},
};

const NONE: &str = "-";
/// Wakers that are shown by default.
const WAKERS: usize = 8;
/// CPUs that are listed; a process on more of them is everywhere.
const CPUS: usize = 8;

pub fn render(session: &Session, options: &Options, layout: Layout) -> String {
    let mut processes: Vec<(&ProcessKey, &Process, &SchedStats)> = session
        .processes
        .iter()
        .filter_map(|(key, process)| Some((key, process, process.sched.as_ref()?)))
        .filter(|(_, _, sched)| sched.switches() > 0 || sched.on_cpu.count() > 0)
        .collect();
    processes.sort_by_cached_key(|(key, process, sched)| {
        let name = if options.sort == Sort::Name { process.comm.clone() } else { String::new() };
        (Reverse(budget::weight(options.sort, sched)), name, **key)
    });
    let shown = options.top.unwrap_or(DEFAULT_TOP).min(processes.len());
    let mut sections: Vec<String> = processes
        .iter()
        .take(shown)
        .map(|(key, process, sched)| section(key, process, sched, options, layout))
        .collect();
    if processes.len() > shown {
        let words = format!(
            "The scheduling of {} more processes is left out; --top {} shows it",
            processes.len() - shown,
            processes.len()
        );
        sections.push(layout.wrap("", &words));
    }
    sections.join("\n")
}

fn section(
    key: &ProcessKey,
    process: &Process,
    sched: &SchedStats,
    options: &Options,
    layout: Layout,
) -> String {
    let title = format!("scheduling of {}", process.shown(*key));
    let mut text = layout.paint(Tone::Title, layout.wrap("", &title).trim_end()) + "\n";
    text += &layout.wrap("", &summary(sched));
    let waits = distributions(sched);
    let rows: Vec<Row> = waits.iter().map(|(name, hist)| row((*name).to_owned(), hist)).collect();
    if !rows.is_empty() {
        text +=
            &layout.table(&["time", "count", "total", "mean", "p50", "p90", "p99", "p99.9", "max"], &rows);
    }
    text += &wakers(sched, options, layout);
    if options.threads {
        text += &threads(process, options, layout);
    }
    if options.histograms {
        for (name, hist) in waits {
            text += &histogram::render(name, "stretch", "stretches", hist, histogram::Scale::Time, layout);
        }
    }
    text
}

/// Those that hold anything.
fn distributions(sched: &SchedStats) -> Vec<(&'static str, &Hist)> {
    let all = [
        ("wakeup to run", &sched.wakeup_to_run),
        ("preempted to run", &sched.preempted_to_run),
        ("on CPU", &sched.on_cpu),
        ("off CPU", &sched.off_cpu),
    ];
    all.into_iter().filter(|(_, hist)| hist.count() > 0).collect()
}

fn summary(sched: &SchedStats) -> String {
    let mut words = format!(
        "{} switches: {} voluntary, {} involuntary; {} migrations",
        units::count(sched.switches()),
        units::count(sched.voluntary),
        units::count(sched.involuntary),
        units::count(sched.migrations)
    );
    let mut cpus: Vec<(u32, u64)> = sched.cpus.iter().map(|(cpu, share)| (*cpu, share.ns)).collect();
    let times: Vec<u64> = cpus.iter().map(|cpu| cpu.1).collect();
    let mut shares: Vec<(u32, u64)> =
        cpus.drain(..).map(|cpu| cpu.0).zip(apportion(&times, 100)).filter(|cpu| cpu.1 > 0).collect();
    if shares.is_empty() {
        return words;
    }
    let count = shares.len();
    if count > CPUS {
        shares.sort_by_key(|cpu| (Reverse(cpu.1), cpu.0));
    }
    let listed: Vec<String> =
        shares.iter().take(CPUS).map(|(cpu, share)| format!("{cpu}: {share}%")).collect();
    words += &format!("; ran on CPU {}", listed.join(", "));
    if count > CPUS {
        words += &format!(" and {} more", count - CPUS);
    }
    words
}

fn row(name: String, hist: &Hist) -> Row {
    let time = |ns: Option<u64>| ns.map_or(NONE.to_owned(), units::time);
    let mut cells = vec![
        name,
        units::count(hist.count()),
        units::time(hist.sum),
        hist.mean().map_or(NONE.to_owned(), units::fraction_of_time),
    ];
    cells.extend(QUANTILES.map(|(_, share)| time(hist.quantile(share))));
    cells.push(hist.largest().map_or(NONE.to_owned(), Largest::time));
    Row { cells, notes: Vec::new() }
}

fn wakers(sched: &SchedStats, options: &Options, layout: Layout) -> String {
    let mut wakers: Vec<(&Waker, &Hist)> =
        sched.wakers.iter().filter(|(_, latency)| latency.count() > 0).collect();
    if wakers.is_empty() {
        return String::new();
    }
    wakers.sort_by_key(|(waker, latency)| (Reverse(latency.count()), *waker));
    let counts: Vec<u64> = wakers.iter().map(|(_, latency)| latency.count()).collect();
    let shown = options.top.unwrap_or(WAKERS).min(wakers.len());
    let time = |ns: Option<u64>| ns.map_or(NONE.to_owned(), units::time);
    let row = |((waker, latency), share): (&(&Waker, &Hist), String)| Row {
        cells: vec![
            waker.shown(),
            units::count(latency.count()),
            share,
            time(latency.quantile(0.5)),
            time(latency.quantile(0.99)),
            latency.largest().map_or(NONE.to_owned(), Largest::time),
        ],
        notes: Vec::new(),
    };
    let rows: Vec<Row> = wakers.iter().zip(percents_words(&counts)).take(shown).map(row).collect();
    let mut text =
        layout.table(&["woken by, then until it ran", "times", "share", "p50", "p99", "max"], &rows);
    if wakers.len() > shown {
        let words =
            format!("{} more wakers are left out; --top {} shows them", wakers.len() - shown, wakers.len());
        text += &layout.wrap("", &words);
    }
    text
}

fn threads(process: &Process, options: &Options, layout: Layout) -> String {
    let mut threads: Vec<(u32, &SchedStats)> =
        process.sched_threads.iter().map(|(tid, sched)| (*tid, sched)).collect();
    if threads.is_empty() {
        return String::new();
    }
    threads.sort_by_cached_key(|(tid, sched)| (Reverse(budget::weight(options.sort, sched)), *tid));
    let shown = options.top.unwrap_or(DEFAULT_TOP).min(threads.len());
    let time = |ns: Option<u64>| ns.map_or(NONE.to_owned(), units::time);
    let row = |(tid, sched): &(u32, &SchedStats)| Row {
        cells: vec![
            format!("{tid} {}", shown_name(process.thread_names.get(tid).map_or("", String::as_str))),
            units::count(sched.voluntary),
            units::count(sched.involuntary),
            units::count(sched.migrations),
            time(sched.wakeup_to_run.quantile(0.5)),
            time(sched.wakeup_to_run.quantile(0.99)),
            time(sched.on_cpu.quantile(0.5)),
        ],
        notes: Vec::new(),
    };
    let rows: Vec<Row> = threads.iter().take(shown).map(row).collect();
    let header = ["thread", "voluntary", "involuntary", "migrations", "wakeup p50", "p99", "on CPU p50"];
    let mut text = layout.table(&header, &rows);
    if threads.len() > shown {
        let words = format!(
            "{} more threads are left out; --top {} shows them",
            threads.len() - shown,
            threads.len()
        );
        text += &layout.wrap("", &words);
    }
    text
}

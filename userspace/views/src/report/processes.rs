//! Each process, and where wanted each thread, with its calls.

use std::{cmp::Reverse, collections::BTreeMap};

use model::{
    frame::{Call, CallStats, ProcessKey},
    session::{Process, Session},
    status, units,
};

use super::{
    DEFAULT_TOP, Options, Sort, budget,
    calls::{self, Named},
    counters, histogram,
    layout::{Layout, Row, Tone, shown_name},
};

/// A process with its calls, sorted.
struct Entry<'a> {
    key: ProcessKey,
    process: &'a Process,
    calls: Vec<Named>,
    sum: CallStats,
}

pub fn render(session: &Session, options: &Options, layout: Layout) -> String {
    let entries = sorted(session, options.sort);
    let shown = options.top.unwrap_or(DEFAULT_TOP).min(entries.len());
    let mut sections = Vec::new();
    if entries.is_empty() {
        sections.push(layout.wrap("", "No process was seen: nothing was traced."));
    }
    if entries.len() > 1 {
        sections.push(overview(&entries, shown, session, layout));
    }
    let probed = probed(session);
    let tells = |entry: &&Entry<'_>| probed || entries.len() == 1 || entry.process.counters.is_some();
    let told = entries.iter().take(shown).filter(tells);
    sections.extend(told.map(|entry| section(entry, session, options, layout)));
    if entries.iter().any(|entry| !entry.calls.is_empty()) {
        let words =
            "Count, total and mean are exact; p50 to p99.9 are within 1/32 (3.13%) of the true value.";
        sections.push(layout.wrap("", words));
    }
    sections.extend(Some(counters::footnote(session, layout)).filter(|note| !note.is_empty()));
    if options.threads && !session.header.per_thread {
        let words =
            "Threads are not shown apart: this session did not tell them apart; trace with --threads.";
        sections.push(layout.wrap("", words));
    }
    sections.join("\n")
}

/// Reports whether system calls were counted: if not, a remark on their absence is not needed.
fn probed(session: &Session) -> bool {
    let calls = session.processes.values().any(|process| !process.syscalls.is_empty());
    calls || session.header.counts_calls()
}

/// By total time, or by the column that was asked for where processes have it.
fn sorted(session: &Session, sort: Sort) -> Vec<Entry<'_>> {
    let arch = &session.header.arch;
    let entry = |(key, process): (&ProcessKey, &'_ Process)| {
        let calls = calls::sorted(arch, process.calls(), sort);
        (*key, calls::sum(&calls), calls)
    };
    let mut entries: Vec<Entry<'_>> = Vec::with_capacity(session.processes.len());
    for (key, process) in &session.processes {
        let (key, sum, calls) = entry((key, process));
        entries.push(Entry { key, process, calls, sum });
    }
    match sort {
        Sort::Name => entries.sort_by_key(|entry| (entry.process.comm.clone(), entry.key)),
        Sort::Count => entries.sort_by_key(|entry| (Reverse(entry.sum.count()), entry.key)),
        Sort::Errors => entries.sort_by_key(|entry| (Reverse(entry.sum.failed()), entry.key)),
        Sort::Cpu | Sort::Queue | Sort::Blocked | Sort::Switches => entries.sort_by_key(|entry| {
            let weight = entry.process.sched.as_ref().map(|sched| budget::weight(sort, sched));
            (Reverse(weight), Reverse(entry.sum.total_ns()), entry.key)
        }),
        _ => entries.sort_by_key(|entry| (Reverse(entry.sum.total_ns()), entry.key)),
    }
    entries
}

fn overview(entries: &[Entry<'_>], shown: usize, session: &Session, layout: Layout) -> String {
    let probed = probed(session);
    let known = |number: String| if probed { number } else { "-".to_owned() };
    let row = |entry: &Entry<'_>| Row {
        cells: vec![
            entry.process.shown(entry.key),
            entry.process.threads.to_string(),
            known(units::count(entry.sum.count())),
            known(units::count(entry.sum.failed())),
            known(units::time(entry.sum.total_ns())),
            state(entry, session),
        ],
        notes: Vec::new(),
    };
    let rows: Vec<Row> = entries.iter().take(shown).map(row).collect();
    let mut text = layout.table(&["process", "threads", "calls", "errors", "total", "state"], &rows);
    if let Some(rest) = entries.get(shown..).filter(|rest| !rest.is_empty()) {
        let (count, total) = rest
            .iter()
            .fold((0, 0), |(count, total), entry| (count + entry.sum.count(), total + entry.sum.total_ns()));
        let made = match probed {
            true => format!(" ({} calls, {} in total)", units::count(count), units::time(total)),
            false => String::new(),
        };
        let words =
            format!("{} more processes are left out{made}; --top {} shows them", rest.len(), entries.len());
        text += &layout.wrap("", &words);
    }
    text
}

fn state(entry: &Entry<'_>, session: &Session) -> String {
    match entry.process.exit {
        Some(exit) => status::words(exit.status),
        None if entry.process.folded != 0 => "ended".to_owned(),
        // Some of them live, others have ended.
        None if entry.key == ProcessKey::OTHERS => "-".to_owned(),
        None if session.finished => "alive".to_owned(),
        None => "alive when last seen".to_owned(),
    }
}

fn section(entry: &Entry<'_>, session: &Session, options: &Options, layout: Layout) -> String {
    let Entry { key, process, .. } = entry;
    let threads =
        if process.threads == 1 { "1 thread".to_owned() } else { format!("{} threads", process.threads) };
    let mut title = format!("process {} ({threads}", process.shown(*key));
    if let Some(parent) = process.parent {
        title += &format!(", child of {parent}");
    }
    title.push(')');
    if let Some(exit) = process.exit {
        title += &format!(": {} at {}", status::words(exit.status), units::time(exit.at_ns));
    }
    let mut text = layout.paint(Tone::Title, layout.wrap("", &title).trim_end()) + "\n";
    if !probed(session) {
        // System calls were not counted.
    } else if options.threads && session.header.per_thread {
        text += &by_thread(process, session, options, layout);
    } else {
        text += &numbers(&entry.calls, options, layout);
    }
    text + &counters::render(*key, process, session, layout)
}

fn numbers(calls: &[Named], options: &Options, layout: Layout) -> String {
    if calls.is_empty() {
        return layout.wrap("", "No system call was seen.");
    }
    let mut text = calls::table(calls, options, layout);
    if options.histograms {
        let shown = options.top.unwrap_or(calls.len());
        for Named { name, stats } in calls.iter().take(shown) {
            text += &histogram::render(name, "call", "calls", &stats.latency, histogram::Scale::Time, layout);
        }
    }
    text
}

fn by_thread(process: &Process, session: &Session, options: &Options, layout: Layout) -> String {
    let mut threads: BTreeMap<Option<u32>, Vec<(Call, CallStats)>> = BTreeMap::new();
    for ((tid, call), stats) in &process.syscalls {
        threads.entry(*tid).or_default().push((*call, stats.clone()));
    }
    let named = |(tid, calls)| (tid, calls::sorted(&session.header.arch, calls, options.sort));
    let mut threads: Vec<(Option<u32>, Vec<Named>)> = threads.into_iter().map(named).collect();
    threads.sort_by_key(|(tid, calls)| (Reverse(calls::sum(calls).total_ns()), *tid));
    let shown = options.top.unwrap_or(DEFAULT_TOP).min(threads.len());
    let mut text = String::new();
    for (tid, calls) in threads.iter().take(shown) {
        if options.histograms && !text.is_empty() {
            text.push('\n');
        }
        let title = match tid {
            Some(tid) => {
                let name = process.thread_names.get(tid).map_or(String::new(), |name| shown_name(name));
                format!("thread {tid} {name}")
            }
            None => "threads that could not be told apart".to_owned(),
        };
        text += &layout.wrap("", &title);
        text += &numbers(calls, options, layout);
    }
    if threads.len() > shown {
        let words = format!(
            "{} more threads are left out; --top {} shows them",
            threads.len() - shown,
            threads.len()
        );
        text += &layout.wrap("", &words);
    }
    if threads.is_empty() { layout.wrap("", "No system call was seen.") } else { text }
}

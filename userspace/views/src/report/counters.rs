//! Performance counters of a process, with what follows from them.

use std::collections::BTreeMap;

use model::{
    counters::{Counter, Counters, Reading, Tally},
    frame::ProcessKey,
    session::{Process, Session},
    text::printable,
    units,
};

use super::layout::{Layout, Row};

/// A share that is shown as less than the whole.
const WHOLE: f64 = 0.99995;
/// More generations than this between a process and the one that has its counters are not searched.
const GENERATIONS: usize = 64;

/// The counters of a process; empty where it has none.
pub fn render(key: ProcessKey, process: &Process, session: &Session, layout: Layout) -> String {
    let Some(counters) = &process.counters else {
        return match counted_with(process, session) {
            // It was there before all counters were open.
            Some(pid) if key.joined_ns < session.header.start_mono_ns => layout.wrap(
                "",
                &format!(
                    "It was forked while the session began: its counters are in those of process {pid}, or in none."
                ),
            ),
            Some(pid) => layout.wrap("", &format!("Its counters are in those of process {pid}.")),
            None => String::new(),
        };
    };
    let mut text = String::new();
    let rows = rows(counters, span_ns(key, process, counters, session));
    let partly = shown(counters).any(|(_, reading)| is_partial(&reading));
    let mut header = vec!["counter", "value", ""];
    if partly {
        header.push("counted for");
    }
    if !rows.is_empty() {
        text += "\n";
        text += &layout.table(&header, &rows);
    }
    text + &remarks(counters, layout)
}

/// Meaning of rates and shares; empty where no process has counters.
pub fn footnote(session: &Session, layout: Layout) -> String {
    if session.processes.values().all(|process| process.counters.is_none()) {
        return String::new();
    }
    let words = "Counters: /s is per second of task-clock; CPUs utilised is task-clock over the time that the process \
                 was traced. What was counted for a part of the time only is scaled up.";
    layout.wrap("", words)
}

/// Counters with a number.
fn shown(counters: &Counters) -> impl Iterator<Item = (Counter, Reading)> {
    let reading = |counter| Some((counter, counters.reading(counter).filter(|it| it.value().is_some())?));
    Counter::ALL.into_iter().filter_map(reading)
}

fn is_partial(reading: &Reading) -> bool {
    reading.share().is_some_and(|share| share < WHOLE)
}

fn rows(counters: &Counters, span_ns: u64) -> Vec<Row> {
    let mut rows = Vec::new();
    let partly = shown(counters).any(|(_, reading)| is_partial(&reading));
    for (counter, reading) in shown(counters) {
        let value = reading.value().unwrap_or_default();
        let value = if counter == Counter::TaskClock { units::time(value) } else { units::count(value) };
        let mut cells =
            vec![counter.name().to_owned(), value, derived(counter, counters, span_ns).unwrap_or_default()];
        if partly {
            cells.push(reading.share().map_or_else(String::new, units::percent));
        }
        rows.push(Row { cells, notes: Vec::new() });
        if counter == Counter::Instructions
            && let Some(stalls) = stalls_per_instruction(counters)
        {
            let words = format!("{stalls:.2} stalls per instruction");
            let empty = String::new;
            rows.push(Row { cells: vec![empty(), empty(), words, empty()], notes: Vec::new() });
        }
    }
    rows
}

/// Rate or share that follows from a number and another one.
fn derived(counter: Counter, counters: &Counters, span_ns: u64) -> Option<String> {
    let of =
        |whole, words: &str| Some(format!("{} {words}", units::percent(counters.ratio(counter, whole)?)));
    match counter {
        Counter::TaskClock => {
            let cpus = counters.value(counter)? as f64 / span_ns as f64;
            (span_ns > 0).then(|| format!("{cpus:.3} CPUs utilised"))
        }
        Counter::Cycles => Some(units::rate(per_second(counter, counters)?) + "Hz"),
        Counter::StalledFrontend | Counter::StalledBackend => of(Counter::Cycles, "of cycles"),
        Counter::Instructions => Some(format!("{:.2} per cycle", counters.ratio(counter, Counter::Cycles)?)),
        Counter::BranchMisses => of(Counter::Branches, "of branches"),
        Counter::L1LoadMisses => of(Counter::L1Loads, "of loads"),
        Counter::LlcLoadMisses => of(Counter::LlcLoads, "of loads"),
        _ => Some(units::rate(per_second(counter, counters).filter(|rate| *rate > 0.0)?) + "/s"),
    }
}

fn per_second(counter: Counter, counters: &Counters) -> Option<f64> {
    Some(counters.ratio(counter, Counter::TaskClock)? * 1e9)
}

/// Of the two kinds of stalls the more frequent one, as `perf stat` has it.
fn stalls_per_instruction(counters: &Counters) -> Option<f64> {
    let stalls = [Counter::StalledFrontend, Counter::StalledBackend];
    stalls.into_iter().filter_map(|stalls| counters.ratio(stalls, Counter::Instructions)).reduce(f64::max)
}

/// The time that a process was traced, ns. What its children did may reach beyond its own end.
fn span_ns(key: ProcessKey, process: &Process, counters: &Counters, session: &Session) -> u64 {
    let begin = key.joined_ns.saturating_sub(session.header.start_mono_ns);
    let end = process.exit.filter(|_| !counters.with_children).map_or(session.duration_ns, |exit| exit.at_ns);
    end.saturating_sub(begin)
}

/// Counters without a number, each with the reason.
fn remarks(counters: &Counters, layout: Layout) -> String {
    let mut unsupported: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut refused: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (counter, tally) in &counters.tallies {
        match tally {
            Tally::Unsupported(why) => unsupported.entry(why).or_default().push(counter.name()),
            Tally::Refused(why) => refused.entry(why).or_default().push(counter.name()),
            Tally::Counted(reading) if reading.value().is_none() => {
                let why = "the processor had no counter free for them at any time";
                refused.entry(why).or_default().push(counter.name());
            }
            Tally::Counted(_) => {}
        }
    }
    let line = |head: &str, (why, names): (&str, Vec<&str>)| {
        layout.wrap(head, &format!("{} ({})", names.join(", "), printable(why)))
    };
    let mut text = String::new();
    text.extend(unsupported.into_iter().map(|group| line("not supported here: ", group)));
    text.extend(refused.into_iter().map(|group| line("not counted: ", group)));
    if counters.with_children {
        text += &layout.wrap("", "The counters hold those of the processes that it forked, and of theirs.");
    }
    text
}

/// The process in whose counters those of another one are: the nearest ancestor that has any.
fn counted_with(process: &Process, session: &Session) -> Option<u32> {
    let mut parent = process.parent?;
    for _ in 0..GENERATIONS {
        let (_, ancestor) = session.processes.iter().rev().find(|(key, _)| key.pid == parent)?;
        match &ancestor.counters {
            Some(counters) => return counters.with_children.then_some(parent),
            None => parent = ancestor.parent?,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of a run of the compare-and-swap queue on a machine with hardware counters, as `perf stat` printed it:
    /// value and share of the time in which it was counted.
    const PRINTED: [(Counter, u64, f64); 12] = [
        (Counter::TaskClock, 1_813_480_000, 1.0),
        (Counter::ContextSwitches, 296, 1.0),
        (Counter::Migrations, 7, 1.0),
        (Counter::PageFaults, 5391, 1.0),
        (Counter::Cycles, 5_489_758_361, 0.6283),
        (Counter::StalledFrontend, 24_304_631, 0.6352),
        (Counter::StalledBackend, 4_919_669_301, 0.6322),
        (Counter::Instructions, 1_621_028_803, 0.6270),
        (Counter::Branches, 243_012_678, 0.6266),
        (Counter::BranchMisses, 743_881, 0.6260),
        (Counter::L1Loads, 885_281_809, 0.6246),
        (Counter::L1LoadMisses, 15_952_739, 0.6211),
    ];

    fn printed() -> Counters {
        let enabled_ns = 1_813_480_000;
        let reading = |(counter, value, share): (Counter, u64, f64)| {
            let running_ns = (share * enabled_ns as f64) as u64;
            let count = (value as f64 * share) as u64;
            (counter, Tally::Counted(Reading { count, enabled_ns, running_ns }))
        };
        let mut tallies = BTreeMap::from_iter(PRINTED.map(reading));
        for counter in [Counter::LlcLoads, Counter::LlcLoadMisses] {
            tallies.insert(counter, Tally::Unsupported("no such counter".to_owned()));
        }
        Counters { with_children: false, tallies }
    }

    #[test]
    fn what_follows_is_what_perf_stat_prints() {
        let counters = printed();
        let derived = |counter| derived(counter, &counters, 453_991_307).unwrap();
        assert_eq!(derived(Counter::TaskClock), "3.995 CPUs utilised");
        assert_eq!(derived(Counter::ContextSwitches), "163/s");
        assert_eq!(derived(Counter::Migrations), "3.86/s");
        assert_eq!(derived(Counter::PageFaults), "2.97K/s");
        assert_eq!(derived(Counter::Cycles), "3.03GHz");
        assert_eq!(derived(Counter::StalledFrontend), "0.44% of cycles");
        assert_eq!(derived(Counter::StalledBackend), "89.62% of cycles");
        assert_eq!(derived(Counter::Instructions), "0.30 per cycle");
        assert_eq!(derived(Counter::Branches), "134M/s");
        assert_eq!(derived(Counter::BranchMisses), "0.31% of branches");
        assert_eq!(derived(Counter::L1Loads), "488M/s");
        assert_eq!(derived(Counter::L1LoadMisses), "1.80% of loads");
        let stalls = stalls_per_instruction(&counters).unwrap();
        assert_eq!(format!("{stalls:.2}"), "3.03");
    }

    #[test]
    fn what_is_not_supported_is_named_once_and_never_shown_as_zero() {
        let process = Process { counters: Some(printed()), ..Process::default() };
        let session = Session { duration_ns: 453_991_307, ..Session::default() };
        let text = render(ProcessKey::default(), &process, &session, Layout::new(80, false));
        assert!(
            text.contains("not supported here: LLC-loads, LLC-load-misses (no such counter)\n"),
            "{text}"
        );
        assert!(!text.lines().any(|line| line.starts_with("LLC")), "{text}");
        assert!(text.contains("62.83%\n"), "{text}");
    }

    #[test]
    fn a_counter_that_never_ran_has_no_number() {
        let never = Reading { count: 0, enabled_ns: 100, running_ns: 0 };
        let counters =
            Counters { with_children: false, tallies: [(Counter::Cycles, Tally::Counted(never))].into() };
        let process = Process { counters: Some(counters), ..Process::default() };
        let text = render(ProcessKey::default(), &process, &Session::default(), Layout::new(80, false));
        assert!(text.starts_with("not counted: cycles (the processor had no counter free"), "{text}");
    }

    #[test]
    fn a_child_points_to_the_process_that_has_its_counters() {
        let mut session = Session::default();
        let of = |pid| ProcessKey { pid, joined_ns: 0 };
        let counters = Counters { with_children: true, ..Counters::default() };
        session.processes.insert(of(7), Process { counters: Some(counters), ..Process::default() });
        session.processes.insert(of(8), Process { parent: Some(7), ..Process::default() });
        let grandchild = Process { parent: Some(8), ..Process::default() };
        let text = render(of(9), &grandchild, &session, Layout::new(80, false));
        assert_eq!(text, "Its counters are in those of process 7.\n");
        session.header.start_mono_ns = 1;
        let early = render(of(9), &grandchild, &session, Layout::new(100, false));
        assert!(early.contains("process 7, or in none"), "{early}");
        let stranger = Process { parent: Some(1), ..Process::default() };
        assert_eq!(render(of(9), &stranger, &session, Layout::new(80, false)), "");
    }
}

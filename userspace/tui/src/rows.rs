//! The rows of each view's table.

use model::{
    frame::{CallStats, Overhead, ProcessKey},
    glance::Quick,
    hist::{Hist, Largest},
    locks::{LockPlace, is_idle_only},
    sched::Waker,
    status, syscalls,
    text::{self, printable},
    units,
};

use super::{
    app::{App, ProbeFacts, is_over_budget},
    history::Period,
    shown::{self, Pair, Table},
    sums::{Brief, Chosen, Lock, LockKey, Sums},
    tables::{Cell, Column, Item, Row},
};

/// Unit of numbers: sums or rates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unit {
    /// Sums since the start.
    Sum,
    /// Per second, over so many.
    PerSecond(f64),
}

impl Unit {
    /// The unit of a period.
    #[must_use]
    pub fn of(cumulated: bool, span_ns: u64) -> Self {
        if cumulated { Self::Sum } else { Self::PerSecond(span_ns.max(1) as f64 / 1e9) }
    }

    /// A heading that says which.
    #[must_use]
    pub fn title(self, noun: &str) -> String {
        if self == Self::Sum { noun.to_owned() } else { format!("{noun}/s") }
    }

    /// The cell of a count.
    #[must_use]
    pub fn count(self, count: u64) -> Cell {
        match self {
            Self::Sum => Cell::number(units::count(count), count as f64),
            Self::PerSecond(seconds) => {
                let rate = count as f64 / seconds;
                Cell::number(units::rate(rate), rate)
            }
        }
    }

    /// The cell of a time.
    #[must_use]
    pub fn time(self, ns: u64) -> Cell {
        match self {
            Self::Sum => Cell::number(units::time(ns), ns as f64),
            Self::PerSecond(seconds) => {
                let rate = (ns as f64 / seconds).round();
                Cell::number(units::fraction_of_time(rate), rate)
            }
        }
    }
}

fn time(ns: Option<u64>) -> Cell {
    Cell::maybe(ns.map(|ns| (units::time(ns), ns as f64)))
}

fn largest(value: Option<Largest>) -> Cell {
    Cell::maybe(value.map(|it| (it.time(), it.value as f64)))
}

fn percent(share: Option<f64>) -> Cell {
    Cell::maybe(share.map(|share| (format!("{:.1}%", share * 100.0), share)))
}

/// Mean of the calls whose time is known.
fn mean(stats: &CallStats) -> Option<f64> {
    let timed = stats.latency.count() + stats.lean.count;
    (timed > 0).then(|| stats.total_ns() as f64 / timed as f64)
}

/// System calls, and events of probes that count such. Counts and times of calls are as new as they come, all else is
/// that of frames.
#[must_use]
pub fn calls(period: &Period, arch: &str, cumulated: bool) -> Table {
    let now = Unit::of(cumulated, period.calls_span_ns());
    let unit = Unit::of(cumulated, period.sums.span_ns);
    let columns = vec![
        Column::name("syscall"),
        Column::number(&unit.title("calls"), 0),
        Column::number(&unit.title("errors"), 1),
        Column::number(&unit.title("time"), 0),
        Column::number("mean", 3),
        Column::number("p50", 0),
        Column::number("p90", 4),
        Column::number("p99", 0),
        Column::number("p99.9", 5),
        Column::number("max", 2),
        Column::number("blocked", 6),
        Column::number("queued", 7),
    ];
    let calls = period.sums.calls.iter().filter(|(_, stats)| !stats.is_empty()).map(|(call, stats)| {
        let name = syscalls::name(arch, *call).into_owned();
        let cells = times(name, stats, period.call_ahead(*call), now, unit);
        Row { of: Item::Call(*call), cells }
    });
    let events = period.sums.events.iter().map(|(event, stats)| {
        let cells = times(event.shown(), stats, Quick::default(), unit, unit);
        Row { of: Item::Event(event.clone()), cells }
    });
    Table { columns, rows: calls.chain(events).collect() }
}

/// Cells of a kind of call or event; `ahead` came after the last frame, and its rates are over another time.
fn times(name: String, stats: &CallStats, ahead: Quick, now: Unit, unit: Unit) -> Vec<Cell> {
    let quantile = |share| time(stats.latency.quantile(share));
    let mean = mean(stats).map(|mean| (units::fraction_of_time(mean), mean));
    let total = stats.total_ns() + ahead.total_ns;
    let total = if mean.is_some() { now.time(total) } else { Cell::text("-") };
    let mut cells = vec![Cell::text(name), now.count(stats.count() + ahead.count)];
    cells.extend([unit.count(stats.failed()), total, Cell::maybe(mean)]);
    cells.extend([0.5, 0.9, 0.99, 0.999].map(quantile));
    cells.push(largest(stats.longest()));
    let shares = stats.off_cpu_shares();
    cells.extend([0, 1].map(|at: usize| percent(shares.map(|shares| shares[at]))));
    cells
}

/// Table of the targets' wakers.
#[must_use]
pub fn wakers(sums: &Sums, unit: Unit) -> Table {
    let columns = vec![
        Column::name("woken by"),
        Column::number(&unit.title("wakeups"), 0),
        Column::number("p50 to run", 1),
        Column::number("p99 to run", 0),
        Column::number("max to run", 2),
    ];
    let row = |(waker, latency): (&Waker, &Hist)| Row {
        of: Item::Other,
        cells: vec![
            Cell::text(waker.shown()),
            unit.count(latency.count()),
            time(latency.quantile(0.5)),
            time(latency.quantile(0.99)),
            largest(latency.largest()),
        ],
    };
    Table { columns, rows: sums.sched.iter().flat_map(|sched| &sched.wakers).map(row).collect() }
}

/// Table of locks.
#[must_use]
pub fn locks(sums: &Sums, unit: Unit) -> Table {
    let columns = vec![
        Column::name("lock"),
        Column::name("process"),
        Column::name("what"),
        Column::number(&unit.title("waits"), 0),
        Column::number(&unit.title("time"), 0),
        Column::number(&unit.title("asleep"), 3),
        Column::number(&unit.title("spun"), 2),
        Column::number("p50 wait", 4),
        Column::number("p99 wait", 1),
    ];
    let is_idle = |lock: &Lock| lock.mutex.is_none() && is_idle_only(lock.futexes.values());
    let rows = sums.locks.iter().filter(|(_, lock)| !is_idle(lock)).map(|(key, lock)| {
        let waits = waits_of(lock);
        Row {
            of: Item::Lock(key.clone()),
            cells: vec![
                Cell::text(lock_name(key)),
                Cell::text(
                    key.pid.map_or("shared".to_owned(), |pid| format!("{pid} {}", shown::name(&lock.comm))),
                ),
                verdict(lock),
                unit.count(lock.waits()),
                unit.time(lock.total_ns()),
                unit.time(lock.waited_ns()),
                lock.spun_ns().map_or(Cell::text("-"), |ns| unit.time(ns)),
                time(waits.quantile(0.5)),
                time(waits.quantile(0.99)),
            ],
        }
    });
    Table { columns, rows: rows.collect() }
}

/// Cell of the verdict. Contended locks come first, and among them those that cost most.
fn verdict(lock: &Lock) -> Cell {
    let verdict = lock.verdict();
    // No wait takes 10^19 ns.
    Cell::number(verdict.name(), f64::from(verdict as u8) * 1e19 - lock.total_ns() as f64)
}

/// All waits on a lock in the kernel.
#[must_use]
pub fn waits_of(lock: &Lock) -> Hist {
    let mut all = Hist::default();
    lock.futexes.values().for_each(|futex| all.merge(&futex.wait));
    all
}

/// A lock, as short as it can be told from others.
#[must_use]
pub fn lock_name(key: &LockKey) -> String {
    match &key.place {
        LockPlace::Private { address } => format!("{address:#x}"),
        LockPlace::Unresolved { address } => format!("{address:#x}?"),
        LockPlace::Shared { path, offset, inode, .. } => {
            let file = path.rsplit('/').next().filter(|file| !file.is_empty());
            match file {
                Some(file) => format!("{}+{offset:#x}", printable(file)),
                None => format!("inode {inode}+{offset:#x}"),
            }
        }
    }
}

/// Targets. Of these, too, counts and times of calls are as new as they come.
#[must_use]
pub fn processes(period: &Period, chosen: &Chosen, cumulated: bool, counted: bool) -> Table {
    let now = Unit::of(cumulated, period.calls_span_ns());
    let unit = Unit::of(cumulated, period.sums.span_ns);
    let columns = vec![
        Column::name("    pid"),
        Column::name("process"),
        Column::number("threads", 2),
        Column::number(&unit.title("calls"), 0),
        Column::number(&unit.title("errors"), 3),
        Column::number(&unit.title("in calls"), 1),
        Column::number(&unit.title("switches"), 4),
        Column::number("CPU", 1),
        Column::number("run queue", 5),
        Column::name("state"),
    ];
    let rows = period.sums.processes.iter().map(|(key, brief)| {
        let ahead = period.process_ahead(*key);
        let mark = if chosen.contains(key) { "*" } else { "" };
        // Of the wall clock, not of the threads' time: 100% is one CPU, as in `top`.
        let of_clock = period.sums.span_ns.max(1) as f64;
        let share = |part: u64| brief.budget.as_ref().map(|_| part as f64 / of_clock);
        let budget = brief.budget.clone().unwrap_or_default();
        let known = |cell: Cell| if counted { cell } else { Cell::text("-") };
        let switches = if brief.budget.is_some() { unit.count(brief.switches) } else { Cell::text("-") };
        Row {
            of: Item::Process(*key),
            cells: vec![
                pid(*key),
                // The id has a cell of its own.
                Cell::text(format!("{mark}{}", text::process(0, &brief.comm, brief.folded))),
                Cell::number(brief.threads.to_string(), f64::from(brief.threads)),
                known(now.count(brief.calls + ahead.count)),
                known(unit.count(brief.errors)),
                known(now.time(brief.call_ns + ahead.total_ns)),
                switches,
                percent(share(budget.on_cpu_ns())),
                percent(share(budget.run_queue_ns())),
                Cell::text(state(brief)),
            ],
        }
    });
    Table { columns, rows: rows.collect() }
}

fn pid(key: ProcessKey) -> Cell {
    let text = if key.pid == 0 { "-".to_owned() } else { key.pid.to_string() };
    Cell::number(format!("{text:>7}"), f64::from(key.pid))
}

fn state(brief: &Brief) -> String {
    brief.exit.map_or(String::new(), |exit| status::words(exit.status))
}

/// For each row of a table of processes, the row of its parent.
#[must_use]
pub fn parents(rows: &[Row], sums: &Sums) -> Vec<Option<usize>> {
    let pid = |row: &Row| match &row.of {
        Item::Process(key) => Some(*key),
        _ => None,
    };
    let places: std::collections::HashMap<u32, usize> =
        rows.iter().enumerate().filter_map(|(at, row)| Some((pid(row)?.pid, at))).collect();
    let parent = |row: &Row| {
        let parent = sums.processes.get(&pid(row)?)?.parent?;
        places.get(&parent).copied()
    };
    rows.iter().map(parent).collect()
}

/// Probes, and whether they are attached.
#[must_use]
pub fn probes(app: &App) -> Table {
    let columns = vec![Column::name("probe"), Column::name("state"), Column::name("shows; costs")];
    let session = app.history.outline();
    let row = |(at, probe): (usize, &ProbeFacts)| {
        let runs = session.header.probes.contains(&probe.name);
        let state = match (runs, app.off.contains(&probe.name)) {
            (false, _) => "not chosen",
            (true, true) => "OFF",
            (true, false) if is_over_budget(&session, &probe.name) => "over budget",
            (true, false) => "attached",
        };
        Row {
            of: Item::Probe(at),
            cells: vec![
                // In the order of the list.
                Cell::number(probe.name.clone(), at as f64),
                Cell::text(state),
                Cell::text(format!("{}; {}", probe.summary, probe.cost)),
            ],
        }
    };
    Table { columns, rows: app.facts.probes.iter().enumerate().map(row).collect() }
}

/// Programs in the kernel and what they cost.
#[must_use]
pub fn programs(overhead: &Overhead, unit: Unit) -> Table {
    let columns = vec![
        Column::name("program"),
        Column::number("runs sampled", 1),
        Column::number("per run", 0),
        Column::number("of a CPU", 0),
        Column::number(&unit.title("left out"), 2),
    ];
    let rows = overhead.programs.iter().map(|program| {
        let per_run = program.net_ns_per_event(overhead.empty_program_ns);
        Row {
            of: Item::Other,
            cells: vec![
                Cell::text(printable(&program.name)),
                Cell::maybe(program.events.map(|events| (units::count(events), events as f64))),
                Cell::maybe(per_run.map(|ns| (units::fraction_of_time(ns), ns))),
                Cell::maybe(overhead.cpu_share(program).map(|share| (units::percent(share), share))),
                unit.count(program.missed),
            ],
        }
    });
    Table { columns, rows: rows.collect() }
}

/// System calls that either side has made.
#[must_use]
pub fn call_pairs(sums: [&Sums; 2], arch: &str) -> Vec<Pair> {
    let calls: std::collections::BTreeSet<_> = sums.iter().flat_map(|sums| sums.calls.keys()).collect();
    let none = CallStats::default();
    let pair = |call: &model::frame::Call| {
        let stats = sums.map(|sums| sums.calls.get(call).unwrap_or(&none));
        Pair {
            name: syscalls::name(arch, *call).into_owned(),
            counts: stats.map(CallStats::count),
            values: stats.map(|stats| stats.latency.clone()),
        }
    };
    calls.into_iter().map(pair).collect()
}

/// Two sides in numbers. Rates, because the sides may be of different length.
#[must_use]
pub fn pairs(pairs: &[Pair], sides: &[Option<(String, Period)>; 2]) -> Table {
    let columns = vec![
        Column::name("what"),
        Column::number("A/s", 0),
        Column::number("B/s", 0),
        Column::number("B:A", 1),
        Column::number("p50 A", 2),
        Column::number("p50 B", 2),
        Column::number("p99 A", 0),
        Column::number("p99 B", 0),
    ];
    let seconds = [0, 1].map(|side: usize| {
        sides[side].as_ref().map_or(1.0, |(_, period)| period.sums.span_ns.max(1) as f64 / 1e9)
    });
    let rows = pairs.iter().enumerate().map(|(at, pair)| {
        let rates = [pair.counts[0] as f64 / seconds[0], pair.counts[1] as f64 / seconds[1]];
        let ratio = (rates[0] > 0.0).then(|| (format!("{:.2}", rates[1] / rates[0]), rates[1] / rates[0]));
        let mut cells = vec![Cell::text(pair.name.clone())];
        cells.extend(rates.map(|rate| Cell::number(units::rate(rate), rate)));
        cells.push(Cell::maybe(ratio));
        for share in [0.5, 0.99] {
            cells.extend([0, 1].map(|side: usize| time(pair.values[side].quantile(share))));
        }
        Row { of: Item::Pair(at), cells }
    });
    Table { columns, rows: rows.collect() }
}

//! Contents of the screen, as plain values: the sums of the period, and the table of the view.

use model::hist::Hist;
pub use model::text::name;

use super::{
    app::App,
    history::Period,
    keys::{BINDINGS, View},
    rows::{self, Unit},
    sums::Sums,
    tables::{Cell, Column, Item, Row, TableState},
};

/// A table before it is drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Columns, from left to right.
    pub columns: Vec<Column>,
    /// Its rows, in order, without those that the filter leaves out.
    pub rows: Vec<Row>,
}

/// The same thing on two sides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pair {
    /// Name of the thing.
    pub name: String,
    /// Number of events on each side.
    pub counts: [u64; 2],
    /// Its distribution, on each side.
    pub values: [Hist; 2],
}

/// Data that has been put together for the screen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shown {
    /// The period of the numbers.
    pub period: Period,
    /// The table of the view.
    pub table: Table,
    /// Names and periods of the compared sides.
    pub sides: [Option<(String, Period)>; 2],
    /// Distributions of both sides.
    pub pairs: Vec<Pair>,
}

impl Shown {
    /// Puts together what the view of the moment needs.
    #[must_use]
    pub fn of(app: &App) -> Self {
        let mut shown = Self { period: app.period(), ..Self::default() };
        let unit = Unit::of(app.cumulated, shown.period.sums.span_ns);
        let sums = &shown.period.sums;
        shown.table = match app.view {
            View::Overview | View::Syscalls => {
                rows::calls(&shown.period, &app.facts.header.arch, app.cumulated)
            }
            View::Scheduler => rows::wakers(sums, unit),
            View::Locks => rows::locks(sums, unit),
            View::Processes => {
                let counted = app.facts.header.counts_calls();
                rows::processes(&shown.period, app.history.chosen(), app.cumulated, counted)
            }
            View::Probes => rows::probes(app),
            View::Help => help(),
            View::Compare => {
                shown.sides = app.compared();
                shown.pairs = pairs(&shown.sides, &app.facts.header.arch);
                rows::pairs(&shown.pairs, &shown.sides)
            }
        };
        shown
    }
}

fn help() -> Table {
    let rows = BINDINGS.iter().enumerate().map(|(at, binding)| Row {
        of: Item::Other,
        // Weights keep the order of the list.
        cells: vec![
            Cell { text: binding.shown.to_owned(), weight: Some(at as f64) },
            Cell::text(binding.help),
        ],
    });
    Table { columns: vec![Column::name("key"), Column::name("does")], rows: rows.collect() }
}

/// Everything that both sides have, or one of them.
fn pairs(sides: &[Option<(String, Period)>; 2], arch: &str) -> Vec<Pair> {
    let [Some((_, left)), Some((_, right))] = sides else { return Vec::new() };
    let sums: [&Sums; 2] = [&left.sums, &right.sums];
    let mut pairs = rows::call_pairs(sums, arch);
    pairs.extend(sched_pairs(sums));
    let waits = sums.map(|sums| {
        let mut all = Hist::default();
        let futexes = sums.locks.values().flat_map(|lock| lock.futexes.values());
        futexes.for_each(|futex| all.merge(&futex.wait));
        all
    });
    pairs.push(Pair {
        name: "lock: waits".into(),
        counts: [waits[0].count(), waits[1].count()],
        values: waits,
    });
    pairs.retain(|pair| pair.counts != [0, 0]);
    pairs
}

fn sched_pairs(sums: [&Sums; 2]) -> Vec<Pair> {
    let [Some(left), Some(right)] = sums.map(|sums| sums.sched.as_ref()) else { return Vec::new() };
    let parts = [
        ("sched: wakeup to run", &left.wakeup_to_run, &right.wakeup_to_run),
        ("sched: preempted to run", &left.preempted_to_run, &right.preempted_to_run),
        ("sched: on CPU", &left.on_cpu, &right.on_cpu),
        ("sched: off CPU", &left.off_cpu, &right.off_cpu),
    ];
    let pair = |(name, left, right): (&str, &Hist, &Hist)| Pair {
        name: name.to_owned(),
        counts: [left.count(), right.count()],
        values: [left.clone(), right.clone()],
    };
    parts.into_iter().map(pair).collect()
}

/// Puts children below their parents, unless some other order or a filter was asked for.
pub fn as_tree(table: &mut Table, sums: &Sums, state: &mut TableState, filter: &str) {
    if state.sort != 0 || !filter.is_empty() {
        return;
    }
    let parents = rows::parents(&table.rows, sums);
    let mut order: Vec<(usize, usize)> = Vec::new();
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); parents.len()];
    let mut pending: Vec<(usize, usize)> = Vec::new();
    for (at, parent) in parents.iter().enumerate().rev() {
        match parent {
            Some(parent) => children[*parent].push(at),
            None => pending.push((at, 0)),
        }
    }
    while let Some((at, depth)) = pending.pop() {
        order.push((at, depth));
        pending.extend(children[at].iter().map(|child| (*child, depth + 1)));
    }
    let mut rows: Vec<Option<Row>> = std::mem::take(&mut table.rows).into_iter().map(Some).collect();
    for (at, depth) in order {
        if let Some(mut row) = rows[at].take() {
            row.cells[1].text = format!("{}{}", "  ".repeat(depth), row.cells[1].text);
            table.rows.push(row);
        }
    }
    // A process that is its own ancestor, because ids were reused, is shown all the same.
    table.rows.extend(rows.into_iter().flatten());
    state.settle(&table.rows);
}

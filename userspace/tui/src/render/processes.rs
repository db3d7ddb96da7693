//! The tree of targets, and the threads of the selected one.

use model::{
    counters::Counter,
    frame::{CallStats, ProcessKey},
    session::Process,
    units,
};
use ratatui::{buffer::Buffer, layout::Rect};

use super::parts::{self, below, heading, line, top};
use crate::{
    app::App,
    palette::{Look, Tone},
    shown::{self, Table},
    tables::{Cell, Column, Item, Row, TableState},
};

pub fn draw(app: &App, look: Look, buf: &mut Buffer, area: Rect) {
    let detail = if area.height >= 14 { area.height / 3 } else { 0 };
    parts::table(buf, look, top(area, area.height - detail), &app.shown.table, Some(app.table()));
    let Some(Item::Process(key)) = app.selected().filter(|_| detail > 0) else { return };
    threads(app, look, buf, below(area, area.height - detail), key);
}

fn threads(app: &App, look: Look, buf: &mut Buffer, area: Rect, key: &ProcessKey) {
    let session = app.history.session();
    let Some(process) = session.processes.get(key) else { return };
    let title = format!("Threads of {}", process.shown(*key));
    let area = heading(buf, look, area, &title, "sums since the start");
    let used = counters(look, buf, area, process);
    let area = below(area, used);
    let by_thread = session.header.counts_calls() && session.header.per_thread;
    let table = table(process, by_thread);
    if table.rows.is_empty() {
        let words = format!("{} threads; they are not told apart: that takes --threads", process.threads);
        line(buf, look, area, &[(&words, Tone::Faint)]);
        return;
    }
    parts::table(buf, look, area, &table, None);
}

/// Performance counters, where the process has some; the lines that they took.
fn counters(look: Look, buf: &mut Buffer, area: Rect, process: &Process) -> u16 {
    let Some(counters) = &process.counters else { return 0 };
    let value = |counter: Counter| {
        let value = counters.value(counter)?;
        let text = if counter == Counter::TaskClock { units::time(value) } else { units::count(value) };
        Some(format!("{} {text}", counter.name()))
    };
    let mut words: Vec<String> = Counter::ALL.into_iter().filter_map(value).collect();
    if let Some(ratio) = counters.ratio(Counter::Instructions, Counter::Cycles) {
        words.push(format!("instructions per cycle {ratio:.2}"));
    }
    if words.is_empty() {
        words.push("counters: this machine has none of those that were asked for".to_owned());
    }
    parts::wrap(buf, look, area, &words.join(", "), Tone::Plain)
}

/// `counted` tells whether calls are counted by thread.
fn table(process: &Process, counted: bool) -> Table {
    let columns = vec![
        Column::name("thread"),
        Column::number("calls", 0),
        Column::number("in calls", 0),
        Column::number("switches", 1),
        Column::number("on CPU", 0),
        Column::number("run queue", 2),
        Column::number("blocked", 3),
    ];
    let mut calls: std::collections::BTreeMap<u32, (u64, u64)> = std::collections::BTreeMap::new();
    for ((tid, _), stats) in &process.syscalls {
        let Some(tid) = tid else { continue };
        let sum: &mut (u64, u64) = calls.entry(*tid).or_default();
        *sum = (sum.0 + CallStats::count(stats), sum.1 + stats.total_ns());
    }
    let number = |value: u64, text: fn(u64) -> String| Cell::number(text(value), value as f64);
    let row = |(tid, name): (&u32, &String)| {
        let (count, ns) = calls.get(tid).copied().unwrap_or_default();
        let mut cells = vec![Cell::text(format!("{tid} {}", shown::name(name)))];
        if counted {
            cells.extend([number(count, units::count), number(ns, units::time)]);
        } else {
            cells.extend(std::iter::repeat_n(Cell::text("-"), 2));
        }
        match process.sched_threads.get(tid) {
            Some(sched) => {
                let budget = &sched.budget;
                cells.push(number(sched.switches(), units::count));
                let times = [budget.on_cpu_ns(), budget.run_queue_ns(), budget.blocked_ns()];
                cells.extend(times.map(|ns| number(ns, units::time)));
            }
            None => cells.extend(std::iter::repeat_n(Cell::text("-"), 4)),
        }
        Row { of: Item::Other, cells }
    };
    let mut table = Table { columns, rows: process.thread_names.iter().map(row).collect() };
    TableState::by(2).arrange(&mut table.rows, &table.columns, "");
    table
}

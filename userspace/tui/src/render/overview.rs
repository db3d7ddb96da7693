//! Overview: budget, rates and findings at a glance.

use model::{frame::ProcessKey, units};
use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    charts,
    parts::{self, below, beside, heading, line, row, text, top},
};
use crate::{
    app::{App, LOCK_ORDER},
    palette::{Look, Tone},
    rows::{self, Unit},
    shown::Table,
    sums::{Brief, Sums},
    tables::TableState,
};

pub fn draw(app: &App, look: Look, buf: &mut Buffer, area: Rect) {
    let used = sparks(app, look, buf, area);
    let rest = below(area, used);
    let used = if is_roomy(area) { findings(app, look, buf, rest) } else { 0 };
    let rest = below(rest, used);
    if rest.height < 3 {
        return;
    }
    let processes = app.shown.period.sums.processes.len() as u16;
    if rest.width >= 110 {
        let (left, right) = beside(rest, rest.width * 11 / 20);
        calls(app, look, buf, left);
        let budgets = (right.height / 2).min(processes + 3);
        time(app, look, buf, top(right, budgets));
        locks(app, look, buf, below(right, budgets));
        return;
    }
    let lower = if rest.height >= 12 { rest.height * 3 / 5 } else { 0 };
    calls(app, look, buf, top(rest, rest.height - lower));
    if lower > 0 {
        let lower = below(rest, rest.height - lower);
        let budgets = (lower.height / 2).max(3).min(processes + 2);
        time(app, look, buf, top(lower, budgets));
        locks(app, look, buf, below(lower, budgets));
    }
}

/// Reports whether there is room for sentences.
#[must_use]
pub fn is_roomy(area: Rect) -> bool {
    area.width >= 110 && area.height >= 35
}

/// Draws the findings of the report; returns the number of lines that they took.
fn findings(app: &App, look: Look, buf: &mut Buffer, area: Rect) -> u16 {
    if app.findings.is_empty() {
        return 0;
    }
    heading(buf, look, area, "What stands out", "in the whole session");
    let mut used = 1;
    for finding in &app.findings {
        used += parts::wrap(buf, look, below(area, used), finding, Tone::Plain);
    }
    used
}

/// Rates over time; the lines that they took.
fn sparks(app: &App, look: Look, buf: &mut Buffer, area: Rect) -> u16 {
    let columns = charts::spark_columns(area);
    let period = &app.shown.period;
    let sums = &period.sums;
    let rate =
        |count: u64, span_ns: u64| format!("{}/s", units::rate(count as f64 / (span_ns.max(1) as f64 / 1e9)));
    let per_second = |count: u64| rate(count, sums.span_ns);
    let tall = if area.height >= 24 { 2 } else { 1 };
    let mut y = 0;
    let mut paint = |label: &str, value: String, peak: fn(f64) -> String, values: &dyn Fn() -> Vec<_>| {
        if y < area.height {
            charts::spark(buf, look, top(below(area, y), tall), (label, &value), &values(), peak);
            y += tall;
        }
    };
    let calls = rate(period.calls_count(), period.calls_span_ns());
    let counts_calls = app.facts.header.counts_calls();
    if counts_calls {
        paint("calls", calls, units::rate, &|| app.calls_chart(columns));
    }
    let mut draw = |label: &str, value: String, peak: fn(f64) -> String, of: &dyn Fn(&Sums) -> f64| {
        paint(label, value, peak, &|| app.chart(columns, of));
    };
    if counts_calls {
        let failed = |sums: &Sums| sums.call_totals().1;
        draw("failed calls", per_second(failed(sums)), units::rate, &|sums| failed(sums) as f64);
    }
    if let Some(sched) = &sums.sched {
        draw("switches", per_second(sched.switches()), units::rate, &|sums| {
            sums.sched.as_ref().map_or(0.0, |sched| sched.switches() as f64)
        });
        let p99 = sched.wakeup_to_run.quantile(0.99).map_or("-".to_owned(), units::time);
        draw("run queue p99", p99, units::fraction_of_time, &|sums| {
            // Undone by the chart, which divides by time: this is no rate.
            let p99 = sums.sched.as_ref().and_then(|sched| sched.wakeup_to_run.quantile(0.99));
            p99.unwrap_or(0) as f64 * sums.span_ns as f64 / 1e9
        });
    }
    y
}

fn calls(app: &App, look: Look, buf: &mut Buffer, area: Rect) {
    let area = heading(buf, look, area, "Top system calls", "by time");
    if app.shown.table.rows.is_empty() {
        let ran = app.facts.header.counts_calls();
        let words = match (ran, app.filter.is_empty()) {
            (true, true) => "none in this time",
            (true, false) => "none in this time that the filter leaves",
            _ => "the probe syscalls does not run in this session",
        };
        line(buf, look, area, &[(words, Tone::Faint)]);
        return;
    }
    parts::table(buf, look, area, &app.shown.table, Some(app.table()));
}

/// The budget of the time of each process, or of the time in calls where no scheduler probe ran.
fn time(app: &App, look: Look, buf: &mut Buffer, area: Rect) {
    let sums = &app.shown.period.sums;
    let chosen = app.history.chosen();
    let some = sums.processes.iter().filter(|(key, _)| chosen.is_empty() || chosen.contains(key));
    let mut processes: Vec<_> = some.collect();
    if sums.sched.is_none() && !app.facts.header.counts_calls() {
        let area = heading(buf, look, area, "Where the time goes", "");
        line(buf, look, area, &[("the probe sched does not run in this session", Tone::Faint)]);
        return;
    }
    if sums.sched.is_none() {
        let period = &app.shown.period;
        let time =
            |(key, brief): &(&ProcessKey, &Brief)| brief.call_ns + period.process_ahead(**key).total_ns;
        processes.sort_by_cached_key(|it| std::cmp::Reverse(time(it)));
        let area =
            heading(buf, look, area, "Time in system calls", "all threads; needs probe sched for more");
        let peak = processes.first().map_or(0, time);
        for (at, it) in processes.iter().enumerate().take(usize::from(area.height)) {
            in_calls(app, look, buf, row(area, at as u16), *it, (time(it), peak));
        }
        return;
    }
    let busy = |brief: &Brief| brief.budget.as_ref().map_or(0, |it| it.on_cpu_ns() + it.run_queue_ns());
    processes.sort_by_key(|(_, brief)| std::cmp::Reverse(busy(brief)));
    let area = heading(buf, look, area, "Where the time goes", "");
    let faults = app.facts.header.measures_faults();
    charts::budget_legend(buf, look, row(area, 0), faults);
    for (at, (key, brief)) in processes.iter().enumerate().take(usize::from(area.height.saturating_sub(1))) {
        let Some(budget) = &brief.budget else { continue };
        let area = row(area, at as u16 + 1);
        let x = label(look, buf, area, **key, brief);
        charts::budget_bar(buf, look, Rect { x, width: area.right().saturating_sub(x), ..area }, budget);
    }
}

/// Width of a process's name in front of its bar.
const NAME: usize = 22;

fn label(look: Look, buf: &mut Buffer, area: Rect, key: ProcessKey, brief: &Brief) -> u16 {
    let name: String = brief.shown(key).chars().take(NAME).collect();
    line(buf, look, area, &[(&format!("{name:<NAME$} "), Tone::Plain)])
}

fn in_calls(
    app: &App,
    look: Look,
    buf: &mut Buffer,
    area: Rect,
    (key, brief): (&ProcessKey, &Brief),
    (time, peak): (u64, u64),
) {
    let unit = Unit::of(app.cumulated, app.shown.period.calls_span_ns());
    let value = format!("{:>9} ", unit.time(time).text);
    let x = label(look, buf, area, *key, brief);
    let x = text(buf, area, x, &value, look.style(Tone::Title));
    let room = f64::from(area.right().saturating_sub(x));
    let cells = if peak == 0 { 0.0 } else { time as f64 / peak as f64 * room };
    text(buf, area, x, &look.bar(cells), look.style(Tone::Kernel));
}

fn locks(app: &App, look: Look, buf: &mut Buffer, area: Rect) {
    let area = heading(buf, look, area, "Top locks", "what was fought for first");
    let sums = &app.shown.period.sums;
    if sums.locks.is_empty() {
        line(buf, look, area, &[(super::locks::nothing(app), Tone::Faint)]);
        return;
    }
    let unit = Unit::of(app.cumulated, sums.span_ns);
    let mut table: Table = rows::locks(sums, unit);
    let mut state = TableState::by(LOCK_ORDER);
    state.arrange(&mut table.rows, &table.columns, &app.filter);
    if table.rows.is_empty() {
        line(buf, look, area, &[("the filter leaves none", Tone::Faint)]);
        return;
    }
    parts::table(buf, look, area, &table, None);
}

//! Waiting for a CPU and for everything else, over time; who woke, where it ran.

use model::{hist::Hist, sched::SchedStats, units};
use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    charts,
    parts::{self, below, beside, heading, line, row, text, top},
};
use crate::{
    app::App,
    heat::Heat,
    palette::{Look, Tone},
    rows::Unit,
    sums::Sums,
};

pub fn draw(app: &App, look: Look, buf: &mut Buffer, area: Rect) {
    let Some(sched) = &app.shown.period.sums.sched else {
        let ran = app.facts.header.probes.iter().any(|probe| probe == "sched");
        let words = if ran {
            "nothing was scheduled in this time"
        } else {
            "the scheduler probe does not run in this session; `pulse-trace probes` lists what there is"
        };
        parts::wrap(buf, look, area, words, Tone::Faint);
        return;
    };
    switches(app, sched, look, buf, row(area, 0));
    let area = below(area, 1);
    let lower = if area.height >= 16 { (area.height / 3).max(6) } else { 0 };
    let maps = top(area, area.height - lower);
    if maps.width >= 110 {
        let (left, right) = beside(maps, maps.width / 2 - 1);
        map(app, look, buf, left, "Woken to running", &|sched| &sched.wakeup_to_run);
        map(app, look, buf, right, "Off CPU", &|sched| &sched.off_cpu);
    } else {
        let half = if maps.height >= 12 { maps.height / 2 } else { maps.height };
        map(app, look, buf, top(maps, half), "Woken to running", &|sched| &sched.wakeup_to_run);
        if half < maps.height {
            map(app, look, buf, below(maps, half), "Off CPU", &|sched| &sched.off_cpu);
        }
    }
    if lower > 0 {
        let lower = below(area, area.height - lower);
        let (left, right) = beside(lower, lower.width * 2 / 3);
        let left = heading(buf, look, left, "Wakers", "");
        parts::table(buf, look, left, &app.shown.table, Some(app.table()));
        let right = heading(buf, look, right, "CPUs", "time on each");
        cpus(sched, look, buf, right);
    }
}

fn switches(app: &App, sched: &SchedStats, look: Look, buf: &mut Buffer, area: Rect) {
    let unit = Unit::of(app.cumulated, app.shown.period.sums.span_ns);
    let quantiles = [("queued p50", 0.5), ("p99", 0.99)].map(|(title, part)| {
        let value = sched.wakeup_to_run.quantile(part).map_or("-".to_owned(), units::time);
        format!("{title} {value}")
    });
    let counts = [
        (unit.title("waits"), sched.voluntary),
        (unit.title("preempted"), sched.involuntary),
        (unit.title("migrations"), sched.migrations),
    ];
    let counts = counts.map(|(title, count)| format!("{title} {}", unit.count(count).text));
    let mut words = String::new();
    for item in quantiles.iter().chain(&counts) {
        let gap = if words.is_empty() { "" } else { "  " };
        // A number without its unit would be another one.
        if words.len() + gap.len() + item.len() > usize::from(area.width) {
            break;
        }
        words += &format!("{gap}{item}");
    }
    line(buf, look, area, &[(&words, Tone::Plain)]);
}

/// A heat map of one of the distributions.
fn map(app: &App, look: Look, buf: &mut Buffer, area: Rect, title: &str, of: &dyn Fn(&SchedStats) -> &Hist) {
    let area = heading(buf, look, area, title, "time across, latency up, colour how many");
    let columns = charts::heat_columns(area);
    let (from, to) = app.chart_span(columns);
    let some = app.history.slots(from.max(0) as u64, to);
    let slots: Vec<(u64, u64, &Hist)> = some
        .filter_map(|(begin, end, sums): (u64, u64, Option<&Sums>)| {
            Some((begin, end, of(sums?.sched.as_ref()?)))
        })
        .collect();
    let rows = usize::from(area.height.saturating_sub(1));
    charts::heat_map(buf, look, area, &Heat::new(&slots, from, to, columns, rows), from, to);
}

fn cpus(sched: &SchedStats, look: Look, buf: &mut Buffer, area: Rect) {
    let whole: u64 = sched.cpus.values().map(|share| share.ns).sum();
    for (at, (cpu, share)) in sched.cpus.iter().enumerate().take(usize::from(area.height)) {
        let area = row(area, at as u16);
        let part = share.ns as f64 / whole.max(1) as f64;
        let words = format!("{cpu:>4} {:>5.1}% {:>8} ", part * 100.0, units::time(share.ns));
        let x = line(buf, look, area, &[(&words, Tone::Plain)]);
        text(
            buf,
            area,
            x,
            &look.bar(part * f64::from(area.right().saturating_sub(x))),
            look.style(Tone::User),
        );
    }
}

//! The readable form of the truth.

use std::fmt::Write as _;
use std::io::{self, Write};

use pulse_trace_workloads::contract::Truth;
use pulse_trace_workloads::sys::perf::Counts;

use crate::stats::{Run, Summary};
use crate::sweep::Sweep;
use pulse_trace_workloads::timer::Timer;

const BAR: usize = 40;

pub fn print(truth: &Truth<Sweep>, draw: bool) -> io::Result<()> {
    // Writing to a String cannot fail.
    let mut text = String::new();
    let sweep = &truth.detail;
    head(&mut text, &sweep.timer);
    for (title, hist) in [("successful try alone", false), ("from when it was due (waiting included)", true)]
    {
        times(&mut text, sweep, title, hist);
    }
    waits(&mut text, sweep);
    counts(&mut text, sweep);
    if draw {
        drawings(&mut text, sweep);
    }
    verdict(&mut text, truth);
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn head(text: &mut String, timer: &Timer) {
    let Timer { unit, ns_per_unit, invariant, cost_min, cost_p50, cost_p99 } = timer;
    let _ = writeln!(
        text,
        "clock: 1 {unit} = {ns_per_unit:.4} ns; reading it twice costs {cost_min} (min), {cost_p50} (p50), \
         {cost_p99} (p99) {unit}, contained in every time below"
    );
    if !invariant {
        let _ =
            writeln!(text, "warning: this clock changes its speed with the processor: its units are no time");
    }
}

fn key(run: &Run) -> String {
    format!("{:<10}{:>4}  {:<11}", run.queue.name(), run.producers, run.log.name())
}

fn key_head() -> String {
    format!("{:<10}{:>4}  {:<11}", "queue", "prod", "log")
}

fn times(text: &mut String, sweep: &Sweep, title: &str, whole: bool) {
    let _ = writeln!(text, "\n{} per push, {title}", sweep.timer.unit);
    let _ = writeln!(
        text,
        "{}{:>10}{:>9}{:>9}{:>10}{:>12}{:>11}",
        key_head(),
        "mean",
        "p50",
        "p99",
        "p99.99",
        "max",
        "mean ns"
    );
    for run in &sweep.runs {
        let (hist, ns) = if whole { (&run.push, &run.push_ns) } else { (&run.service, &run.service_ns) };
        let Summary { mean, p50, p99, p9999, max } = Summary::of(hist, 1.0);
        let _ = writeln!(
            text,
            "{}{:>10}{:>9}{:>9}{:>10}{:>12}{:>11}",
            key(run),
            number(mean, 0),
            number(p50, 0),
            number(p99, 0),
            number(p9999, 0),
            number(max, 0),
            number(ns.mean, 1)
        );
    }
}

fn waits(text: &mut String, sweep: &Sweep) {
    let _ = writeln!(
        text,
        "\n{}{:>13}{:>10}{:>11}{:>12}{:>10}{:>7}",
        key_head(),
        "messages/s",
        "waited %",
        "full tries",
        "waited ms",
        "received",
        "lost"
    );
    for run in &sweep.runs {
        let pushes = run.push.count().max(1) as f64;
        let _ = writeln!(
            text,
            "{}{:>13.0}{:>10.2}{:>11}{:>12.1}{:>10}{:>7}",
            key(run),
            run.messages_per_second,
            run.waited as f64 * 100.0 / pushes,
            run.full,
            run.wait_ns / 1e6,
            run.books.received,
            run.books.lost
        );
    }
}

fn counts(text: &mut String, sweep: &Sweep) {
    let all = || sweep.runs.iter().flat_map(|run| [&run.producer_counts, &run.consumer_counts]);
    let supported =
        |name: &str| all().any(|counts| counts.named().iter().any(|(n, v)| *n == name && v.is_some()));
    let (names, missing): (Vec<_>, Vec<_>) =
        Counts::default().named().map(|(name, _)| name).into_iter().partition(|name| supported(name));
    let _ = writeln!(
        text,
        "\ncounters of the measured part, all rounds together, the writing of samples included"
    );
    if !missing.is_empty() {
        let _ = writeln!(text, "not supported here: {}", missing.join(", "));
    }
    elapsed(text, sweep);
    let titles: String = names.iter().map(|name| format!("{:>18}", short(name))).collect();
    let _ = writeln!(text, "{}{:<9}{titles}", key_head(), "who");
    for run in &sweep.runs {
        for (who, counts) in [("producers", &run.producer_counts), ("consumer", &run.consumer_counts)] {
            let shown = counts.named().into_iter().filter(|(name, _)| names.contains(name));
            let cells: String = shown.map(|(name, value)| format!("{:>18}", cell(name, value))).collect();
            let _ = writeln!(text, "{}{who:<9}{cells}", key(run));
        }
    }
}

/// Elapsed time and CPUs utilised, which `perf stat` prints below its counters.
fn elapsed(text: &mut String, sweep: &Sweep) {
    let title = key_head();
    let _ = writeln!(text, "{title}{:>12}{:>16}", "elapsed ms", "CPUs utilised");
    for run in &sweep.runs {
        let elapsed = run.whole_ns.iter().sum::<u64>() as f64 / 1e6;
        let _ = writeln!(text, "{}{elapsed:>12.1}{:>16}", key(run), number(run.cpus_utilised, 3));
    }
    text.push('\n');
}

fn short(name: &str) -> &str {
    match name {
        "stalled-cycles-frontend" => "stalled-frontend",
        "stalled-cycles-backend" => "stalled-backend",
        "L1-dcache-load-misses" => "L1-load-misses",
        "task-clock" => "task-clock ms",
        name => name,
    }
}

fn cell(name: &str, value: Option<u64>) -> String {
    match value {
        None => "-".into(),
        Some(value) if name == "task-clock" => format!("{:.1}", value as f64 / 1e6),
        Some(value) => value.to_string(),
    }
}

fn drawings(text: &mut String, sweep: &Sweep) {
    for run in &sweep.runs {
        let title = format!("{}, {} producers, log {}", run.queue.name(), run.producers, run.log.name());
        let _ = writeln!(text, "\n{} per push, successful try alone: {title}", sweep.timer.unit);
        text.push_str(&run.service.draw(BAR));
    }
}

fn verdict(text: &mut String, truth: &Truth<Sweep>) {
    let books = &truth.detail.books;
    text.push('\n');
    if !books.dead.is_empty() {
        let _ = writeln!(
            text,
            "died: producers {:?}; slots given up: {} (of {:?}); locks taken over: {}",
            books.dead, books.given_up, books.suspects, books.locks_recovered
        );
    }
    if truth.interrupted {
        let _ = writeln!(text, "stopped before the end: this is what was done");
    }
    let outcome = if truth.holds { "every message arrived once and in order" } else { "FAULT" };
    let _ = writeln!(
        text,
        "{outcome}: sent {}, received {}, lost {}, duplicated {}, reordered {}, torn {}",
        books.sent, books.received, books.lost, books.duplicated, books.reordered, books.corrupt
    );
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.digits$}"))
}

//! The table a person reads.

use std::fmt::Write;

use pulse_trace_workloads::contract::Truth;
use pulse_trace_workloads::patterns::Pattern;

use crate::details;
use crate::truth::{Benchmark, Comparison, Detail, Goals};
use crate::units::{percent, time};
use crate::verdict::Trend;

/// All benchmarks and what one operation of each is.
pub fn list(patterns: &[Pattern]) -> String {
    let mut out = String::new();
    for pattern in patterns {
        let target =
            pattern.target.map_or(String::new(), |target| format!("  (target < {})", time(target.below_ns)));
        line(&mut out, format_args!("{:36} {:>3}  {}{target}", pattern.name, pattern.parties, pattern.about));
    }
    out
}

/// The whole report.
pub fn table(truth: &Truth<Detail>) -> String {
    let detail = &truth.detail;
    let mut out = String::new();
    head(&mut out, detail);
    let mut group = "";
    for result in &detail.benchmarks {
        if result.group != group {
            group = &result.group;
            line(&mut out, format_args!("{group}"));
        }
        row(&mut out, result);
    }
    details::write(&mut out, detail);
    foot(&mut out, truth);
    out
}

/// Writing to a String cannot fail.
pub fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = writeln!(out, "{text}");
}

fn head(out: &mut String, detail: &Detail) {
    let settings = &detail.settings;
    line(
        out,
        format_args!(
            "{}, {} CPUs, Linux {}; {} samples over {}, {} round(s); floor: clock {}, empty loop {}",
            detail.host.cpu,
            detail.host.cpus,
            detail.host.kernel,
            settings.samples,
            time(settings.measure_ns as f64),
            settings.rounds,
            time(detail.floor.clock_ns),
            time(detail.floor.loop_ns),
        ),
    );
    let changed = if detail.comparison.is_some() { "change" } else { "" };
    line(
        out,
        format_args!(
            "{:38}{:>7} {:>9}  {:^21}  {:>9}  {:>9} {:8} {changed}",
            "",
            "parties",
            "median",
            format!("{:.0} % interval", settings.confidence * 100.0),
            "CPU time",
            "target",
            ""
        ),
    );
}

fn row(out: &mut String, result: &Benchmark) {
    let interval = format!("[{}, {}]", time(result.time.interval.low), time(result.time.interval.high));
    let (target, verdict) = result
        .target
        .map_or((String::new(), ""), |goal| (format!("< {}", time(goal.below_ns)), goal.verdict.word()));
    let change = result.change.map_or(String::new(), |change| {
        let word = match change.trend {
            Trend::Slower => " SLOWER",
            Trend::Faster => " faster",
            Trend::Same => "",
        };
        format!("{} (noise {:.0} %){word}", percent(change.change), change.noise * 100.0)
    });
    let miscount = if result.holds { "" } else { " MISCOUNTED" };
    let text = format!(
        "  {:36}{:>7} {:>9}  {interval:^21}  {:>9}  {target:>9} {verdict:8} {change}{miscount}",
        result.name,
        result.parties,
        time(result.time.median),
        time(result.cpu_ns_per_operation)
    );
    line(out, format_args!("{}", text.trim_end()));
}

fn foot(out: &mut String, truth: &Truth<Detail>) {
    let detail = &truth.detail;
    let goals = detail.targets;
    line(out, format_args!(""));
    if goals != Goals::default() {
        line(
            out,
            format_args!(
                "targets: {} met, {} missed, {} unsure, {} untested (the parties hardly met)",
                goals.met, goals.missed, goals.unsure, goals.untested
            ),
        );
    }
    if let Some(comparison) = &detail.comparison {
        compared(out, comparison);
    }
    line(
        out,
        format_args!(
            "{} operations in {}, {} of CPU time",
            detail.operations,
            time(detail.elapsed_ns as f64),
            time((detail.usage.user_ns + detail.usage.system_ns) as f64)
        ),
    );
    if truth.interrupted {
        line(out, format_args!("interrupted: what had been measured by then"));
    }
    for note in &detail.notes {
        line(out, format_args!("note: {note}"));
    }
}

fn compared(out: &mut String, comparison: &Comparison) {
    let names = |names: &[&str]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    line(out, format_args!("slower: {}", names(&comparison.slower)));
    line(out, format_args!("faster: {}", names(&comparison.faster)));
    line(out, format_args!("the same within noise: {}; new: {}", comparison.same, comparison.new.len()));
    if !comparison.differs.is_empty() {
        line(out, format_args!("caution: the two runs differ in {}", comparison.differs.join(", ")));
    }
}

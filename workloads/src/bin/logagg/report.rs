//! The tables, for people to read.

use std::fmt::Display;
use std::io::{self, Write};

use pulse_trace_workloads::contract::{Truth, print};
use pulse_trace_workloads::hist::LatencyHist;
use serde::Serialize;

use super::aggregator::AggregatorTruth;
use super::producer::Sent;
use super::run::{RunTruth, Sums};

/// Width of the bars of a drawing.
const BAR: usize = 40;

/// Prints the address at which the aggregator waits.
pub fn listening(variant: &str, address: &str, runtime: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "listening on {address} ({variant}, {runtime})")?;
    out.flush()
}

/// The end of a producer.
pub fn producer(truth: &Truth<Sent>, json: bool, on_stderr: bool) -> io::Result<()> {
    let text = if json { line(truth)? } else { producer_table(truth) };
    if on_stderr { put(&mut io::stderr().lock(), &text) } else { put(&mut io::stdout().lock(), &text) }
}

/// The end of an aggregator.
pub fn aggregator(truth: &Truth<AggregatorTruth>, json: bool) -> io::Result<()> {
    if json { print(truth) } else { put(&mut io::stdout().lock(), &aggregator_table(truth)) }
}

/// The end of a run.
pub fn run(truth: &Truth<RunTruth>, json: bool) -> io::Result<()> {
    if json { print(truth) } else { put(&mut io::stdout().lock(), &run_table(truth)) }
}

fn put(out: &mut impl Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn line(value: &impl Serialize) -> io::Result<String> {
    Ok(serde_json::to_string(value)? + "\n")
}

fn producer_table(truth: &Truth<Sent>) -> String {
    let sent = &truth.detail;
    let mut table = Table::new(&format!("producer {} over {}", sent.producer, truth.variant));
    table.row(
        "sent",
        format_args!("{} of {} ({} bytes, {} writes)", sent.sent, sent.planned, sent.bytes, sent.writes),
    );
    table.count("dropped when full", sent.dropped);
    table.count("link found full", sent.full);
    table.count("datagrams refused", sent.refused);
    table.count("reconnects", sent.reconnects);
    table.hist("send call", &sent.send);
    table.hist("behind schedule", &sent.lag);
    table.row("CPU time", Time(sent.cpu_ns));
    table.error(sent.error.as_deref());
    table.text
}

fn aggregator_table(truth: &Truth<AggregatorTruth>) -> String {
    let (got, detail) = (&truth.detail.received, &truth.detail);
    let mut table = Table::new(&format!("aggregator over {} at {}", truth.variant, detail.address));
    table.row("received", format_args!("{} ({} bytes, {} reads)", got.messages(), got.bytes, got.reads));
    let missing: u64 = got.producers.iter().map(|seen| seen.next - seen.received).sum();
    table.count("missing in between", missing);
    table.count("duplicated", got.duplicated());
    table.count("reordered", got.reordered());
    table.count("malformed", got.malformed);
    table.count("corrupt", got.corrupt);
    table.count("cut off", got.truncated);
    table.count("dropped by the kernel", detail.kernel_drops.unwrap_or(0));
    table.hist("latency", &got.latency);
    table.row("CPU time", Time(detail.cpu_ns));
    for seen in &got.producers {
        let name = format!("producer {} (pid {})", seen.producer, seen.pid);
        table.row(&name, format_args!("{} of {} announced", seen.received, seen.announced));
    }
    table.error(detail.error.as_deref());
    table.text
}

fn run_table(truth: &Truth<RunTruth>) -> String {
    let (detail, sums) = (&truth.detail, &truth.detail.sums);
    let pace = detail.rate.map_or_else(|| "flood".to_owned(), |rate| format!("{rate} per second each"));
    let title = format!(
        "{} on {}: {} producers x {} messages of {} bytes, {pace}",
        truth.variant, detail.runtime, detail.producers, detail.messages, detail.size
    );
    let mut table = Table::new(&title);
    messages(&mut table, sums);
    table.hist("latency", &sums.latency);
    table.hist("send call", &sums.send);
    table.hist("behind schedule", &sums.lag);
    table.row(
        "throughput",
        format_args!(
            "{:.0} messages/s, {:.2} MB/s over {}",
            sums.throughput_per_s,
            sums.bytes_per_s / 1e6,
            Time(sums.elapsed_ns)
        ),
    );
    table.row(
        "CPU time",
        format_args!(
            "producers {}, aggregator {}",
            Time(sums.producers_cpu_ns),
            Time(sums.aggregator_cpu_ns)
        ),
    );
    if detail.rounds.len() > 1 {
        for (nth, round) in detail.rounds.iter().enumerate() {
            table.row(
                &format!("round {}", nth + 1),
                format_args!("{:.0} messages/s, {} lost", round.throughput_per_s, round.lost),
            );
        }
    }
    if detail.timed_out {
        table.row("ended early", "the producers took longer than --timeout");
    }
    for process in detail.processes.iter().filter(|process| process.outcome != "done") {
        let name = format!("producer {} (pid {})", process.producer, process.pid);
        table.row(&name, format_args!("{}; {} received of it", process.outcome, process.received));
    }
    let verdict = match (truth.holds, truth.interrupted) {
        (true, true) => "interrupted; what was sent is accounted for",
        (true, false) => "every message is accounted for",
        (false, _) => "NOT as promised: see above",
    };
    table.row("verdict", verdict);
    table.text.push_str("\nend-to-end latency, ns\n");
    table.text.push_str(&sums.latency.draw(BAR));
    table.text
}

fn messages(table: &mut Table, sums: &Sums) {
    table.row(
        "sent",
        format_args!("{} of {} ({} writes, {} reads)", sums.sent, sums.planned, sums.writes, sums.reads),
    );
    table.row("received", sums.received);
    table.row("lost", sums.lost);
    table.count("dropped by the kernel", sums.kernel_drops.unwrap_or(0));
    table.count("dropped when full", sums.dropped);
    table.row("duplicated", sums.duplicated);
    table.row("reordered", sums.reordered);
    table.count("malformed", sums.malformed);
    table.count("corrupt", sums.corrupt);
    table.count("cut off", sums.truncated);
    table.count("link found full", sums.full);
    table.count("datagrams refused", sums.refused);
    table.count("reconnects", sums.reconnects);
    table.count("warm-up messages", sums.warmups_sent);
}

struct Table {
    text: String,
}

impl Table {
    fn new(title: &str) -> Self {
        Self { text: format!("{title}\n") }
    }

    fn row(&mut self, name: &str, value: impl Display) {
        self.text.push_str(&format!("  {name:<24}{value}\n"));
    }

    /// A row that is left out when there is nothing to say.
    fn count(&mut self, name: &str, value: u64) {
        if value > 0 {
            self.row(name, value);
        }
    }

    fn hist(&mut self, name: &str, hist: &LatencyHist) {
        if let (Some(p50), Some(p99), Some(max)) = (hist.quantile(0.5), hist.quantile(0.99), hist.max()) {
            self.row(name, format_args!("p50 {}, p99 {}, max {}", Time(p50), Time(p99), Time(max)));
        }
    }

    fn error(&mut self, error: Option<&str>) {
        if let Some(error) = error {
            self.row("ended early", error);
        }
    }
}

/// Nanoseconds with a readable unit.
struct Time(u64);

impl Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ns = self.0 as f64;
        match self.0 {
            0..1_000 => write!(f, "{} ns", self.0),
            1_000..1_000_000 => write!(f, "{:.1} us", ns / 1e3),
            1_000_000..1_000_000_000 => write!(f, "{:.2} ms", ns / 1e6),
            _ => write!(f, "{:.3} s", ns / 1e9),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Time;

    #[test]
    fn times_have_readable_units() {
        let texts: Vec<_> = [999, 1_500, 2_340_000, 61_000_000_000].map(|ns| Time(ns).to_string()).into();
        assert_eq!(texts, ["999 ns", "1.5 us", "2.34 ms", "61.000 s"]);
    }
}

//! The measurements as a page.

use std::fmt::Write as _;

use super::{
    super::spread::Spread,
    Outcome,
    goals::{self, megabytes},
    peers::{EMPTY, histogram},
    rounds::{Round, Row},
};

/// Renders the results page in Markdown.
pub fn render(outcome: &Outcome) -> String {
    let at = &outcome.circumstances;
    let mut text = format!(
        "# What tracing system calls costs\n\n\
         Made by `cargo xtask bench overhead` on {}, commit {}: Linux {}, {} CPUs, load average {} to {}, {} rounds, {}. \
         Numbers with brackets are medians over the rounds, with the smallest and the largest behind. Do not compare them with \
         those of another run: compare rows.\n\n",
        at.date,
        at.commit,
        at.kernel,
        at.cpus,
        at.load.0,
        at.load.1,
        outcome.rows.first().map_or(0, |row| row.rounds.len()),
        at.took,
    );
    side_by_side(&mut text, outcome);
    verdicts(&mut text, outcome);
    details(&mut text, outcome);
    text.push_str(METHOD);
    let _ = writeln!(
        text,
        "\nbpftrace's program, PID being the loop:\n\n```\n{}\n```",
        histogram(0).replace("== 0", "== PID")
    );
    text
}

fn side_by_side(text: &mut String, outcome: &Outcome) {
    text.push_str(
        "## Side by side\n\n\
         | tool | ns per call in its BPF programs, net | the loop takes | calls missed | resident | kernel maps | CPU of the tool itself, ns per call |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let untraced = outcome.untraced_ns();
    let _ = writeln!(text, "| nothing | | 1.00 x, {untraced:.0} ns a call | | | | |");
    for row in &outcome.rows {
        let all = |number: fn(&Round) -> f64| shown(Spread::of(row.rounds.iter().map(number)));
        let net = if row.peer.name == EMPTY {
            let raw = Spread::of(row.rounds.iter().filter_map(|round| round.pair_ns));
            format!("0, by definition; {} shown", shown(raw)(0, 1.0))
        } else {
            outcome.net(row.peer.name).map_or_else(|| "no BPF".to_owned(), |net| shown(Some(net))(0, 1.0))
        };
        let resident = outcome.memory(row.peer.name).resident;
        let maps = row.rounds.iter().map(|round| round.map_bytes).max().unwrap_or(0);
        let _ = writeln!(
            text,
            "| {} | {net} | {} | {} | {:.1} MB | {:.2} MB | {} |",
            row.peer.name,
            slowed(row, untraced),
            missed(row),
            megabytes(resident),
            megabytes(maps),
            all(|round| round.tool_ns)(0, 1.0),
        );
    }
    text.push('\n');
}

/// Median and, in brackets, the ends, at some scale.
fn shown(spread: Option<Spread>) -> impl Fn(usize, f64) -> String {
    move |digits, scale| {
        spread.map_or_else(
            || "unknown".to_owned(),
            |it| {
                format!(
                    "{:.digits$} ({:.digits$} to {:.digits$})",
                    it.median * scale,
                    it.min * scale,
                    it.max * scale
                )
            },
        )
    }
}

/// The loop under a tool against the loop without any, both in the round that was disturbed least.
fn slowed(row: &Row, untraced_ns: f64) -> String {
    let traced_ns = row.rounds.iter().map(|round| round.traced_ns).fold(f64::INFINITY, f64::min);
    format!("{:.2} x, {traced_ns:.0} ns", traced_ns / untraced_ns)
}

fn missed(row: &Row) -> String {
    let rounds: Vec<(u64, u64)> =
        row.rounds.iter().filter_map(|round| Some((round.made, round.counted?))).collect();
    if rounds.is_empty() {
        return if goals::is_tool(row.peer.name) {
            "its count could not be read".into()
        } else {
            String::new()
        };
    }
    let (made, counted) = rounds.iter().fold((0, 0), |sum, round| (sum.0 + round.0, sum.1 + round.1));
    match made - counted.min(made) {
        0 => format!("0 of {made}"),
        missing => format!("{missing} of {made} ({:.1} %)", missing as f64 / made as f64 * 100.0),
    }
}

fn verdicts(text: &mut String, outcome: &Outcome) {
    text.push_str("## Goals\n\n| goal | at most | measured | |\n| --- | --- | --- | --- |\n");
    for goal in goals::judged(outcome) {
        let value = goal.value.map_or_else(|| "unknown".into(), number);
        let _ = writeln!(
            text,
            "| {} | {} {} | {value} {} | {} |",
            goal.what,
            number(goal.limit),
            goal.unit,
            goal.unit,
            goal.verdict()
        );
    }
    text.push('\n');
}

fn number(value: f64) -> String {
    match value.abs() {
        small if small < 10.0 && value.fract() != 0.0 => format!("{value:.2}"),
        middle if middle < 100.0 && value.fract() != 0.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn details(text: &mut String, outcome: &Outcome) {
    let (many, flood, first) = (&outcome.many, &outcome.flood, &outcome.first);
    let notional = &many.notional;
    let _ = writeln!(
        text,
        "## In detail\n\n\
         - **First data**: attached and counting {} ms after the command, first frame of 100 ms in the recording after \
         {} ms. At the default interval the first frame is due a second after the attachment.\n\
         - **A flood**: one loop per CPU made {} calls, all traced: {:.2} million a second from the first to the last, \
         {:.2} million a second while the loops had their CPUs; counted {}, ledger {}.\n\
         - **64 processes**, each making {} kinds of calls ten times a second: the tool took {:.2} % of a CPU at an interval \
         of 1 s; resident {:.1} MB, of which {:.1} MB is its own and the rest its program file and the BPF maps that it \
         reads through memory, which the kernel counts as resident once they were looked at.\n\
         - **Kernel memory** for them, as the kernel charges it: {:.1} MB here. On 128 CPUs and with the largest thread \
         ids it would be {:.1} MB + {} further CPUs x {} bytes of loss slots + {:.1} MB of thread ids = {:.1} MB. Nothing \
         else grows with CPUs: with 64 processes there are 4096 histograms and as many lean cells (64 x 60 = 3840 are \
         needed), one lane each, on any number of CPUs. The parts: 4097 histograms x 4640 bytes, 8193 cells x 688, \
         67 directories x 4096, 1025 threads and 67 rows x 64, 4 bytes for each possible thread id.\n\
         - **Binary**, stripped: {:.1} MB.\n",
        shown(Some(first.attached_ms))(0, 1.0),
        shown(Some(first.frame_ms))(0, 1.0),
        flood.made,
        flood.per_second / 1e6,
        flood.per_second_running / 1e6,
        flood.counted,
        if flood.complete { "complete" } else { "not complete" },
        many.kinds,
        many.cpu_share * 100.0,
        megabytes(many.memory.resident),
        megabytes(many.memory.anonymous),
        megabytes(many.kernel_bytes),
        megabytes(notional.here),
        notional.further_cpus,
        notional.per_cpu,
        megabytes(notional.thread_ids),
        megabytes(notional.bytes()),
        megabytes(outcome.binary_bytes),
    );
}

const METHOD: &str = "\
## Method

- The loop is one process that makes `getppid` calls as fast as it can and does nothing else. Every round takes all tools
  in turn: a stretch without any tool, then the tool is started, and once it counts the same stretch again.
- **The loop takes**: time of a call under the tool, over time of a call without any. Calls are timed in chunks of 500, a
  fraction of a time slice, and the median chunk counts. Other load on the machine, another tracer above all,
  can only add: the smallest round counts, on both sides. The kernel's BPF statistics are off, but for the tenth of the
  time in which pulse-trace itself switches them on.
- **ns per call in its BPF programs**: the kernel's run statistics (`kernel.bpf_stats_enabled`) before and after each of
  40 short loops. Other processes run the programs too; of the 40, the quarter with the fewest such runs counts, and of it
  the median. Net means: less what two empty programs on the same two tracepoints showed in the same round, for the
  statistics' own clock reads are in every number. The empty programs hang on the classic tracepoints, as those of
  bpftrace and syscount do; these take the loop longer to reach than the raw ones of pulse-trace, which only the time of
  the loop shows. Two clock reads are the floor of any latency measurement.
- **Of a non-target**: pulse-trace follows another, idle process, and the loop is a stranger to it. Per hook: half of it.
- **Calls missed**: calls that the loop knows it made, less those that the tool reports. `syscount` counts all calls of a
  process; the one `read` and the one `write` per order that the loop makes besides are taken off.
- **Resident** is the largest of all rounds; **CPU of the tool itself** is the time that its own threads took while the
  loop ran, divided by the calls that were made meanwhile.
";

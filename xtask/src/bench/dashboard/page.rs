//! The measurements as a page.

use std::{fmt::Write as _, time::Duration};

use super::Outcome;

/// Renders the results page in Markdown.
pub fn render(outcomes: &[Outcome], circumstances: &str) -> String {
    let mut text = format!(
        "# What the dashboard costs\n\n{circumstances}\n\n\
         | what is watched | calls/s | whole tool, of one CPU | paintings/s | resident: before, after, highest | first \
         screen | key to screen: median, 95 %, longest |\n| --- | --- | --- | --- | --- | --- | --- |\n"
    );
    for outcome in outcomes {
        let [before, after, highest] = outcome.resident.map(|bytes| bytes as f64 / 1e6);
        let answer = |share: f64| ms(quantile(&outcome.answers, share));
        let _ = writeln!(
            text,
            "| {} | {:.0} | {:.1} % | {:.1} | {before:.0}, {after:.0}, {highest:.0} MB | {} ms | {}, {}, {} ms |",
            outcome.scene.name,
            outcome.rate,
            outcome.share * 100.0,
            outcome.paintings,
            ms(outcome.first),
            answer(0.5),
            answer(0.95),
            answer(1.0)
        );
    }
    verdicts(&mut text, outcomes);
    text += "\nThe first two lines of each screen: how often it reads, what it has counted and lost, what it says of its cost.\n\n";
    for outcome in outcomes {
        let head: Vec<&str> = outcome.head.iter().map(|line| line.trim()).collect();
        let _ = writeln!(text, "{}:\n\n```\n{}\n```\n", outcome.scene.name, head.join("\n"));
    }
    text + METHOD
}

fn verdicts(text: &mut String, outcomes: &[Outcome]) {
    let all = |holds: &dyn Fn(&Outcome) -> bool| {
        let missed: Vec<&str> =
            outcomes.iter().filter(|outcome| !holds(outcome)).map(|outcome| outcome.scene.name).collect();
        if missed.is_empty() {
            "held everywhere".to_owned()
        } else {
            format!("**missed**: {}", missed.join("; "))
        }
    };
    let crowds = |outcome: &Outcome| !outcome.scene.name.starts_with("200");
    let _ = writeln!(
        text,
        "\n| goal | |\n| --- | --- |\n\
         | at most 3 % of one CPU, 200 processes | {} |\n\
         | ten paintings a second (at least 9.5) meanwhile | {} |\n\
         | at most 80 MB | {} |\n\
         | first screen within 500 ms | {} |\n\
         | key to screen within 50 ms, longest | {} |",
        all(&|outcome| crowds(outcome) || outcome.share <= 0.03),
        all(&|outcome| crowds(outcome) || outcome.paintings >= 9.5),
        all(&|outcome| outcome.resident[2] <= 80_000_000),
        all(&|outcome| outcome.first <= Duration::from_millis(500)),
        all(&|outcome| quantile(&outcome.answers, 1.0) <= Duration::from_millis(50)),
    );
}

fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let at = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(at.max(1) - 1).copied().unwrap_or_default()
}

fn ms(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}

const METHOD: &str = "## Method

The tool runs on a terminal of 120x40 that `script` holds, on its first view, asked for ten frames a second (the last row:
a hundred). CPU time of the whole tool is that of all its threads, from `/proc/PID/task/*/schedstat`, over 10 to 30 s, 4 s after the
first screen; resident memory from `/proc/PID/status`, pages of the kernel's maps included where they are mapped. A key is
Ctrl-L, which has everything put together and painted anew, 40 times; its answer is the first byte that clears the screen.
The first screen is counted from the start of the terminal.

A painting is output that comes at least 20 ms after the last.

Where ten frames a second would cost more than 2.4 % of a CPU, frames, which have distributions, errors, scheduling and
locks, come less often, down to once in four seconds (once a second where they are recorded), and between them counts and
times of calls are read ten times a second: those of all processes and calls, from the same counters. The first line says
how often either is, and the fourth up to when the former, its details, are known. Where even that would cost too much it is done
less often, down to once a second. No count is lost by it. Past 4,096 pairs of process and call there is no histogram left:
those calls have count, total and maximum, and the ledger says so.

`cargo run --release -p pulse-trace --example dashboard_load 200 60 10` on a terminal drives the screen's thread alone with
frames in which all 12,000 pairs are active, ten a second, without that brake.
";

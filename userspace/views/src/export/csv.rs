//! Comma-separated values: one row for each kind of call and of event of each process, and one for the waits of each
//! lock.

use model::{
    frame::CallStats,
    hist::Hist,
    locks::{self, Lock},
    probes::with_events,
    session::Session,
    syscalls,
    text::printable,
};

const HEADER: &str =
    "kind,processes,comm,name,verdict,count,errors,total_ns,mean_ns,p50_ns,p90_ns,p99_ns,p999_ns,max_ns";

/// The calls and locks of a session. What is not known is empty, never 0.
#[must_use]
pub fn csv(session: &Session) -> String {
    let mut text = String::from(HEADER) + "\n";
    for (key, process) in &session.processes {
        for (call, stats) in process.calls().iter().filter(|(_, stats)| !stats.is_empty()) {
            let name = syscalls::name(&session.header.arch, *call);
            text += &times_row("syscall", key.pid, &process.comm, &name, stats);
        }
    }
    for (key, process) in &session.processes {
        for (name, stats) in with_events().flat_map(|(spec, _)| process.events_of(spec.name)) {
            text += &times_row(&name.probe, key.pid, &process.comm, &name.kind, &stats.times);
        }
    }
    locks::ranked(&session.processes).iter().for_each(|lock| text += &lock_row(lock));
    text
}

fn times_row(kind: &str, pid: u32, comm: &str, name: &str, stats: &CallStats) -> String {
    let timed = stats.latency.count() + stats.lean.count;
    let known = |value: u64| (timed > 0).then_some(value);
    let head = [kind.to_owned(), pid.to_string(), field(comm), field(name), String::new()];
    let counts = [stats.count(), stats.failed()].map(|count| count.to_string());
    let total = stats.total_ns();
    let mean = known(total).map(|total| format!("{:.1}", total as f64 / timed as f64));
    let mut cells =
        [head.to_vec(), counts.to_vec(), vec![number(known(total)), mean.unwrap_or_default()]].concat();
    cells.extend(quantiles(&stats.latency));
    cells.push(number(stats.max_ns()));
    cells.join(",") + "\n"
}

fn lock_row(lock: &Lock) -> String {
    let waits = lock.waits();
    let wait = &waits.wait;
    let pids: Vec<String> = lock.users.iter().map(|user| user.0.to_string()).collect();
    let head = ["lock".to_owned(), pids.join(" "), String::new(), field(&lock.place.name())];
    let verdict = if wait.count() > 0 { lock.verdict.name() } else { "" };
    let counts = [waits.count, waits.errors.values().sum()].map(|count| count.to_string());
    let total = number((wait.count() > 0).then_some(wait.sum));
    let mean = wait.mean().map(|mean| format!("{mean:.1}")).unwrap_or_default();
    let mut cells = [head.to_vec(), vec![verdict.to_owned()], counts.to_vec(), vec![total, mean]].concat();
    cells.extend(quantiles(wait));
    cells.push(number(wait.max));
    cells.join(",") + "\n"
}

fn quantiles(values: &Hist) -> [String; 4] {
    [0.5, 0.9, 0.99, 0.999].map(|share| number(values.quantile(share)))
}

fn number(value: Option<u64>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}

/// Quoted where it has to be, and with an apostrophe in front where a spreadsheet would take it for a formula.
fn field(text: &str) -> String {
    let text = printable(text);
    let text = if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text };
    if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use model::synthetic::{self, Shape};

    use super::*;

    #[test]
    fn every_row_has_the_columns_of_the_header() {
        let session = synthetic::session(3, Shape { processes: 6, ..Shape::default() });
        let text = csv(&session);
        let columns = HEADER.split(',').count();
        assert!(text.lines().all(|line| line.split(',').count() == columns), "{text}");
        let calls: usize = session.processes.values().map(|process| process.calls().len()).sum();
        let locks = locks::ranked(&session.processes).len();
        assert_eq!(text.lines().count(), 1 + calls + locks);
        assert!(text.lines().any(|line| line.starts_with("lock,1000 1010,,shm /q +0,contention,")), "{text}");
    }

    #[test]
    fn count_times_mean_is_total_in_every_row_but_for_calls_without_latency() {
        let session = synthetic::session(3, Shape { processes: 6, ..Shape::default() });
        let untimed = |stats: &CallStats| stats.untimed + stats.unreturned;
        let calls = session.processes.values().flat_map(|process| process.calls());
        let partial: Vec<u64> = calls.map(|(_, stats)| untimed(&stats)).collect();
        let text = csv(&session);
        let mut checked = 0;
        for (row, line) in text.lines().skip(1).enumerate() {
            let cells: Vec<&str> = line.split(',').collect();
            let [count, total, mean] = [5, 7, 8].map(|at| cells[at].parse::<f64>());
            let (Ok(count), Ok(total), Ok(mean)) = (count, total, mean) else { continue };
            let timed = count - partial.get(row).copied().unwrap_or(0) as f64;
            assert!((timed * mean - total).abs() <= 0.051 * timed, "{line}");
            checked += usize::from(cells[0] == "lock");
        }
        assert!(checked > 5, "{text}");
    }

    #[test]
    fn names_cannot_break_out_of_their_cell() {
        assert_eq!(field("a,\"b\"\n"), "\"a,\"\"b\"\"\\n\"");
        assert_eq!(field("nginx: worker"), "nginx: worker");
        assert_eq!(field("=HYPERLINK(1,2)"), "\"'=HYPERLINK(1,2)\"");
        assert_eq!([field("-x"), field("+x"), field("@x")], ["'-x", "'+x", "'@x"]);
    }

    #[test]
    fn what_is_not_known_is_empty() {
        let stats = CallStats { unreturned: 1, ..CallStats::default() };
        assert_eq!(
            times_row("syscall", 7, "a", "exit_group", &stats),
            "syscall,7,a,exit_group,,1,0,,,,,,,\n"
        );
    }
}

//! One window that two tracers see alike: the targets stand still while either attaches or detaches.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Child,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::tracers::{Traced, Tracers};
use crate::process::signal;

/// Longer than this nothing here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Number of calls by process and number of the call.
pub type Counts = BTreeMap<(u32, u32), u64>;

/// A program under test; ended when dropped.
pub struct Server {
    /// The process that was started; what it forks is looked at, too.
    pub child: Child,
    /// Port that it listens on, if it does.
    pub port: u16,
}

/// Puts a program under load, from first to last request.
pub type Load = fn(&mut Server, &Path) -> Result<()>;

/// Counts of both tracers, and the tool's first finding.
pub struct Seen {
    /// Counts of the tool.
    pub ours: Counts,
    /// Counts of bpftrace.
    pub theirs: Counts,
    /// Processes that the tool saw.
    pub processes: usize,
    /// Events that the tool says it has lost.
    pub lost: u64,
    /// The first finding of the report.
    pub finding: Option<String>,
    /// Percentage of the time it could run that each process had no CPU, by the kernel's own accounts; of processes
    /// whose threads were the same from first to last.
    pub queued: BTreeMap<u32, f64>,
}

/// Percentage points that the tool and the kernel's accounts may be apart: stopping and going on is in one of them
/// only.
const APART: f64 = 5.0;

impl Seen {
    /// Every count that is not the same in both.
    pub fn differences(&self) -> Vec<String> {
        let keys: BTreeSet<&(u32, u32)> = self.ours.keys().chain(self.theirs.keys()).collect();
        let count = |counts: &Counts, key| counts.get(key).copied().unwrap_or(0);
        let pairs = keys.into_iter().map(|key| (key, count(&self.ours, key), count(&self.theirs, key)));
        let unequal = pairs.filter(|(_, ours, theirs)| ours != theirs);
        let shown = |((pid, nr), ours, theirs): (&(u32, u32), u64, u64)| {
            format!("process {pid} call {nr}: {ours}, bpftrace {theirs}")
        };
        unequal.map(shown).chain(self.untrue_finding()).collect()
    }

    /// The error of the first finding, where it tells how long a process waited for a CPU.
    fn untrue_finding(&self) -> Option<String> {
        let finding = self.finding.as_deref()?;
        let (before, _) = finding.split_once("% of the time it could run")?;
        let said: f64 = before.rsplit_once(' ')?.1.parse().ok()?;
        let truth = self.queued.get(&finding.split_once(' ')?.0.parse().ok()?)?;
        ((said - truth).abs() > APART).then(|| format!("`{finding}`: by schedstat it is {truth:.0}%"))
    }
}

/// Looks at a program while it is under load.
pub fn observe(server: &mut Server, load: Load, dir: &Path) -> Result<Seen> {
    let root = server.child.id();
    let pids = stopped(root)?;
    let tracers = Tracers::start(dir, &pids)?;
    let before = accounts(&pids);
    signal("CONT", &pids)?;
    load(server, dir)?;
    let pids = stopped(root)?;
    let after = accounts(&pids);
    let Traced { session, report, theirs } = tracers.finish()?;
    signal("CONT", &pids)?;
    let processes = session["processes"].as_array().context("the session has no processes")?;
    let mut ours = Counts::new();
    for process in processes {
        let pid = number(&process["pid"])?;
        for call in process["syscalls"].as_array().into_iter().flatten() {
            let key = (u32::try_from(pid)?, u32::try_from(number(&call["nr"])?)?);
            *ours.entry(key).or_default() += number(&call["count"])?;
        }
    }
    ours.retain(|_, count| *count > 0);
    let lost = session["ledger"]["lost"].as_object().into_iter().flatten();
    let lost = lost.filter_map(|(_, count)| count.as_u64()).sum();
    let queued =
        after.iter().filter_map(|(pid, after)| Some((*pid, queued(before.get(pid)?, after)?))).collect();
    Ok(Seen { ours, theirs, processes: processes.len(), lost, finding: first_finding(&report), queued })
}

/// The first finding of a report; what does not fit in a line goes on in the next.
fn first_finding(report: &str) -> Option<String> {
    let mut lines = report.lines().skip_while(|line| !line.starts_with("> "));
    let first = lines.next()?.trim_start_matches("> ").to_owned();
    let more = lines.take_while(|line| line.starts_with("  "));
    Some(more.fold(first, |text, line| format!("{text} {}", line.trim())))
}

/// Time on a CPU and time without one, of each thread of each process, in ns.
type Accounts = BTreeMap<u32, BTreeMap<u32, (u64, u64)>>;

fn accounts(pids: &[u32]) -> Accounts {
    let of = |pid: u32, tid: u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/task/{tid}/schedstat")).ok()?;
        let mut words = text.split_whitespace().map_while(|word| word.parse().ok());
        Some((tid, (words.next()?, words.next()?)))
    };
    pids.iter()
        .map(|pid| (*pid, threads(*pid).into_iter().filter_map(|tid| of(*pid, tid)).collect()))
        .collect()
}

/// Percentage of the time in which its threads could run that they had no CPU; `None` where others came or went.
fn queued(before: &BTreeMap<u32, (u64, u64)>, after: &BTreeMap<u32, (u64, u64)>) -> Option<f64> {
    if !before.keys().eq(after.keys()) {
        return None;
    }
    let pairs = before.values().zip(after.values());
    let sums = pairs.fold((0, 0), |(ran, waited), (old, new)| (ran + new.0 - old.0, waited + new.1 - old.1));
    (sums.0 > 0).then(|| 100.0 * sums.1 as f64 / (sums.0 + sums.1) as f64)
}

fn number(value: &serde_json::Value) -> Result<u64> {
    value.as_u64().with_context(|| format!("cannot read the session: `{value}` is no number"))
}

/// Stops a process and all that it has forked, until no more come and every thread stands still.
fn stopped(root: u32) -> Result<Vec<u32>> {
    let mut stopped = Vec::new();
    loop {
        let tree = tree(root);
        let new: Vec<u32> = tree.iter().copied().filter(|pid| !stopped.contains(pid)).collect();
        if new.is_empty() {
            return Ok(tree);
        }
        // One may have ended by now.
        let _ = signal("STOP", &new);
        wait("the program to stand still", || {
            new.iter().all(|pid| states(*pid).all(|state| "TZX".contains(state)))
        })?;
        stopped.extend(new);
    }
}

/// A process and its descendants that are alive.
fn tree(root: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut open = vec![root];
    while let Some(pid) = open.pop() {
        if !states(pid).any(|state| state != 'Z') {
            continue;
        }
        found.push(pid);
        for tid in threads(pid) {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{tid}/children")).unwrap_or_default();
            open.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
    }
    found.sort_unstable();
    found
}

fn threads(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks.filter_map(|task| task.file_name().to_str()?.parse().ok()).collect()
}

/// States of the threads of a process.
fn states(pid: u32) -> impl Iterator<Item = char> {
    threads(pid).into_iter().filter_map(move |tid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/task/{tid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    })
}

/// Waits for something to become true.
pub fn wait(what: &str, mut holds: impl FnMut() -> bool) -> Result<()> {
    let since = Instant::now();
    while !holds() {
        if since.elapsed() > PATIENCE {
            bail!("waited {} s in vain for {what}", PATIENCE.as_secs());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

impl Drop for Server {
    fn drop(&mut self) {
        // Descendants first: they are found through their parents.
        let tree = tree(self.child.id());
        let _ = signal("KILL", &tree);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::command;

    #[test]
    fn only_unequal_counts_are_reported() {
        let ours = Counts::from([((1, 0), 5), ((1, 1), 7)]);
        let theirs = Counts::from([((1, 0), 5), ((1, 1), 8), ((2, 9), 1)]);
        let seen = Seen { ours, theirs, processes: 1, lost: 0, finding: None, queued: BTreeMap::new() };
        assert_eq!(
            seen.differences(),
            ["process 1 call 1: 7, bpftrace 8", "process 2 call 9: 0, bpftrace 1"]
        );
    }

    #[test]
    fn a_finding_is_held_against_the_kernels_accounts() {
        let report = "head\n\n> 7 x: waited for a CPU for 40% of its wall time, 57% of the time it\n  could run\n> more\n";
        let finding = first_finding(report);
        assert_eq!(
            finding.as_deref(),
            Some("7 x: waited for a CPU for 40% of its wall time, 57% of the time it could run")
        );
        let (before, after) = (BTreeMap::from([(7, (100, 10))]), BTreeMap::from([(7, (200, 110))]));
        assert_eq!(queued(&before, &after), Some(50.0));
        assert_eq!(queued(&before, &BTreeMap::new()), None);
        let seen = |truth| Seen {
            ours: Counts::new(),
            theirs: Counts::new(),
            processes: 1,
            lost: 0,
            finding: finding.clone(),
            queued: BTreeMap::from([(7, truth)]),
        };
        assert_eq!(seen(55.0).untrue_finding(), None);
        assert!(seen(50.0).untrue_finding().unwrap().ends_with("by schedstat it is 50%"));
    }

    #[test]
    fn a_process_and_its_child_are_stopped_together() {
        let child = command("sh").args(["-c", "sleep 1000 & wait"]).spawn().unwrap();
        let server = Server { child, port: 0 };
        wait("the child", || tree(server.child.id()).len() == 2).unwrap();
        let pids = stopped(server.child.id()).unwrap();
        assert_eq!(pids.len(), 2);
        assert!(pids.iter().all(|pid| states(*pid).eq(['T'])));
    }
}

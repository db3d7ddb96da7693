//! Locks: futexes as the kernel sees them, mutexes as probes in the library see them.

use std::collections::BTreeMap;

use model::hist::Hist;

use super::Found;
use crate::{
    compare::{
        HistError, Measure,
        json::{Section, Unit},
        values,
    },
    export::json::{Process, SharedObject, Stack},
};

#[derive(Default)]
struct Sum {
    calls: u64,
    contended: Option<u64>,
    wait: Hist,
    spins: Hist,
}

/// All futex calls together, and each lock that has a name which outlives its process.
pub fn add(found: &mut Found<'_>, processes: &[&Process]) -> Result<(), HistError> {
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    for futex in processes.iter().flat_map(|process| &process.futex) {
        let sum = sums.entry(name(futex.shared.as_ref(), &futex.stacks)).or_default();
        sum.calls = sum.calls.saturating_add(futex.count);
        sum.wait.merge(&values(&futex.wait)?);
    }
    for mutex in processes.iter().flat_map(|process| &process.mutex) {
        let sum = sums.entry(name(mutex.shared.as_ref(), &mutex.stacks)).or_default();
        sum.contended = Some(sum.contended.unwrap_or(0).saturating_add(mutex.contended));
        sum.spins.merge(&values(&mutex.spin_count)?);
    }
    if sums.is_empty() {
        return Ok(());
    }
    let calls: f64 = sums.values().map(|sum| sum.calls as f64).sum();
    found.count(Measure::exact("futex.calls", "futex calls", Section::Cost, calls));
    sums.into_iter().for_each(|(name, sum)| lock(found, &name, sum));
    Ok(())
}

fn lock(found: &mut Found<'_>, name: &str, sum: Sum) {
    let of = |tail: &str, value: f64| {
        Measure::exact(format!("lock.{name}.{tail}"), format!("{name} {tail}"), Section::Locks, value)
    };
    found.count(of("calls", sum.calls as f64));
    if let Some(contended) = sum.contended {
        found.count(of("contended", contended as f64));
    }
    if let Some(mean) = sum.spins.mean() {
        found.plain(of("spins", mean));
    }
    found.times(&of("wait", 0.0).in_unit(Unit::Ns), sum.wait);
}

/// A name under which the lock is found again in another run: addresses are not the same there. Shared memory has one;
/// of private locks that were sampled it is the function that uses them; all others are one.
fn name(shared: Option<&SharedObject>, stacks: &[Stack]) -> String {
    if let Some(object) = shared {
        let path = object.path.trim_end_matches(" (deleted)");
        // Memory without a name is called after its inode, which is another one in each run.
        let (directory, file) = path.rsplit_once('/').unwrap_or(("", path));
        let unnamed = file.strip_prefix('#').is_some_and(|inode| inode.chars().all(|c| c.is_ascii_digit()));
        let path = if unnamed { format!("{directory}/(unnamed)") } else { path.to_owned() };
        return format!("{path}+{}", object.offset);
    }
    let caller = stacks.iter().find_map(|stack| stack.caller.as_deref());
    caller.map_or_else(|| "private locks".to_owned(), |caller| format!("in {caller}"))
}

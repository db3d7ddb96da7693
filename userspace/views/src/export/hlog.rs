//! Distributions as an interval log of HdrHistogram: what its tools in every language read, plot and merge.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use hdrhistogram::{
    Histogram,
    serialization::{
        V2DeflateSerializer,
        interval_log::{IntervalLogWriterBuilder, Tag},
    },
};
use model::{
    hist::Hist,
    locks::{self, Lock, LockPlace},
    session::{Process, Session},
    syscalls,
};
use pulse_trace_common::hist;

/// Significant digits: finer than the buckets that the numbers come from, so that none moves to another one.
const DIGITS: u8 = 3;
/// Nanoseconds of a millisecond, the unit in which the log shows each maximum.
const MAX_DIVISOR: f64 = 1e6;

/// The log; empty where the session has no distribution.
///
/// # Errors
/// A sentence, when a distribution cannot be expressed.
pub fn hlog(session: &Session) -> Result<String, String> {
    let failed = |cause: &dyn std::fmt::Display| format!("cannot write an interval log: {cause}");
    let all = distributions(session);
    if all.is_empty() {
        return Ok(String::new());
    }
    let (mut text, mut serializer) = (Vec::new(), V2DeflateSerializer::new());
    let start = SystemTime::UNIX_EPOCH + Duration::from_nanos(session.header.start_unix_ns);
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("pulse-trace: times in nanoseconds, spin counts as they are; one interval, the session")
        .with_start_time(start)
        .with_base_time(start)
        .with_max_value_divisor(MAX_DIVISOR)
        .begin_log_with(&mut text, &mut serializer)
        .map_err(|cause| failed(&cause))?;
    for (name, values) in all {
        let histogram = converted(values).map_err(|cause| failed(&cause))?;
        let span = Duration::from_nanos(session.duration_ns);
        log.write_histogram(&histogram, Duration::ZERO, span, Tag::new(&name))
            .map_err(|cause| failed(&format!("{cause:?}")))?;
    }
    String::from_utf8(text).map_err(|cause| failed(&cause))
}

/// Distributions with values in them, by tag. Of equal tags the values are added.
fn distributions(session: &Session) -> BTreeMap<String, Hist> {
    let mut all: BTreeMap<String, Hist> = BTreeMap::new();
    let mut add = |name: String, values: &Hist| {
        if values.count() > 0 {
            all.entry(tag(&name)).or_default().merge(values);
        }
    };
    for (key, process) in &session.processes {
        let of = format!("{}.{}", process.comm, key.pid);
        for (call, stats) in process.calls() {
            let name = syscalls::name(&session.header.arch, call);
            add(format!("{of}.syscall.{name}"), &stats.latency);
        }
        for ((event, _), stats) in &process.events {
            add(format!("{of}.{}.{}", event.probe, event.kind), &stats.times.latency);
        }
        of_scheduling(process, |name, values| add(format!("{of}.sched.{name}"), values));
        for ((place, _), mutex) in &process.mutexes {
            let mutex_of = format!("{of}.mutex.{}", place.name());
            add(format!("{mutex_of}.spins"), &mutex.stats.spin_count);
            add(format!("{mutex_of}.spin_time"), &mutex.stats.spin_time);
            add(format!("{mutex_of}.hold"), &mutex.stats.hold);
        }
    }
    for lock in locks::ranked(&session.processes) {
        add(format!("lock.{}.wait", name_of(&lock)), &lock.waits().wait);
    }
    all
}

fn of_scheduling(process: &Process, mut add: impl FnMut(&str, &Hist)) {
    if let Some(sched) = &process.sched {
        add("wakeup_to_run", &sched.wakeup_to_run);
        add("preempted_to_run", &sched.preempted_to_run);
        add("on_cpu", &sched.on_cpu);
        add("off_cpu", &sched.off_cpu);
    }
}

/// Place of a lock; that of one process has its id in front.
fn name_of(lock: &Lock) -> String {
    let name = lock.place.name();
    match (&lock.place, lock.users.iter().next()) {
        (LockPlace::Shared { .. }, _) | (_, None) => name,
        (_, Some((pid, _))) => format!("{pid}.{name}"),
    }
}

/// A tag ends at a comma, and names of processes may hold anything.
fn tag(name: &str) -> String {
    let plain = |c: char| if c == ',' || c.is_whitespace() || c.is_control() { '_' } else { c };
    model::text::printable(&name.chars().map(plain).collect::<String>())
}

/// The same values: of each bucket its middle, the smallest and the largest as they are.
fn converted(values: Hist) -> Result<Histogram<u64>, String> {
    let sentence = |cause: &dyn std::fmt::Display| cause.to_string();
    let largest = values.max.unwrap_or(hist::CLAMP).max(2);
    let mut histogram =
        Histogram::<u64>::new_with_bounds(1, largest, DIGITS).map_err(|cause| sentence(&cause))?;
    let ends = [values.min, values.max].into_iter().flatten();
    let mut left: BTreeMap<u16, u64> = values.buckets().iter().copied().collect();
    // Where there is but one value, the smallest is the largest.
    for end in ends.take(if values.count() > 1 { 2 } else { 1 }) {
        if let Some(count) = left.get_mut(&(hist::index(end) as u16)).filter(|count| **count > 0) {
            *count -= 1;
            histogram.record(end).map_err(|cause| sentence(&cause))?;
        }
    }
    for (bucket, count) in left {
        let middle = values.middle(bucket);
        histogram.record_n(middle, count).map_err(|cause| sentence(&cause))?;
    }
    Ok(histogram)
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_STANDARD as STANDARD};
    use hdrhistogram::serialization::{
        Deserializer,
        interval_log::{IntervalLogIterator, LogEntry},
    };
    use model::synthetic::{self, Shape};

    use super::*;

    /// What every reader of such logs does.
    fn read(text: &str) -> BTreeMap<String, Histogram<u64>> {
        let entries = IntervalLogIterator::new(text.as_bytes()).map(Result::unwrap);
        let histogram = |entry| match entry {
            LogEntry::Interval(interval) => Some((
                interval.tag().unwrap().as_str().to_owned(),
                Deserializer::new()
                    .deserialize(&mut STANDARD.decode(interval.encoded_histogram()).unwrap().as_slice())
                    .unwrap(),
            )),
            _ => None,
        };
        entries.filter_map(histogram).collect()
    }

    #[test]
    fn counts_quantiles_and_extremes_are_those_of_the_session() {
        let session = synthetic::session(3, Shape { processes: 6, ..Shape::default() });
        let ours = distributions(&session);
        let theirs = read(&hlog(&session).unwrap());
        assert!(ours.len() > 20);
        assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
        for (name, ours) in &ours {
            let theirs = &theirs[name];
            assert_eq!(theirs.len(), ours.count(), "{name}");
            let near = |found: u64, wanted: u64, what: &str| {
                let error = wanted / 1000 + 1;
                assert!(found.abs_diff(wanted) <= error, "{name} {what}: {found} for {wanted}");
            };
            near(theirs.max(), ours.max.unwrap(), "max");
            near(theirs.min(), ours.min.unwrap(), "min");
            // At the ends the middle of a bucket gives way to the value itself.
            for share in [0.5, 0.9, 0.99] {
                let (found, wanted) = (theirs.value_at_quantile(share), ours.quantile(share).unwrap());
                let bucket = hist::index(wanted);
                assert!(
                    found.abs_diff(wanted) <= wanted / 1000 + 1 || hist::index(found) == bucket,
                    "{name} {share}: {found} for {wanted}"
                );
            }
        }
    }

    #[test]
    fn a_tag_holds_nothing_that_ends_it() {
        assert_eq!(tag("a,b c\n\x1b.7"), "a_b_c__.7");
        assert!(Tag::new(&tag("a,b c\n")).is_some());
    }

    #[test]
    fn a_session_without_distributions_gives_no_log() {
        assert_eq!(hlog(&Session::default()).unwrap(), "");
    }
}

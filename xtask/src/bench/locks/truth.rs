//! Whether the spin counts that the default budget shows are those of a program that nobody watches.

use std::{fmt::Write as _, thread};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{
    methods::{METHODS, Scene, TIER_1},
    samples::{ALPHA, Test},
    workload::{SHARDS, Stage, Truth},
};
use crate::bench::running::Bench;

/// Spin counts to a bucket: as exact as the program knows them.
const WIDTH: u64 = 8;
const BUCKETS: usize = 64;

/// Spin counts by bucket, and what they came with.
#[derive(Default)]
pub struct Distribution {
    /// The watched program's own counts, ...
    watched: Vec<u64>,
    /// ... what was seen of it, ...
    seen: Vec<u64>,
    /// ... and those of the same program alone, before and after.
    before: Vec<u64>,
    after: Vec<u64>,
    contended_alone: u64,
    seconds_alone: f64,
    detached: u32,
}

impl Distribution {
    /// One more round: alone, watched, alone.
    pub fn measure(&mut self, bench: &Bench<'_>, stage: &Stage) -> Result<()> {
        self.alone(&stage.start(&SHARDS, SHARDS.count)?.run()?, true);
        let started = stage.start(&SHARDS, SHARDS.count)?;
        let (pids, library, json) = (started.pids(), stage.library(), bench.json());
        let scene = Scene { pids: &pids, library: &library.to_string_lossy(), json: &json.to_string_lossy() };
        let running = bench.start(&(METHODS[TIER_1].words)(&scene), METHODS[TIER_1].ready)?;
        thread::sleep(METHODS[TIER_1].settling);
        let truth = started.run()?;
        let left = running.finish()?;
        let said: Value = serde_json::from_str(&left.json).context("it left no JSON")?;
        add(&mut self.watched, &own(&truth.said));
        add(&mut self.seen, &seen(&said));
        self.detached += u32::from(said["overhead"]["budget"]["detached_at_unix_ns"].is_u64());
        self.alone(&stage.start(&SHARDS, SHARDS.count)?.run()?, false);
        Ok(())
    }

    fn alone(&mut self, truth: &Truth, before: bool) {
        add(if before { &mut self.before } else { &mut self.after }, &own(&truth.said));
        self.contended_alone += truth.said["contended"].as_u64().unwrap_or(0);
        self.seconds_alone += truth.elapsed_ns / 1e9;
    }

    /// A section of the page.
    pub fn section(&self) -> String {
        let alone: Vec<u64> = self.before.iter().zip(&self.after).map(|(one, other)| one + other).collect();
        let mut text = format!(
            "\n## Whether it is true\n\nTwo threads that take 32 adaptive locks at random, for some microseconds each: {:.0} contended acquisitions a \
             second, when nobody watches. The program knows the count of each spin itself, in buckets of {WIDTH}, without \
             probes: it writes a mean into `__spins` that no spin can have, and reads what the library makes of it. In each round it runs \
             alone, with `--probes mutex` and the default budget, and alone again; Pearson's test on all rounds together, with a \
             chance of {ALPHA} for a false alarm. Probes were taken out in {} of the rounds.\n\n| samples | values | chi squared, its \
             limit | largest difference | same |\n| --- | --- | ---: | ---: | --- |\n",
            self.contended_alone as f64 / self.seconds_alone,
            self.detached
        );
        row(&mut text, "alone before, alone after: the control", &self.before, &self.after);
        row(&mut text, "alone, watched", &alone, &self.watched);
        row(&mut text, "alone, what was seen", &alone, &self.seen);
        let apart: u64 = self.watched.iter().zip(&self.seen).map(|(one, other)| one.abs_diff(*other)).sum();
        // Writing into a string cannot fail.
        let _ = writeln!(
            text,
            "\nOf {} contended acquisitions of the watched runs, by their own count, {} were seen; the two differ in {apart} \
             places, over all buckets.",
            self.watched.iter().sum::<u64>(),
            self.seen.iter().sum::<u64>()
        );
        text
    }
}

fn row(text: &mut String, what: &str, one: &[u64], other: &[u64]) {
    let values = format!("{}, {}", one.iter().sum::<u64>(), other.iter().sum::<u64>());
    let _ = match Test::of(one, other) {
        Some(test) => writeln!(
            text,
            "| {what} | {values} | {:.1}, {:.1} ({} degrees of freedom) | {:.1} % | {} |",
            test.chi_squared,
            test.limit,
            test.freedom,
            100.0 * test.distance,
            if test.is_same() { "yes" } else { "**no**" }
        ),
        None => writeln!(text, "| {what} | {values} | too few | - | - |"),
    };
}

fn add(sum: &mut Vec<u64>, more: &[u64]) {
    sum.resize(BUCKETS, 0);
    sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

/// What the program counted.
fn own(said: &Value) -> Vec<u64> {
    said["spins"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect()
}

/// What the tool counted, in the program's buckets: none of its own is so wide.
fn seen(said: &Value) -> Vec<u64> {
    let mut counts = vec![0; BUCKETS];
    for mutex in super::mutexes(said) {
        for bucket in mutex["spin_count"]["buckets"].as_array().into_iter().flatten() {
            let (lower, count) = (bucket[0].as_u64().unwrap_or(0), bucket[2].as_u64().unwrap_or(0));
            counts[usize::try_from(lower / WIDTH).unwrap_or(BUCKETS).min(BUCKETS - 1)] += count;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_count_in_the_same_buckets() {
        let said = serde_json::json!({ "processes": [{ "mutex": [
            { "spin_count": { "buckets": [[7, 8, 3], [8, 9, 2]] } },
            { "spin_count": { "buckets": [[64, 66, 5]] } },
        ] }] });
        let counts = seen(&said);
        assert_eq!((counts[0], counts[1], counts[8]), (3, 2, 5));
        assert_eq!(counts.iter().sum::<u64>(), 10);
        assert_eq!(own(&serde_json::json!({ "spins": [3, 2] })), [3, 2]);
    }
}

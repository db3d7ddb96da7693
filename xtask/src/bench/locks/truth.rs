//! Check that the spin counts shown by the default budget are those of a program that runs without a tracer.

use std::thread;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{
    methods::{METHODS, Scene, TIER_1},
    samples::{ALPHA, distance, limit},
    spin::Spin,
    workload::{SHARDS, Stage},
};
use crate::bench::{running::Bench, spread::Spread};

/// Spin counts to a bucket: as exact as the program knows them.
const WIDTH: u64 = 8;
const BUCKETS: usize = 64;
/// Trials in each round of the benchmark.
const TRIALS: usize = 3;

/// The same program three times, one of them watched.
struct Trial {
    /// Distance between the two runs without a tracer.
    alone: f64,
    /// The nearer of the two to the watched one, and the mean of both.
    nearer: f64,
    watched: f64,
}

/// Spin counts by bucket, and what they came with.
#[derive(Default)]
pub struct Distribution {
    trials: Vec<Trial>,
    /// The watched program's own counts, ...
    watched: Vec<u64>,
    /// ... and what was seen of it.
    seen: Vec<u64>,
    contended_alone: u64,
    seconds_alone: f64,
    detached: u32,
}

impl Distribution {
    /// One more round of trials; each of the three has its turn at being the watched one.
    pub fn measure(&mut self, bench: &Bench<'_>, stage: &Stage, spin: &Spin) -> Result<()> {
        for turn in 0..TRIALS {
            let (mut alone, mut watched) = (Vec::new(), Vec::new());
            for nth in 0..3 {
                if nth == turn {
                    watched = self.watch(bench, stage, spin)?;
                } else {
                    alone.push(self.leave_alone(stage)?);
                }
            }
            let [one, other] = &alone[..] else { continue };
            let (first, second) = (distance(one, &watched), distance(other, &watched));
            self.trials.push(Trial {
                alone: distance(one, other),
                nearer: first.min(second),
                watched: f64::midpoint(first, second),
            });
        }
        Ok(())
    }

    /// The program's own counts while it is watched.
    fn watch(&mut self, bench: &Bench<'_>, stage: &Stage, spin: &Spin) -> Result<Vec<u64>> {
        let started = stage.start(&SHARDS, SHARDS.count)?;
        let (pids, library, json) = (started.pids(), stage.library(), bench.json());
        let (library, json) = (library.to_string_lossy(), json.to_string_lossy());
        let programs = stage.programs();
        let scene = Scene { pids: &pids, library: &library, json: &json, programs, spin };
        let running = bench.start(&(METHODS[TIER_1].words)(&scene), METHODS[TIER_1].ready)?;
        thread::sleep(METHODS[TIER_1].settling);
        let truth = started.run()?;
        let left = running.finish()?;
        let said: Value = serde_json::from_str(&left.json).context("it left no JSON")?;
        let own = own(&truth.said);
        add(&mut self.watched, &own);
        add(&mut self.seen, &seen(&said));
        self.detached += u32::from(said["overhead"]["budget"]["detached_at_unix_ns"].is_u64());
        Ok(own)
    }

    fn leave_alone(&mut self, stage: &Stage) -> Result<Vec<u64>> {
        let truth = stage.start(&SHARDS, SHARDS.count)?.run()?;
        self.contended_alone += truth.said["contended"].as_u64().unwrap_or(0);
        self.seconds_alone += truth.elapsed_ns / 1e9;
        Ok(own(&truth.said))
    }

    /// A section of the page.
    pub fn section(&self) -> String {
        let trials = u32::try_from(self.trials.len()).unwrap_or(u32::MAX);
        let odd = self.trials.iter().filter(|trial| trial.alone < trial.nearer).count();
        let differs = odd > limit(trials) as usize;
        let apart: u64 = self.watched.iter().zip(&self.seen).map(|(one, other)| one.abs_diff(*other)).sum();
        format!(
            "\n## Whether it is true\n\nTwo threads that take 160 adaptive locks at random, for some microseconds each: {:.0} contended \
             acquisitions a second, untraced. The program knows the count of each spin itself, in buckets of {WIDTH}, \
             without probes: it writes a mean into `__spins` that no spin can have, and reads what the library makes of it. In a trial \
             it runs three times, one of them, by turns, with `--probes mutex` and the default budget. How far two runs are apart is \
             the largest difference of their shares in any set of spin counts. If watching changed nothing, the watched run \
             would be the odd one out in a third of the trials; counts of one run have to do with each other, so no test that takes \
             them one by one would do.\n\n| | |\n| --- | --- |\n| two runs alone are apart | {} |\n| the watched one \
             is apart from those | {} |\n| the watched one is the odd one out | {odd} of {trials}; more than {} would come by \
             chance less than {ALPHA} of the time |\n| verdict | {} |\n| rounds in which the budget took the probes out | {} \
             |\n| contended acquisitions of the watched runs, by their own count | {} |\n| of which were seen | {} |\n| seen \
             with another spin count than the program knows | {apart} |\n",
            self.contended_alone as f64 / self.seconds_alone,
            self.spread(|trial| trial.alone),
            self.spread(|trial| trial.watched),
            limit(trials),
            if differs { "**watching shows**" } else { "watching does not show" },
            self.detached,
            self.watched.iter().sum::<u64>(),
            self.seen.iter().sum::<u64>()
        )
    }

    fn spread(&self, of: impl Fn(&Trial) -> f64) -> String {
        Spread::of(self.trials.iter().map(|trial| 100.0 * of(trial))).map_or_else(
            || "-".to_owned(),
            |it| format!("{:.1} % ({:.1} to {:.1})", it.median, it.min, it.max),
        )
    }
}

fn add(sum: &mut Vec<u64>, more: &[u64]) {
    sum.resize(BUCKETS, 0);
    sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

/// Counts of the program.
fn own(said: &Value) -> Vec<u64> {
    said["spins"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect()
}

/// Counts of the tool, in the program's buckets: none of its own is so wide.
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

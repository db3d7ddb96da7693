//! Distributions of spin counts, summed over processes.

use std::collections::BTreeMap;

use serde_json::Value;

/// Hits of each bucket, by its lower end, and the exact sum.
#[derive(Clone, Debug, Default)]
pub struct Spins {
    buckets: BTreeMap<u64, u64>,
    sum: f64,
}

impl Spins {
    /// Adds a distribution as our JSON has it, the tool's or a workload's.
    pub fn add(&mut self, hist: &Value) {
        self.sum += hist["sum"].as_f64().unwrap_or(0.0);
        for bucket in hist["buckets"].as_array().into_iter().flatten() {
            if let (Some(low), Some(count)) = (bucket[0].as_u64(), bucket[2].as_u64()) {
                *self.buckets.entry(low).or_default() += count;
            }
        }
    }

    /// Number of spins in all buckets.
    pub fn count(&self) -> u64 {
        self.buckets.values().sum()
    }

    /// Mean, share of those that spun once, and three quantiles, as cells of a table.
    pub fn cells(&self) -> String {
        let count = self.count();
        if count == 0 {
            return "0 | - | - | - | - | -".to_owned();
        }
        let once = self.buckets.get(&1).copied().unwrap_or(0);
        let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|share| self.quantile(share));
        let percent = 100.0 * once as f64 / count as f64;
        format!("{count} | {:.1} | {percent:.0} % | {p50} | {p90} | {p99}", self.sum / count as f64)
    }

    /// Lower end of the bucket that holds it.
    fn quantile(&self, share: f64) -> u64 {
        let rank = (share * self.count() as f64).ceil() as u64;
        let mut seen = 0;
        let hit = self.buckets.iter().find(|(_, count)| {
            seen += **count;
            seen >= rank
        });
        hit.map_or(0, |(low, _)| *low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_add_up() {
        let mut spins = Spins::default();
        for _ in 0..2 {
            spins.add(&serde_json::json!({"sum": 22, "buckets": [[1, 2, 2], [10, 11, 2]]}));
        }
        assert_eq!(spins.cells(), "8 | 5.5 | 50 % | 1 | 10 | 10");
        assert_eq!(Spins::default().cells(), "0 | - | - | - | - | -");
    }
}

//! Report of a bundled program on its own run.

use model::hist::Hist;
use serde::Deserialize as _;
use serde_json::Value;
use views::compare::{
    BUCKET, Distribution, Measure,
    json::{Better, Section, Unit},
};

/// The schema this version understands.
const SCHEMA: &str = "pulse-trace-truth/1";

/// Quantiles of a histogram: ending of the key, as shown, share.
const QUANTILES: [(&str, &str, f64); 5] = [
    ("p50", "p50", 0.5),
    ("p90", "p90", 0.9),
    ("p99", "p99", 0.99),
    ("p999", "p99.9", 0.999),
    ("p9999", "p99.99", 0.9999),
];

/// Results of a round.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Messages or operations that costs are divided by.
    pub per: Option<f64>,
    /// Single numbers, such as rates.
    pub measures: Vec<Measure>,
    /// Distributions, such as latencies.
    pub distributions: Vec<Distribution>,
    /// Notes of the program.
    pub notes: Vec<String>,
}

/// The truth in a program's output: its last line.
pub fn read(output: &str) -> Result<Value, String> {
    let line = output.lines().rev().find(|line| line.starts_with('{'));
    let line = line.ok_or("it said nothing of its run")?;
    let truth: Value =
        serde_json::from_str(line).map_err(|error| format!("what it said is no JSON ({error})"))?;
    match truth["schema"].as_str() {
        Some(SCHEMA) => Ok(truth),
        other => {
            Err(format!("it is of another version: it says {:?}, not {SCHEMA:?}", other.unwrap_or("nothing")))
        }
    }
}

/// A number at a place.
pub fn number(value: &Value, pointer: &str) -> Option<f64> {
    value.pointer(pointer)?.as_f64().filter(|number| number.is_finite())
}

impl Outcome {
    /// Adds a rate: more is better.
    pub fn rate(&mut self, key: &str, name: &str, per_second: Option<f64>) {
        let measure = |value| {
            Measure::exact(key, name, Section::Throughput, value)
                .in_unit(Unit::PerSecond)
                .with_better(Some(Better::Higher))
        };
        self.measures.extend(per_second.map(measure));
    }

    /// Adds a time or another cost: less is better.
    pub fn less(&mut self, key: &str, name: &str, section: Section, unit: Unit, value: Option<f64>) {
        self.measures.extend(value.map(|value| Measure::exact(key, name, section, value).in_unit(unit)));
    }

    /// Adds what a program counted, if it did.
    pub fn counts(&mut self, truth: &Value, section: Section, names: &[(&str, &str)]) {
        for (key, name) in names {
            let measure = |value| Measure::exact(*key, *name, section, value).counted();
            self.measures.extend(number(truth, &format!("/{key}")).map(measure));
        }
    }

    /// Adds a distribution with its mean and quantiles.
    pub fn latency(&mut self, key: &str, name: &str, histogram: &Value) {
        let Some((unit, values)) = hist(histogram).filter(|(_, values)| values.count() > 0) else { return };
        self.less(&format!("{key}.mean"), &format!("{name}, mean"), Section::Latency, unit, values.mean());
        // Programs with a clock of their own time some 100,000 operations: enough for a tail of one in 10,000.
        let tails = if unit == Unit::Cycles { 5 } else { 4 };
        for (tail, shown, share) in &QUANTILES[..tails] {
            let value = values.quantile(*share).unwrap_or_default() as f64;
            let measure =
                Measure::exact(format!("{key}.{tail}"), format!("{name}, {shown}"), Section::Latency, value);
            self.measures.push(Measure { grain: BUCKET, ..measure.in_unit(unit) });
        }
        let max = values.max.map(|max| max as f64);
        self.less(&format!("{key}.max"), &format!("{name}, max"), Section::Latency, unit, max);
        let (key, name) = (key.to_owned(), name.to_owned());
        self.distributions.push(Distribution { key, name, unit, values });
    }
}

#[derive(serde::Deserialize)]
struct Told {
    unit: String,
    count: u64,
    sum: u64,
    min: Option<u64>,
    max: Option<u64>,
    buckets: Vec<(u64, u64, u64)>,
}

/// Unit and values of a histogram in a truth; `None` where it is none of ours.
fn hist(value: &Value) -> Option<(Unit, Hist)> {
    use pulse_trace_common::hist as geometry;
    let told = Told::deserialize(value).ok()?;
    let mut values = Hist::default();
    (values.sum, values.min, values.max) = (told.sum, told.min, told.max);
    for (lower, _, count) in told.buckets {
        let index = geometry::index(lower);
        if geometry::lower(index) != lower {
            return None;
        }
        values.add(index as u16, count);
    }
    let unit = match told.unit.as_str() {
        "ns" => Unit::Ns,
        // What the clock of aarch64 counts.
        "cycles" | "ticks" => Unit::Cycles,
        _ => Unit::Count,
    };
    (values.count() == told.count).then_some((unit, values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_truth_is_the_last_line_and_of_our_version() {
        let good = "ready\n{\"schema\":\"pulse-trace-truth/1\",\"sent\":3}\n";
        assert_eq!(number(&read(good).unwrap(), "/sent"), Some(3.0));
        assert!(read("hello\n").unwrap_err().contains("nothing"));
        assert!(read("{\"schema\":\"pulse-trace-truth/2\"}").unwrap_err().contains("another version"));
        assert!(read("{\"schema").unwrap_err().contains("no JSON"));
    }

    #[test]
    fn a_histogram_that_does_not_add_up_is_none() {
        let hist_of = |count: u64| serde_json::json!({"unit": "ns", "count": count, "sum": 70, "min": 5, "max": 65, "buckets": [[5, 6, 1], [64, 66, 1]]});
        let mut outcome = Outcome::default();
        outcome.latency("latency", "end to end", &hist_of(3));
        assert!(outcome.measures.is_empty() && outcome.distributions.is_empty());
        outcome.latency("latency", "end to end", &hist_of(2));
        assert_eq!((outcome.measures.len(), outcome.measures[0].value), (6, 35.0));
    }

    #[test]
    fn a_histogram_of_cycles_stays_one_to_its_tail() {
        let told = serde_json::json!({"unit": "cycles", "count": 2, "sum": 70, "min": 5, "max": 65,
                                      "buckets": [[5, 6, 1], [64, 66, 1]]});
        let mut outcome = Outcome::default();
        outcome.latency("push", "push", &told);
        assert!(outcome.measures.iter().all(|measure| measure.unit == Unit::Cycles));
        let tail = outcome.measures.iter().find(|measure| measure.key == "push.p9999").unwrap();
        assert_eq!((tail.name.as_str(), tail.value), ("push, p99.99", 64.0));
        assert_eq!(outcome.distributions[0].unit, Unit::Cycles);
    }
}

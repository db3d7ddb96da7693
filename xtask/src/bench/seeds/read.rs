//! Files that the tool and the programs leave: comparisons, sessions, truths.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result};
use serde_json::Value;

/// A mean with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// The mean over the rounds.
    pub mean: f64,
    /// Its interval, where there was more than one round.
    pub interval: Option<(f64, f64)>,
}

/// A comparison as `--json` has it.
pub struct Comparison(Value);

impl Comparison {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self> {
        Ok(Self(json(path)?))
    }

    /// The number of a variant in a row.
    pub fn cell(&self, label: &str, key: &str) -> Option<Cell> {
        let nth = self.column(label)?;
        let row = self.0["rows"].as_array()?.iter().find(|row| row["key"] == key)?;
        let cell = row["cells"].get(nth)?;
        let interval = cell["low"].as_f64().zip(cell["high"].as_f64());
        Some(Cell { mean: cell["mean"].as_f64()?, interval })
    }

    /// Its mean alone.
    pub fn mean(&self, label: &str, key: &str) -> Option<f64> {
        Some(self.cell(label, key)?.mean)
    }

    /// The verdict on a variant's difference to the reference, as a sign; nothing for a real one, or none.
    pub fn sign(&self, label: &str, key: &str) -> &'static str {
        let verdict = || {
            let row = self.0["rows"].as_array()?.iter().find(|row| row["key"] == key)?;
            row["differences"].get(self.column(label)?)?["verdict"].as_str()
        };
        match verdict() {
            Some("undecided") => " ~",
            Some("same") => " =",
            Some("unknown") => " ?",
            _ => "",
        }
    }

    /// A distribution of a variant, all rounds together.
    pub fn histogram(&self, label: &str, key: &str) -> Option<&Value> {
        let column = self.0["columns"].get(self.column(label)?)?;
        Some(&column["histograms"].as_array()?.iter().find(|it| it["key"] == key)?["values"])
    }

    /// Warnings of the comparison.
    pub fn warnings(&self) -> Vec<String> {
        let texts = self.0["warnings"].as_array().map(Vec::as_slice).unwrap_or_default();
        texts.iter().filter_map(|it| it["text"].as_str().map(str::to_owned)).collect()
    }

    fn column(&self, label: &str) -> Option<usize> {
        self.0["columns"].as_array()?.iter().position(|column| column["label"] == label)
    }
}

/// A file of JSON.
pub fn json(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("cannot read {}", path.display()))
}

/// The truth in a program's output, among any other lines.
pub fn truth(said: &str) -> Result<Value> {
    let line = said.lines().rev().find(|line| line.starts_with("{\"schema\":\"pulse-trace-truth/"));
    serde_json::from_str(line.context("cannot read the truth: the program said none")?)
        .context("cannot read the truth")
}

/// Counts of a distribution by power of two.
pub fn octaves(histogram: &Value) -> BTreeMap<u32, u64> {
    let mut octaves = BTreeMap::new();
    for bucket in histogram["buckets"].as_array().into_iter().flatten() {
        let (Some(lower), Some(count)) = (bucket[0].as_u64(), bucket[2].as_u64()) else { continue };
        *octaves.entry(lower.checked_ilog2().map_or(0, |power| power + 1)).or_default() += count;
    }
    octaves
}

/// The value below which this share of a distribution lies: the middle of its bucket.
pub fn quantile(histogram: &Value, share: f64) -> Option<f64> {
    let wanted = share * histogram["count"].as_u64()? as f64;
    let mut seen = 0;
    for bucket in histogram["buckets"].as_array()? {
        seen += bucket[2].as_u64()?;
        if seen as f64 >= wanted {
            let lower = bucket[0].as_f64()?;
            return Some(f64::midpoint(lower, bucket[1].as_f64().unwrap_or(lower)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn distributions_are_summed_by_octave_and_have_quantiles() {
        let histogram = json!({"count": 10, "buckets": [[0, 1, 1], [5, 6, 4], [7, 8, 4], [64, 66, 1]]});
        assert_eq!(octaves(&histogram), BTreeMap::from([(0, 1), (3, 8), (7, 1)]));
        assert_eq!((quantile(&histogram, 0.5), quantile(&histogram, 0.95)), (Some(5.5), Some(65.0)));
        assert_eq!(quantile(&json!({"count": 0, "buckets": []}), 0.5), None);
    }

    #[test]
    fn cells_are_found_by_label_and_key() {
        let comparison = Comparison(json!({
            "columns": [{"label": "a"}, {"label": "b"}],
            "rows": [{"key": "k", "cells": [null, {"mean": 2.0, "low": 1.5, "high": 2.5}],
                      "differences": [null, {"verdict": "undecided"}]}],
        }));
        let cell = Cell { mean: 2.0, interval: Some((1.5, 2.5)) };
        assert_eq!((comparison.cell("a", "k"), comparison.cell("b", "k")), (None, Some(cell)));
        assert_eq!((comparison.sign("b", "k"), comparison.sign("a", "k")), (" ~", ""));
        assert_eq!(comparison.mean("c", "k"), None);
    }
}

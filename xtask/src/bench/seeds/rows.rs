//! Tables in Markdown, and numbers in them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::read::{Cell, Comparison, octaves};

/// Placeholder where there is no number.
pub const NONE: &str = "-";

/// A table: its head, and its rows.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let rule = format!("| --- |{}\n", " ---: |".repeat(head.len().saturating_sub(1)));
    line(&head) + &rule + &rows.iter().map(|row| line(row)).collect::<String>()
}

/// A row of a comparison: its name, and each variant's mean with the verdict's sign.
pub fn row(
    name: &str,
    comparison: &Comparison,
    labels: &[&str],
    key: &str,
    shown: fn(f64) -> String,
) -> Vec<String> {
    let cell = |label: &&str| {
        let mean = comparison.mean(label, key).map(shown);
        mean.map_or_else(|| NONE.to_owned(), |mean| mean + comparison.sign(label, key))
    };
    std::iter::once(name.to_owned()).chain(labels.iter().map(cell)).collect()
}

/// A mean with its interval.
pub fn with_interval(cell: Option<Cell>, shown: fn(f64) -> String) -> String {
    match cell {
        None => NONE.to_owned(),
        Some(Cell { mean, interval: None }) => shown(mean),
        Some(Cell { mean, interval: Some((low, high)) }) => {
            format!("{} ({} to {})", shown(mean), shown(low), shown(high))
        }
    }
}

/// A number with three digits that mean something.
pub fn plain(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if value == 0.0 => "0".to_owned(),
        _ if size >= 100.0 => format!("{value:.0}"),
        _ if size >= 10.0 => format!("{value:.1}"),
        _ if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// A time in nanoseconds.
pub fn time(ns: f64) -> String {
    let size = ns.abs();
    match size {
        _ if size >= 1e9 => format!("{} s", plain(ns / 1e9)),
        _ if size >= 1e6 => format!("{} ms", plain(ns / 1e6)),
        _ if size >= 1e3 => format!("{} us", plain(ns / 1e3)),
        _ => format!("{} ns", plain(ns)),
    }
}

/// Distributions beside each other: one row for each power of two, one column of counts for each.
pub fn histograms(first: &str, named: &[(&str, Option<&Value>)], edge: fn(f64) -> String) -> String {
    let counts: Vec<_> = named.iter().map(|(_, it)| it.map(octaves).unwrap_or_default()).collect();
    let powers: BTreeSet<u32> = counts.iter().flat_map(|it| it.keys().copied()).collect();
    let (Some(low), Some(high)) = (powers.first(), powers.last()) else {
        return "Nothing was seen of it.\n".to_owned();
    };
    let label = |power: u32| match power {
        0 => "0".to_owned(),
        _ => format!("{} to {}", edge(2f64.powi(power as i32 - 1)), edge(2f64.powi(power as i32))),
    };
    let row = |power: u32| {
        let cells = counts.iter().map(|it| it.get(&power).map_or_else(String::new, u64::to_string));
        std::iter::once(label(power)).chain(cells).collect()
    };
    let mut rows: Vec<Vec<String>> = (*low..=*high).map(row).collect();
    let sums = counts.iter().map(|it| it.values().sum::<u64>().to_string());
    rows.push(std::iter::once("all".to_owned()).chain(sums).collect());
    let head: Vec<&str> = std::iter::once(first).chain(named.iter().map(|(name, _)| *name)).collect();
    table(&head, &rows)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_have_three_digits_and_times_a_unit() {
        assert_eq!([0.0, 0.012, 1.234, 45.67, 1234.5].map(plain), ["0", "0.0120", "1.23", "45.7", "1234"]);
        assert_eq!([950.0, 1500.0, 2e9].map(time), ["950 ns", "1.50 us", "2.00 s"]);
        let cell = Cell { mean: 2.0, interval: Some((1.0, 3.0)) };
        assert_eq!(with_interval(Some(cell), plain), "2.00 (1.00 to 3.00)");
        assert_eq!(with_interval(None, plain), "-");
    }

    #[test]
    fn distributions_share_their_rows() {
        let (first, second) = (json!({"buckets": [[4, 5, 2]]}), json!({"buckets": [[16, 17, 3]]}));
        let text = histograms("ns", &[("a", Some(&first)), ("b", Some(&second))], plain);
        let expected = "| ns | a | b |\n| --- | ---: | ---: |\n| 4.00 to 8.00 | 2 |  |\n| 8.00 to 16.0 |  |  |\n\
                        | 16.0 to 32.0 |  | 3 |\n| all | 2 | 3 |\n";
        assert_eq!(text, expected);
    }
}

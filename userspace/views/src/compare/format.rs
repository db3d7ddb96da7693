//! Numbers of a comparison in words.

use model::{text::printable, units};

use super::json::{Cell, Column, Comparison, Difference, Unit, Verdict};

/// A number in its unit.
#[must_use]
pub fn value(number: f64, unit: Unit) -> String {
    match unit {
        Unit::Ns if number >= 0.0 => units::fraction_of_time(number),
        Unit::Ns => format!("-{}", units::fraction_of_time(-number)),
        Unit::Count => short(number),
        Unit::Cycles => format!("{}cyc", short(number)),
        Unit::PerSecond => format!("{}/s", short(number)),
        Unit::Bytes => format!("{}B", short(number)),
        Unit::Percent => format!("{}%", short(number)),
    }
}

/// Three digits that matter, and the power of a thousand.
fn short(number: f64) -> String {
    let size = number.abs();
    let scaled =
        [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")].into_iter().find(|(from, _)| size >= *from);
    match scaled {
        Some((_, "k")) => format!("{}k", digits(number / 1e3)),
        Some((unit, letter)) => format!("{}{letter}", digits(number / unit)),
        None => digits(number),
    }
}

fn digits(number: f64) -> String {
    let size = number.abs();
    if size >= 99.95 || number == number.trunc() {
        format!("{number:.0}")
    } else if size >= 9.995 {
        format!("{number:.1}")
    } else if size >= 0.0995 {
        format!("{number:.2}")
    } else {
        format!("{number:.4}")
    }
}

/// Durations of the rounds of each variant.
#[must_use]
pub fn durations(comparison: &Comparison) -> String {
    let of = |column: &Column| {
        let (shortest, longest) = column.durations()?;
        let longest = (longest > shortest).then(|| format!(" to {}", units::time(longest)));
        let label = printable(&column.label);
        Some(format!("{label} {}{}", units::time(shortest), longest.unwrap_or_default()))
    };
    comparison.columns.iter().filter_map(of).collect::<Vec<_>>().join(", ")
}

/// A cell as text.
#[must_use]
pub fn cell(cell: Option<&Cell>, unit: Unit) -> String {
    cell.map_or_else(|| "-".to_owned(), |cell| value(cell.mean, unit))
}

/// A difference in a few characters: `+12%`, `~` where it is undecided, `=` where there is none.
#[must_use]
pub fn difference(difference: &Difference, unit: Unit) -> String {
    match difference.verdict {
        Verdict::Undecided => "~".to_owned(),
        Verdict::Same => "=".to_owned(),
        Verdict::Unknown => format!("{}?", change(difference, unit)),
        Verdict::Better | Verdict::Worse | Verdict::Different => change(difference, unit),
    }
}

fn change(difference: &Difference, unit: Unit) -> String {
    match difference.percent {
        Some(percent) if percent.abs() >= 1000.0 => format!("{:+.0}x", percent / 100.0),
        Some(percent) if percent.abs() >= 9.95 => format!("{percent:+.0}%"),
        Some(percent) => format!("{percent:+.1}%"),
        None if difference.absolute > 0.0 => format!("+{}", value(difference.absolute, unit)),
        None => value(difference.absolute, unit),
    }
}

/// A difference with all that is known of it.
#[must_use]
pub fn sentence(difference: &Difference, unit: Unit) -> String {
    let interval = match (difference.low, difference.high) {
        (Some(low), Some(high)) => format!(" ({} to {})", value(low, unit), value(high, unit)),
        _ => String::new(),
    };
    let verdict = match (difference.verdict, difference.more_rounds) {
        (Verdict::Better, _) => "better".to_owned(),
        (Verdict::Worse, _) => "worse".to_owned(),
        (Verdict::Different, _) => "different".to_owned(),
        (Verdict::Same, _) => "the same".to_owned(),
        (Verdict::Unknown, _) => "one round: chance unknown".to_owned(),
        (Verdict::Undecided, Some(1)) => "~ one more round might decide".to_owned(),
        (Verdict::Undecided, Some(more)) => format!("~ some {more} more rounds might decide"),
        (Verdict::Undecided, None) => "~ no number of rounds would decide".to_owned(),
    };
    let delta = difference.cliffs_delta;
    format!("{}{interval}, delta {delta:+.2}: {verdict}", change(difference, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_that_matter() {
        let shown = |number| value(number, Unit::Count);
        assert_eq!(
            [0.0, 1.0, 1.104, 12.34, 0.0123, 250.0].map(shown),
            ["0", "1", "1.10", "12.3", "0.0123", "250"]
        );
        assert_eq!([9_999.0, 12_345.0, 1.5e6, 2e9].map(shown), ["9999", "12.3k", "1.50M", "2G"]);
        assert_eq!(value(1234.0, Unit::Ns), "1.23us");
        assert_eq!(value(-1234.0, Unit::Ns), "-1.23us");
        assert_eq!(value(250_000.0, Unit::PerSecond), "250k/s");
        assert_eq!([105.0, 182_272.0].map(|number| value(number, Unit::Cycles)), ["105cyc", "182kcyc"]);
    }

    #[test]
    fn differences_say_what_may_be_said() {
        let of = |verdict, percent| Difference {
            absolute: 5.0,
            percent,
            low: Some(4.0),
            high: Some(6.0),
            cliffs_delta: 1.0,
            verdict,
            more_rounds: None,
        };
        assert_eq!(difference(&of(Verdict::Worse, Some(12.3)), Unit::Count), "+12%");
        assert_eq!(difference(&of(Verdict::Better, Some(-1.23)), Unit::Count), "-1.2%");
        assert_eq!(difference(&of(Verdict::Undecided, Some(3.0)), Unit::Count), "~");
        assert_eq!(difference(&of(Verdict::Same, Some(0.0)), Unit::Count), "=");
        assert_eq!(difference(&of(Verdict::Unknown, Some(3.0)), Unit::Count), "+3.0%?");
        assert_eq!(difference(&of(Verdict::Worse, None), Unit::Count), "+5");
        let said = sentence(&of(Verdict::Undecided, Some(3.0)), Unit::Count);
        assert_eq!(said, "+3.0% (4 to 6), delta +1.00: ~ no number of rounds would decide");
    }
}

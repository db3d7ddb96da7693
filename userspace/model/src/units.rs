//! Numbers for people: durations, counts, sizes and points in time; and durations as people type them.

use std::time::Duration;

use thiserror::Error;

const NS_PER_S: f64 = 1e9;

/// A duration with three significant digits: `0ns`, `12.3us`, `1.50s`. Whole seconds from 1000 s on.
#[must_use]
pub fn time(ns: u64) -> String {
    fraction_of_time(ns as f64)
}

/// The same for a mean, which may be a fraction of a nanosecond.
#[must_use]
pub fn fraction_of_time(ns: f64) -> String {
    if ns >= 999.5 * NS_PER_S {
        return format!("{:.0}s", ns / NS_PER_S);
    }
    if ns.fract() == 0.0 && ns < 1000.0 {
        return format!("{ns:.0}ns");
    }
    scaled(ns, 1000.0, &["ns", "us", "ms", "s"])
}

/// A size with three significant digits in binary units.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    scaled(bytes as f64, 1024.0, &[" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"])
}

/// A count: exact as long as it has at most nine digits.
#[must_use]
pub fn count(count: u64) -> String {
    if count < 1_000_000_000 {
        return count.to_string();
    }
    scaled(count as f64 / 1e9, 1000.0, &["G", "T", "P", "E"])
}

/// A rate with three significant digits, to be followed by its unit: `0`, `0.25`, `163`, `2.97K`, `134M`.
#[must_use]
pub fn rate(per_second: f64) -> String {
    if per_second == 0.0 {
        return "0".to_owned();
    }
    if per_second < 0.005 {
        return "<0.01".to_owned();
    }
    scaled(per_second, 1000.0, &["", "K", "M", "G", "T"])
}

/// A count with its digits in groups of three: `516,203`.
#[must_use]
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A point of a session: `00:01:23`, with a tenth of a second where it matters.
#[must_use]
pub fn clock(ns: u64) -> String {
    let tenths = ns / 100_000_000;
    let seconds = tenths / 10;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    if hours > 0 {
        return format!("{hours}:{minutes:02}:{:02}", seconds % 60);
    }
    format!("{minutes:02}:{:02}.{}", seconds % 60, tenths % 10)
}

/// A share as a percentage with two decimals.
#[must_use]
pub fn percent(share: f64) -> String {
    // The sum of no numbers is -0.0.
    format!("{:.2}%", share * 100.0 + 0.0)
}

/// A share as a percentage with two digits: `36%`, `1.2%`, `0.20%`, `<0.01%`.
#[must_use]
pub fn share(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        0.0 => "0%".to_owned(),
        percent if percent < 0.01 => "<0.01%".to_owned(),
        percent if percent < 0.995 => format!("{percent:.2}%"),
        percent if percent < 9.95 => format!("{percent:.1}%"),
        percent => format!("{percent:.0}%"),
    }
}

/// Three significant digits in the first unit in which fewer than four digits stand before the point. Rounding may
/// carry into the next unit: 999,950 ns are 1.00 ms.
fn scaled(value: f64, step: f64, units: &[&str]) -> String {
    let mut value = value;
    let mut rest = units;
    while let [_, _, ..] = rest
        && value >= 999.5
    {
        value /= step;
        rest = &rest[1..];
    }
    let unit = rest.first().copied().unwrap_or_default();
    let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.decimals$}{unit}")
}

/// Wall clock time in UTC, to the second.
#[must_use]
pub fn utc(unix_ns: u64) -> String {
    let seconds = unix_ns / 1_000_000_000;
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Year, month and day of a day since 1970, counted in eras of 400 years that begin on a 1 March: the leap day is then
/// the last one of its year and needs no special case.
fn civil(day: u64) -> (u64, u64, u64) {
    let day = day + 719_468;
    let (era, day_of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted_month + 2) / 5 + 1)
}

/// Reason why a duration was refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DurationError {
    /// It does not begin with a number.
    #[error("cannot read duration {0:?}: it is not a number with a unit; write it like 5s, 250ms or 1.5s")]
    NotANumber(String),
    /// A number below zero.
    #[error("cannot use duration {0:?}: it is negative; write it like 5s, 250ms or 1.5s")]
    Negative(String),
    /// Zero, or so short that it rounds to it.
    #[error(
        "cannot use duration {0:?}: it is zero; give a longer one, or leave it out to trace until Ctrl-C"
    )]
    Zero(String),
    /// A number alone.
    #[error(
        "cannot read duration {0:?}: the unit is missing; write {0}s for seconds or {0}ms for milliseconds"
    )]
    NoUnit(String),
    /// A unit that does not exist.
    #[error("cannot read duration {text:?}: the unit {unit:?} is unknown; use ns, us, ms, s, m or h")]
    UnknownUnit {
        /// The text that was typed.
        text: String,
        /// The part after the number.
        unit: String,
    },
    /// More than fits.
    #[error("cannot use duration {0:?}: it is longer than ten years; give a shorter one")]
    TooLong(String),
}

const LONGEST_NS: u128 = 10 * 366 * 86_400 * 1_000_000_000;

/// Reads a duration: `5s`, `250ms`, `1.5s`; the units are ns, us, ms, s, m and h.
///
/// # Errors
/// Fails if the text is not a number with a unit, or not above zero.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let typed = text.trim();
    let owned = || text.to_owned();
    let magnitude = typed.strip_prefix(['-', '\u{2212}']).unwrap_or(typed);
    let end = magnitude.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(magnitude.len());
    let (number, unit) = magnitude.split_at(end);
    if !number.contains(|c: char| c.is_ascii_digit()) || number.matches('.').count() > 1 {
        return Err(DurationError::NotANumber(owned()));
    }
    if magnitude.len() != typed.len() {
        return Err(DurationError::Negative(owned()));
    }
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if number.chars().all(|c| c == '0' || c == '.') {
        return Err(DurationError::Zero(owned()));
    }
    let unit_ns = match unit.trim() {
        "" => return Err(DurationError::NoUnit(owned())),
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" | "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        unknown => return Err(DurationError::UnknownUnit { text: owned(), unit: unknown.to_owned() }),
    };
    let ns = whole_ns(whole, unit_ns).and_then(|ns| ns.checked_add(part_ns(part, unit_ns)));
    match ns {
        Some(0) => Err(DurationError::Zero(owned())),
        Some(ns) if ns <= LONGEST_NS => Ok(Duration::from_nanos(ns as u64)),
        _ => Err(DurationError::TooLong(owned())),
    }
}

fn whole_ns(digits: &str, unit_ns: u128) -> Option<u128> {
    if digits.is_empty() {
        return Some(0);
    }
    digits.parse::<u128>().ok()?.checked_mul(unit_ns)
}

/// Digits behind the point; what is below a nanosecond is cut off.
fn part_ns(digits: &str, unit_ns: u128) -> u128 {
    let mut weight = unit_ns;
    digits.bytes().fold(0, |sum, digit| {
        // Dividing step by step would drop a remainder at each: units are multiples of 10 ns down to the last digit.
        let scaled = u128::from(digit - b'0') * weight / 10;
        weight /= 10;
        sum + scaled
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_significant_digits() {
        let shown = |ns| time(ns);
        assert_eq!([0, 7, 999].map(shown), ["0ns", "7ns", "999ns"]);
        assert_eq!([1_000, 1_234, 12_345, 123_456].map(shown), ["1.00us", "1.23us", "12.3us", "123us"]);
        assert_eq!([999_499, 999_500, 1_500_000_000].map(shown), ["999us", "1.00ms", "1.50s"]);
        assert_eq!([9_995, 99_950, 999_600_000_000].map(shown), ["10.0us", "100us", "1000s"]);
        assert_eq!(time(123_456_700_000_000), "123457s");
        assert_eq!(fraction_of_time(45.25), "45.2ns");
        assert_eq!(fraction_of_time(999.7), "1.00us");
    }

    #[test]
    fn counts_stay_exact_as_long_as_they_fit() {
        assert_eq!(count(999_999_999), "999999999");
        assert_eq!(count(1_234_567_890), "1.23G");
        assert_eq!(count(u64::MAX), "18.4E");
    }

    #[test]
    fn grouped_counts_are_exact() {
        let shown = [0, 999, 1000, 516_203, u64::MAX].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "516,203", "18,446,744,073,709,551,615"]);
    }

    #[test]
    fn rates_and_points_in_time_are_short() {
        assert_eq!([0.0, 0.001, 0.25, 999.9, 12_345.0].map(rate), ["0", "<0.01", "0.25", "1.00K", "12.3K"]);
        assert_eq!([0, 83_456_000_000].map(clock), ["00:00.0", "01:23.4"]);
        assert_eq!(clock(3_723_900_000_000), "1:02:03");
    }

    #[test]
    fn sizes_use_binary_units() {
        assert_eq!([0, 999, 1000, 1024].map(bytes), ["0 B", "999 B", "0.98 KiB", "1.00 KiB"]);
        assert_eq!([39 << 20, u64::MAX].map(bytes), ["39.0 MiB", "16.0 EiB"]);
    }

    #[test]
    fn points_in_time_are_calendar_days() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_782_399_000_000_000), "2000-02-28 23:59:59 UTC");
        assert_eq!(utc(951_868_800_999_999_999), "2000-03-01 00:00:00 UTC");
        assert_eq!(utc(1_795_252_549_000_000_000), "2026-11-21 09:15:49 UTC");
    }

    #[test]
    fn durations_are_read_as_typed() {
        let ns = |text| parse_duration(text).unwrap().as_nanos();
        assert_eq!(ns("5s"), 5_000_000_000);
        assert_eq!(ns("250ms"), 250_000_000);
        assert_eq!(ns("1.5s"), 1_500_000_000);
        assert_eq!(ns(".5 us"), 500);
        assert_eq!(ns("2m"), 120_000_000_000);
        assert_eq!(ns("1.25h"), 4_500_000_000_000);
        assert_eq!(ns("1ns"), 1);
        assert_eq!(ns("1.123456789s"), 1_123_456_789);
    }

    #[test]
    fn what_is_no_duration_is_refused_by_its_cause() {
        let refusal = |text: &str| parse_duration(text).unwrap_err();
        for zero in ["0", "0s", "0.0ms", "0.1ns", "000"] {
            assert_eq!(refusal(zero), DurationError::Zero(zero.to_owned()), "{zero}");
        }
        for negative in ["-5", "-5s", "-0.5ms"] {
            assert_eq!(refusal(negative), DurationError::Negative(negative.to_owned()), "{negative}");
        }
        for nonsense in ["abc", "", "s", "-", "1.2.3s", "inf", "NaN", "."] {
            assert_eq!(refusal(nonsense), DurationError::NotANumber(nonsense.to_owned()), "{nonsense}");
        }
        assert_eq!(refusal("5"), DurationError::NoUnit("5".to_owned()));
        for unit in ["5x", "5 sec", "1e3s", "5s5"] {
            assert!(matches!(refusal(unit), DurationError::UnknownUnit { .. }), "{unit}");
        }
        for long in ["999999h", "1e9", "340282366920938463463374607431768211456s"] {
            assert!(parse_duration(long).is_err(), "{long}");
        }
        assert_eq!(
            refusal("abc").to_string(),
            "cannot read duration \"abc\": it is not a number with a unit; write it like 5s, 250ms or 1.5s"
        );
    }
}

//! `--fail-if`: what a difference must not exceed.

use std::str::FromStr;

use super::json::{Comparison, Verdict};
use crate::model::units;

/// A condition such as `write.p99 > +10%`.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    key: String,
    above: bool,
    limit: Limit,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Limit {
    Percent(f64),
    Absolute(f64),
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = |cause: &str| {
            format!(
                "cannot read condition {text:?}: {cause}; write it like 'write.p99 > +10%' or 'write.mean > +5us'"
            )
        };
        let at = text.rfind(['<', '>']).ok_or_else(|| refused("it has neither < nor >"))?;
        let (key, limit) = (text[..at].trim(), text[at + 1..].trim());
        if key.is_empty() {
            return Err(refused("nothing stands before the sign"));
        }
        let limit = limit.strip_prefix('+').unwrap_or(limit);
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        let limit = match limit.strip_suffix('%') {
            Some(percent) => number(percent).map(Limit::Percent),
            None => number(limit).map(Limit::Absolute).or_else(|| time(limit).map(Limit::Absolute)),
        };
        let limit =
            limit.ok_or_else(|| refused("what stands behind the sign is no number, percentage or time"))?;
        Ok(Self { key: key.to_owned(), above: text.as_bytes()[at] == b'>', limit, text: text.to_owned() })
    }
}

fn time(text: &str) -> Option<f64> {
    let (sign, size) = text.strip_prefix('-').map_or((1.0, text), |size| (-1.0, size));
    units::parse_duration(size).ok().map(|time| sign * time.as_nanos() as f64)
}

impl Threshold {
    /// A sentence for each variant that crosses it. What is undecided crosses nothing; with one round each there is only
    /// the difference itself to go by.
    ///
    /// # Errors
    /// A sentence when no variant has such a number.
    pub fn crossed(&self, comparison: &Comparison) -> Result<Vec<String>, String> {
        let row = comparison.rows.iter().find(|row| row.key == self.key).ok_or_else(|| {
            let stem = self.key.split('.').next().unwrap_or_default();
            let near: Vec<&str> = comparison
                .rows
                .iter()
                .map(|row| row.key.as_str())
                .filter(|key| key.contains(stem))
                .take(5)
                .collect();
            let near = if near.is_empty() {
                "--csv lists all".to_owned()
            } else {
                format!("did you mean {}?", near.join(", "))
            };
            format!("cannot check {:?}: nothing here is called {:?}; {near}", self.text, self.key)
        })?;
        let mut crossed = Vec::new();
        let mut checked = 0;
        for (nth, difference) in row.differences.iter().enumerate() {
            let Some(difference) = difference else { continue };
            let size = match self.limit {
                Limit::Percent(_) => difference.percent,
                Limit::Absolute(_) => Some(difference.absolute),
            };
            let Some(size) = size else { continue };
            checked += 1;
            let (Limit::Percent(limit) | Limit::Absolute(limit)) = self.limit;
            let beyond = if self.above { size > limit } else { size < limit };
            if beyond && difference.verdict != Verdict::Undecided {
                let said = super::format::sentence(difference, row.unit);
                crossed.push(format!("{}: {} {said}", self.text, comparison.columns[nth].label));
            }
        }
        if checked == 0 {
            return Err(format!(
                "cannot check {:?}: no two variants have {}, or it is zero in the reference; check another number",
                self.text, self.key
            ));
        }
        Ok(crossed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic;
    use super::*;

    fn read(text: &str) -> Result<Threshold, String> {
        text.parse()
    }

    #[test]
    fn conditions_are_read_or_refused() {
        assert_eq!(read("write.p99 > +10%").unwrap().limit, Limit::Percent(10.0));
        assert_eq!(read("write.p99>-1.5%").unwrap().limit, Limit::Percent(-1.5));
        assert_eq!(read("write.mean > +5us").unwrap().limit, Limit::Absolute(5000.0));
        assert_eq!(read("write.count < -3").unwrap().limit, Limit::Absolute(-3.0));
        for bad in ["", "write.p99", "> 10%", "write.p99 > much", "write.p99 > NaN%", "write.p99 > %"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_what_is_real_crosses_it() {
        let comparison = synthetic::comparison(5);
        let crossed = |text: &str| read(text).unwrap().crossed(&comparison).map(|crossed| crossed.len());
        assert_eq!(crossed("write.count > +5%"), Ok(2));
        assert_eq!(crossed("write.count > +15%"), Ok(1));
        assert_eq!(crossed("throughput > +10%"), Ok(1));
        // The third is 1.7 % slower, within what chance does.
        assert_eq!(crossed("latency.mean > 0.1%"), Ok(0));
        assert!(crossed("write.p98 > 1%").unwrap_err().contains("did you mean write.count"));
        assert!(crossed("lost > 1%").unwrap_err().contains("zero in the reference"));
        assert_eq!(crossed("lost > 0"), Ok(0));
    }
}

//! `--fail-if`: what a difference must not exceed.

use std::str::FromStr;

use model::{
    stats::{self, Bound, Gate, Grain},
    units,
};

use super::{
    json::{Comparison, Difference, Row},
    rate_key,
};

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

/// Outcome of a condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// A sentence for each variant that crosses the limit.
    pub crossed: Vec<String>,
    /// Reasons why the answer is another one than the difference alone suggests, or may be chance.
    pub notes: Vec<String>,
}

impl Threshold {
    /// Tests every variant against the limit: a difference crosses it when one that is exactly the limit is excluded,
    /// with an error of 5 % over all variants and all `conditions`. Single rounds allow no test: there the difference
    /// itself is compared.
    ///
    /// # Errors
    /// A sentence when no variant has such a number, or no number of it could cross the limit.
    pub fn check(&self, comparison: &Comparison, conditions: usize) -> Result<Checked, String> {
        let row = self.row(comparison)?;
        if let Some(uneven) = comparison.uneven.as_ref().filter(|_| row.total) {
            return Err(format!(
                "cannot check {:?}: {uneven}, and totals of unequal sessions are not compared; check {:?}, or trace for the same time (--duration)",
                self.text,
                rate_key(&self.key)
            ));
        }
        let tests = conditions * comparison.columns.len().saturating_sub(1);
        let mut checked = Checked::default();
        let mut some = false;
        for (nth, difference) in row.differences.iter().enumerate() {
            let Some(difference) = difference else { continue };
            let Some(beyond) = self.is_beyond(difference) else { continue };
            some = true;
            let label = &comparison.columns[nth].label;
            let said = format!("{}: {label} {}", self.text, super::format::sentence(difference, row.unit));
            let answer = self.tested(comparison, row, nth, tests)?;
            if answer.is_none() {
                checked.notes.push(format!(
                    "{}: one round of a variant allows no test: the difference itself is compared, chance included",
                    self.text
                ));
            }
            if answer.map_or(beyond, |answer| answer == Gate::Beyond) {
                checked.crossed.push(said);
            } else if beyond {
                checked.notes.push(format!("not crossed: {said}; a difference of the limit is not excluded"));
            }
        }
        checked.notes.dedup();
        if some {
            return Ok(checked);
        }
        Err(format!(
            "cannot check {:?}: no two variants have {}, or it is zero in the reference; check another number",
            self.text, self.key
        ))
    }

    fn row<'a>(&self, comparison: &'a Comparison) -> Result<&'a Row, String> {
        comparison.rows.iter().find(|row| row.key == self.key).ok_or_else(|| {
            let stem = self.key.split('.').next().unwrap_or_default();
            let known = comparison.rows.iter().map(|row| row.key.as_str());
            let near: Vec<&str> = known.filter(|key| key.contains(stem)).take(5).collect();
            let near = if near.is_empty() {
                "--csv lists all".to_owned()
            } else {
                format!("did you mean {}?", near.join(", "))
            };
            format!("cannot check {:?}: nothing here is called {:?}; {near}", self.text, self.key)
        })
    }

    /// Compares the difference itself with the limit; `None` where it is no share of the reference.
    fn is_beyond(&self, difference: &Difference) -> Option<bool> {
        let (size, limit) = match self.limit {
            Limit::Percent(limit) => (difference.percent?, limit),
            Limit::Absolute(limit) => (difference.absolute, limit),
        };
        Some(if self.above { size > limit } else { size < limit })
    }

    /// The answer of the test; `None` where a variant has a single round.
    fn tested(
        &self,
        comparison: &Comparison,
        row: &Row,
        nth: usize,
        tests: usize,
    ) -> Result<Option<Gate>, String> {
        let rounds = |nth: usize| -> Vec<f64> {
            let rounds = comparison.columns[nth].rounds.iter();
            rounds.filter_map(|round| round.values.get(&row.key).copied()).collect()
        };
        let (from, to) = (rounds(comparison.reference), rounds(nth));
        if from.len() < 2 || to.len() < 2 {
            return Ok(None);
        }
        let bound = match self.limit {
            Limit::Percent(limit) => Bound::Share(limit / 100.0),
            Limit::Absolute(limit) => Bound::Absolute(limit),
        };
        let grain = Grain { share: row.resolution, step: row.step };
        match stats::gate(&from, &to, bound, self.above, (grain, tests)) {
            Some(Gate::Undecidable) => Err(format!(
                "cannot check {:?}: {} and {} rounds are too few to cross it; it takes {} of each",
                self.text,
                from.len(),
                to.len(),
                stats::least_rounds_of_gates(tests)
            )),
            answer => Ok(answer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Frame, build, json::Verdict, synthetic},
        *,
    };

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
    fn only_what_is_certainly_beyond_crosses_it() {
        let comparison = synthetic::comparison(5);
        let check = |text: &str| read(text).unwrap().check(&comparison, 1);
        let crossed = |text: &str| check(text).map(|checked| (checked.crossed.len(), checked.notes.len()));
        assert_eq!(crossed("write.count > +5%"), Ok((2, 0)));
        assert_eq!(crossed("write.count > +15%"), Ok((1, 0)));
        // It is 20 % in every round.
        assert_eq!(crossed("write.count > +20%"), Ok((0, 0)));
        assert_eq!(crossed("throughput > +10%"), Ok((1, 0)));
        // The third is slower by less than a per cent, within what chance does.
        assert_eq!(crossed("latency.mean > 0.1%"), Ok((0, 1)));
        assert!(check("write.p98 > 1%").unwrap_err().contains("did you mean write.count"));
        assert!(check("lost > 1%").unwrap_err().contains("zero in the reference"));
        assert_eq!(crossed("lost > 0"), Ok((0, 0)));
    }

    /// A difference that is real, and above 10 % on average only: the limit is not excluded.
    #[test]
    fn a_real_difference_about_the_limit_does_not_cross_it() {
        let mut variants = synthetic::variants(5);
        let calls = [[1.0; 5], [1.04, 1.18, 1.09, 1.12, 1.11]];
        for (variant, calls) in variants.iter_mut().zip(calls) {
            for (round, calls) in variant.rounds.iter_mut().zip(calls) {
                round.measures.iter_mut().find(|it| it.key == "write.count").unwrap().value = calls;
            }
        }
        variants.truncate(2);
        let comparison = build(Frame::default(), &variants);
        let row = comparison.rows.iter().find(|row| row.key == "write.count").unwrap();
        let difference = row.differences[1].unwrap();
        assert_eq!(difference.verdict, Verdict::Worse);
        assert!(difference.percent.unwrap() > 10.0, "{difference:?}");
        let checked = read("write.count > +10%").unwrap().check(&comparison, 1).unwrap();
        assert_eq!(checked.crossed, Vec::<String>::new());
        assert!(checked.notes[0].contains("a difference of the limit is not excluded"), "{checked:?}");
        assert_eq!(read("write.count > +2%").unwrap().check(&comparison, 1).unwrap().crossed.len(), 1);
    }

    #[test]
    fn what_no_rounds_could_cross_is_refused_and_a_single_one_goes_by_its_difference() {
        let check = |rounds: u32, conditions: usize| {
            read("write.count > +5%").unwrap().check(&synthetic::comparison(rounds), conditions)
        };
        assert!(check(2, 1).unwrap_err().contains("it takes 4 of each"), "{:?}", check(2, 1));
        assert!(check(4, 10).unwrap_err().contains("it takes 6 of each"), "{:?}", check(4, 10));
        let single = check(1, 1).unwrap();
        assert_eq!((single.crossed.len(), single.notes.len()), (2, 1), "{single:?}");
        assert!(single.notes[0].contains("chance included"));
    }

    #[test]
    fn totals_of_unequal_sessions_are_refused_with_their_rate() {
        let mut variants = synthetic::variants(5);
        let counts = variants.iter_mut().flat_map(|it| &mut it.rounds).flat_map(|round| &mut round.measures);
        counts.filter(|it| it.key == "write.count").for_each(|it| it.total = true);
        let frame = |uneven: Option<&str>| Frame { uneven: uneven.map(str::to_owned), ..Frame::default() };
        let check = |uneven| read("write.count > +5%").unwrap().check(&build(frame(uneven), &variants), 1);
        assert_eq!(check(None).unwrap().crossed.len(), 2);
        let said = check(Some("the sessions lasted from 10.0s to 238s")).unwrap_err();
        assert!(said.contains("10.0s to 238s") && said.contains("\"write.rate\""), "{said}");
    }
}

//! One cell of the sweep.

use anyhow::Result;
use pulse_trace_workloads::contract::cannot;
use pulse_trace_workloads::packed::{Arrangement, Limits, PAYLOAD};
use serde::Serialize;

use crate::args::{Cas, Implementation, Options, Order, Stats, Switch, name};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Case {
    #[serde(rename = "impl")]
    pub implementation: Implementation,
    pub threads: u32,
    pub active: u32,
    pub batch: u32,
    /// Of the packed one only.
    pub cas: Option<Cas>,
    /// Of the packed one only.
    pub order: Option<Order>,
    pub padding: Switch,
    pub stats: Stats,
    pub prefetch: Switch,
    pub store: Switch,
}

impl Case {
    /// Every combination; implementations change fastest, so that what is compared runs close together.
    pub fn all(options: &Options) -> Vec<Self> {
        let first = Self {
            implementation: Implementation::Packed,
            threads: 1,
            active: 1,
            batch: 1,
            cas: None,
            order: None,
            padding: Switch::Off,
            stats: Stats::Local,
            prefetch: Switch::Off,
            store: Switch::Off,
        };
        let cases = vary(vec![first], &options.threads, |case, &threads| Self { threads, ..case });
        let cases = vary(cases, &options.active, |case, &active| Self { active, ..case });
        let cases = vary(cases, &options.batch, |case, &batch| Self { batch, ..case });
        let cases = vary(cases, &options.padding, |case, &padding| Self { padding, ..case });
        let cases = vary(cases, &options.stats, |case, &stats| Self { stats, ..case });
        let cases = vary(cases, &options.prefetch, |case, &prefetch| Self { prefetch, ..case });
        let cases = vary(cases, &options.store, |case, &store| Self { store, ..case });
        cases.into_iter().flat_map(|case| case.implementations(options)).collect()
    }

    fn implementations(self, options: &Options) -> Vec<Self> {
        let cases = vary(vec![self], &options.implementation, |case, &implementation| Self {
            implementation,
            ..case
        });
        let exchanges = |case: Self| match case.implementation {
            Implementation::Packed => {
                let cases =
                    vary(vec![case], &options.order, |case, &order| Self { order: Some(order), ..case });
                vary(cases, &options.cas, |case, &cas| Self { cas: Some(cas), ..case })
            }
            Implementation::Standard | Implementation::Locked => vec![case],
        };
        cases.into_iter().flat_map(exchanges).collect()
    }

    /// The options that differ between the cases of this sweep, in words.
    pub fn label(&self, options: &Options) -> String {
        let mut words = Vec::new();
        let mut say = |differs: bool, word: String| {
            if differs {
                words.push(word);
            }
        };
        say(options.active.len() > 1, format!("active {}", self.active));
        say(options.batch.len() > 1, format!("batch {}", self.batch));
        say(options.cas.len() > 1, self.cas.map(|cas| name(&cas)).unwrap_or_default());
        say(options.order.len() > 1, self.order.map(|order| name(&order)).unwrap_or_default());
        say(options.padding.len() > 1, format!("padding {}", name(&self.padding)));
        say(options.stats.len() > 1, format!("stats {}", name(&self.stats)));
        say(options.prefetch.len() > 1, format!("prefetch {}", name(&self.prefetch)));
        say(options.store.len() > 1, format!("store {}", name(&self.store)));
        words.retain(|word| !word.is_empty());
        words.join(", ")
    }

    /// The same case with another implementation or number of threads, however that one compares and swaps.
    pub fn is_like(&self, other: &Self) -> bool {
        let plain = |case: &Self| Self {
            implementation: Implementation::Packed,
            threads: 1,
            cas: None,
            order: None,
            ..*case
        };
        plain(self) == plain(other)
    }

    pub fn arrangement(&self, options: &Options) -> Arrangement {
        Arrangement {
            endpoints: options.endpoints as usize,
            limits: Limits {
                capacity: options.capacity,
                threshold: options.threshold,
                cooldown: options.cooldown,
            },
            padded: self.padding == Switch::On,
            store: self.store == Switch::On,
        }
    }

    /// Offers of thread `id` in a pass of `events`: as even as possible.
    pub fn share(&self, events: u64, id: u32) -> u64 {
        let (offers, threads) = (events.div_ceil(u64::from(self.batch)), u64::from(self.threads));
        offers / threads + u64::from(u64::from(id) < offers % threads)
    }
}

/// Every case with every value.
fn vary<T>(cases: Vec<Case>, values: &[T], with: impl Fn(Case, &T) -> Case) -> Vec<Case> {
    cases
        .into_iter()
        .flat_map(|case| values.iter().map(move |value| (case, value)))
        .map(|(case, value)| with(case, value))
        .collect()
}

/// Refuses what could only fail later.
pub fn validate(options: &Options) -> Result<()> {
    if let Some(active) = options.active.iter().find(|active| **active > options.endpoints) {
        let cause = format!("there are only {} endpoints", options.endpoints);
        Err(cannot(format_args!("use {active} endpoints"), cause, "raise --endpoints or lower --active"))?;
    }
    // A payload and its mark; the most that any implementation takes.
    let bytes = u64::from(options.endpoints) * u64::from(options.capacity) * (PAYLOAD as u64 + 8);
    if options.store.contains(&Switch::On) && bytes > 1 << 32 {
        let cause = format!("{bytes} bytes are more than 4 GiB");
        Err(cannot("keep the payloads", cause, "use fewer --endpoints or a smaller --capacity"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn options(args: &[&str]) -> Options {
        Options::try_parse_from([&["eventbuf"], args].concat()).unwrap()
    }

    #[test]
    fn every_combination_once_and_cas_for_the_packed_only() {
        let options = options(&["--threads", "1,2", "--cas", "weak,strong", "--padding", "off,on"]);
        let cases = Case::all(&options);
        assert_eq!(cases.len(), 2 * 2 * (1 + 1 + 2));
        let mut unique = cases.clone();
        unique.dedup();
        assert_eq!(unique, cases);
        assert_eq!(cases[0].label(&options), "padding off");
        assert_eq!(cases[3].label(&options), "strong, padding off");
    }

    #[test]
    fn shares_add_up() {
        let case = Case { threads: 3, batch: 4, ..Case::all(&options(&[]))[0] };
        assert_eq!((0..3).map(|id| case.share(1001, id)).collect::<Vec<_>>(), [84, 84, 83]);
    }

    #[test]
    fn the_impossible_is_refused() {
        for bad in
            [&["--active", "1001"][..], &["--store", "on", "--endpoints", "1000000", "--capacity", "2048"]]
        {
            let refusal = validate(&options(bad)).unwrap_err().to_string();
            assert!(refusal.starts_with("cannot ") && refusal.contains("; "), "{refusal}");
        }
    }
}

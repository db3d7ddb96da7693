//! Performance counters as they stand in the file.

use std::collections::BTreeMap;

use model::counters::{self, Counter, Reading, Tally};
use serde::{Deserialize, Serialize};

use super::{
    limits::{Impossible, LARGEST_TIME_NS},
    text_weight,
};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub with_children: bool,
    /// Count, time enabled and time running, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counted: BTreeMap<String, [u64; 3]>,
    /// Reasons of the counters that do not exist here, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unsupported: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, String>,
}

impl Counters {
    /// Bytes that they take in a line, at most.
    pub fn weight(&self) -> usize {
        let reasons = self.unsupported.values().chain(self.refused.values());
        100 + Counter::ALL.len() * 120 + reasons.map(|why| text_weight(why)).sum::<usize>()
    }
}

impl From<&counters::Counters> for Counters {
    fn from(counters: &counters::Counters) -> Self {
        let mut file = Self { with_children: counters.with_children, ..Self::default() };
        for (counter, tally) in &counters.tallies {
            let name = counter.name().to_owned();
            match tally {
                Tally::Counted(Reading { count, enabled_ns, running_ns }) => {
                    file.counted.insert(name, [*count, *enabled_ns, *running_ns]);
                }
                Tally::Unsupported(why) => {
                    file.unsupported.insert(name, why.clone());
                }
                Tally::Refused(why) => {
                    file.refused.insert(name, why.clone());
                }
            }
        }
        file
    }
}

impl TryFrom<Counters> for counters::Counters {
    type Error = Impossible;

    /// Counters that this version does not know are passed over.
    fn try_from(file: Counters) -> Result<Self, Impossible> {
        if file.counted.values().flatten().any(|number| *number > LARGEST_TIME_NS) {
            return Err(Impossible("a performance counter is too large"));
        }
        let counted = file.counted.into_iter().map(|(name, [count, enabled_ns, running_ns])| {
            (name, Tally::Counted(Reading { count, enabled_ns, running_ns }))
        });
        let unsupported = file.unsupported.into_iter().map(|(name, why)| (name, Tally::Unsupported(why)));
        let refused = file.refused.into_iter().map(|(name, why)| (name, Tally::Refused(why)));
        let known = |(name, tally): (String, Tally)| Some((Counter::named(&name)?, tally));
        let tallies = counted.chain(unsupported).chain(refused).filter_map(known).collect();
        Ok(Self { with_children: file.with_children, tallies })
    }
}

//! Parts of scheduling as they stand in files: what is kept by key is a list there.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::{Blocked, Budget, CpuShare, Interrupt, Place, Waker, WakerContext};
use crate::{
    hist::Hist,
    valid::{check_counts, check_times, count, time},
};

/// Triples: CPU, stretches, ns.
pub mod cpus {
    use super::*;

    /// Writes them.
    pub fn serialize<S: Serializer>(cpus: &BTreeMap<u32, CpuShare>, output: S) -> Result<S::Ok, S::Error> {
        output.collect_seq(cpus.iter().map(|(cpu, share)| (cpu, share.stretches, share.ns)))
    }

    /// Reads them.
    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<BTreeMap<u32, CpuShare>, D::Error> {
        let cpus = Vec::<(u32, u64, u64)>::deserialize(input)?;
        check_counts(cpus.iter().map(|(_, stretches, _)| *stretches))?;
        check_times(cpus.iter().map(|(_, _, ns)| *ns))?;
        Ok(cpus.into_iter().map(|(cpu, stretches, ns)| (cpu, CpuShare { stretches, ns })).collect())
    }
}

/// Wakers, each with its latencies beside.
pub mod wakers {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Entry<'a> {
        context: Context,
        /// The kind of an interrupt, in a word; none for others.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        interrupt: Option<Cow<'a, str>>,
        pid: u32,
        comm: Cow<'a, str>,
        latency: Cow<'a, Hist>,
    }

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Context {
        Task,
        Interrupt,
        Unknown,
    }

    /// Writes them.
    pub fn serialize<S: Serializer>(wakers: &BTreeMap<Waker, Hist>, output: S) -> Result<S::Ok, S::Error> {
        output.collect_seq(wakers.iter().map(|(waker, latency)| {
            let (context, interrupt) = match waker.context {
                WakerContext::Task => (Context::Task, None),
                WakerContext::Interrupt(Interrupt::Other) => (Context::Interrupt, None),
                WakerContext::Interrupt(kind) => (Context::Interrupt, Some(kind.word().into())),
                WakerContext::Unknown => (Context::Unknown, None),
            };
            let comm = Cow::Borrowed(waker.comm.as_str());
            Entry { context, interrupt, pid: waker.pid, comm, latency: Cow::Borrowed(latency) }
        }))
    }

    /// Reads them.
    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<BTreeMap<Waker, Hist>, D::Error> {
        let entries = Vec::<Entry<'_>>::deserialize(input)?;
        let waker = |entry: Entry<'_>| {
            let kind = entry.interrupt.map_or(Some(Interrupt::Other), |word| Interrupt::of_word(&word));
            let kind = kind.ok_or_else(|| D::Error::custom("an interrupt of an unknown kind"))?;
            let context = match entry.context {
                Context::Task => WakerContext::Task,
                Context::Interrupt => WakerContext::Interrupt(kind),
                Context::Unknown => WakerContext::Unknown,
            };
            let waker = Waker { context, pid: entry.pid, comm: entry.comm.into_owned() };
            Ok((waker, entry.latency.into_owned()))
        };
        entries.into_iter().map(waker).collect()
    }
}

/// Blocked time, each with its place beside.
pub mod blocked {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Entry {
        place: Place,
        #[serde(deserialize_with = "count")]
        count: u64,
        #[serde(deserialize_with = "time")]
        ns: u64,
    }

    /// Writes them.
    pub fn serialize<S: Serializer>(
        blocked: &BTreeMap<Place, Blocked>,
        output: S,
    ) -> Result<S::Ok, S::Error> {
        let entry = |(place, blocked): (&Place, &Blocked)| Entry {
            place: *place,
            count: blocked.count,
            ns: blocked.ns,
        };
        output.collect_seq(blocked.iter().map(entry))
    }

    /// Reads them.
    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<BTreeMap<Place, Blocked>, D::Error> {
        let entries = Vec::<Entry>::deserialize(input)?;
        let blocked = |Entry { place, count, ns }| (place, Blocked { count, ns });
        Ok(entries.into_iter().map(blocked).collect())
    }
}

/// Reads a budget whose parts come to a time that can be.
pub fn read_budget<'de, D: Deserializer<'de>>(input: D) -> Result<Budget, D::Error> {
    let budget = Budget::deserialize(input)?;
    let Budget { user_ns, faults_ns, kernel_ns, woken_ns, preempted_ns, stopped_ns, unknown_ns, .. } = budget;
    let parts = [user_ns, faults_ns, kernel_ns, woken_ns, preempted_ns, stopped_ns, unknown_ns];
    let blocked = budget.blocked.values().map(|blocked| blocked.ns);
    let sum: u128 = parts.into_iter().chain(blocked).map(u128::from).sum();
    check_times([u64::try_from(sum).unwrap_or(u64::MAX)])?;
    Ok(budget)
}

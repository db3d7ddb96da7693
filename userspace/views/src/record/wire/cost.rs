//! The ledger, and what the measurement cost.

use std::collections::BTreeMap;

use model::frame;
use serde::{Deserialize, Serialize};

use super::{
    inline::InlineCost,
    limits::{Impossible, counts, positive, times},
};

#[derive(Debug, Serialize, Deserialize)]
pub struct Ledger {
    pub counted: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub events: BTreeMap<String, u64>,
    pub lost: BTreeMap<String, u64>,
    pub censored: BTreeMap<String, u64>,
    pub degraded: BTreeMap<String, u64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub room: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Overhead {
    pub programs: Vec<Program>,
    pub measured_ns: u64,
    pub kernel_bytes: u64,
    pub tool_cpu_ns: u64,
    pub tool_bytes: u64,
    pub empty_program_ns: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampled_calls: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traps: Option<Traps>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline: Option<InlineCost>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Traps {
    pub trap_ns: f64,
    pub hits: u64,
    pub target_cpu_ns: u64,
    pub attached_ns: u64,
    pub budget_percent: Option<f64>,
    pub detached_at_ns: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_one_in: Option<u32>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Program {
    pub name: String,
    pub events: Option<u64>,
    pub run_ns: Option<u64>,
    pub missed: u64,
}

impl From<&frame::Ledger> for Ledger {
    fn from(ledger: &frame::Ledger) -> Self {
        Self {
            counted: ledger.counted,
            events: ledger.events.clone(),
            lost: ledger.lost.clone(),
            censored: ledger.censored.clone(),
            degraded: ledger.degraded.clone(),
            room: ledger.room.clone(),
        }
    }
}

impl TryFrom<Ledger> for frame::Ledger {
    type Error = Impossible;

    fn try_from(ledger: Ledger) -> Result<Self, Impossible> {
        let slots = [&ledger.events, &ledger.lost, &ledger.censored, &ledger.degraded, &ledger.room];
        counts(slots.into_iter().flat_map(BTreeMap::values).copied().chain([ledger.counted]))
            .map_err(|_| Impossible("a count of the ledger is too large"))?;
        let Ledger { counted, events, lost, censored, degraded, room } = ledger;
        Ok(Self { counted, events, lost, censored, degraded, room })
    }
}

impl From<&frame::Overhead> for Overhead {
    fn from(overhead: &frame::Overhead) -> Self {
        let program = |program: &frame::ProgramCost| Program {
            name: program.name.clone(),
            events: program.events,
            run_ns: program.run_ns,
            missed: program.missed,
        };
        Self {
            programs: overhead.programs.iter().map(program).collect(),
            measured_ns: overhead.measured_ns,
            kernel_bytes: overhead.kernel_bytes,
            tool_cpu_ns: overhead.tool_cpu_ns,
            tool_bytes: overhead.tool_bytes,
            empty_program_ns: overhead.empty_program_ns,
            sampled_calls: overhead.sampled_calls,
            traps: overhead.traps.as_ref().map(Traps::from),
            inline: overhead.inline.as_ref().map(InlineCost::from),
        }
    }
}

impl TryFrom<Overhead> for frame::Overhead {
    type Error = Impossible;

    fn try_from(overhead: Overhead) -> Result<Self, Impossible> {
        let programs = &overhead.programs;
        let runs = programs.iter().flat_map(|it| [it.events.unwrap_or(0), it.missed]);
        counts(runs.chain(overhead.sampled_calls))
            .map_err(|_| Impossible("a count of the overhead is too large"))?;
        let run_times = programs.iter().filter_map(|it| it.run_ns);
        times(run_times.chain([overhead.measured_ns, overhead.tool_cpu_ns]))
            .map_err(|_| Impossible("a time of the overhead is too long"))?;
        positive(overhead.empty_program_ns)?;
        let program = |it: Program| frame::ProgramCost {
            name: it.name,
            events: it.events,
            run_ns: it.run_ns,
            missed: it.missed,
        };
        Ok(Self {
            programs: overhead.programs.into_iter().map(program).collect(),
            measured_ns: overhead.measured_ns,
            kernel_bytes: overhead.kernel_bytes,
            tool_cpu_ns: overhead.tool_cpu_ns,
            tool_bytes: overhead.tool_bytes,
            empty_program_ns: overhead.empty_program_ns,
            sampled_calls: overhead.sampled_calls,
            traps: overhead.traps.map(frame::Traps::try_from).transpose()?,
            inline: overhead.inline.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<&frame::Traps> for Traps {
    fn from(traps: &frame::Traps) -> Self {
        let frame::Traps {
            trap_ns,
            hits,
            target_cpu_ns,
            attached_ns,
            budget_percent,
            detached_at_ns,
            hold_one_in,
        } = traps.clone();
        Self { trap_ns, hits, target_cpu_ns, attached_ns, budget_percent, detached_at_ns, hold_one_in }
    }
}

impl TryFrom<Traps> for frame::Traps {
    type Error = Impossible;

    fn try_from(read: Traps) -> Result<Self, Impossible> {
        let Traps { trap_ns, hits, target_cpu_ns, attached_ns, budget_percent, detached_at_ns, hold_one_in } =
            read;
        counts([hits])?;
        times([target_cpu_ns, attached_ns].into_iter().chain(detached_at_ns))?;
        positive([trap_ns].into_iter().chain(budget_percent))?;
        Ok(Self { trap_ns, hits, target_cpu_ns, attached_ns, budget_percent, detached_at_ns, hold_one_in })
    }
}

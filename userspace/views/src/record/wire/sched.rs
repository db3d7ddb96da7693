//! Wire format of scheduling data.

use model::{
    frame::{Abi, Call, ThreadName},
    hist::Hist,
    sched::{self, CpuShare, Interrupt, SchedFrame, SchedStats},
    valid::is_default,
};
use serde::{Deserialize, Serialize};

use super::{
    hist::weight,
    limits::{Impossible, counts, times},
    text_weight,
};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sched {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<ThreadName>,
    #[serde(skip_serializing_if = "is_default")]
    pub voluntary: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub involuntary: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub migrations: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub wakeup_to_run: Hist,
    #[serde(skip_serializing_if = "is_default")]
    pub preempted_to_run: Hist,
    #[serde(skip_serializing_if = "is_default")]
    pub on_cpu: Hist,
    #[serde(skip_serializing_if = "is_default")]
    pub off_cpu: Hist,
    /// CPU, stretches, ns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cpus: Vec<(u32, u64, u64)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wakers: Vec<Waker>,
    #[serde(skip_serializing_if = "is_default")]
    pub budget: Budget,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waker {
    pub context: Context,
    /// The kind of an interrupt, in a word; none for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interrupt: Option<String>,
    pub pid: u32,
    pub comm: String,
    pub latency: Hist,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Context {
    Task,
    Interrupt,
    Unknown,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    pub wall_ns: u64,
    pub user_ns: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub faults_ns: u64,
    pub kernel_ns: u64,
    pub woken_ns: u64,
    pub preempted_ns: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub stopped_ns: u64,
    pub unknown_ns: u64,
    pub blocked: Vec<Blocked>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Blocked {
    pub place: Place,
    pub count: u64,
    pub ns: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    Call {
        #[serde(default, skip_serializing_if = "is_default")]
        compat: bool,
        nr: u32,
    },
    Outside,
    Other,
}

impl Sched {
    /// Bytes that it takes in a line, at most.
    pub fn weight(&self) -> usize {
        let hists = [&self.wakeup_to_run, &self.preempted_to_run, &self.on_cpu, &self.off_cpu];
        let hists: usize = hists.into_iter().map(weight).sum();
        let wakers: usize = self.wakers.iter().map(Waker::weight).sum();
        let name = self.thread.as_ref().map_or(0, |thread| text_weight(&thread.comm));
        740 + name + hists + wakers + self.cpus.len() * 56 + self.budget.blocked.len() * 120
    }

    /// The same in pieces that are not heavier than wanted, as far as wakers are what makes it heavy.
    pub fn pieces(mut self, largest: usize) -> Vec<Self> {
        let wakers = std::mem::take(&mut self.wakers);
        let rest = Self { thread: self.thread.clone(), ..Self::default() };
        let mut weight = self.weight();
        let mut pieces = vec![self];
        for waker in wakers {
            if weight + waker.weight() > largest {
                weight = rest.weight();
                pieces.push(rest.clone());
            }
            weight += waker.weight();
            if let Some(piece) = pieces.last_mut() {
                piece.wakers.push(waker);
            }
        }
        pieces
    }
}

impl Waker {
    fn weight(&self) -> usize {
        125 + text_weight(&self.comm) + weight(&self.latency)
    }
}

impl From<&SchedFrame> for Sched {
    fn from(frame: &SchedFrame) -> Self {
        let stats = &frame.stats;
        let waker = |(waker, latency): (&sched::Waker, &_)| Waker {
            context: waker.context.into(),
            interrupt: word_of(waker.context),
            pid: waker.pid,
            comm: waker.comm.clone(),
            latency: Hist::clone(latency),
        };
        Self {
            thread: frame.thread.clone(),
            voluntary: stats.voluntary,
            involuntary: stats.involuntary,
            migrations: stats.migrations,
            wakeup_to_run: stats.wakeup_to_run.clone(),
            preempted_to_run: stats.preempted_to_run.clone(),
            on_cpu: stats.on_cpu.clone(),
            off_cpu: stats.off_cpu.clone(),
            cpus: stats.cpus.iter().map(|(cpu, share)| (*cpu, share.stretches, share.ns)).collect(),
            wakers: stats.wakers.iter().map(waker).collect(),
            budget: Budget::from(&stats.budget),
        }
    }
}

impl TryFrom<Sched> for SchedFrame {
    type Error = Impossible;

    fn try_from(read: Sched) -> Result<Self, Impossible> {
        counts([read.voluntary, read.involuntary, read.migrations])?;
        counts(read.cpus.iter().map(|(_, stretches, _)| *stretches))?;
        times(read.cpus.iter().map(|(_, _, ns)| *ns))?;
        let cpu = |(cpu, stretches, ns)| (cpu, CpuShare { stretches, ns });
        let mut stats = SchedStats {
            voluntary: read.voluntary,
            involuntary: read.involuntary,
            migrations: read.migrations,
            wakeup_to_run: read.wakeup_to_run,
            preempted_to_run: read.preempted_to_run,
            on_cpu: read.on_cpu,
            off_cpu: read.off_cpu,
            cpus: read.cpus.into_iter().map(cpu).collect(),
            budget: read.budget.try_into()?,
            ..SchedStats::default()
        };
        for Waker { context, interrupt, pid, comm, latency } in read.wakers {
            let waker = sched::Waker { context: context_of(context, interrupt)?, pid, comm };
            stats.wakers.insert(waker, latency);
        }
        Ok(Self { thread: read.thread, stats })
    }
}

impl From<&sched::Budget> for Budget {
    fn from(budget: &sched::Budget) -> Self {
        let blocked = |(place, blocked): (&sched::Place, &sched::Blocked)| Blocked {
            place: match *place {
                sched::Place::Call(call) => Place::Call { compat: call.abi == Abi::Compat, nr: call.nr },
                sched::Place::Outside => Place::Outside,
                sched::Place::Other => Place::Other,
            },
            count: blocked.count,
            ns: blocked.ns,
        };
        Self {
            wall_ns: budget.wall_ns,
            user_ns: budget.user_ns,
            faults_ns: budget.faults_ns,
            kernel_ns: budget.kernel_ns,
            woken_ns: budget.woken_ns,
            preempted_ns: budget.preempted_ns,
            stopped_ns: budget.stopped_ns,
            unknown_ns: budget.unknown_ns,
            blocked: budget.blocked.iter().map(blocked).collect(),
        }
    }
}

impl TryFrom<Budget> for sched::Budget {
    type Error = Impossible;

    fn try_from(read: Budget) -> Result<Self, Impossible> {
        let Budget { wall_ns, user_ns, faults_ns, kernel_ns, woken_ns, preempted_ns, .. } = read;
        let Budget { stopped_ns, unknown_ns, blocked, .. } = read;
        let parts = [user_ns, faults_ns, kernel_ns, woken_ns, preempted_ns, stopped_ns, unknown_ns];
        times(parts.into_iter().chain([wall_ns]))?;
        times(blocked.iter().map(|it| it.ns))?;
        let parts = parts.into_iter().chain(blocked.iter().map(|it| it.ns)).map(u128::from).sum::<u128>();
        times([u64::try_from(parts).unwrap_or(u64::MAX)])?;
        counts(blocked.iter().map(|it| it.count))?;
        let place = |place| match place {
            Place::Call { compat, nr } => {
                sched::Place::Call(Call::whole(if compat { Abi::Compat } else { Abi::Native }, nr))
            }
            Place::Outside => sched::Place::Outside,
            Place::Other => sched::Place::Other,
        };
        let blocked = blocked
            .into_iter()
            .map(|it| (place(it.place), sched::Blocked { count: it.count, ns: it.ns }))
            .collect();
        Ok(Self {
            wall_ns,
            user_ns,
            faults_ns,
            kernel_ns,
            woken_ns,
            preempted_ns,
            blocked,
            stopped_ns,
            unknown_ns,
        })
    }
}

impl From<sched::WakerContext> for Context {
    fn from(context: sched::WakerContext) -> Self {
        match context {
            sched::WakerContext::Task => Self::Task,
            sched::WakerContext::Interrupt(_) => Self::Interrupt,
            sched::WakerContext::Unknown => Self::Unknown,
        }
    }
}

fn word_of(context: sched::WakerContext) -> Option<String> {
    match context {
        sched::WakerContext::Interrupt(kind) if kind != Interrupt::Other => Some(kind.word().to_owned()),
        _ => None,
    }
}

fn context_of(context: Context, interrupt: Option<String>) -> Result<sched::WakerContext, Impossible> {
    let kind = interrupt.map(|word| Interrupt::ALL.into_iter().find(|kind| kind.word() == word));
    let kind = kind.unwrap_or(Some(Interrupt::Other)).ok_or(Impossible("an interrupt of an unknown kind"))?;
    Ok(match context {
        Context::Task => sched::WakerContext::Task,
        Context::Interrupt => sched::WakerContext::Interrupt(kind),
        Context::Unknown => sched::WakerContext::Unknown,
    })
}

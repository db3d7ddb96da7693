//! All rounds of all variants.

use std::time::Duration;

use model::probes::ProbeSet;
use probes::source::host;
use tokio::time::timeout;
use views::compare::{
    Frame, Sample, Variant, build,
    json::{Comparison, Method, Warning, WarningKind},
};

use super::{
    BenchError,
    machine::Machine,
    order::order,
    round::{Tracing, play},
    suite::Job,
};

/// Plan of a benchmark.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In a few words.
    pub title: String,
    /// The command line.
    pub command: Vec<String>,
    /// Variants that are compared.
    pub jobs: Vec<Job>,
    /// Index of the variant to which differences are taken.
    pub reference: usize,
    /// Traced rounds of each.
    pub rounds: u32,
    /// True if each is run once before anything counts.
    pub warm_up: bool,
    /// Seed of the order.
    pub seed: u64,
    /// Names of the probes of traced rounds.
    pub probes: Vec<String>,
    /// Unit of work that costs are given per.
    pub per: Option<String>,
}

/// Is told before every round.
pub trait Progress {
    /// So many rounds are done, of so many; now comes this one. The rest will take about so long, if that is known.
    fn next(&mut self, done: usize, all: usize, label: &str, left: Option<Duration>);
}

/// A benchmark that has ended, in one way or another.
#[derive(Debug)]
pub struct Ended {
    /// The rounds that were done.
    pub comparison: Comparison,
    /// Failure that ended it before its time.
    pub failure: Option<BenchError>,
}

/// Purpose of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    WarmUp,
    Untraced,
    Traced,
}

/// Runs everything, or what there is time for before an interrupt or a failure of a program.
///
/// # Errors
/// When a program fails, or cannot be traced, before there is a single traced round.
pub async fn bench(plan: &Plan, progress: &mut dyn Progress) -> Result<Ended, BenchError> {
    let machine = Machine::look();
    let (start_unix_ns, begun) = (host::unix_ns(), host::monotonic_ns());
    let mut interrupts = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())
        .map_err(BenchError::Events)?;
    let schedule = schedule(plan);
    let mut variants: Vec<Variant> = plan.jobs.iter().map(variant).collect();
    let (mut finished, mut position, mut failure) = (true, 0, None);
    for (done, (nth, purpose)) in schedule.iter().enumerate() {
        let interrupted = timeout(Duration::ZERO, interrupts.recv()).await.is_ok();
        let spent = Duration::from_nanos(host::monotonic_ns() - begun);
        let left = (done > 0).then(|| spent.mul_f64((schedule.len() - done) as f64 / done.max(1) as f64));
        let job = &plan.jobs[*nth];
        let tracing = match purpose {
            Purpose::Traced => Tracing::Probes(&plan.probes),
            Purpose::WarmUp | Purpose::Untraced => Tracing::Off,
        };
        let sample = if interrupted {
            None
        } else {
            progress.next(done, schedule.len(), &job.label, left);
            let (round, all) = (done + 1, schedule.len());
            let wrapped = |error| BenchError::Round { round, all, error: Box::new(error) };
            play(job, tracing).await.map_err(wrapped).unwrap_or_else(|error| {
                failure = Some(error);
                None
            })
        };
        let Some(sample) = sample else {
            finished = false;
            break;
        };
        position += u32::from(*purpose != Purpose::WarmUp);
        keep(&mut variants[*nth], *purpose, Sample { position: position.saturating_sub(1), ..sample });
    }
    if variants.iter().all(|variant| variant.rounds.is_empty())
        && let Some(error) = failure
    {
        return Err(error);
    }
    let frame = Frame {
        title: plan.title.clone(),
        environment: machine.environment(),
        method: method(plan, start_unix_ns, host::monotonic_ns() - begun),
        reference: plan.reference,
        uneven: None,
        finished,
        warnings: failure.iter().map(stopped).collect(),
    };
    Ok(Ended { comparison: build(frame, &variants), failure })
}

/// The method of measuring.
fn method(plan: &Plan, start_unix_ns: u64, duration_ns: u64) -> Method {
    Method {
        command: plan.command.clone(),
        start_unix_ns,
        duration_ns: Some(duration_ns),
        seed: Some(plan.seed),
        rounds: Some(plan.rounds),
        per: plan.per.clone(),
        probes: ProbeSet::chosen(&plan.probes).names().into_iter().map(str::to_owned).collect(),
        ..Method::default()
    }
}

/// Warm-ups first; the untraced rounds stand in the middle, among the traced ones.
fn schedule(plan: &Plan) -> Vec<(usize, Purpose)> {
    let variants = plan.jobs.len();
    let traced: Vec<(usize, Purpose)> = order(variants, plan.rounds as usize, plan.seed)
        .into_iter()
        .map(|nth| (nth, Purpose::Traced))
        .collect();
    let warm_up = (0..variants).filter(|_| plan.warm_up).map(|nth| (nth, Purpose::WarmUp));
    let middle = plan.rounds as usize / 2 * variants;
    let untraced = order(variants, 1, plan.seed ^ 1).into_iter().map(|nth| (nth, Purpose::Untraced));
    warm_up
        .chain(traced[..middle].iter().copied())
        .chain(untraced)
        .chain(traced[middle..].iter().copied())
        .collect()
}

fn stopped(failure: &BenchError) -> Warning {
    Warning { kind: WarningKind::Failed, column: None, text: format!("it stopped early: {failure}") }
}

fn variant(job: &Job) -> Variant {
    let source = job.command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    Variant { label: job.label.clone(), source, ..Variant::default() }
}

fn keep(variant: &mut Variant, purpose: Purpose, sample: Sample) {
    match purpose {
        Purpose::WarmUp => {}
        Purpose::Untraced => variant.untraced = Some(sample),
        Purpose::Traced => variant.rounds.push(sample),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::commands;

    #[test]
    fn every_variant_has_its_rounds_and_one_untraced_among_them() {
        let plan = Plan {
            title: String::new(),
            command: Vec::new(),
            jobs: commands(&["a".into(), "b".into(), "c".into()], false),
            reference: 0,
            rounds: 4,
            warm_up: true,
            seed: 3,
            probes: Vec::new(),
            per: None,
        };
        let schedule = schedule(&plan);
        for nth in 0..3 {
            let count = |purpose| schedule.iter().filter(|it| **it == (nth, purpose)).count();
            assert_eq!([Purpose::WarmUp, Purpose::Untraced, Purpose::Traced].map(count), [1, 1, 4]);
        }
        assert!(schedule[..3].iter().all(|it| it.1 == Purpose::WarmUp));
        assert!(schedule[9..12].iter().all(|it| it.1 == Purpose::Untraced));
    }
}

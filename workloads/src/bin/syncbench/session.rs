//! From the arguments to the exit status.

use std::io::Write;
use std::time::Instant;

use clap::Parser;
use pulse_trace_workloads::contract::{self, Handshake, Progress, Refusal, Truth, cannot, stopping};
use pulse_trace_workloads::patterns::{ALL, Pattern, Setup, nanos};
use pulse_trace_workloads::sys::usage::Usage;

use crate::baseline::{Baseline, check_destination};
use crate::cli::Args;
use crate::host::Host;
use crate::measure::{Floor, Round, measure};
use crate::report;
use crate::settings::{self, Settings};
use crate::stats::Bootstrap;
use crate::truth::{Benchmark, Comparison, Detail, Goals, samples};

type Measured = Vec<(Pattern, Vec<Round>)>;

/// Everything that can be refused is refused before anything is measured.
pub fn run() -> anyhow::Result<bool> {
    let args = Args::parse();
    if args.list {
        std::io::stdout().lock().write_all(report::list(ALL).as_bytes())?;
        return Ok(true);
    }
    let settings = Settings::of(&args);
    check_size(&settings)?;
    let patterns = settings::chosen(&args.names)?;
    let setup = settings::setup(&args);
    setup.check()?;
    let baseline = args.baseline.as_deref().map(Baseline::load).transpose()?;
    if let Some(baseline) = &baseline {
        check_overlap(baseline, &patterns)?;
    }
    args.save_baseline.as_deref().map(check_destination).transpose()?;
    let mut handshake = Handshake::new(&args.common)?;
    // Before anything is pinned, which would hide CPUs.
    let machine = (Host::here(), Floor::measured());
    let mut measured: Measured = patterns.into_iter().map(|pattern| (pattern, Vec::new())).collect();
    let go = handshake.ready_then_go()?;
    let (began, before) = (Instant::now(), Usage::now());
    if go {
        measure_all(&mut measured, &setup, &settings)?;
    }
    let mut detail = detail(&args, settings, machine, &measured, baseline.as_ref());
    detail.elapsed_ns = nanos(began.elapsed());
    detail.usage = Usage::now().since(before);
    conclude(&args, detail, &measured)
}

/// A lap cannot be interrupted, so it must end within seconds.
fn check_size(settings: &Settings) -> Result<(), Refusal> {
    const MOST_UNITS: u64 = 10_000_000_000;
    let units = 1 + u64::from(settings.work_inside) + u64::from(settings.work_between);
    if settings.total_steps.saturating_mul(units) <= MOST_UNITS {
        return Ok(());
    }
    Err(cannot(
        "measure laps of that size",
        format_args!("{} steps of {units} units would take minutes each", settings.total_steps),
        "lower `--total-steps`, `--work-inside` or `--work-between`",
    ))
}

fn check_overlap(baseline: &Baseline, patterns: &[Pattern]) -> Result<(), Refusal> {
    if patterns.iter().any(|pattern| baseline.of(pattern.name).is_some()) {
        return Ok(());
    }
    Err(cannot("compare with the baseline", "it has none of these benchmarks", "choose some that it has"))
}

/// Round after round, so that a drift of the machine falls on all benchmarks and not on the last ones only.
fn measure_all(measured: &mut Measured, setup: &Setup, settings: &Settings) -> Result<(), Refusal> {
    if let Some(cpus) = &setup.pin {
        cpus.pin(0)?;
    }
    let mut progress = Progress::new();
    let total = measured.len() as u64 * u64::from(settings.rounds);
    let mut done = 0;
    for _ in 0..settings.rounds {
        for (pattern, rounds) in measured.iter_mut() {
            if stopping() {
                return Ok(());
            }
            progress.show(pattern.name, done, total);
            rounds.extend(measure(pattern, setup, settings)?);
            done += 1;
        }
    }
    Ok(())
}

fn detail(
    args: &Args,
    settings: Settings,
    (host, floor): (Host, Floor),
    measured: &Measured,
    baseline: Option<&Baseline>,
) -> Detail {
    let bootstrap =
        Bootstrap { resamples: settings.resamples, confidence: settings.confidence, seed: settings.seed };
    let noise = f64::from(args.noise) / 100.0;
    let benchmarks: Vec<Benchmark> = measured
        .iter()
        .filter_map(|(pattern, rounds)| Benchmark::of(pattern, rounds, &bootstrap, baseline, noise))
        .collect();
    let differs = match baseline {
        Some(earlier) => {
            Some([earlier.host.differences(&host), earlier.settings.differences(&settings)].concat())
        }
        None => settings.baseline_here.then(Vec::new),
    };
    let comparison = differs.map(|differs| Comparison::of(&benchmarks, differs));
    let mut notes = Vec::new();
    if settings.injected_percent > 0 {
        notes.push(format!("injected: {} % more operations than are counted", settings.injected_percent));
    }
    if !host.optimised {
        notes.push("built without optimisation: the times mean nothing, use a release build".to_owned());
    }
    let busy = benchmarks.iter().filter(|result| result.starved > 0.1).count();
    if busy > 0 {
        notes.push(format!(
            "{busy} of {} benchmarks waited for a CPU for more than a tenth of the time they were ready to run: on a \
             busy machine times are too long, CPU times are not",
            benchmarks.len()
        ));
    }
    Detail {
        operations: benchmarks.iter().map(|result| result.operations.all()).sum(),
        elapsed_ns: 0,
        usage: Usage::default(),
        host,
        settings,
        floor,
        targets: Goals::of(&benchmarks),
        comparison,
        notes,
        benchmarks,
    }
}

/// Saves, prints, and answers whether all counts are right and nothing got slower.
fn conclude(args: &Args, mut detail: Detail, measured: &Measured) -> anyhow::Result<bool> {
    let holds = detail.benchmarks.iter().all(|result| result.holds);
    let slower = detail.comparison.as_ref().is_some_and(|comparison| !comparison.slower.is_empty());
    if let Some(path) = &args.save_baseline {
        let kept = if stopping() {
            Some("the run was interrupted")
        } else if slower && args.baseline.as_ref() == Some(path) {
            Some("something got slower than it")
        } else {
            None
        };
        match kept {
            Some(reason) => detail.notes.push(format!("{} was left as it was: {reason}", path.display())),
            None => {
                let samples = samples(measured);
                Baseline::new(detail.host.clone(), detail.settings.clone(), samples).save(path)?;
                detail.notes.push(format!("saved as {}", path.display()));
            }
        }
    }
    let variant = if args.names.is_empty() { "all".to_owned() } else { args.names.join(" ") };
    let truth = Truth::new("syncbench", variant, holds, detail);
    if args.common.json {
        contract::print(&truth)?;
    } else {
        std::io::stdout().lock().write_all(report::table(&truth).as_bytes())?;
    }
    Ok(holds && !slower)
}

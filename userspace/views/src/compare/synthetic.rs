//! Comparisons out of nothing: what tables, pages and their tests are tried on. The same call gives the same one.

use model::{frame::Ledger, hist::Hist};

use super::{
    BUCKET, Distribution, Frame, Measure, Sample, Variant, anatomy_measures, build,
    json::{Better, Comparison, Environment, Method, Section, Unit},
};

/// Messages of a round.
const MESSAGES: u64 = 400;
/// The variants: name, mean latency in ns, whether calls per message vary.
const VARIANTS: [(&str, u64); 3] = [("unixsock", 60_000), ("pipe", 40_000), ("udp, \"lossy\"", 61_000)];

/// Variants with so many rounds each.
#[must_use]
pub fn variants(rounds: u32) -> Vec<Variant> {
    let variant = |(nth, (label, ns)): (usize, &(&str, u64))| Variant {
        label: (*label).to_owned(),
        source: vec!["logagg".to_owned(), "run".to_owned(), format!("--variant={label}")],
        rounds: (0..rounds).map(|round| sample(nth as u64, *ns, u64::from(round), true)).collect(),
        untraced: Some(sample(nth as u64, *ns, 2, false)),
    };
    VARIANTS.iter().enumerate().map(variant).collect()
}

/// A comparison with so many rounds of each variant.
#[must_use]
pub fn comparison(rounds: u32) -> Comparison {
    let frame = Frame {
        title: "bench ipc".to_owned(),
        environment: Environment {
            kernel: "6.18.0".to_owned(),
            arch: "x86_64".to_owned(),
            cpus: 2,
            clock: "tsc".to_owned(),
            processor: Some("Example CPU at 2.5 GHz".to_owned()),
            load_before: Some(0.25),
            load_after: Some(1.5),
            stolen_percent: Some(0.1),
            others_percent: Some(0.5),
            pressure_percent: Some(1.5),
            throttled: Some(0),
            governor: Some("performance".to_owned()),
        },
        method: Method {
            command: ["pulse-trace", "bench", "ipc"].map(str::to_owned).into(),
            start_unix_ns: 1_790_000_000_000_000_000,
            duration_ns: Some(23_400_000_000),
            seed: Some(1),
            rounds: Some(rounds),
            per: Some("message".to_owned()),
            probes: ["syscalls", "sched", "futex"].map(str::to_owned).into(),
            ..Method::default()
        },
        reference: 0,
        finished: true,
        uneven: None,
        warnings: Vec::new(),
    };
    build(frame, &variants(rounds))
}

/// Luck that is the same every time: between -1 and 1.
fn luck(variant: u64, round: u64, what: u64) -> f64 {
    let mut mixed = variant << 40 | round << 20 | what;
    for _ in 0..3 {
        mixed = (mixed ^ mixed >> 29).wrapping_add(17).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    (mixed >> 40) as f64 / f64::from(1 << 23) - 1.0
}

fn sample(variant: u64, ns: u64, round: u64, traced: bool) -> Sample {
    let mut latency = Hist::default();
    let shift = 1.0 + 0.02 * luck(variant, round, 1);
    for nth in 0..MESSAGES {
        // A body, and a tail that grows towards the last ones.
        let tail = 1.0 + 0.3 * (nth as f64 / MESSAGES as f64) + 4.0 * (nth as f64 / MESSAGES as f64).powi(40);
        latency.record((ns as f64 * shift * tail) as u64);
    }
    let mean = latency.mean().unwrap_or_default();
    let rate = 1e9 / mean * (1.0 + 0.005 * luck(variant, round, 2));
    let mut measures = vec![
        Measure::exact("throughput", "messages per second", Section::Throughput, rate)
            .in_unit(Unit::PerSecond)
            .with_better(Some(Better::Higher)),
        Measure::exact("latency.mean", "end to end, mean", Section::Latency, mean).in_unit(Unit::Ns),
    ];
    for (key, share) in [("p50", 0.5), ("p99", 0.99)] {
        let value = latency.quantile(share).unwrap_or_default() as f64;
        let name = format!("end to end, {key}");
        let measure =
            Measure::exact(format!("latency.{key}"), name, Section::Latency, value).in_unit(Unit::Ns);
        measures.push(Measure { grain: BUCKET, ..measure });
    }
    measures.push(Measure::exact("lost", "messages lost", Section::Losses, 0.0).counted());
    if traced {
        let calls = (MESSAGES + variant * MESSAGES / 10) as f64;
        let count = Measure::exact("write.count", "write calls", Section::Syscalls, calls);
        measures.push(count.counted().divided(MESSAGES as f64));
        measures.extend(anatomy_measures([0.2, 0.1, 0.3, 0.15, 0.25].map(|share| share * mean)));
    }
    let ledger = Ledger { counted: 3 * MESSAGES, ..Ledger::default() };
    Sample {
        position: (round * VARIANTS.len() as u64 + variant) as u32,
        start_unix_ns: 1_790_000_000_000_000_000 + round * 1_000_000_000,
        wall_ns: 300_000_000,
        status: Some(0),
        measures,
        distributions: vec![Distribution {
            key: "latency".to_owned(),
            name: "end to end".to_owned(),
            unit: Unit::Ns,
            values: latency,
        }],
        ledger: traced.then_some(ledger),
        tracer_cpu_percent: traced.then_some(1.5),
        notes: Vec::new(),
    }
}

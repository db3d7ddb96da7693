//! Checks that comparisons may be believed, with real runs: the same command under two names, and commands that differ
//! by a known amount.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{
    ground::{self, Circumstances, directory},
    marked,
};
use crate::{
    process::{capture, command},
    say,
};

const PAGE: &str = "docs/results/believe.md";
/// Rounds of each command where a difference is injected.
const ROUNDS: u32 = 5;
/// Rounds of each command in comparisons of twins.
const TWINS: [u32; 3] = [2, 3, 5];

/// A difference that is known.
struct Injected {
    what: &'static str,
    /// Rounds of each command: a tail is known less well than a mean.
    rounds: u32,
    /// The number that shows it.
    key: &'static str,
    truth: f64,
    /// A number that must not show it.
    untouched: &'static str,
}

const INJECTED: [Injected; 3] = [
    Injected {
        what: "a sleep of 204 ms for one of 200 ms (2 %)",
        rounds: ROUNDS,
        key: "clock_nanosleep.mean",
        truth: 4e6,
        untouched: "clock_nanosleep.count",
    },
    Injected {
        what: "1100 reads for 1000 (10 %)",
        rounds: ROUNDS,
        key: "read.count",
        truth: 100.0,
        untouched: "execve.count",
    },
    Injected {
        what: "3 % of the sleeps 50 us longer (50 us in p99 only)",
        rounds: 15,
        key: "nanosleep.p99",
        truth: 50e3,
        untouched: "nanosleep.p50",
    },
];

struct Lab {
    programs: PathBuf,
    file: PathBuf,
}

/// Runs the benchmark of comparisons.
pub fn run(arguments: &[String]) -> Result<()> {
    let (programs, same, different) = options(arguments)?;
    let dir = directory("believe")?;
    let lab = Lab { programs, file: dir.join("comparison.json") };
    let at = Circumstances::before();
    let measured = twins(&lab, same).and_then(|twins| Ok((twins, known(&lab, different)?)));
    let _ = fs::remove_dir_all(&dir);
    let (twins, found) = measured?;
    let text = page(&twins, &found, &at.after().sentence("believe"));
    marked::publish(PAGE, &text)
}

fn known(lab: &Lab, different: u32) -> Result<Vec<(&'static Injected, Vec<Trial>)>> {
    let mut found = Vec::new();
    for injected in &INJECTED {
        say::note(format_args!("injected: {}", injected.what));
        let trials: Result<Vec<Trial>> = (0..different).map(|seed| trial(lab, injected, seed)).collect();
        found.push((injected, trials?));
    }
    Ok(found)
}

/// `--same N` comparisons of twins, `--different N` of each difference, `--programs DIR` built already.
fn options(arguments: &[String]) -> Result<(PathBuf, u32, u32)> {
    let (mut programs, mut same, mut different) = (None, 20, 4);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let value = words.next().with_context(|| format!("cannot read `{word}`: a value is missing"))?;
        match word.as_str() {
            "--programs" => programs = Some(PathBuf::from(value)),
            "--same" => same = value.parse().context("cannot read --same: it takes a number")?,
            "--different" => {
                different = value.parse().context("cannot read --different: it takes a number")?
            }
            _ => bail!("cannot heed `{word}`: the options are --same N, --different N and --programs DIR"),
        }
    }
    Ok((ground::programs(programs)?, same, different))
}

impl Lab {
    /// One whole comparison of two commands.
    fn compare(&self, first: &str, second: &str, (rounds, seed): (u32, u32)) -> Result<Value> {
        let mut run = command(self.programs.join("pulse-trace"));
        run.args(["bench", "cmd", "--rounds", &rounds.to_string(), "--seed", &seed.to_string(), "--json"]);
        run.arg(&self.file).args(["--", first, "--", second]);
        capture(&mut run)?;
        let text = fs::read_to_string(&self.file).context("cannot read the comparison")?;
        serde_json::from_str(&text).context("cannot read the comparison")
    }

    fn program(&self, name: &str) -> String {
        format!("exec {}", Path::new(&self.programs).join(name).display())
    }
}

/// Claims of comparisons of twins.
#[derive(Default)]
struct Twins {
    rounds: u32,
    comparisons: u32,
    /// Comparisons that claimed anything.
    claiming: u32,
    rows: usize,
    claims: Vec<String>,
}

fn twins(lab: &Lab, same: u32) -> Result<Vec<Twins>> {
    let line = format!("{} --count 500", lab.program("calls"));
    let compared = |rounds: u32| {
        let mut twins = Twins { rounds, ..Twins::default() };
        for seed in 1..=same {
            say::note(format_args!("the same under two names, {rounds} rounds: {seed} of {same}"));
            twins.add(&lab.compare(&line, &line, (rounds, seed))?);
        }
        Ok(twins)
    };
    TWINS.into_iter().map(compared).collect()
}

impl Twins {
    fn add(&mut self, comparison: &Value) {
        let compared = rows(comparison).filter(|row| !row["differences"][1].is_null());
        let before = self.claims.len();
        for row in compared {
            self.rows += 1;
            let verdict = row["differences"][1]["verdict"].as_str().unwrap_or_default();
            if ["better", "worse", "different"].contains(&verdict) {
                self.claims.push(row["key"].as_str().unwrap_or_default().to_owned());
            }
        }
        self.comparisons += 1;
        self.claiming += u32::from(self.claims.len() > before);
    }
}

/// One comparison of commands that differ.
struct Trial {
    found: bool,
    inside: bool,
    measured: f64,
    low: f64,
    high: f64,
    spared: bool,
}

fn trial(lab: &Lab, injected: &Injected, seed: u32) -> Result<Trial> {
    let naps = |tail: u32| {
        let (usual, late) = (vec!["100us"; 97].join(","), vec![format!("{tail}us"); 3].join(","));
        format!("{} --count 10 --nap {usual},{late}", lab.program("calls"))
    };
    let reads = |count: u32| format!("exec dd if=/dev/zero of=/dev/null bs=1 count={count} status=none");
    let (first, second) = match injected.key {
        "read.count" => (reads(1000), reads(1100)),
        "nanosleep.p99" => (naps(500), naps(550)),
        _ => ("exec sleep 0.2".to_owned(), "exec sleep 0.204".to_owned()),
    };
    judged(&lab.compare(&first, &second, (injected.rounds, seed + 1))?, injected)
}

fn judged(comparison: &Value, injected: &Injected) -> Result<Trial> {
    let difference = |key: &str| {
        let row = rows(comparison).find(|row| row["key"] == key);
        row.map(|row| &row["differences"][1])
            .with_context(|| format!("cannot judge: nothing is called {key}"))
    };
    let it = difference(injected.key)?;
    let number =
        |name: &str| it[name].as_f64().with_context(|| format!("cannot judge {}: no {name}", injected.key));
    let (measured, low, high) = (number("absolute")?, number("low")?, number("high")?);
    let claimed =
        |it: &Value| ["better", "worse", "different"].contains(&it["verdict"].as_str().unwrap_or_default());
    Ok(Trial {
        found: claimed(it) && measured > 0.0,
        inside: (low..=high).contains(&injected.truth),
        measured,
        low,
        high,
        spared: !claimed(difference(injected.untouched)?),
    })
}

fn rows(comparison: &Value) -> impl Iterator<Item = &Value> {
    comparison["rows"].as_array().into_iter().flatten()
}

/// Probability of more than so many claiming comparisons, if each claims with one in twenty.
fn chance_of_more(claiming: u32, comparisons: u32) -> f64 {
    let mut at_most = 0.0;
    let mut exactly = 0.95_f64.powi(comparisons as i32);
    for count in 0..=claiming {
        at_most += exactly;
        exactly *= f64::from(comparisons - count.min(comparisons)) / f64::from(count + 1) * (0.05 / 0.95);
    }
    (1.0 - at_most).max(0.0)
}

fn page(twins: &[Twins], found: &[(&Injected, Vec<Trial>)], made: &str) -> String {
    let mut text = format!("{made}\n\n### The same command under two names\n\n");
    text += "| rounds of each | comparisons | that claim anything | by chance, if 5 % did | rows compared | rows claimed |\n| ---: | ---: | ---: | ---: | ---: | --- |\n";
    for Twins { rounds, comparisons, claiming, rows, claims } in twins {
        let share = 100.0 * f64::from(*claiming) / f64::from((*comparisons).max(1));
        let claims = if claims.is_empty() { "none".to_owned() } else { claims.join(", ") };
        let chance = claiming.checked_sub(1).map_or(1.0, |less| chance_of_more(less, *comparisons));
        // Writing into a string cannot fail.
        let _ = writeln!(
            text,
            "| {rounds} | {comparisons} | {claiming} ({share:.0} %) | {:.0} % | {rows} | {claims} |",
            100.0 * chance
        );
    }
    text += "\n*By chance*: how probable so many claiming comparisons or more are, if each claims with the 5 % it may; \
             below 5 %\nthe promise would be refuted. Fewer than four rounds carry no verdict.\n\n\
             ### Differences that are known\n\n";
    text += "| injected | in | rounds | true | measured, each with its interval | found | truth inside | rest left alone |\n| --- | --- | ---: | ---: | --- | ---: | ---: | ---: |\n";
    for (injected, trials) in found {
        let count = |of: fn(&Trial) -> bool| {
            format!("{} of {}", trials.iter().filter(|it| of(it)).count(), trials.len())
        };
        let shown = |value: f64| {
            if injected.key.ends_with(".count") {
                format!("{value:.0}")
            } else {
                format!("{:.1} us", value / 1e3)
            }
        };
        let each: Vec<String> = trials
            .iter()
            .map(|it| format!("{} ({} to {})", shown(it.measured), shown(it.low), shown(it.high)))
            .collect();
        let _ = writeln!(
            text,
            "| {} | `{}` | {} | {} | {} | {} | {} | `{}`: {} |",
            injected.what,
            injected.key,
            injected.rounds,
            shown(injected.truth),
            each.join("; "),
            count(|it| it.found),
            count(|it| it.inside),
            injected.untouched,
            count(|it| it.spared)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_chance_of_more_is_the_binomial_one() {
        assert!((chance_of_more(0, 20) - 0.6415).abs() < 1e-4);
        assert!((chance_of_more(3, 20) - 0.0159).abs() < 1e-4);
    }

    #[test]
    fn claims_of_twins_are_counted_by_comparison_and_row() {
        let row = |key: &str, verdict: &str| json!({"key": key, "differences": [null, {"verdict": verdict}]});
        let mut twins = Twins::default();
        twins.add(&json!({"rows": [row("a", "undecided"), row("b", "worse"), row("c", "better")]}));
        twins.add(&json!({"rows": [row("a", "same"), {"key": "d", "differences": [null, null]}]}));
        assert_eq!((twins.comparisons, twins.claiming, twins.rows), (2, 1, 4));
        assert_eq!(twins.claims, ["b", "c"]);
    }

    #[test]
    fn a_trial_is_found_when_it_is_claimed_the_right_way() {
        let difference = |absolute: f64, verdict: &str| json!([null, {"absolute": absolute, "low": absolute - 5.0, "high": absolute + 5.0, "verdict": verdict}]);
        let comparison = |absolute: f64, verdict: &str| {
            json!({"rows": [{"key": "read.count", "differences": difference(absolute, verdict)},
                            {"key": "execve.count", "differences": difference(0.0, "same")}]})
        };
        let judge = |absolute, verdict| judged(&comparison(absolute, verdict), &INJECTED[1]).unwrap();
        let right = judge(103.0, "worse");
        assert!(right.found && right.inside && right.spared);
        let wrong = judge(-103.0, "better");
        assert!(!wrong.found && !wrong.inside);
        assert!(!judge(100.0, "undecided").found);
    }
}

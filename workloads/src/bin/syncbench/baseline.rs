//! The file of an earlier run: its samples, and where they came from.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use pulse_trace_workloads::contract::{Refusal, cannot};
use rustix::fs::{Access, access};
use serde::{Deserialize, Serialize};

use crate::host::Host;
use crate::settings::Settings;

const SCHEMA: &str = "syncbench-baseline/1";

/// An earlier run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    schema: String,
    pub host: Host,
    pub settings: Settings,
    pub benchmarks: BTreeMap<String, Saved>,
}

/// The saved part of a benchmark's results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// Share of the CPU time it was ready to use that went to others.
    pub starved: f64,
    /// ns per operation, by round and lap.
    pub rounds: Vec<Vec<f64>>,
}

impl Baseline {
    /// A baseline to be saved.
    pub fn new(host: Host, settings: Settings, benchmarks: BTreeMap<String, Saved>) -> Self {
        Self { schema: SCHEMA.to_owned(), host, settings, benchmarks }
    }

    /// Reads one, and refuses what is none.
    pub fn load(path: &Path) -> Result<Self, Refusal> {
        let refuse = |cause: String| {
            cannot(
                format_args!("read the baseline {}", path.display()),
                cause,
                "save one with `--save-baseline FILE`",
            )
        };
        let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
        let head: Head = serde_json::from_str(&text).map_err(|error| refuse(error.to_string()))?;
        if head.schema != SCHEMA {
            return Err(refuse(format!("its schema is {:?}, not {SCHEMA:?}", head.schema)));
        }
        let baseline: Self = serde_json::from_str(&text).map_err(|error| refuse(error.to_string()))?;
        match baseline.benchmarks.iter().find(|(_, saved)| !saved.is_sound()) {
            Some((name, _)) => Err(refuse(format!("what it says of {name} are not positive numbers"))),
            None => Ok(baseline),
        }
    }

    /// The saved results of a benchmark, if it was measured then.
    pub fn of(&self, name: &str) -> Option<&Saved> {
        self.benchmarks.get(name)
    }

    /// Writes beside the file and renames, so that a run that is killed leaves the old one whole.
    pub fn save(&self, path: &Path) -> Result<(), Refusal> {
        let mut text = serde_json::to_vec(self).map_err(|error| unsaved(path, error))?;
        text.push(b'\n');
        let beside = beside(path);
        let written = std::fs::File::create(&beside)
            .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()))
            .and_then(|()| std::fs::rename(&beside, path));
        written.map_err(|error| {
            // The rename has not happened: what was written is of no use.
            let _ = std::fs::remove_file(&beside);
            unsaved(path, error)
        })
    }
}

#[derive(Deserialize)]
struct Head {
    schema: String,
}

impl Saved {
    fn is_sound(&self) -> bool {
        let sound =
            |round: &Vec<f64>| !round.is_empty() && round.iter().all(|ns| ns.is_finite() && *ns > 0.0);
        (0.0..=1.0).contains(&self.starved) && !self.rounds.is_empty() && self.rounds.iter().all(sound)
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    path.with_file_name(name)
}

fn unsaved(path: &Path, cause: impl std::fmt::Display) -> Refusal {
    cannot(
        format_args!("save the baseline {}", path.display()),
        cause,
        "name a file in a directory that you may write to",
    )
}

/// Checks that a baseline can be saved there, before an hour is spent on measuring it.
pub fn check_destination(path: &Path) -> Result<(), Refusal> {
    if path.is_dir() || path.file_name().is_none() {
        return Err(unsaved(path, "it is a directory"));
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !parent.is_dir() {
        return Err(unsaved(path, format_args!("{} is no directory", parent.display())));
    }
    access(parent, Access::WRITE_OK).map_err(|error| unsaved(path, error))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Args;

    fn baseline(rounds: Vec<Vec<f64>>) -> Baseline {
        let settings = Settings::of(&Args::parse_from(["syncbench"]));
        Baseline::new(
            Host::here(),
            settings,
            [("mutex/std".to_owned(), Saved { starved: 0.25, rounds })].into(),
        )
    }

    fn file(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("syncbench-{name}-{}", std::process::id()))
    }

    #[test]
    fn what_is_saved_is_what_is_loaded() {
        let path = file("round-trip");
        let saved = baseline(vec![vec![1.5, 2.5], vec![2.0, 2.0]]);
        saved.save(&path).unwrap();
        assert_eq!(Baseline::load(&path).unwrap(), saved);
        assert!(!beside(&path).exists());
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_is_no_baseline_is_refused_with_its_reason() {
        let path = file("bad");
        let sound = serde_json::to_string(&baseline(vec![vec![1.0]])).unwrap();
        for (text, reason) in [
            (String::new(), "EOF"),
            ("{}".to_owned(), "missing field"),
            (sound.replace(SCHEMA, "other/9"), "other/9"),
            (sound.replace("[[1.0]]", "[[0.0]]"), "positive"),
            (sound.replace("[[1.0]]", "[[]]"), "positive"),
            (sound.replace("0.25", "-1.0"), "positive"),
        ] {
            std::fs::write(&path, &text).unwrap();
            let refusal = Baseline::load(&path).unwrap_err().to_string();
            assert!(
                refusal.starts_with("cannot read the baseline ") && refusal.contains(reason),
                "{refusal}"
            );
        }
        std::fs::remove_file(&path).unwrap();
        assert!(Baseline::load(&path).unwrap_err().to_string().contains("No such file"));
    }

    #[test]
    fn a_destination_is_checked_beforehand() {
        assert!(check_destination(&file("new")).is_ok());
        assert!(check_destination(Path::new("plain-name")).is_ok());
        assert!(check_destination(&std::env::temp_dir()).is_err());
        assert!(check_destination(Path::new("/nonexistent/dir/file")).is_err());
    }
}

//! Options that `attach` and `run` share.

use std::{
    io::{IsTerminal as _, stdout},
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, ValueEnum};
use kernel::inline::Detail;
use model::{
    probes::{self as specs, ProbeSet},
    units::{DurationError, parse_duration},
};
use probes::{self, source::probing::Wish};
use views::{
    files,
    report::{self, Sort},
};

use super::failure::Failure;
use crate::session::{Plan, Request, Scope};

/// What to trace, for how long, and where it goes.
#[derive(Args)]
pub struct TraceOptions {
    /// End after this time, e.g. 5s or 250ms; without it, Ctrl-C or the end of the targets ends the session
    #[arg(short, long, value_name = "DURATION", value_parser = parse_duration, allow_hyphen_values = true)]
    pub duration: Option<Duration>,
    /// Length of a frame: how often counters are read, and recorded with --record
    #[arg(short, long, value_name = "DURATION", value_parser = interval, default_value = "1s", allow_hyphen_values = true)]
    pub interval: Duration,
    /// Probes to use, separated by commas; `auto` takes every default one that works here
    #[arg(long, value_name = "NAMES", default_value = "auto", value_delimiter = ',', value_parser = probe_name)]
    pub probes: Vec<String>,
    /// Tell threads apart
    #[arg(long)]
    pub threads: bool,
    /// Do not look at where waits come from: no stacks and no names of functions
    #[arg(long)]
    pub no_stacks: bool,
    /// Write the session as JSON to FILE when it ends; - is standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the session into FILE as a page for a browser when it ends: plots, tables, the ledger; no network needed
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Record every frame into FILE as it is read; readable even if pulse-trace is killed
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Do not print the report
    #[arg(short, long)]
    pub quiet: bool,
    /// No dashboard: print the report at the end, also on a terminal
    #[arg(long)]
    pub plain: bool,
    /// Open the dashboard; the default of `attach` on a terminal
    #[arg(long, conflicts_with = "plain")]
    pub tui: bool,
    /// What probes in the targets' own code may cost, percent of their CPU time, or `unlimited`; above it they are taken
    /// out at once. 200 ms of CPU time may be drawn in advance, so a hot lock is slower at first
    #[arg(long, value_name = "PERCENT", default_value = "5", value_parser = budget, allow_hyphen_values = true)]
    pub budget: Budget,
    /// Measure how long spins take, too: one probe more, which delays each spin and changes its count
    #[arg(long)]
    pub mutex_spin_time: bool,
    /// Count every call that wants a mutex, too, not only contended ones: a probe on each, which slows each and changes who
    /// has to spin
    #[arg(long)]
    pub mutex_total: bool,
    /// Measure how long mutexes are held, in one of N parts of the time: probes on each call then, which slow each and change
    /// who has to spin
    #[arg(long, value_name = "N", conflicts_with = "mutex_total", value_parser = one_in)]
    pub mutex_hold: Option<NonZeroU32>,
    /// Room in the kernel, e.g. threads=4096; names: threads, processes, histograms, lean-cells, lanes
    #[arg(long = "limit", value_name = "NAME=N", value_parser = limit)]
    pub limits: Vec<(String, u32)>,
    /// Log what the kernel side does, on standard error
    #[arg(long)]
    pub debug: bool,
    #[command(flatten)]
    pub view: ViewOptions,
}

/// How a report looks.
#[derive(Args, Clone)]
pub struct ViewOptions {
    /// Order of calls, processes, threads and locks: total, count, errors, mean, p50, p90, p99, p999, max, name; cpu,
    /// queue, blocked and switches where the scheduler was looked at
    #[arg(long, value_name = "FIELD", default_value = "total")]
    pub sort: Sort,
    /// Rows per table
    #[arg(long, value_name = "N")]
    pub top: Option<usize>,
    /// Draw every distribution
    #[arg(long)]
    pub histograms: bool,
    /// Use colour
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: When,
}

/// How finely counters inside of processes count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Inline {
    /// All mutexes of a kind together.
    PerKind,
    /// Every mutex by itself as well.
    PerLock,
}

impl From<Inline> for Detail {
    fn from(inline: Inline) -> Self {
        match inline {
            Inline::PerKind => Self::Kinds,
            Inline::PerLock => Self::Locks,
        }
    }
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Also into files and pipes.
    Always,
    /// Not at all.
    Never,
}

/// Percent of the targets' CPU time; `None` for any.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget(Option<f64>);

impl TraceOptions {
    /// Duration of the session and length of its frames.
    pub fn plan(&self) -> Plan {
        // A recording is of those frames too.
        let longest = Duration::from_secs(if self.record.is_some() { 1 } else { 4 });
        Plan { duration: self.duration, interval: self.interval, longest }
    }

    /// Wishes for the probes in the targets' own code.
    pub fn wish(&self) -> Wish {
        let choice = probes::Choice {
            spin_time: self.mutex_spin_time,
            total: self.mutex_total,
            hold: self.mutex_hold,
        };
        Wish { choice, budget_percent: self.budget.0 }
    }

    /// Request for the session.
    pub fn request(&self, scope: Scope) -> Request {
        Request {
            scope,
            per_thread: self.threads,
            probes: self.probes.clone(),
            stacks: !self.no_stacks,
            limits: self.limits.clone(),
            debug: self.debug,
        }
    }

    /// Refuses combinations that cannot be meant.
    pub fn validate(&self) -> Result<(), Failure> {
        if self.interval < Duration::from_millis(10) {
            return Err(Failure::usage(
                "cannot use an interval below 10ms: reading the counters would disturb what they count; use 10ms or more",
            ));
        }
        let asked = [
            ("--mutex-spin-time", self.mutex_spin_time),
            ("--mutex-total", self.mutex_total),
            ("--mutex-hold", self.mutex_hold.is_some()),
        ];
        let chosen = ProbeSet::chosen(&self.probes);
        let not_chosen = !chosen.has("mutex");
        if let Some((option, _)) = asked.into_iter().find(|(_, asked)| *asked && not_chosen) {
            return Err(Failure::usage(format!(
                "cannot use {option}: the probe mutex was not asked for; add it, as with --probes auto,mutex"
            )));
        }
        if self.mutex_hold.is_some() && !chosen.has("futex") {
            return Err(Failure::usage(
                "cannot use --mutex-hold: only the probe futex tells when a wait for a mutex is over; add it, as with --probes auto,mutex",
            ));
        }
        let stdout = |path: &Option<PathBuf>| path.as_ref().is_some_and(|path| path.as_os_str() == "-");
        if stdout(&self.record) {
            return Err(Failure::usage(
                "cannot record to standard output: the report goes there; name a file",
            ));
        }
        self.distinct_outputs()
    }

    /// Refuses to write two things into one file, even by different paths.
    fn distinct_outputs(&self) -> Result<(), Failure> {
        let asked = [("--json", &self.json), ("--html", &self.html), ("--record", &self.record)];
        let mut known: Vec<(&str, PathBuf)> = Vec::new();
        for (option, path) in asked {
            let Some(path) = path.as_ref().filter(|path| path.as_os_str() != "-") else { continue };
            let place = files::place(path);
            if place == Path::new("/dev/null") {
                continue;
            }
            if let Some((other, _)) = known.iter().find(|(_, known)| *known == place) {
                return Err(Failure::usage(format!(
                    "cannot write {option} to {}: {other} goes there; name another file",
                    path.display()
                )));
            }
            known.push((option, place));
        }
        Ok(())
    }
}

impl ViewOptions {
    /// Options of the report.
    pub fn report(&self, threads: bool) -> report::Options {
        report::Options {
            sort: self.sort,
            top: self.top,
            threads,
            histograms: self.histograms,
            colour: self.colour(),
            width: terminal_width(),
        }
    }

    /// Choice of colour, if one was made; `None` leaves it to the environment.
    pub fn wanted_colour(&self) -> Option<bool> {
        match self.color {
            When::Auto => None,
            When::Always => Some(true),
            When::Never => Some(false),
        }
    }

    fn colour(&self) -> bool {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        match self.color {
            When::Always => true,
            When::Never => false,
            When::Auto => stdout().is_terminal() && !set("NO_COLOR") && !dumb,
        }
    }
}

/// Columns of the terminal; reports into files and pipes have 80.
pub fn terminal_width() -> usize {
    if !stdout().is_terminal() {
        return 80;
    }
    rustix::termios::tcgetwinsize(stdout()).map_or(80, |size| usize::from(size.ws_col).clamp(40, 200))
}

/// Reads the id of a process or thread.
pub fn id(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|id| *id > 0).ok_or_else(|| {
        format!("cannot read id {text:?}: it is not a number above zero; `ps -e` lists processes, --comm takes names")
    })
}

fn probe_name(name: &str) -> Result<String, String> {
    if name == specs::AUTO {
        Ok(name.to_owned())
    } else {
        specs::named(name).map(|spec| spec.name.to_owned())
    }
}

/// A duration that cannot be left out.
fn interval(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| match error {
        DurationError::Zero(text) => format!("cannot use interval {text:?}: it is zero; use 10ms or more"),
        error => error.to_string(),
    })
}

fn limit(text: &str) -> Result<(String, u32), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| {
        format!("cannot read limit {text:?}: it is not of the form NAME=N; for example threads=4096")
    })?;
    let digits = !value.is_empty() && value.chars().all(|c| c.is_ascii_digit());
    match value.parse() {
        Ok(0) => Err(format!("cannot use limit {text:?}: nothing would fit; give 1 or more")),
        Ok(value) => Ok((name.to_owned(), value)),
        Err(_) if digits => {
            Err(format!("cannot use limit {text:?}: {value} is too large; for example threads=4096"))
        }
        Err(_) => {
            Err(format!("cannot read limit {text:?}: {value:?} is not a number; for example threads=4096"))
        }
    }
}

fn one_in(text: &str) -> Result<NonZeroU32, String> {
    text.parse().ok().filter(|parts: &NonZeroU32| parts.get() <= 1000).ok_or_else(|| {
        format!(
            "cannot read {text:?}: it is no number from 1 to 1000; 1 is all of the time, 10 a tenth of it"
        )
    })
}

fn budget(text: &str) -> Result<Budget, String> {
    if text == "unlimited" {
        return Ok(Budget(None));
    }
    let percent = text.strip_suffix('%').unwrap_or(text).parse().ok();
    percent.filter(|percent| (0.0..=100.0).contains(percent)).map(|percent| Budget(Some(percent))).ok_or_else(|| {
        format!("cannot read budget {text:?}: it is no percentage from 0 to 100; for example 5, or `unlimited`")
    })
}

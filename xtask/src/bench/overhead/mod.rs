//! `cargo xtask bench overhead`: what tracing system calls costs, with this tool and with its peers, side by side.

mod caller;
mod first_data;
mod goals;
mod json;
mod many;
mod page;
mod peers;
mod rounds;

use std::{fs, path::Path};

use anyhow::Result;

use self::{
    first_data::FirstData,
    many::{Flood, Many},
    rounds::Row,
};
use super::{
    ground::{Circumstances, Options, directory, publish},
    readings::{Memory, Statistics},
    running::Bench,
    spread::Spread,
};
use crate::{
    process::{self, command},
    say,
};

const PAGE: &str = "docs/results/overhead.md";
const DATA: &str = "docs/results/overhead.json";

/// Everything that was measured.
pub struct Outcome {
    /// The tools side by side.
    pub rows: Vec<Row>,
    /// Time until there is data.
    pub first: FirstData,
    /// Under many processes.
    pub many: Many,
    /// Under many calls.
    pub flood: Flood,
    /// Size of the stripped binary.
    pub binary_bytes: u64,
    /// When, of what and where.
    pub circumstances: Circumstances,
}

impl Outcome {
    fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.peer.name == name)
    }

    /// ns of a tool's programs for one call, net of the empty programs of the same round.
    pub fn net(&self, name: &str) -> Option<Spread> {
        let empty = &self.row(peers::EMPTY)?.rounds;
        let rounds = self.row(name)?.rounds.iter().zip(empty);
        Spread::of(rounds.filter_map(|(round, empty)| Some(round.pair_ns? - empty.pair_ns?)))
    }

    /// One call without any tool, in the round that was disturbed least.
    pub fn untraced_ns(&self) -> f64 {
        let rounds = self.rows.iter().flat_map(|row| &row.rounds);
        rounds.map(|round| round.untraced_ns).fold(f64::INFINITY, f64::min)
    }

    /// Largest resident memory of a tool.
    pub fn memory(&self, name: &str) -> Memory {
        let rounds = self.row(name).map(|row| row.rounds.as_slice()).unwrap_or_default();
        rounds.iter().map(|round| round.memory).max_by_key(|memory| memory.resident).unwrap_or_default()
    }
}

/// Runs the benchmark of overhead.
pub fn run(arguments: &[String]) -> Result<()> {
    if arguments.first().is_some_and(|argument| argument == caller::FLAG) {
        return caller::obey();
    }
    let options = Options::read(arguments)?;
    let tool = options.prepare("overhead", &["bpftrace", "syscount", "perf", "strace"])?;
    let outcome = measure(&tool, options.rounds)?;
    let page = page::render(&outcome);
    let data = format!("{}\n", serde_json::to_string_pretty(&json::render(&outcome))?);
    say::out(&page);
    publish(PAGE, &page)?;
    publish(DATA, &data)
}

fn measure(tool: &Path, rounds: u32) -> Result<Outcome> {
    let circumstances = Circumstances::before();
    let dir = directory("overhead")?;
    let statistics = Statistics::take()?;
    let bench = Bench { tool, dir: &dir, statistics: &statistics };
    let rows = rounds::measure(&bench, rounds)?;
    say::note("first data, 64 processes, a flood of calls");
    let first = first_data::measure(&bench)?;
    let many = many::measure(&bench)?;
    let flood = many::flood(&bench)?;
    let binary_bytes = stripped(tool, &dir)?;
    drop(statistics);
    fs::remove_dir_all(&dir)?;
    let circumstances = circumstances.after();
    Ok(Outcome { rows, first, many, flood, binary_bytes, circumstances })
}

fn stripped(tool: &Path, dir: &Path) -> Result<u64> {
    let bare = dir.join("stripped");
    process::quietly(command("strip").arg("-o").arg(&bare).arg(tool))?;
    Ok(fs::metadata(bare)?.len())
}

//! `cargo xtask bench overhead`: what tracing system calls costs, with this tool and with its peers, side by side.

mod caller;
mod first_data;
mod goals;
mod json;
mod many;
mod page;
mod peers;
mod readings;
mod rounds;
mod running;
mod spread;

pub use self::{
    peers::{Left, Ready},
    readings::{Programs, Statistics, ran},
    running::Bench,
    spread::Spread,
};

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, Result, bail};

use self::{
    first_data::FirstData,
    many::{Flood, Many},
    readings::Memory,
    rounds::Row,
};
use crate::{
    process::{self, capture, cargo, command},
    say, setup,
    test::tools,
    workspace,
};

const PAGE: &str = "docs/results/overhead.md";
const DATA: &str = "docs/results/overhead.json";

/// Everything that was measured.
pub struct Outcome {
    /// The tools side by side.
    pub rows: Vec<Row>,
    /// How soon there is data.
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

/// When, of what and where.
pub struct Circumstances {
    /// Date.
    pub date: String,
    /// Commit.
    pub commit: String,
    /// Kernel release.
    pub kernel: String,
    /// CPUs.
    pub cpus: u64,
    /// Programs that ran or waited for a CPU, before and after.
    pub load: (String, String),
    /// How long it took.
    pub took: String,
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

struct Options {
    rounds: u32,
    /// A binary that was built already.
    tool: Option<PathBuf>,
}

/// The benchmark.
pub fn run(arguments: &[String]) -> Result<()> {
    if arguments.first().is_some_and(|argument| argument == caller::FLAG) {
        return caller::obey();
    }
    let options = read_options(arguments)?;
    setup::ensure()?;
    tools::ensure(tools::ALL);
    let tool = match &options.tool {
        Some(tool) => tool.clone(),
        None => build()?,
    };
    if !process::is_root() {
        bail!(
            "cannot measure: the BPF statistics of other tools are readable by root only; run\n  sudo {} bench overhead \
             --tool {}",
            env::current_exe()?.display(),
            tool.display()
        );
    }
    for (peer, package) in
        [("bpftrace", "bpftrace"), ("syscount", "libbpf-tools"), ("perf", "linux-perf"), ("strace", "strace")]
    {
        if process::which(peer).is_none() {
            bail!("cannot compare: {peer} is not installed; install the package {package}");
        }
    }
    let outcome = measure(&tool, options.rounds)?;
    let page = page::render(&outcome);
    let data = format!("{}\n", serde_json::to_string_pretty(&json::render(&outcome))?);
    let write = |file: &str, text: &str| -> Result<()> {
        let path = workspace::root().join(file);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    write(PAGE, &page)?;
    write(DATA, &data)?;
    say::out(page);
    say::note(format_args!("written: {PAGE}, {DATA}"));
    Ok(())
}

fn read_options(arguments: &[String]) -> Result<Options> {
    let mut options = Options { rounds: 5, tool: None };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let value = words.next().with_context(|| format!("cannot read `{word}`: a value is missing"))?;
        match word.as_str() {
            "--rounds" => {
                options.rounds = value.parse().context("cannot read --rounds: it takes a number")?
            }
            "--tool" => options.tool = Some(PathBuf::from(value)),
            _ => bail!("cannot heed `{word}`: the options are --rounds N and --tool FILE"),
        }
    }
    if options.rounds == 0 {
        bail!("cannot measure in no rounds; give --rounds 1 or more");
    }
    Ok(options)
}

/// Builds our tool as it is released.
pub fn build() -> Result<PathBuf> {
    process::run(&mut cargo(["build", "--release", "--package", "pulse-trace", "--bin", "pulse-trace"]))?;
    Ok(workspace::target()?.join("release/pulse-trace"))
}

fn measure(tool: &Path, rounds: u32) -> Result<Outcome> {
    let since = Instant::now();
    let dir = env::temp_dir().join(format!("pulse-trace-overhead-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let statistics = Statistics::take()?;
    let bench = Bench { tool, dir: &dir, statistics: &statistics };
    let load_before = load();
    let rows = rounds::measure(&bench, rounds)?;
    say::note("first data, 64 processes, a flood of calls");
    let first = first_data::measure(&bench)?;
    let many = many::measure(&bench)?;
    let flood = many::flood(&bench)?;
    let binary_bytes = stripped(tool, &dir)?;
    drop(statistics);
    fs::remove_dir_all(&dir)?;
    let said = |program: &str, arguments: &[&str]| -> String {
        capture(command(program).args(arguments)).unwrap_or_default().trim().to_owned()
    };
    let circumstances = Circumstances {
        date: said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        commit: said("git", &["rev-parse", "--short", "HEAD"]),
        kernel: said("uname", &["-r"]),
        cpus: readings::cpus(),
        load: (load_before, load()),
        took: say::elapsed(since),
    };
    Ok(Outcome { rows, first, many, flood, binary_bytes, circumstances })
}

/// Average number of processes that wanted a CPU during the last minute.
fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").to_owned()
}

fn stripped(tool: &Path, dir: &Path) -> Result<u64> {
    let bare = dir.join("stripped");
    process::quietly(command("strip").arg("-o").arg(&bare).arg(tool))?;
    Ok(fs::metadata(bare)?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_or_refused() {
        let read =
            |words: &[&str]| read_options(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(read(&[]).unwrap().rounds, 5);
        assert_eq!(read(&["--rounds", "2"]).unwrap().rounds, 2);
        assert!(read(&["--rounds"]).is_err() && read(&["--rounds", "0"]).is_err());
        assert!(read(&["--wat", "2"]).is_err());
    }
}

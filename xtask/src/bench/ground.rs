//! Common ground of the benchmarks: their options, the tool as it is released, its peers, and the circumstances.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, Result, bail};

use super::readings;
use crate::{
    build,
    process::{self, capture, command},
    say, setup,
    test::tools,
    workspace,
};

/// Programs that measure the same, and the packages that they come in.
const PACKAGES: [(&str, &str); 7] = [
    ("script", "bsdutils"),
    ("bpftrace", "bpftrace"),
    ("syscount", "libbpf-tools"),
    ("runqlat", "libbpf-tools"),
    ("perf", "linux-perf"),
    ("strace", "strace"),
    ("bpftool", "bpftool"),
];

/// Options of a benchmark.
pub struct Options {
    /// Number of times that everything is measured.
    pub rounds: u32,
    /// A binary that was built already; the bundled programs are, too.
    tool: Option<PathBuf>,
}

impl Options {
    /// Reads the words after the benchmark's name.
    pub fn read(arguments: &[String]) -> Result<Self> {
        let mut options = Self { rounds: 5, tool: None };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let value = words.next().with_context(|| format!("cannot read `{word}`: a value is missing"))?;
            match word.as_str() {
                "--rounds" => {
                    options.rounds = value.parse().context("cannot read --rounds: it takes a number")?;
                }
                "--tool" => {
                    // Some of what is measured runs in a directory of its own.
                    let tool = fs::canonicalize(value)
                        .with_context(|| format!("cannot use --tool {value}: build it first"))?;
                    options.tool = Some(tool);
                }
                _ => bail!("cannot heed `{word}`: the options are --rounds N and --tool FILE"),
            }
        }
        if options.rounds == 0 {
            bail!("cannot measure in no rounds; give --rounds 1 or more");
        }
        Ok(options)
    }

    /// Our tool as it is released, once everything is there that a benchmark of this name compares it with.
    pub fn prepare(&self, benchmark: &str, peers: &[&str]) -> Result<PathBuf> {
        setup::ensure()?;
        tools::ensure(tools::ALL);
        let tool = match &self.tool {
            Some(tool) => tool.clone(),
            None => released()?.join("pulse-trace"),
        };
        if !process::is_root() {
            bail!(
                "cannot measure: the BPF statistics of other tools are readable by root only; run\n  sudo {} bench \
                 {benchmark} --tool {}",
                env::current_exe()?.display(),
                tool.display()
            );
        }
        for (peer, package) in PACKAGES.iter().filter(|(peer, _)| peers.contains(peer)) {
            if process::which(peer).is_none() {
                bail!("cannot compare: {peer} is not installed; install the package {package}");
            }
        }
        Ok(tool)
    }
}

/// Directory of the programs that are measured: all of ours as they are released, if none is given.
pub fn programs(given: Option<PathBuf>) -> Result<PathBuf> {
    if !process::is_root() {
        bail!("cannot measure: tracing needs privileges; run the same command as root");
    }
    if let Some(programs) = given {
        return Ok(programs);
    }
    setup::ensure()?;
    released()
}

/// Builds all of ours as they are released, the same build for every benchmark.
fn released() -> Result<PathBuf> {
    build::binaries(true)?;
    Ok(workspace::target()?.join("release"))
}

/// When, of what and where.
pub struct Circumstances {
    /// Date of the measurement.
    pub date: String,
    /// Commit that was measured.
    pub commit: String,
    /// Release of the running kernel.
    pub kernel: String,
    /// Number of CPUs.
    pub cpus: u64,
    /// Programs that ran or waited for a CPU, before and after.
    pub load: (String, String),
    /// Time that the measurement took.
    pub took: String,
    since: Instant,
}

impl Circumstances {
    /// Those at the beginning of a measurement.
    pub fn before() -> Self {
        let said = |program: &str, arguments: &[&str]| -> String {
            capture(command(program).args(arguments)).unwrap_or_default().trim().to_owned()
        };
        Self {
            date: said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
            commit: said("git", &["rev-parse", "--short", "HEAD"]),
            kernel: said("uname", &["-r"]),
            cpus: readings::cpus(),
            load: (load(), String::new()),
            took: String::new(),
            since: Instant::now(),
        }
    }

    /// The same at its end.
    pub fn after(mut self) -> Self {
        self.load.1 = load();
        self.took = say::elapsed(self.since);
        self
    }

    /// All of it in one sentence.
    pub fn sentence(&self, benchmark: &str) -> String {
        format!(
            "Made by `cargo xtask bench {benchmark}` on {} of commit {} (Linux {}, {} CPUs) in {}, load {} before and {} \
             after.",
            self.date, self.commit, self.kernel, self.cpus, self.took, self.load.0, self.load.1
        )
    }
}

/// Average number of processes that wanted a CPU during the last minute.
fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").to_owned()
}

/// A directory for what is left behind while a benchmark runs.
pub fn directory(benchmark: &str) -> Result<PathBuf> {
    let dir = env::temp_dir().join(format!("pulse-trace-{benchmark}-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    Ok(dir)
}

/// Writes a page or its data into the repository.
pub fn publish(file: &str, text: &str) -> Result<()> {
    let path = workspace::root().join(file);
    fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    say::note(format_args!("written: {file}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_or_refused() {
        let read =
            |words: &[&str]| Options::read(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(read(&[]).unwrap().rounds, 5);
        assert_eq!(read(&["--rounds", "2"]).unwrap().rounds, 2);
        assert!(read(&["--rounds"]).is_err() && read(&["--rounds", "0"]).is_err());
        assert!(read(&["--wat", "2"]).is_err());
    }
}

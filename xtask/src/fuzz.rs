//! `cargo xtask fuzz [--seconds N] [TARGET...]`: feeds every parser of foreign bytes with mutated real files.
//!
//! It does the work of `cargo fuzz` with the pinned toolchain: the same flags make the compiler count what the bytes
//! reach.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::Stdio,
    time::Instant,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    process::{self, capture, cargo, command},
    say, setup,
    test::libraries,
    workspace,
};

const SECONDS: u32 = 120;
/// Inputs are real files up to this length; larger ones make each run too slow to be worth it.
const LARGEST: u64 = 4 << 20;
/// More memory, or seconds for one input, is a find.
const LIMITS: [&str; 2] = ["-rss_limit_mb=1024", "-timeout=10"];
/// Compiler flags of `cargo fuzz`.
const COVERAGE: [&str; 7] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "--cfg=fuzzing",
];

/// Runs the verb `fuzz`.
pub fn run(arguments: &[String]) -> Result<()> {
    let (seconds, chosen) = options(arguments)?;
    let known = targets()?;
    if let Some(name) = chosen.iter().find(|name| !known.contains(name)) {
        bail!("cannot fuzz `{name}`: there is no such target; known are {}", known.join(", "));
    }
    setup::ensure()?;
    libraries::ensure();
    let programs = build()?;
    let mut found = Vec::new();
    for name in if chosen.is_empty() { &known } else { &chosen } {
        let since = Instant::now();
        let run = feed(&programs, name, seconds)?;
        say::out(format_args!("{name:<12} {run}, {}", say::elapsed(since)));
        found.extend(run.contains("FOUND").then(|| name.clone()));
    }
    if found.is_empty() {
        return Ok(());
    }
    bail!("cannot call them safe: {} found something, see above and fuzz/artifacts", found.join(", "))
}

fn options(arguments: &[String]) -> Result<(u32, Vec<String>)> {
    match arguments {
        [option, value, rest @ ..] if option == "--seconds" => {
            let seconds = value.parse().context("cannot read --seconds: it takes a number")?;
            Ok((seconds, rest.to_vec()))
        }
        rest => Ok((SECONDS, rest.to_vec())),
    }
}

/// Names of the programs.
fn targets() -> Result<Vec<String>> {
    let files = workspace::files(&workspace::root().join("fuzz/fuzz_targets"), ".rs")?;
    let name = |file: &PathBuf| Some(file.file_stem()?.to_string_lossy().into_owned());
    let mut names: Vec<String> = files.iter().filter_map(name).collect();
    names.sort_unstable();
    Ok(names)
}

/// Builds all; where they are.
fn build() -> Result<PathBuf> {
    let triple = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let target = workspace::target()?.join("fuzz");
    let manifest = workspace::root().join("fuzz/Cargo.toml");
    let mut build = cargo(["build", "--release", "--target", &triple, "--manifest-path"]);
    // With --target the flags are not those of build scripts, whose programs have nothing to count with.
    build.arg(manifest).arg("--target-dir").arg(&target).env("RUSTFLAGS", COVERAGE.join(" "));
    process::run(&mut build)?;
    Ok(target.join(triple).join("release"))
}

/// Runs one for so long; a sentence about it.
fn feed(programs: &Path, name: &str, seconds: u32) -> Result<String> {
    let corpus = workspace::target()?.join("fuzz/corpus").join(name);
    fs::create_dir_all(&corpus).context("cannot create a directory for inputs")?;
    let artifacts = workspace::root().join("fuzz/artifacts").join(name);
    fs::create_dir_all(&artifacts).context("cannot create a directory for finds")?;
    let seeds = seeds(name)?;
    // What this user may not read is no seed.
    for (number, seed) in seeds.iter().filter_map(|seed| fs::read(seed).ok()).enumerate() {
        fs::write(corpus.join(format!("seed-{number}")), seed).context("cannot write a seed")?;
    }
    let kept = workspace::root().join("fuzz/corpus").join(name);
    let mut run = command(programs.join(name));
    run.args(LIMITS).arg(format!("-max_total_time={seconds}")).arg(format!("-max_len={LARGEST}"));
    run.arg("-print_final_stats=1").arg(format!("-artifact_prefix={}/", artifacts.display()));
    run.arg(&corpus).arg(kept).current_dir(workspace::root());
    let mut child = run.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().context("cannot run it")?;
    let stderr = child.stderr.take().context("standard error is not piped")?;
    let lines: Vec<String> = BufReader::new(stderr).lines().map_while(Result::ok).collect();
    let status = child.wait()?;
    let number = |name: &str| {
        let line = lines.iter().find_map(|line| line.strip_prefix(&format!("stat::{name}:")));
        line.map_or("?", str::trim).to_owned()
    };
    let executed = format!(
        "{} inputs, {} kept, at most {} MB",
        number("number_of_executed_units"),
        fs::read_dir(&corpus)?.count(),
        number("peak_rss_mb")
    );
    if status.success() {
        return Ok(executed);
    }
    lines.iter().rev().take(40).rev().for_each(say::note);
    Ok(format!("{executed}, FOUND something ({status})"))
}

/// Real files to begin with.
fn seeds(name: &str) -> Result<Vec<PathBuf>> {
    let mut files = match name {
        "sites" | "binary" | "debug_file" => {
            let mut files = vec![PathBuf::from("/bin/true"), "/lib64/ld-linux-x86-64.so.2".into()];
            let shelf = workspace::target()?.join("libraries");
            files.extend(workspace::files(&shelf, "").unwrap_or_default());
            files
        }
        "maps" => vec!["/proc/self/maps".into(), "/proc/1/maps".into()],
        "btf" => fs::read_dir("/sys/kernel/btf")
            .map(|modules| modules.flatten().map(|module| module.path()).collect())
            .unwrap_or_default(),
        "recording" | "export" => recorded()?,
        _ => Vec::new(),
    };
    files.retain(|file| fs::metadata(file).is_ok_and(|about| about.is_file() && about.len() <= LARGEST));
    Ok(files)
}

/// Recordings and exports of a session of now, where this user may make some.
fn recorded() -> Result<Vec<PathBuf>> {
    let tool = workspace::target()?.join("debug/pulse-trace");
    if !process::is_root() || !tool.is_file() {
        return Ok(Vec::new());
    }
    let dir = workspace::target()?.join("fuzz");
    let (recording, export) = (dir.join("recording"), dir.join("export.json"));
    let mut run = command(tool);
    run.args(["run", "--quiet", "-i", "50ms", "--record"]).arg(&recording).arg("--json").arg(&export);
    capture(run.args(["--", "sh", "-c", "for i in 1 2 3 4 5 6; do sleep 0.02; ls >/dev/null; done"]))?;
    Ok(vec![recording, export])
}

//! Cost of comparing two large recordings, and size and speed of the page that comes out.

use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::{
    ground::{self, Circumstances, directory},
    marked,
    spread::Spread,
};
use crate::{
    process::{command, quietly, which},
    say,
};

const PAGE: &str = "docs/results/compare.md";
/// Bytes of a recording.
const SIZE: usize = 100_000_000;
const TIMES: usize = 5;
/// Time between two looks at the memory of a running process.
const LOOK: Duration = Duration::from_millis(2);
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Runs the benchmark of large recordings.
pub fn run(arguments: &[String]) -> Result<()> {
    let given = match arguments {
        [] => None,
        [word, dir] if word == "--programs" => Some(PathBuf::from(dir)),
        _ => bail!("cannot heed `{}`: the only option is --programs DIR", arguments.join(" ")),
    };
    let programs = ground::programs(given)?;
    let dir = directory("compare")?;
    let at = Circumstances::before();
    let measured = measure(&programs, &dir);
    let _ = fs::remove_dir_all(&dir);
    let text = format!("{}\n\n{}", at.after().sentence("compare"), measured?);
    marked::publish(PAGE, &text)
}

fn measure(programs: &Path, dir: &Path) -> Result<String> {
    let files = ["old.rec", "new.rec"].map(|name| dir.join(name));
    for (file, way) in files.iter().zip(["unixsock", "pipe"]) {
        let small = dir.join("small.rec");
        let mut record = command(programs.join("pulse-trace"));
        record.args(["run", "--no-stacks", "--record"]).arg(&small).arg("--").arg(programs.join("logagg"));
        record.args(["run", "--output", "none", "--rate", "200", "--variant", way]).stdout(Stdio::null());
        quietly(&mut record)?;
        inflate(&small, file)?;
    }
    let page = dir.join("page.html");
    let (mut seconds, mut most) = (Vec::new(), 0);
    for _ in 0..TIMES {
        let mut compare = command(programs.join("pulse-trace"));
        compare.arg("compare").args(&files).arg("--html").arg(&page).stdout(Stdio::null());
        let (took, memory) = watched(&mut compare)?;
        seconds.push(took.as_secs_f64());
        most = most.max(memory);
    }
    let took = Spread::of(seconds).context("cannot measure: nothing ran")?;
    let bytes = fs::metadata(&page)?.len();
    let size = fs::metadata(&files[0])?.len();
    let mut rows = vec![
        goal(
            &format!("`compare` of two recordings of {} MB, with a page", size / 1_000_000),
            "< 2 s",
            took.max < 2.0,
            &format!("{:.2} s ({:.2} to {:.2}, {TIMES} times)", took.median, took.min, took.max),
        ),
        goal("its memory at most", "< 200 MB", most < 200_000_000, &format!("{:.1} MB", most as f64 / 1e6)),
        goal("the page", "< 2 MB", bytes < 2_000_000, &format!("{:.0} kB", bytes as f64 / 1e3)),
    ];
    rows.push(match opened(&page)? {
        Some(took) => goal(
            "opening it, beside an empty page",
            "< 1 s",
            took.median < 1.0,
            &format!("{:.2} s ({:.2} to {:.2})", took.median, took.min, took.max),
        ),
        None => "| opening it | < 1 s | not measured: no Chromium | |\n".to_owned(),
    });
    Ok(format!("| what | goal | measured | met |\n| --- | ---: | ---: | --- |\n{}", rows.concat()))
}

fn goal(what: &str, goal: &str, met: bool, measured: &str) -> String {
    format!("| {what} | {goal} | {measured} | {} |\n", if met { "yes" } else { "**no**" })
}

/// The frames of a real recording over and over, numbered and timed anew, until the file is large.
fn inflate(small: &Path, large: &Path) -> Result<()> {
    let text = fs::read_to_string(small)?;
    let mut lines = text.lines();
    let header = lines.next().context("cannot inflate the recording: it is empty")?;
    let frames: Vec<Value> = lines
        .filter(|line| line.starts_with("{\"frame\""))
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .context("cannot read a frame")?;
    if frames.is_empty() {
        bail!("cannot inflate the recording: it has no frame");
    }
    let mut out = BufWriter::new(File::create(large)?);
    writeln!(out, "{header}")?;
    let (mut written, mut sequence, mut at_ns) = (0, 0, 0);
    while written < SIZE {
        let mut frame = frames[sequence % frames.len()].clone();
        at_ns += frame["frame"]["span_ns"].as_u64().unwrap_or_default();
        frame["frame"]["sequence"] = json!(sequence);
        frame["frame"]["at_ns"] = json!(at_ns);
        let line = frame.to_string();
        written += line.len() + 1;
        sequence += 1;
        writeln!(out, "{line}")?;
    }
    writeln!(out, "{}", json!({"end": {"frames": sequence}}))?;
    Ok(out.flush()?)
}

/// Runs a command: how long it took, and the most memory that was ever resident, bytes.
fn watched(run: &mut Command) -> Result<(Duration, u64)> {
    let since = Instant::now();
    let mut child = run.spawn().context("cannot run the comparison")?;
    let mut most = 0;
    loop {
        if let Some(status) = child.try_wait()? {
            if !status.success() {
                bail!("cannot measure: the comparison ended with {status}");
            }
            return Ok((since.elapsed(), most));
        }
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        most = most.max(peak(&status).unwrap_or_default());
        thread::sleep(LOOK);
    }
}

/// The most memory that was ever resident, bytes; the kernel keeps it until the process is gone.
fn peak(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Time that a browser takes for the page beyond that for an empty one, s; `None` without a browser.
fn opened(page: &Path) -> Result<Option<Spread>> {
    let Some(browser) = BROWSERS.into_iter().find(|name| which(name).is_some()) else { return Ok(None) };
    let open = |address: &str| -> Result<f64> {
        let since = Instant::now();
        let mut run = command(browser);
        run.args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--dump-dom", address]);
        quietly(run.stdout(Stdio::null()).stderr(Stdio::null()))?;
        Ok(since.elapsed().as_secs_f64())
    };
    say::note(format_args!("opening the page in {browser}"));
    let address = format!("file://{}", page.display());
    open("about:blank")?;
    let each =
        (0..TIMES).map(|_| Ok(open(&address)? - open("about:blank")?)).collect::<Result<Vec<f64>>>()?;
    Ok(Spread::of(each))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_in_bytes() {
        assert_eq!(peak("Name:\tx\nVmHWM:\t   7400 kB\nVmRSS:\t 1 kB\n"), Some(7400 * 1024));
        assert_eq!(peak("Name:\tx\n"), None);
    }

    #[test]
    fn a_recording_grows_by_frames_that_are_numbered_anew() {
        let dir = directory("inflate").unwrap();
        let (small, large) = (dir.join("small"), dir.join("large"));
        let frame =
            json!({"frame": {"sequence": 0, "at_ns": 5, "span_ns": 5, "notes": ["x".repeat(1 << 22)]}});
        fs::write(&small, format!("{{\"header\":1}}\n{frame}\n{{\"end\":{{\"frames\":1}}}}\n")).unwrap();
        inflate(&small, &large).unwrap();
        let text = fs::read_to_string(&large).unwrap();
        fs::remove_dir_all(&dir).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(text.len() > SIZE && lines[0] == "{\"header\":1}");
        let second: Value = serde_json::from_str(lines[2]).unwrap();
        assert_eq!((&second["frame"]["sequence"], &second["frame"]["at_ns"]), (&json!(1), &json!(10)));
        assert_eq!(lines[lines.len() - 1], format!("{{\"end\":{{\"frames\":{}}}}}", lines.len() - 2));
    }
}

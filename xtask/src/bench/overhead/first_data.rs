//! From the command to its first data.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{
    super::{
        running::{Bench, OURS},
        spread::Spread,
    },
    caller::Caller,
};

const TRIES: usize = 7;
/// Frames are this long, so that the first one is due soon after the attachment.
const INTERVAL: &str = "100ms";
const PATIENCE: Duration = Duration::from_secs(10);

/// Time that the command takes, ms.
pub struct FirstData {
    /// Until all probes are attached and every call counts.
    pub attached_ms: Spread,
    /// Until the first frame lies in a recording.
    pub frame_ms: Spread,
}

/// Starts the tool a few times and watches its recording.
pub fn measure(bench: &Bench) -> Result<FirstData> {
    let mut caller = Caller::start()?;
    let tries = (0..TRIES).map(|_| once(bench, &mut caller)).collect::<Result<Vec<_>>>()?;
    let spread = |values: Vec<f64>| Spread::of(values).context("there were no tries");
    Ok(FirstData {
        attached_ms: spread(tries.iter().map(|(attached, _)| *attached).collect())?,
        frame_ms: spread(tries.iter().map(|(_, frame)| *frame).collect())?,
    })
}

fn once(bench: &Bench, caller: &mut Caller) -> Result<(f64, f64)> {
    let recording = bench.dir.join("recording");
    let _ = fs::remove_file(&recording);
    let file = recording.display().to_string();
    let pid = caller.pid().to_string();
    let words = [OURS, "attach", "-p", &pid, "--quiet", "-i", INTERVAL, "--record", &file];
    let (begin, unix_ns) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as f64);
    let tool = bench.spawn(&words.map(str::to_owned))?;
    while !text(&recording).contains("\n{\"frame\"") {
        if begin.elapsed() > PATIENCE {
            bail!("cannot see a first frame: there is none after {PATIENCE:?}: {}", tool.stop()?.text.trim());
        }
        thread::sleep(Duration::from_millis(1));
    }
    let frame_ms = begin.elapsed().as_secs_f64() * 1e3;
    let attached_ms = (attached_unix_ns(&text(&recording))? - unix_ns) / 1e6;
    tool.stop()?;
    Ok((attached_ms, frame_ms))
}

fn text(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

/// The session begins when all probes are attached.
fn attached_unix_ns(recording: &str) -> Result<f64> {
    let header: Value = serde_json::from_str(recording.lines().next().unwrap_or_default())?;
    header["header"]["start_unix_ns"].as_f64().context("the recording tells no start")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_tells_the_start() {
        assert_eq!(attached_unix_ns("{\"header\":{\"start_unix_ns\":12}}\n{}\n").unwrap(), 12.0);
        assert!(attached_unix_ns("").is_err());
    }
}

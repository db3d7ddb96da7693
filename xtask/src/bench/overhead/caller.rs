//! The process that is traced: makes system calls when it is told to, and says how long they took.

use std::{
    env, fs,
    hint::black_box,
    io::{self, BufRead as _, BufReader, Write as _},
    net::UdpSocket,
    os::unix::process::parent_id,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

/// Argument that makes this program such a process.
pub const FLAG: &str = "--caller";
/// Calls that are timed together: far shorter than a time slice, so that the median chunk was not interrupted.
const CHUNK: u64 = 500;

/// Speed of the calls.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// From the first call to the last.
    pub elapsed_ns: u64,
    /// One call, in the median chunk.
    pub ns_per_call: f64,
}

/// The traced side: obeys until its standard input ends.
pub fn obey() -> Result<()> {
    for line in io::stdin().lock().lines() {
        let pace = match line?.split_once(' ') {
            Some(("calls", count)) => make(count.parse()?),
            _ => mix(),
        };
        writeln!(io::stdout().lock(), "{} {}", pace.elapsed_ns, pace.ns_per_call)?;
    }
    Ok(())
}

/// Makes `getppid` calls as fast as they go: the cheapest call, and one that the C library does not answer itself.
fn make(count: u64) -> Pace {
    let mut chunks = Vec::with_capacity((count / CHUNK) as usize);
    let begin = Instant::now();
    let mut since = begin;
    for _ in 0..count / CHUNK {
        for _ in 0..CHUNK {
            black_box(parent_id());
        }
        let now = Instant::now();
        chunks.push((now - since).as_nanos() as u64);
        since = now;
    }
    let elapsed_ns = begin.elapsed().as_nanos() as u64;
    chunks.sort_unstable();
    let median = chunks.get(chunks.len() / 2).copied().unwrap_or(0);
    Pace { elapsed_ns, ns_per_call: median as f64 / CHUNK as f64 }
}

/// A bit of everything that a program does between two rests: about twenty kinds of calls, failed ones among them.
fn mix() -> Pace {
    let begin = Instant::now();
    let nowhere = Path::new("/nonexistent/file");
    black_box(parent_id());
    let _ = fs::read("/proc/self/stat");
    let _ = fs::read_dir("/").map(Iterator::count);
    let _ = fs::read_link("/proc/self/exe");
    let _ = env::current_dir();
    let _ = (fs::metadata("/"), fs::symlink_metadata(nowhere));
    let _ = (fs::remove_file(nowhere), fs::create_dir(nowhere), fs::rename(nowhere, nowhere));
    if let Ok(socket) = UdpSocket::bind("127.0.0.1:0") {
        let to_itself = socket.local_addr().and_then(|own| socket.send_to(b"x", own));
        let _ = to_itself.and_then(|_| socket.recv(&mut [0]));
    }
    thread::sleep(Duration::from_micros(10));
    thread::yield_now();
    Pace { elapsed_ns: begin.elapsed().as_nanos() as u64, ns_per_call: 0.0 }
}

/// Our side of such a process. It ends when this is dropped.
pub struct Caller {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Caller {
    /// Starts one; it waits for orders.
    pub fn start() -> Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .args(["bench", "overhead", FLAG])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the process that makes the calls")?;
        let input = child.stdin.take().context("its standard input is no pipe")?;
        let output = BufReader::new(child.stdout.take().context("its standard output is no pipe")?);
        let mut caller = Self { child, input, output };
        // From the first answer on it does nothing unasked.
        caller.calls(0)?;
        Ok(caller)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Has it make calls, a multiple of the chunk, and waits for the end of them.
    pub fn calls(&mut self, count: u64) -> Result<Pace> {
        self.order(count)?;
        self.answer()
    }

    /// Has it begin to make calls.
    pub fn order(&mut self, count: u64) -> Result<()> {
        if !count.is_multiple_of(CHUNK) {
            bail!("cannot have {count} calls made: it is not a multiple of {CHUNK}");
        }
        Ok(self.input.write_all(format!("calls {count}\n").as_bytes())?)
    }

    /// Has it make one call of many kinds each.
    pub fn mix(&mut self) -> Result<()> {
        self.input.write_all(b"mix\n")?;
        self.answer().map(drop)
    }

    /// Waits for the end of what was ordered.
    pub fn answer(&mut self) -> Result<Pace> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let numbers = line.trim().split_once(' ').context("the process that makes the calls has gone")?;
        Ok(Pace { elapsed_ns: numbers.0.parse()?, ns_per_call: numbers.1.parse()? })
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        // It may have gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_take_time() {
        let pace = make(10 * CHUNK);
        assert!(pace.ns_per_call > 0.0);
        assert!(pace.elapsed_ns as f64 > pace.ns_per_call * CHUNK as f64);
        assert!(mix().elapsed_ns > 0);
    }
}

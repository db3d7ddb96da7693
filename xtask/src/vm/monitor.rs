//! The emulator's monitor: what the processors of a machine are doing.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

/// The instruction of a breakpoint.
const INT3: u64 = 0xcc;
/// Time for which exceptions are logged.
const SAMPLE: Duration = Duration::from_millis(200);
/// Breakpoints in that time at one place of a processor that goes round there; patching code meets a few.
const MANY: usize = 50;

/// A socket for commands, and a log.
pub struct Monitor {
    socket: PathBuf,
    log: PathBuf,
}

impl Monitor {
    /// Gives an emulator a monitor, and an empty log.
    pub fn new(dir: &Path, qemu: &mut Command) -> Self {
        let monitor = Self { socket: dir.join("monitor"), log: dir.join("exceptions.log") };
        let _ = fs::remove_file(&monitor.log);
        qemu.arg("-monitor").arg(format!("unix:{},server=on,wait=off", monitor.socket.display()));
        qemu.arg("-D").arg(&monitor.log);
        monitor
    }

    /// True if a processor runs into a breakpoint again and again of which its memory has nothing.
    pub fn finds_stale_breakpoint(&self) -> bool {
        let Some(exceptions) = self.exceptions() else { return false };
        let is_absent = |place: u64| {
            let bytes = self.command(&format!("x /2bx {:#x}", place - 1)).and_then(|answer| bytes(&answer));
            bytes.is_some_and(|bytes| bytes.len() == 2 && !bytes.contains(&INT3))
        };
        many(&exceptions).into_iter().any(is_absent)
    }

    fn exceptions(&self) -> Option<String> {
        // The emulator keeps the file open, and goes on where it stopped.
        let before = fs::metadata(&self.log).map_or(0, |log| log.len());
        self.command("log int")?;
        thread::sleep(SAMPLE);
        self.command("log none")?;
        let mut log = File::open(&self.log).ok()?;
        log.seek(SeekFrom::Start(before)).ok()?;
        let mut exceptions = String::new();
        log.read_to_string(&mut exceptions).ok()?;
        Some(exceptions)
    }

    fn command(&self, command: &str) -> Option<String> {
        let mut stream = UnixStream::connect(&self.socket).ok()?;
        stream.set_read_timeout(Some(Duration::from_millis(300))).ok()?;
        stream.write_all(command.as_bytes()).and_then(|()| stream.write_all(b"\n")).ok()?;
        let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
        // It never ends; after its answer it waits.
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            answer.extend_from_slice(&buffer[..length]);
        }
        Some(String::from_utf8_lossy(&answer).into_owned())
    }
}

/// Places of breakpoints in the kernel that were met many times.
fn many(log: &str) -> Vec<u64> {
    let mut places: BTreeMap<u64, usize> = BTreeMap::new();
    for line in log.lines().filter(|line| line.contains(": v=03 ") && line.contains(" cpl=0 ")) {
        let place = line.split(" IP=").nth(1).and_then(|rest| rest.split([':', ' ']).nth(1));
        if let Some(place) = place.and_then(|place| u64::from_str_radix(place, 16).ok()) {
            *places.entry(place).or_default() += 1;
        }
    }
    places.into_iter().filter(|(_, count)| *count >= MANY).map(|(place, _)| place).collect()
}

/// Bytes of an answer such as `ffffffff81a10cab: 0x00 0x0f`.
fn bytes(answer: &str) -> Option<Vec<u64>> {
    let line = answer.lines().find_map(|line| line.split_once(": 0x"))?.1;
    line.split_whitespace().map(|byte| u64::from_str_radix(byte.trim_start_matches("0x"), 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breakpoints_that_are_met_many_times_are_found() {
        let line = |vector: u8, place: u64| {
            format!(
                "    12: v={vector:02x} e=0000 i=1 cpl=0 IP=0010:{place:016x} pc={place:016x} SP=0018:ffff\n"
            )
        };
        let log = line(3, 0xffff_ffff_81a1_0cac).repeat(MANY) + &line(3, 1) + &line(14, 2).repeat(MANY);
        assert_eq!(many(&log), [0xffff_ffff_81a1_0cac]);
    }

    #[test]
    fn bytes_of_memory_are_read() {
        let answer =
            "QEMU 7.2 monitor\r\n(qemu) x /2bx 0xffffffff81a10cab\r\nffffffff81a10cab: 0x0f 0xcc\r\n(qemu) ";
        assert_eq!(bytes(answer), Some(vec![0x0f, 0xcc]));
        assert_eq!(bytes("Cannot access memory\r\n(qemu) "), None);
    }
}

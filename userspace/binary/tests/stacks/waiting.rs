//! Compiles programs and catches one of their threads as it waits for a lock.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

use binary::{
    maps::Maps,
    symbolize::{Frame, Registers, Stack, Symbolizer},
};
use pulse_trace_testing::installed;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);

/// Number of the system call that a waiting thread is in.
const FUTEX: &str = if cfg!(target_arch = "aarch64") { "98" } else { "202" };

/// Path of a source file.
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stacks/programs").join(name)
}

/// A place for the programs of one test.
pub struct Shop {
    pub directory: TempDir,
}

impl Shop {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Compiles; `None` where there is no such compiler.
    pub fn compile(&self, compiler: &str, name: &str, arguments: &[&str]) -> Option<PathBuf> {
        if !installed(compiler) {
            return None;
        }
        let path = self.path(name);
        let mut command = Command::new(compiler);
        command.args(arguments).arg("-o").arg(&path).current_dir(self.directory.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(path)
    }

    /// Compiles a program of C with the usual flags and some more.
    pub fn c(&self, file: &str, more: &[&str]) -> Option<PathBuf> {
        let file = source(file);
        let usual = ["-O2", "-fomit-frame-pointer", "-pthread", file.to_str().unwrap()];
        self.compile("gcc", "program", &[&usual, more].concat())
    }
}

/// The frame pointer of a thread; `None` where no compiler is there or this user may not look.
pub fn frame_pointer(tid: u32) -> Option<u64> {
    static TOOL: LazyLock<Option<(Shop, PathBuf)>> = LazyLock::new(|| {
        let shop = Shop::new();
        let tool = shop.compile("gcc", "pointer", &[source("pointer.c").to_str().unwrap()])?;
        Some((shop, tool))
    });
    let output = Command::new(&TOOL.as_ref()?.1).arg(tid.to_string()).output().ok()?;
    u64::from_str_radix(std::str::from_utf8(&output.stdout).ok()?.trim(), 16).ok()
}

/// A running program.
pub struct Running {
    child: Child,
    /// Its first line.
    pub said: String,
}

impl Running {
    pub fn start(program: &Path) -> Self {
        Self::of(&mut Command::new(program))
    }

    pub fn of(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        Self { child, said: said.trim().to_owned() }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until a thread that is not the main one waits for a lock.
    pub fn waiting(&self) -> Taken {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(taken) = self.taken() {
                return taken;
            }
            assert!(Instant::now() < deadline, "no thread of {} waits for a lock", self.pid());
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn taken(&self) -> Option<Taken> {
        let pid = self.pid();
        let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
        let tids = threads.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let waits = |tid: &u32| {
            let line = fs::read_to_string(format!("/proc/{pid}/task/{tid}/syscall"));
            line.is_ok_and(|line| line.starts_with(FUTEX))
        };
        let tid = tids.filter(|tid| *tid != pid).find(waits)?;
        // The thread is disturbed for this, and waits again afterwards.
        let bp = frame_pointer(tid).unwrap_or(0);
        let line = fs::read_to_string(format!("/proc/{pid}/task/{tid}/syscall")).ok()?;
        if !line.starts_with(FUTEX) {
            return None;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let [.., sp, ip] = words[..] else { return None };
        let number = |word: &str| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok();
        let (ip, sp) = (number(ip)?, number(sp)?);
        let maps = Maps::parse(&fs::read(format!("/proc/{pid}/maps")).ok()?);
        let end = maps.at(sp)?.end;
        let mut bytes = vec![0; usize::try_from((end - sp).min(4096)).ok()?];
        File::open(format!("/proc/{pid}/mem")).ok()?.read_exact_at(&mut bytes, sp).ok()?;
        Some(Taken { registers: Registers { ip, sp, bp, lr: 0 }, bytes })
    }

    /// Ends the program.
    pub fn end(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Registers and bytes that the kernel side would have taken.
pub struct Taken {
    pub registers: Registers,
    pub bytes: Vec<u8>,
}

/// Unwinds what one waiting thread of a program looks like.
pub fn stack_of(symbolizer: &mut Symbolizer, running: &Running) -> Stack {
    let taken = running.waiting();
    symbolizer.unwind(running.pid(), &taken.registers, &taken.bytes)
}

/// Names of functions, the innermost first, without those of the C library.
pub fn own(frames: &[Frame]) -> Vec<String> {
    let own = frames.iter().filter(|frame| !frame.module.starts_with("libc.so"));
    own.map(Frame::to_string).collect()
}

/// The same without offsets.
pub fn functions(frames: &[Frame]) -> Vec<String> {
    let plain = |text: String| text.split_once("+0x").map_or(text.clone(), |(name, _)| name.to_owned());
    own(frames).into_iter().map(plain).collect()
}

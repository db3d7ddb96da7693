//! A copy of the C library in which a statement that debug information knows has a name: bpftrace attaches to names
//! only.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::installed;

/// The one that programs here use.
pub const SYSTEM: &str = "/lib/x86_64-linux-gnu/libc.so.6";
/// `mutex->__data.__spins += (cnt - mutex->__data.__spins) / 8` since glibc 2.34.
const STATEMENT: &str = "165";
const NAME: &str = "end_of_spin";

/// The copy of the library, with the symbol.
pub struct Named {
    path: PathBuf,
    register: String,
    /// Offset in the file of the symbol's type: of a function or of nothing.
    kind: u64,
}

impl Named {
    /// The copy, or what is missing for it and for counting with it.
    pub fn needed(dir: &Path) -> Result<Self, &'static str> {
        if !["bpftrace", "gdb", "objcopy"].into_iter().all(installed) {
            return Err("bpftrace, gdb or objcopy is not installed");
        }
        Self::copy(dir)
            .ok_or("there is no debug information for this C library, or its source is another one")
    }

    /// Copies the library; `None` where debug information is missing or says nothing of that statement.
    fn copy(dir: &Path) -> Option<Self> {
        let functions = said("readelf", &["-W", "--dyn-syms", SYSTEM])?;
        let function = functions.lines().find(|line| line.contains(" pthread_mutex_lock@@"))?;
        let mut fields = function.split_ascii_whitespace().skip(1);
        let begin = u64::from_str_radix(fields.next()?, 16).ok()?;
        let end = begin + fields.next()?.parse::<u64>().ok()?;
        let lines = said("readelf", &["--debug-dump=decodedline", &debug_file()?])?;
        let address = lines.lines().filter_map(address_of_statement).find(|at| (begin..end).contains(at))?;
        let register = register_of_count(address)?;
        let path = dir.join("libc.so.6");
        let kind = add_symbol(&path, address)?;
        Some(Self { path, register, kind })
    }

    /// Makes the symbol one of nothing: who reads the file now finds no function in the midst of another.
    pub fn hide(&self) {
        self.be(0x10);
    }

    /// Makes the symbol one of a function again.
    pub fn show(&self) {
        self.be(0x12);
    }

    fn be(&self, kind: u8) {
        let file = OpenOptions::new().write(true).open(&self.path).unwrap();
        file.write_all_at(&[kind], self.kind).unwrap();
    }

    /// Counts spin counts of two processes.
    pub fn script(&self) -> String {
        let Self { path, register, .. } = self;
        format!(
            "uprobe:{}:{NAME} /pid == $1 || pid == $2/ {{ @spins[reg(\"{register}\") & 0xffffffff] = count(); }}",
            path.display()
        )
    }
}

fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The file with the library's debug information, by what identifies the build.
fn debug_file() -> Option<String> {
    let notes = said("readelf", &["-n", SYSTEM])?;
    let id = notes.lines().find_map(|line| line.trim().strip_prefix("Build ID: "))?;
    let (first, rest) = id.split_at_checked(2)?;
    Some(format!("/usr/lib/debug/.build-id/{first}/{rest}.debug"))
}

/// File, line, address, view, and an `x` where a statement begins.
fn address_of_statement(line: &str) -> Option<u64> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let [file, line, address, .., "x"] = fields[..] else { return None };
    let is_it = file == "pthread_mutex_lock.c" && line == STATEMENT;
    is_it.then(|| u64::from_str_radix(address.strip_prefix("0x")?, 16).ok())?
}

/// The register in which gdb would look for `cnt` there, without the letter that means its width.
fn register_of_count(address: u64) -> Option<String> {
    let scope = said("gdb", &["-nx", "-batch", "-ex", &format!("info scope *{address:#x}"), SYSTEM])?;
    let count = scope.split("Symbol ").find(|symbol| symbol.starts_with("cnt "))?;
    let hex = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    let range = count.lines().find(|line| {
        let ends =
            line.trim().strip_prefix("Range ").and_then(|rest| rest.split(':').next()?.split_once('-'));
        ends.and_then(|(from, to)| Some((hex(from)?..hex(to)?).contains(&address))).unwrap_or(false)
    })?;
    Some(range.rsplit_once("$r")?.1.trim_end_matches([',', '.']).to_owned())
}

/// A copy with a symbol of two bytes: bpftrace refuses those of none, and objcopy makes no others. Tells where its kind
/// is noted.
fn add_symbol(path: &Path, address: u64) -> Option<u64> {
    let sections = said("readelf", &["-SW", SYSTEM])?;
    let text = sections.lines().find(|line| line.contains(" .text "))?;
    let start = text.split("PROGBITS").nth(1)?.split_ascii_whitespace().next()?;
    let start = u64::from_str_radix(start, 16).ok()?;
    let symbol = format!("{NAME}=.text:{:#x},function,global", address - start);
    let made = Command::new("objcopy").args(["--add-symbol", &symbol, SYSTEM]).arg(path).status().ok()?;
    let mut bytes = fs::read(path).ok().filter(|_| made.success())?;
    let entry: Vec<u8> = address.to_le_bytes().into_iter().chain([0; 8]).collect();
    let at = bytes.windows(entry.len()).rposition(|window| window == entry)?;
    bytes[at + 8] = 2;
    fs::write(path, bytes).ok()?;
    Some(at as u64 - 4)
}

//! C programs that know what they did, driven by lines; each can be linked with the C library of another release and
//! run by that release's own loader.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
};

use tempfile::TempDir;

use crate::support;

/// A started program; killed when dropped.
pub struct Program {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    _shop: TempDir,
}

/// Names that a library is asked for by, and how its file's name begins.
const NAMES: [(&str, &[&str]); 3] = [
    ("ld-linux-x86-64.so.2", &["ld-"]),
    ("libc.so.6", &["libc.so.6", "libc-2."]),
    ("libpthread.so.0", &["libpthread-2."]),
];

/// The libraries of a release that `cargo xtask libraries` has fetched, in a directory of their own under the names
/// that programs ask for; `None` where they are not all here.
fn libraries(release: &str, to: &Path) -> Option<Vec<PathBuf>> {
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let shelf = fs::read_dir(target.join("libraries").join(release)).ok()?;
    let files: Vec<PathBuf> = shelf.flatten().map(|entry| entry.path()).collect();
    let mut found = Vec::new();
    for (name, beginnings) in NAMES {
        let is_it = |file: &&PathBuf| {
            let of_file = file.file_name().unwrap().to_string_lossy().into_owned();
            beginnings.iter().any(|start| of_file.starts_with(start)) && !of_file.contains("musl")
        };
        if let Some(file) = files.iter().find(is_it) {
            symlink(file, to.join(name)).unwrap();
            found.push(to.join(name));
        }
    }
    (found.len() >= 2).then_some(found)
}

/// A compiled program.
pub struct Compiled {
    shop: TempDir,
    program: PathBuf,
}

impl Compiled {
    /// Compiles it for this machine's library.
    pub fn of(source: &str, flags: &[&str]) -> Self {
        Self::with(source, tempfile::tempdir().unwrap(), flags, &[])
    }

    fn with(source: &str, shop: TempDir, flags: &[&str], libraries: &[PathBuf]) -> Self {
        let program = shop.path().join("program");
        let mut command = Command::new("gcc");
        command.arg("-O2").args(flags).arg(support::source(source)).args(libraries).arg("-o").arg(&program);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self { shop, program }
    }

    /// Compiles it for another release's library; also the words that come before the program to have that release's
    /// loader run it. `None` where the library is not here.
    pub fn for_release(release: &str, source: &str) -> Option<(Self, Vec<String>)> {
        let shop = tempfile::tempdir().unwrap();
        let libraries = libraries(release, shop.path())?;
        // The start files of this machine ask for symbols that older releases do not have.
        let bare = ["-DBARE", "-nostdlib", "-fno-stack-protector"];
        let word = |path: &Path| path.to_string_lossy().into_owned();
        let loader = vec![word(&libraries[0]), "--library-path".to_owned(), word(shop.path())];
        Some((Self::with(source, shop, &bare, &libraries), loader))
    }

    pub fn path(&self) -> &PathBuf {
        &self.program
    }

    pub fn start(self, arguments: &[&str]) -> Program {
        Program::spawn(Command::new(&self.program).args(arguments), self.shop)
    }

    /// As an argument of another command.
    pub fn start_by(self, wrapper: &[&str], arguments: &[&str]) -> Program {
        let mut command = Command::new(wrapper[0]);
        command.args(&wrapper[1..]).arg(&self.program).args(arguments);
        Program::spawn(&mut command, self.shop)
    }
}

impl Program {
    /// Compiles and starts it under this machine's library.
    pub fn start(source: &str, arguments: &[&str]) -> Self {
        Compiled::of(source, &["-pthread"]).start(arguments)
    }

    /// Under another release's; `None` where that is not here.
    pub fn start_under(release: &str, source: &str, arguments: &[&str]) -> Option<Self> {
        let (compiled, loader) = Compiled::for_release(release, source)?;
        let wrapper: Vec<&str> = loader.iter().map(String::as_str).collect();
        Some(compiled.start_by(&wrapper, arguments))
    }

    fn spawn(command: &mut Command, shop: TempDir) -> Self {
        support::reads_by_the_tool();
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { input: child.stdin.take(), child, output, _shop: shop }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it says.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "it ended after {line:?}: {:?}", self.child.try_wait());
        line.trim_end().to_owned()
    }

    /// Sends it a command.
    pub fn tell(&mut self, command: &str) {
        writeln!(self.input.as_mut().unwrap(), "{command}").unwrap();
    }

    /// The end of its input; how it ended.
    pub fn end(mut self) -> ExitStatus {
        drop(self.input.take());
        self.child.wait().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

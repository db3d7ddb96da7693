//! Targets that are not where they seem to be: other namespaces, another user, libraries that come later or are
//! replaced.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use model::{
    locks::{Lock, Verdict, ranked},
    session::Session,
};
use tempfile::TempDir;

use crate::support::{How, Trace, children_of, installed, need, whole};

/// Times that the program's thread sleeps for its mutex.
const TIMES: u64 = 5;

/// The programs, compiled.
struct Shop {
    directory: TempDir,
}

impl Shop {
    fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Another user is to run what is in it.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let shop = Self { directory };
        shop.compile("fight.c", "fight", &[]);
        shop.compile("library.c", "library.so", &["-shared", "-fPIC"]);
        shop
    }

    fn compile(&self, source: &str, name: &str, more: &[&str]) {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernel/programs").join(source);
        let mut command = Command::new("gcc");
        command.args(["-O2", "-fomit-frame-pointer", "-pthread"]).args(more).arg(source);
        let output = command.arg("-o").arg(self.path(name)).arg("-ldl").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn word(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }
}

/// A started program; killed when dropped.
struct Fight {
    child: Child,
    output: BufReader<ChildStdout>,
    pid: u32,
}

impl Fight {
    fn start(words: &[&str]) -> Self {
        let mut command = Command::new(words[0]);
        let mut child =
            command.args(&words[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        assert_eq!(line(&mut output), "ready\n");
        let mut pid = child.id();
        while let Some(inner) = children_of(pid).first() {
            pid = *inner;
        }
        Self { child, output, pid }
    }

    /// Traces it from its go to its end.
    fn traced(mut self) -> Session {
        let mut trace = Trace::of(self.pid, &How::default());
        let mut input = self.child.stdin.take().unwrap();
        input.write_all(b"g").unwrap();
        assert_eq!(line(&mut self.output), "fought\n");
        // What it has mapped can be read while it is there.
        trace.step();
        drop(input);
        trace.until(|| self.child.try_wait().unwrap().is_some());
        assert!(self.child.wait().unwrap().success(), "the program itself went wrong");
        trace.finish()
    }
}

fn line(output: &mut BufReader<ChildStdout>) -> String {
    let mut said = String::new();
    output.read_line(&mut said).unwrap();
    said
}

impl Drop for Fight {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The one lock that was fought for, from this function and no other.
fn fought(session: &Session, function: &str) -> Lock {
    assert!(whole(&session.ledger), "{:?}", session.ledger);
    let locks = ranked(&session.processes);
    let lock = locks.first().unwrap_or_else(|| panic!("no locks: {:?}", session.ledger)).clone();
    assert_eq!((lock.verdict, lock.sum.wait.count()), (Verdict::Contention, TIMES), "{locks:#?}");
    for stack in &lock.sum.stacks {
        let caller = stack.caller.as_deref().unwrap_or_default();
        assert!(caller.starts_with(&format!("{function}+0x")), "{stack:?}");
        assert_eq!(stack.cut, None, "{stack:?}");
    }
    assert_eq!((lock.sum.sampled, lock.runtime()), (TIMES, Some(("pthread", "mutex"))), "{lock:#?}");
    lock
}

#[test]
fn a_library_that_comes_later_has_names() {
    need!(installed("gcc"), "gcc is not installed");
    let shop = Shop::open();
    let fight = Fight::start(&[&shop.word("fight"), &format!("+{}", shop.word("library.so"))]);
    fought(&fight.traced(), "take_in_library");
}

#[test]
fn a_library_that_was_replaced_on_disk_has_the_names_of_the_one_that_runs() {
    need!(installed("gcc"), "gcc is not installed");
    let shop = Shop::open();
    let fight = Fight::start(&[&shop.word("fight"), &format!("-{}", shop.word("library.so"))]);
    fs::rename(shop.path("fight"), shop.path("library.so")).unwrap();
    fought(&fight.traced(), "take_in_library");
}

#[test]
fn a_program_in_a_mount_namespace_of_its_own_has_names() {
    need!(installed("gcc") && installed("unshare"), "gcc or unshare is not installed");
    let shop = Shop::open();
    // Its file lies where no process outside sees it.
    let script = format!(
        "mkdir {0}/own && mount -t tmpfs none {0}/own && cp {0}/fight {0}/own/fight && exec {0}/own/fight",
        shop.directory.path().display()
    );
    let fight = Fight::start(&["unshare", "-m", "sh", "-c", &script]);
    assert!(!shop.path("own/fight").exists());
    fought(&fight.traced(), "take_at_home");
}

#[test]
fn a_program_in_a_pid_namespace_of_its_own_has_names() {
    need!(installed("gcc") && installed("unshare"), "gcc or unshare is not installed");
    let shop = Shop::open();
    let fight = Fight::start(&["unshare", "-p", "-f", &shop.word("fight")]);
    // Its mutex holds a thread id that means another thread here: who held it is not said.
    assert_eq!(fought(&fight.traced(), "take_at_home").kind(), None);
}

#[test]
fn a_setuid_program_has_names() {
    need!(installed("gcc") && installed("setpriv"), "gcc or setpriv is not installed");
    let shop = Shop::open();
    fs::set_permissions(shop.path("fight"), fs::Permissions::from_mode(0o4755)).unwrap();
    let other_user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let fight = Fight::start(&[&other_user[..], &[&shop.word("fight")]].concat());
    let status = fs::read_to_string(format!("/proc/{}/status", fight.pid)).unwrap();
    need!(status.contains("Uid:\t65534\t0\t"), "the file system ignores the setuid bit");
    let lock = fought(&fight.traced(), "take_at_home");
    assert_eq!(lock.kind().unwrap().name(), "normal");
}

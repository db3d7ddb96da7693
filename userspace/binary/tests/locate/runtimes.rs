//! Runtimes other than glibc, in real files.

use std::{env, fs, process::Command};

use binary::locate::site::{FilePlan, Role};
use pulse_trace_testing::{installed, need};

use crate::specimens::{by_code, read, target};

fn slow_paths(plan: &FilePlan, runtime: &'static str) -> Vec<String> {
    plan.of(Role::SlowPathEntry(runtime)).map(|site| site.function.clone()).collect()
}

/// `nm` as a second opinion: the addresses of all symbols that contain these words.
fn by_nm(path: &std::path::Path, words: &[&str]) -> Vec<u64> {
    let listing = Command::new("nm").arg(path).output().unwrap();
    let listing = String::from_utf8(listing.stdout).unwrap();
    // Closures inside of a function bear its name too, in either mangling.
    let own = listing.lines().filter(|line| !line.contains("closure") && !line.contains("_RNC"));
    let matching = own.filter(|line| words.iter().all(|word| line.contains(word)));
    matching.map(|line| u64::from_str_radix(line.split(' ').next().unwrap(), 16).unwrap()).collect()
}

#[test]
fn this_very_program_has_the_standard_library() {
    let this = env::current_exe().unwrap();
    // Contended or not, a lock makes the linker keep the path.
    drop(std::sync::Mutex::new(1).lock().unwrap());
    let plan = by_code(&fs::read(&this).unwrap());
    assert!(plan.runtimes.contains(&"Rust std"), "{:?}", plan.runtimes);
    assert!(slow_paths(&plan, "Rust std").contains(&"std::sys Mutex::lock_contended".to_owned()));
    let site = plan.of(Role::SlowPathEntry("Rust std")).find(|site| site.function.contains("Mutex")).unwrap();
    assert!(site.class.typical_ns().is_some());
    need!(installed("nm"), "nm (package binutils) is not installed");
    assert_eq!(by_nm(&this, &["5Mutex14lock_contended"]), [site.address]);
}

#[test]
fn parking_lot_is_found_in_a_workload() {
    let path = target().join("debug/syncbench");
    let bytes = need!(fs::read(&path).ok(), "syncbench is not built: run `cargo xtask build`");
    let plan = by_code(&bytes);
    assert!(slow_paths(&plan, "parking_lot").contains(&"parking_lot RawMutex::lock_slow".to_owned()));
    need!(installed("nm"), "nm (package binutils) is not installed");
    let mut expected = by_nm(&path, &["8RawMutex9lock_slow"]);
    expected.sort_unstable();
    expected.dedup();
    let own = plan.sites.iter().filter(|site| site.function == "parking_lot RawMutex::lock_slow");
    assert_eq!(own.map(|site| site.address).collect::<Vec<_>>(), expected);
}

#[test]
fn musl_is_told_from_glibc() {
    let bytes = need!(read("bookworm", "ld-musl-x86_64.so.1"));
    let plan = by_code(&bytes);
    assert_eq!(plan.runtimes, ["musl"]);
    assert_eq!(plan.refusals, Vec::<String>::new());
    let sites: Vec<_> = plan.sites.iter().map(|site| (site.role, site.function.as_str())).collect();
    assert_eq!(sites, [(Role::LockEntry("musl"), "__pthread_mutex_timedlock")]);
}

#[test]
fn abseil_is_found_by_its_dynamic_symbols() {
    let bytes = need!(read("bookworm", "libabsl_synchronization.so.20220623.0.0"));
    let plan = by_code(&bytes);
    assert_eq!(slow_paths(&plan, "abseil"), ["absl::Mutex::LockSlow"]);
}

/// A program of its own, linked by the C compiler that links every Rust program.
fn compiled(arguments: &[&str]) -> Result<Vec<u8>, String> {
    let directory = tempfile::tempdir().unwrap();
    let (source, program) = (directory.path().join("x.c"), directory.path().join("x"));
    let text =
        "#include <pthread.h>\nstatic pthread_mutex_t m;\nint main() { return pthread_mutex_lock(&m); }\n";
    fs::write(&source, text).unwrap();
    let done = Command::new("cc").args(arguments).arg("-o").arg(&program).arg(&source).output();
    match done {
        Ok(output) if output.status.success() => Ok(fs::read(&program).unwrap()),
        _ => Err(format!("the C compiler cannot build with {arguments:?} here")),
    }
}

#[test]
fn static_programs_are_read_or_refused_by_name() {
    need!(cfg!(target_arch = "x86_64"), "sites are only known on x86-64");
    // A dynamic program has its locks elsewhere, which is nothing to complain about.
    let dynamic = need!(compiled(&["-pthread", "-s"]));
    assert_eq!(by_code(&dynamic).refusals, Vec::<String>::new());
    let plan = by_code(&need!(compiled(&["-static", "-pthread"])));
    let spin =
        plan.sites.iter().find(|site| site.role == Role::SpinEnd && site.function == "pthread_mutex_lock");
    assert!(plan.runtimes.contains(&"glibc") && spin.is_some(), "{:?}", plan.refusals);
    let plan = by_code(&need!(compiled(&["-static", "-pthread", "-s"])));
    let id = plan.build_id.clone().unwrap_or_else(|| "a file without build-id".into());
    let reason = "it is a static program without symbols";
    assert_eq!(plan.refusals, [format!("cannot find spin sites in {id}: {reason}; showing tier 0")]);
    assert_eq!(plan.sites, []);
}

#[test]
fn other_machines_are_refused_by_name() {
    let bytes = need!(read("bookworm", "libc.so.6"));
    let refused = |at: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = value;
        by_code(&bytes).refusals.join("\n")
    };
    let sentence =
        |reason: &str| format!("cannot find spin sites in a file without build-id: {reason}; showing tier 0");
    assert_eq!(refused(4, 1), sentence("it is a 32-bit file"));
    assert_eq!(refused(5, 2), sentence("it is of a big-endian machine"));
    assert_eq!(refused(18, 183), sentence("it is of another machine (aarch64)"));
    assert_eq!(refused(0, 0), sentence("it is no ELF file"));
}

//! Slow paths of other runtimes: functions that contended acquisitions call. Adding one is adding a row.

use super::{
    elf::Image,
    instruction::{Class, classify},
    register::Reg,
    site::{FoundBy, LockPointer, Role, Site},
};

/// A slow path, and how its symbol is written.
struct Row {
    runtime: &'static str,
    /// Shown as the site's function.
    function: &'static str,
    matches: fn(&str) -> bool,
    role: fn(&'static str) -> Role,
    /// Register that holds the lock when the function is entered.
    lock: Reg,
}

/// Runtimes by name.
pub const NAMES: [&str; 6] = ["glibc", "musl", "Rust std", "parking_lot", "Go", "abseil"];

const ROWS: [Row; 10] = [
    Row {
        runtime: "Rust std",
        function: "std::sys Mutex::lock_contended",
        matches: |symbol| rust(symbol, &["std", "sys", "Mutex", "lock_contended"]),
        role: Role::SlowPathEntry,
        lock: Reg::Rdi,
    },
    Row {
        runtime: "Rust std",
        function: "std::sys RwLock::read_contended",
        matches: |symbol| rust(symbol, &["std", "sys", "RwLock", "read_contended"]),
        role: Role::SlowPathEntry,
        lock: Reg::Rdi,
    },
    Row {
        runtime: "Rust std",
        function: "std::sys RwLock::write_contended",
        matches: |symbol| rust(symbol, &["std", "sys", "RwLock", "write_contended"]),
        role: Role::SlowPathEntry,
        lock: Reg::Rdi,
    },
    Row {
        runtime: "parking_lot",
        function: "parking_lot RawMutex::lock_slow",
        matches: |symbol| rust(symbol, &["parking_lot", "RawMutex", "lock_slow"]),
        role: Role::SlowPathEntry,
        lock: Reg::Rdi,
    },
    Row {
        runtime: "parking_lot",
        function: "parking_lot RawRwLock::lock_shared_slow",
        matches: |symbol| rust(symbol, &["parking_lot", "RawRwLock", "lock_shared_slow"]),
        role: Role::SlowPathEntry,
        lock: Reg::Rdi,
    },
    Row {
        runtime: "parking_lot",
        function: "parking_lot RawRwLock::lock_exclusive_slow",
        matches: |symbol| rust(symbol, &["parking_lot", "RawRwLock", "lock_exclusive_slow"]),
        role: Role::SlowPathEntry,
        lock: Reg::Rdi,
    },
    Row {
        runtime: "Go",
        function: "sync.(*Mutex).lockSlow",
        matches: |symbol| matches!(symbol, "sync.(*Mutex).lockSlow" | "internal/sync.(*Mutex).lockSlow"),
        role: Role::SlowPathEntry,
        lock: Reg::Rax,
    },
    Row {
        runtime: "Go",
        function: "runtime.lock2",
        matches: |symbol| symbol == "runtime.lock2",
        role: Role::LockEntry,
        lock: Reg::Rax,
    },
    Row {
        runtime: "musl",
        function: "__pthread_mutex_timedlock",
        matches: |symbol| symbol == "__pthread_mutex_timedlock",
        role: Role::LockEntry,
        lock: Reg::Rdi,
    },
    Row {
        runtime: "abseil",
        function: "absl::Mutex::LockSlow",
        matches: |symbol| symbol.starts_with("_ZN4absl") && symbol.contains("5Mutex8LockSlowE"),
        role: Role::SlowPathEntry,
        lock: Reg::Rdi,
    },
];

/// Sites of one runtime's locks in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Each runtime once.
    pub runtimes: Vec<&'static str>,
    /// One for each function.
    pub sites: Vec<Site>,
    /// Functions that cannot be probed, and why.
    pub left_out: Vec<String>,
}

/// Slow paths that a symbol table of the file names.
#[must_use]
pub fn find(image: &Image<'_>) -> Found {
    let mut found = Found::default();
    let musl = is_musl(image);
    for function in image.functions() {
        // musl hides its own name of the function in the library that everybody loads.
        let hidden = musl && function.name == "pthread_mutex_timedlock";
        let name = if hidden { "__pthread_mutex_timedlock" } else { function.name };
        let Some(row) = ROWS.iter().find(|row| (row.matches)(name)) else { continue };
        // glibc's static symbols include the same name.
        if row.runtime == "musl" && !musl {
            continue;
        }
        if found.sites.iter().any(|site| site.address == function.address) {
            continue;
        }
        if !found.runtimes.contains(&row.runtime) {
            found.runtimes.push(row.runtime);
        }
        match site(image, row, function.address) {
            Ok(site) => found.sites.push(site),
            Err(reason) => found.left_out.push(format!("{}: {reason}", row.function)),
        }
    }
    if musl && !found.runtimes.contains(&"musl") {
        found.runtimes.push("musl");
    }
    if found.runtimes.is_empty() && image.section(".gopclntab").is_some() {
        found.runtimes.push("Go");
        found.left_out.push("sync.(*Mutex).lockSlow: the symbol table has been stripped".into());
    }
    found
}

fn site(image: &Image<'_>, row: &Row, entry: u64) -> Result<Site, String> {
    let go = row.runtime == "Go";
    let address = if go { entry + stack_check(image.code_from(entry, 32)) } else { entry };
    let file_offset = image.offset_of(address).ok_or("its symbol lies outside of the code")?;
    let class = classify(image.code_from(address, 15));
    if let Class::Refused(reason) = class {
        return Err(format!("its first instruction cannot be probed: {reason}"));
    }
    let known = !go || passes_in_registers(image);
    Ok(Site {
        role: (row.role)(row.runtime),
        function: row.function.into(),
        address,
        file_offset,
        class,
        count_register: None,
        lock: known.then_some(LockPointer { register: row.lock, offset: 0 }),
        found_by: FoundBy::Symbol,
    })
}

/// Length of the check for room on the stack at the beginning of a function of Go. Where there is none, and where the
/// scheduler asks the goroutine for its CPU, the function begins anew: a probe on the check counts twice.
fn stack_check(code: &[u8]) -> u64 {
    // `lea -N(%rsp),%r12` precedes it in functions with a large frame; g is in a register since Go 1.17.
    const FRAMES: [(&[u8], usize); 3] = [(b"", 0), (b"\x4c\x8d\x64\x24", 1), (b"\x4c\x8d\xa4\x24", 4)];
    const CHECKS: [&[u8]; 3] =
        [b"\x49\x3b\x66\x10", b"\x4d\x3b\x66\x10", b"\x64\x48\x8b\x0c\x25\xf8\xff\xff\xff\x48\x3b\x61\x10"];
    let after_frame = FRAMES
        .iter()
        .filter_map(|(lea, displacement)| code.strip_prefix(*lea)?.get(*displacement..))
        .filter_map(|rest| CHECKS.iter().find_map(|check| rest.strip_prefix(*check)));
    // `jbe` to where the stack grows, near or far.
    let mut rest = after_frame.filter_map(|rest| match rest {
        [0x76, _, rest @ ..] | [0x0f, 0x86, _, _, _, _, rest @ ..] => Some(rest),
        _ => None,
    });
    rest.next().map_or(0, |rest| (code.len() - rest.len()) as u64)
}

/// True if the file is musl, or has it inside.
#[must_use]
pub fn is_musl(image: &Image<'_>) -> bool {
    // Stages of its loader and of its start.
    const ITS_OWN: [&str; 3] = ["__dls2b", "__dls3", "libc_start_main_stage2"];
    image.functions().any(|function| ITS_OWN.contains(&function.name))
}

/// Programs of Go before 1.18 do not write their version in place; before 1.17, arguments were on the stack.
fn passes_in_registers(image: &Image<'_>) -> bool {
    const INLINE: u8 = 2;
    let Some((_, info)) = image.section(".go.buildinfo") else { return false };
    info.starts_with(b"\xff Go buildinf:") && info.get(15).is_some_and(|flags| flags & INLINE != 0)
}

/// True if a mangled name, legacy or v0, is that of a function whose path has these parts in this order.
fn rust(symbol: &str, parts: &[&str]) -> bool {
    // The code generator may add `.llvm.NUMBER`.
    let symbol = symbol.split_once('.').map_or(symbol, |(name, _)| name);
    let name = if let Some(rest) = symbol.strip_prefix("_ZN") {
        // Ends in a hash: `17h` and sixteen digits.
        let Some((name, hash)) =
            rest.strip_suffix('E').and_then(|rest| rest.split_at_checked(rest.len().checked_sub(19)?))
        else {
            return false;
        };
        if !hash.starts_with("17h") {
            return false;
        }
        name
    } else if let Some(rest) = symbol.strip_prefix("_R") {
        rest
    } else {
        return false;
    };
    let mut rest = name;
    for part in parts {
        let written = format!("{}{part}", part.len());
        let Some(at) = rest.find(&written) else { return false };
        rest = &rest[at + written.len()..];
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime(symbol: &str) -> Option<&'static str> {
        ROWS.iter().find(|row| (row.matches)(symbol)).map(|row| row.function)
    }

    #[test]
    fn every_runtime_is_in_the_list() {
        assert!(ROWS.iter().all(|row| NAMES.contains(&row.runtime)));
    }

    #[test]
    fn both_manglings_are_read() {
        let contended = Some("std::sys Mutex::lock_contended");
        assert_eq!(
            runtime("_ZN3std3sys4sync5mutex5futex5Mutex14lock_contended17h0123456789abcdefE"),
            contended
        );
        assert_eq!(
            runtime("_ZN3std3sys4unix5locks11futex_mutex5Mutex14lock_contended17h0123456789abcdefE"),
            contended
        );
        assert_eq!(
            runtime("_RNvMNtNtNtNtCsjrHSEGnQ3l9_3std3sys4sync5mutex5futexNtB2_5Mutex14lock_contended"),
            contended
        );
        assert_eq!(
            runtime("_ZN11parking_lot9raw_mutex8RawMutex9lock_slow17h0123456789abcdefE.llvm.42"),
            Some("parking_lot RawMutex::lock_slow")
        );
    }

    #[test]
    fn the_stack_check_of_go_is_passed_over() {
        // As Go 1.19 compiles `sync.(*Mutex).lockSlow` and `main.at`, and as it does with a frame of 0x90 bytes.
        assert_eq!(stack_check(b"\x49\x3b\x66\x10\x0f\x86\x7f\x02\x00\x00\x48\x83\xec\x48"), 10);
        assert_eq!(stack_check(b"\x49\x3b\x66\x10\x76\x73\x48\x83\xec\x18"), 6);
        assert_eq!(stack_check(b"\x4c\x8d\x64\x24\xf0\x4d\x3b\x66\x10\x76\x73\x48"), 11);
        // Before 1.17: `mov %fs:-8,%rcx` first.
        let old = b"\x64\x48\x8b\x0c\x25\xf8\xff\xff\xff\x48\x3b\x61\x10\x76\x4b\x48";
        assert_eq!(stack_check(old), 15);
        for none in [&b"\x48\x83\xec\x18\x76\x73"[..], b"\x49\x3b\x66\x10\x75\x73", b"\x49\x3b", b""] {
            assert_eq!(stack_check(none), 0);
        }
    }

    #[test]
    fn look_alikes_are_not_taken() {
        for symbol in [
            "_RNCNvMNtNtNtNtCsjrHSEGnQ3l9_3std3sys4sync5mutex5futexNtB2_5Mutex14lock_contended0B4_",
            "_ZN3std3sys4sync5mutex5futex5Mutex14lock_contended28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE",
            "_ZN3std3sys4sync5mutex5futex5Mutex14lock_contendedE",
            "_ZN4mine3sys5Mutex14lock_contended17h0123456789abcdefE",
            "lock_contended",
            "sync.(*Mutex).lockSlower",
            "_ZN4absl12lts_202206235Mutex12LockSlowLoopE",
        ] {
            assert_eq!(runtime(symbol), None, "{symbol}");
        }
    }

    #[test]
    fn other_languages_have_names_of_their_own() {
        assert_eq!(runtime("internal/sync.(*Mutex).lockSlow"), Some("sync.(*Mutex).lockSlow"));
        assert_eq!(runtime("runtime.lock2"), Some("runtime.lock2"));
        let abseil = "_ZN4absl12lts_202206235Mutex8LockSlowEPKNS0_15MuHowSEPKNS0_9ConditionEi";
        assert_eq!(runtime(abseil), Some("absl::Mutex::LockSlow"));
        assert_eq!(runtime("__pthread_mutex_timedlock"), Some("__pthread_mutex_timedlock"));
    }
}

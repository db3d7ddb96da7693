//! Names of system calls, each ABI by its own table.

mod aarch64;
mod arm;
mod i386;
mod operations;
mod x86_64;

use std::borrow::Cow;

use pulse_trace_common::probes::syscalls::{NATIVE_CALLS, OUT_OF_RANGE, X32};

use super::frame::{Abi, Call};

/// Native calls whose number lies outside of every table.
pub const UNKNOWN: &str = "unknown_call";
/// Calls made through the x32 ABI, all together.
pub const X32_CALLS: &str = "x32_call";

/// Calls in which threads without work wait for some.
const FOR_WORK: [&str; 16] = [
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "nanosleep",
    "clock_nanosleep",
    "pause",
    "rt_sigsuspend",
    "rt_sigtimedwait",
    "accept",
    "accept4",
    "restart_syscall",
    "io_uring_enter",
];

/// True for a name of a call in which threads without work wait for some.
#[must_use]
pub fn waits_for_work(name: &str) -> bool {
    FOR_WORK.contains(&name)
}

type Runs = &'static [(u32, &'static str)];

/// The name of a call and, behind a colon, of its operation, if it has one (`futex:WAIT`).
#[must_use]
pub fn name(arch: &str, call: Call) -> Cow<'static, str> {
    let whole = whole_name(arch, call);
    match call.operation {
        Some(operation) => Cow::Owned(format!("{whole}:{}", operations::name(&whole, operation))),
        None => whole,
    }
}

/// The name of a call without its operation, on an architecture as the kernel names it (`x86_64`, `aarch64`). Calls of
/// the 32-bit ABI carry its name in front (`i386:read`); a number that the table does not hold is
/// shown as `syscall_471`.
#[must_use]
pub fn whole_name(arch: &str, call: Call) -> Cow<'static, str> {
    match call.abi {
        Abi::Native if call.nr == OUT_OF_RANGE => Cow::Borrowed(UNKNOWN),
        Abi::Native if call.nr == X32 && arch == "x86_64" => Cow::Borrowed(X32_CALLS),
        Abi::Native => {
            let known = native_table(arch).and_then(|runs| find(runs, call.nr));
            known.map_or_else(|| Cow::Owned(numbered(call.nr)), Cow::Borrowed)
        }
        Abi::Compat => {
            let (abi, runs) = compat_table(arch);
            let prefix = |name: &str| Cow::Owned(format!("{abi}:{name}"));
            if call.nr >= NATIVE_CALLS - 1 {
                return prefix(UNKNOWN);
            }
            match runs.and_then(|runs| find(runs, call.nr)) {
                Some(name) => prefix(name),
                None => prefix(&numbered(call.nr)),
            }
        }
    }
}

fn numbered(nr: u32) -> String {
    format!("syscall_{nr}")
}

fn native_table(arch: &str) -> Option<Runs> {
    match arch {
        "x86_64" => Some(x86_64::RUNS),
        "aarch64" => Some(aarch64::RUNS),
        _ => None,
    }
}

fn compat_table(arch: &str) -> (&'static str, Option<Runs>) {
    match arch {
        "x86_64" => ("i386", Some(i386::RUNS)),
        "aarch64" => ("arm", Some(arm::RUNS)),
        _ => ("compat", None),
    }
}

fn find(runs: Runs, nr: u32) -> Option<&'static str> {
    let (first, names) = runs.iter().rev().find(|(first, _)| *first <= nr)?;
    names.split_ascii_whitespace().nth((nr - first) as usize)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const TABLES: [(&str, Abi, Runs); 4] = [
        ("x86_64", Abi::Native, x86_64::RUNS),
        ("x86_64", Abi::Compat, i386::RUNS),
        ("aarch64", Abi::Native, aarch64::RUNS),
        ("aarch64", Abi::Compat, arm::RUNS),
    ];

    fn native(arch: &str, nr: u32) -> Cow<'static, str> {
        name(arch, Call::whole(Abi::Native, nr))
    }

    fn compat(arch: &str, nr: u32) -> Cow<'static, str> {
        name(arch, Call::whole(Abi::Compat, nr))
    }

    #[test]
    fn well_known_calls_have_their_names() {
        let x86 = [
            (0, "read"),
            (1, "write"),
            (35, "nanosleep"),
            (39, "getpid"),
            (202, "futex"),
            (231, "exit_group"),
        ];
        for (nr, expected) in
            x86.into_iter().chain([(230, "clock_nanosleep"), (435, "clone3"), (449, "futex_waitv")])
        {
            assert_eq!(native("x86_64", nr), expected);
        }
        for (nr, expected) in [(63, "read"), (64, "write"), (98, "futex"), (172, "getpid"), (221, "execve")] {
            assert_eq!(native("aarch64", nr), expected);
        }
        for (nr, expected) in
            [(3, "i386:read"), (11, "i386:execve"), (102, "i386:socketcall"), (240, "i386:futex")]
        {
            assert_eq!(compat("x86_64", nr), expected);
        }
        for (nr, expected) in
            [(3, "arm:read"), (240, "arm:futex"), (248, "arm:exit_group"), (435, "arm:clone3")]
        {
            assert_eq!(compat("aarch64", nr), expected);
        }
    }

    #[test]
    fn operations_stand_behind_their_call() {
        let named = |abi, nr, operation| name("x86_64", Call { abi, nr, operation: Some(operation) });
        for (nr, operation, expected) in [
            (202, 0, "futex:WAIT"),
            (202, 10, "futex:WAKE_BITSET"),
            (202, 13, "futex:LOCK_PI2"),
            (202, 14, "futex:14"),
            (202, Call::OTHER, "futex:other"),
            (72, libc::F_SETLKW as u32, "fcntl:SETLKW"),
            (72, libc::F_OFD_SETLKW as u32, "fcntl:OFD_SETLKW"),
            (72, libc::F_DUPFD_CLOEXEC as u32, "fcntl:DUPFD_CLOEXEC"),
            (72, libc::F_GET_SEALS as u32, "fcntl:GET_SEALS"),
            (72, 1041, "fcntl:1041"),
            (233, libc::EPOLL_CTL_MOD as u32, "epoll_ctl:MOD"),
        ] {
            assert_eq!(named(Abi::Native, nr, operation), expected);
        }
        assert_eq!(named(Abi::Compat, 240, 1), "i386:futex:WAKE");
        assert_eq!(
            whole_name("x86_64", Call { operation: Some(0), ..Call::whole(Abi::Native, 202) }),
            "futex"
        );
    }

    /// The headers that the running machine's C library was built against must agree with the table
    /// of this architecture.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    #[test]
    fn this_machine_agrees() {
        let arch = std::env::consts::ARCH;
        let pairs = [
            (libc::SYS_read, "read"),
            (libc::SYS_futex, "futex"),
            (libc::SYS_sendmsg, "sendmsg"),
            (libc::SYS_ppoll, "ppoll"),
            (libc::SYS_sched_yield, "sched_yield"),
            (libc::SYS_process_madvise, "process_madvise"),
            (libc::SYS_openat2, "openat2"),
        ];
        for (nr, expected) in pairs {
            assert_eq!(native(arch, nr as u32), expected);
        }
    }

    #[test]
    fn tables_ascend_without_overlap_and_name_nothing_twice() {
        for (arch, abi, runs) in TABLES {
            let mut next = 0;
            let mut names = BTreeSet::new();
            for (first, run) in runs {
                assert!(*first >= next, "{arch} {abi:?} {first}");
                for name in run.split_ascii_whitespace() {
                    assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{name}");
                    assert!(names.insert(name), "{arch} {abi:?} {name}");
                }
                next = first + run.split_ascii_whitespace().count() as u32 + 1;
            }
            assert!(names.len() > 300, "{arch} {abi:?}: {}", names.len());
            assert!(next < X32, "{arch} {abi:?} reaches into the reserved indices");
        }
    }

    /// From 424 on all architectures add the same calls at the same numbers.
    #[test]
    fn the_common_part_is_dense_and_equal() {
        for nr in 424..=471 {
            let expected = native("x86_64", nr);
            assert!(!expected.starts_with("syscall_"), "{nr}");
            for (arch, abi, runs) in TABLES {
                if let Some(found) = find(runs, nr) {
                    assert_eq!(found, expected, "{arch} {abi:?} {nr}");
                }
            }
        }
    }

    #[test]
    fn what_has_no_name_keeps_its_number_and_its_abi() {
        assert_eq!(native("x86_64", 380), "syscall_380");
        assert_eq!(native("aarch64", 505), "syscall_505");
        assert_eq!(compat("x86_64", 500), "i386:syscall_500");
        assert_eq!(native("x86_64", X32), "x32_call");
        assert_eq!(native("aarch64", X32), "syscall_510");
        assert_eq!(native("x86_64", OUT_OF_RANGE), "unknown_call");
        assert_eq!(compat("x86_64", NATIVE_CALLS - 1), "i386:unknown_call");
        assert_eq!(native("riscv64", 63), "syscall_63");
        assert_eq!(compat("riscv64", 63), "compat:syscall_63");
    }
}

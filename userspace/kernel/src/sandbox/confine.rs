//! What the process may still do that reads files of others: nothing but read what it is handed, compute, and answer.

use landlock::{ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, RulesetStatus};
use rustix::{
    process::{DumpableBehavior, Resource, Rlimit, chdir, setrlimit, setsid},
    thread::{self, CapabilitySet, CapabilitySets, Gid, Uid},
};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use serde::{Deserialize, Serialize};

/// What holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confined {
    /// User id that the process has now.
    pub user: u32,
    /// It has no capability and can get none.
    pub without_privileges: bool,
    /// It may make no system call but those that its work takes.
    pub seccomp: bool,
    /// It may open no file and reach no network.
    pub landlock: bool,
}

/// Whose rights it takes if it has those of root.
const UNPRIVILEGED: u32 = 65534;
/// Memory that it may map.
const MEMORY: u64 = 4 << 30;
/// Descriptors that it may hold.
const FILES: u64 = 512;

/// System calls that its work takes.
const ALLOWED: [i64; 35] = [
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fstat,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_newfstatat,
    libc::SYS_ppoll,
    libc::SYS_pread64,
    libc::SYS_prlimit64,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_recvmsg,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_yield,
    libc::SYS_sendmsg,
    libc::SYS_sigaltstack,
    libc::SYS_statx,
    libc::SYS_write,
    libc::SYS_writev,
];

/// Confines this process, for good. What a kernel does not offer is left out, and said.
pub fn confine() -> Confined {
    let _ = setsid();
    let _ = chdir("/");
    for (resource, limit) in [
        (Resource::As, MEMORY),
        (Resource::Nofile, FILES),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
        (Resource::Memlock, 0),
        (Resource::Nproc, 0),
    ] {
        let _ = setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) });
    }
    forget_bounds();
    let user = become_nobody();
    let without_privileges = drop_capabilities();
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let landlock = forbid_files();
    Confined { user, without_privileges, seccomp: forbid_calls(), landlock }
}

/// Gives up the rights of root, where it has them; whose it has now.
fn become_nobody() -> u32 {
    if rustix::process::geteuid().is_root() {
        let (user, group) = (Uid::from_raw(UNPRIVILEGED), Gid::from_raw(UNPRIVILEGED));
        let _ = thread::set_thread_groups(&[]);
        let _ = thread::set_thread_res_gid(group, group, group);
        let _ = thread::set_thread_res_uid(user, user, user);
    }
    rustix::process::geteuid().as_raw()
}

/// No program that it might start could get any capability; it cannot start one either.
fn forget_bounds() {
    for capability in CapabilitySet::all() {
        let _ = thread::remove_capability_from_bounding_set(capability);
    }
}

fn drop_capabilities() -> bool {
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    let _ = thread::clear_ambient_capability_set();
    thread::set_capabilities(None, sets).is_ok() && thread::set_no_new_privs(true).is_ok()
}

fn forbid_files() -> bool {
    let abi = ABI::V5;
    let rules = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(abi)))
        .and_then(|rules| rules.create())
        .and_then(|rules| rules.restrict_self());
    rules.is_ok_and(|done| done.ruleset != RulesetStatus::NotEnforced)
}

fn forbid_calls() -> bool {
    let refuse = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let rules = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    let Ok(arch) = std::env::consts::ARCH.try_into() else { return false };
    let filter = SeccompFilter::new(rules, refuse, SeccompAction::Allow, arch);
    let program: Option<BpfProgram> = filter.ok().and_then(|filter| filter.try_into().ok());
    program.is_some_and(|program| seccompiler::apply_filter(&program).is_ok())
}

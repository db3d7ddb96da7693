//! Findings about the kernel.

use std::fs;

use binary::btf::Btf;
use model::probes::numbers;
use probes::source::host;

use super::{Finding, Verdict, lockdown};

const FLOOR: (u32, u32) = (5, 10);

/// Everything about the kernel.
pub fn examine() -> Vec<Finding> {
    vec![version(), types(), jit(), lockdown::examine(), tracefs(), uprobes()]
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn version() -> Finding {
    let release = host::kernel();
    let text = format!("Linux {release} on {}, {} CPUs", host::arch(), host::cpus());
    match numbers(&release) {
        Some(numbers) if numbers < FLOOR => Finding::bad(
            "kernel",
            Verdict::Fault,
            text,
            "the programs need what came with Linux 5.10",
            "use a newer kernel",
        ),
        _ => Finding::ok(
            "kernel",
            text,
            "tested from 5.10 on; `cargo xtask vm` shows which programs work where",
        ),
    }
}

fn types() -> Finding {
    match Btf::of_kernel().and_then(|btf| btf.offset("task_struct", "tgid")) {
        Ok(_) => Finding::ok("type information", "BTF is there", "fields of kernel structures are found"),
        Err(error) => Finding::bad(
            "type information",
            Verdict::Fault,
            error.to_string(),
            "fields of kernel structures cannot be found, nothing can be traced",
            "use a kernel built with CONFIG_DEBUG_INFO_BTF=y",
        ),
    }
}

fn jit() -> Finding {
    match read("/proc/sys/net/core/bpf_jit_enable").as_deref() {
        Some("0") => Finding::bad(
            "BPF compiler",
            Verdict::Note,
            "off: programs are interpreted",
            "tracing costs several times as much",
            "sysctl net.core.bpf_jit_enable=1",
        ),
        Some(_) => Finding::ok("BPF compiler", "on", "programs run as machine code"),
        None => Finding::ok(
            "BPF compiler",
            "always on, or not readable by this user",
            "programs run as machine code",
        ),
    }
}

fn tracefs() -> Finding {
    let mounted = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"]
        .into_iter()
        .find(|path| fs::metadata(format!("{path}/events")).is_ok());
    match mounted {
        Some(path) => {
            Finding::ok("tracefs", format!("mounted at {path}"), "not needed by pulse-trace's own hooks")
        }
        None => Finding::bad(
            "tracefs",
            Verdict::Note,
            "not mounted, or not readable by this user",
            "pulse-trace does not need it; bpftrace and perf, to check it against, do",
            "mount -t tracefs nodev /sys/kernel/tracing",
        ),
    }
}

fn uprobes() -> Finding {
    let symbols = read("/proc/kallsyms").unwrap_or_default();
    if symbols.lines().any(|line| line.ends_with(" arch_uprobe_optimize")) {
        Finding::ok(
            "uprobes",
            "optimised by this kernel",
            "a probe on a 5-byte nop costs a call instead of a trap",
        )
    } else {
        Finding::bad(
            "uprobes",
            Verdict::Note,
            "every hit is a trap",
            "system calls are traced without uprobes; probes inside programs cost over a microsecond per hit",
            "none needed; Linux 6.18 on x86-64 makes some of them cheaper",
        )
    }
}

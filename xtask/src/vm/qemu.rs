//! Boots a kernel and waits until it switches itself off.

use std::{
    fs,
    path::Path,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use super::kernels::Kernel;
use crate::process::command;

/// The emulator.
pub const PROGRAM: &str = "qemu-system-x86_64";

/// A boot takes 20 s on two quiet CPUs; a machine that is busy with other things may need many times that.
const LIMIT: Duration = Duration::from_secs(240);

/// Processors of the machine.
const CPUS: u32 = 4;

/// What a machine left behind.
pub struct Boot {
    /// All that went to the serial line.
    pub console: String,
    /// Why it did not switch itself off, if so.
    pub trouble: Option<String>,
}

/// Threads of the emulator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threads {
    /// One for each processor, so that the kernel's code and ours run on several at once.
    Many,
    /// One for all processors.
    One,
}

impl Boot {
    /// Whether the emulator broke it. A kernel patches its own code; with many threads the emulator once in some 40 boots
    /// runs an instruction that is half patched: a breakpoint in the kernel's own code, or an end before anything of ours ran.
    pub fn is_broken_by_emulator(&self) -> bool {
        let ended_early = self.trouble.is_some() || self.console.contains("Kernel panic");
        self.console.contains("Oops: int3") || ended_early && !self.console.contains("VM KERNEL ")
    }
}

/// Boots a kernel with an initramfs.
pub fn boot(dir: &Path, kernel: &Kernel, initramfs: &Path, threads: Threads) -> Result<Boot> {
    let console = dir.join(format!("console-{}.log", kernel.release));
    fs::write(&console, "")?;
    let mut qemu = command(PROGRAM);
    // Plain emulation: /dev/kvm may be there and hang, as in a guest whose host promises more than it does.
    let threads = if threads == Threads::Many { "tcg,thread=multi" } else { "tcg,thread=single" };
    qemu.args(["-accel", threads]);
    qemu.args([
        "-m",
        "768",
        "-smp",
        &CPUS.to_string(),
        "-nodefaults",
        "-display",
        "none",
        "-no-reboot",
        "-serial",
    ]);
    qemu.arg(format!("file:{}", console.display()));
    qemu.arg("-kernel").arg(&kernel.image).arg("-initrd").arg(initramfs);
    qemu.args(["-append", "console=ttyS0 quiet oops=panic panic=-1"]);
    let machine = qemu.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let trouble = wait(machine.with_context(|| format!("cannot run {PROGRAM}"))?)?;
    let bytes = fs::read(&console).with_context(|| format!("cannot read {}", console.display()))?;
    Ok(Boot { console: String::from_utf8_lossy(&bytes).replace('\r', ""), trouble })
}

/// Waits for the machine's end, and ends it where it takes too long.
fn wait(mut machine: Child) -> Result<Option<String>> {
    let since = Instant::now();
    while since.elapsed() < LIMIT {
        if let Some(status) = machine.try_wait()? {
            return Ok((!status.success()).then(|| format!("{PROGRAM} ended with {status}")));
        }
        thread::sleep(Duration::from_millis(50));
    }
    machine.kill()?;
    machine.wait()?;
    Ok(Some(format!("it did not switch itself off within {} s", LIMIT.as_secs())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_emulator_breaks_is_booted_again() {
        let broken = |console: &str, trouble: Option<&str>| {
            Boot { console: console.to_owned(), trouble: trouble.map(str::to_owned) }.is_broken_by_emulator()
        };
        assert!(broken("[    3.4] Oops: int3: 0000 [#1] SMP NOPTI\n", None));
        assert!(broken("VM KERNEL 6.18\n[    9.4] Oops: int3: 0000 [#1] SMP NOPTI\n", None));
        assert!(broken("", Some("it hung")));
        assert!(!broken("VM KERNEL 6.18\nPROBE sched works\n", Some("it hung")));
        assert!(!broken(
            "VM KERNEL 6.18\n[    9.4] BUG: kernel NULL pointer dereference\nKernel panic\n",
            None
        ));
        assert!(!broken("VM KERNEL 6.18\nSELFTEST OK\n", None));
    }
}

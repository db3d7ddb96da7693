//! Boots a kernel and waits until it switches itself off.

use std::{
    fs,
    path::Path,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use super::{
    kernels::Kernel,
    monitor::Monitor,
    report::{INT3, is_oops},
};
use crate::process::command;

/// Program that emulates the machine.
pub const PROGRAM: &str = "qemu-system-x86_64";

/// A boot takes 20 s on two quiet CPUs; a machine that is busy with other things may need many times that.
const LIMIT: Duration = Duration::from_secs(240);

/// Time after which a machine that still runs is looked at, again and again.
const LOOK: Duration = Duration::from_secs(60);

/// Processors of the machine.
const CPUS: &str = "4";

/// State that a machine left behind.
pub struct Boot {
    /// All that went to the serial line.
    pub console: String,
    /// Reason that it did not switch itself off, if so.
    pub trouble: Option<String>,
    /// It stood at a breakpoint that is no longer in its memory.
    pub is_stale: bool,
}

impl Boot {
    /// Reports how the emulator broke it, if so. A kernel patches its own code by way of breakpoints, and once in some
    /// 10 to 40 boots the emulator, which has a thread for each processor, goes on with a breakpoint that has been
    /// removed: its translation is older. Up to Linux 6.2 the processor stays there, later ones report it. A fault of
    /// ours shows otherwise: nothing of ours patches the kernel, and an end before the self-test begins is none of it.
    pub fn broken_by_emulator(&self) -> Option<&'static str> {
        if self.is_stale {
            return Some("it stayed at a breakpoint that had been removed");
        }
        let first = self.console.lines().find(|line| is_oops(line));
        if first.is_some_and(|line| line.contains(INT3)) {
            return Some("it ran a half-patched instruction of the kernel's");
        }
        let mut ours = ["VM ", "PROBE ", "TRUTH ", "SELFTEST "].iter();
        let began = ours.any(|sign| self.console.contains(sign));
        (!began).then_some("it ended before the self-test began")
    }
}

/// Boots a kernel with an initramfs.
pub fn boot(dir: &Path, kernel: &Kernel, initramfs: &Path) -> Result<Boot> {
    let console = dir.join(format!("console-{}.log", kernel.release));
    fs::write(&console, "")?;
    let mut qemu = command(PROGRAM);
    // Plain emulation: /dev/kvm may be there and hang, as in a guest whose host promises more than it does. A thread
    // for each processor, so that the kernel's code and ours run on several at once.
    qemu.args(["-accel", "tcg,thread=multi", "-smp", CPUS, "-m", "768"]);
    qemu.args(["-nodefaults", "-display", "none", "-no-reboot", "-serial"]);
    qemu.arg(format!("file:{}", console.display()));
    qemu.arg("-kernel").arg(&kernel.image).arg("-initrd").arg(initramfs);
    qemu.args(["-append", "console=ttyS0 quiet oops=panic panic=-1"]);
    let monitor = Monitor::new(dir, &mut qemu);
    let machine = qemu.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let (trouble, is_stale) = wait(machine.with_context(|| format!("cannot run {PROGRAM}"))?, &monitor)?;
    let bytes = fs::read(&console).with_context(|| format!("cannot read {}", console.display()))?;
    Ok(Boot { console: String::from_utf8_lossy(&bytes).replace('\r', ""), trouble, is_stale })
}

/// Waits for the machine's end, and ends it where it takes too long or stands at a stale breakpoint.
fn wait(mut machine: Child, monitor: &Monitor) -> Result<(Option<String>, bool)> {
    let (since, mut looked, mut is_stale) = (Instant::now(), Instant::now(), false);
    while since.elapsed() < LIMIT && !is_stale {
        if let Some(status) = machine.try_wait()? {
            return Ok(((!status.success()).then(|| format!("{PROGRAM} ended with {status}")), false));
        }
        if looked.elapsed() > LOOK {
            is_stale = monitor.finds_stale_breakpoint();
            looked = Instant::now();
        }
        thread::sleep(Duration::from_millis(50));
    }
    machine.kill()?;
    machine.wait()?;
    Ok((Some(format!("it did not switch itself off within {} s", since.elapsed().as_secs())), is_stale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_emulator_breaks_is_booted_again() {
        let boot = |console: &str, is_stale| Boot {
            console: console.to_owned(),
            trouble: Some("it hung".into()),
            is_stale,
        };
        let broken = |console: &str| boot(console, false).broken_by_emulator();
        let int3 = "[    9.4] Oops: int3: 0000 [#1] SMP NOPTI\nKernel panic\n";
        let early = Some("it ended before the self-test began");
        assert!(broken(&int3.replace("Oops: ", "")).is_some_and(|how| Some(how) != early));
        assert!(broken(&format!("VM KERNEL 6.18\n{int3}")).is_some_and(|how| Some(how) != early));
        assert!(boot("VM KERNEL 6.1\n", true).broken_by_emulator().is_some_and(|how| Some(how) != early));
        assert_eq!([broken(""), broken("[    3.4] Kernel panic\n")], [early; 2]);
        for ours in [
            "VM KERNEL 6.18\n",
            "PROBE sched works\n",
            "VM KERNEL 6.18\n[    9.4] BUG: kernel NULL pointer dereference\nKernel panic\n",
            &format!("VM KERNEL 6.18\n[    9.3] ------------[ cut here ]------------\n{int3}"),
            "VM KERNEL 6.18\nSELFTEST OK\n",
        ] {
            assert_eq!(broken(ours), None, "{ours}");
        }
    }
}

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

/// Boots a kernel with an initramfs.
pub fn boot(dir: &Path, kernel: &Kernel, initramfs: &Path) -> Result<Boot> {
    let console = dir.join(format!("console-{}.log", kernel.release));
    fs::write(&console, "")?;
    let mut qemu = command(PROGRAM);
    // Plain emulation: /dev/kvm may be there and hang, as in a guest whose host promises more than it does. A thread for
    // each processor, so that the kernel's code and ours run on several at once.
    qemu.args(["-accel", "tcg,thread=multi"]);
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

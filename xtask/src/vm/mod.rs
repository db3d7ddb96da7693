//! `cargo xtask vm [VERSION...]`: every probe on other kernels, under QEMU, without privileges.

mod contend;
mod cpio;
mod initramfs;
mod kernels;
mod monitor;
mod qemu;
mod report;

use std::{env, time::Instant};

use anyhow::{Result, bail};

use crate::{
    dist, process, say, setup,
    test::{self, tools},
    workspace,
};
use report::Column;

/// Boots of a kernel after one that the emulator broke.
const AGAIN: u32 = 3;

/// Outcome of the matrix.
pub enum Outcome {
    /// Each kernel with its verdict.
    Booted(Vec<(String, Result<(), String>)>),
    /// Nothing could be booted here.
    Skipped(String),
}

/// Runs the verb `vm`.
pub fn run(arguments: &[String]) -> Result<()> {
    if let Some(option) = arguments.iter().find(|argument| argument.starts_with('-')) {
        bail!("cannot boot `{option}`: the verb takes versions only, such as `6.1`");
    }
    setup::ensure()?;
    let versions = if arguments.is_empty() { all() } else { arguments.to_vec() };
    let kernels = match matrix(&versions)? {
        Outcome::Booted(kernels) => kernels,
        Outcome::Skipped(reason) => {
            if test::everything_is_required()? {
                bail!("cannot boot other kernels: {reason}");
            }
            say::out(format_args!("SKIP vm: {reason}"));
            return Ok(());
        }
    };
    let mut failed = 0;
    for (kernel, verdict) in &kernels {
        if let Err(why) = verdict {
            failed += 1;
            say::note(format_args!("{kernel}: {why}"));
        }
    }
    if failed > 0 {
        bail!("cannot call the kernels good: {failed} of {} failed", kernels.len());
    }
    Ok(())
}

/// Versions of all kernels that are booted, oldest first.
pub fn all() -> Vec<String> {
    kernels::KNOWN.iter().map(|(version, _)| (*version).to_owned()).collect()
}

/// Fetches what the matrix boots; it reports what cannot be had.
pub fn fetch_ahead() {
    if let (Ok(target), Ok(known)) = (workspace::target(), kernels::known(&all())) {
        let _ = kernels::fetch(&target.join("vm"), &known);
    }
}

/// Boots every version and prints the table of kernels and probes.
pub fn matrix(versions: &[String]) -> Result<Outcome> {
    let known = kernels::known(versions)?;
    if env::consts::ARCH != "x86_64" {
        return Ok(Outcome::Skipped(format!(
            "the kernels are x86-64 ones, this machine is {}",
            env::consts::ARCH
        )));
    }
    tools::ensure(tools::VM);
    if process::which(qemu::PROGRAM).is_none() {
        return Ok(Outcome::Skipped(format!("{} is not installed (package qemu-system-x86)", qemu::PROGRAM)));
    }
    let dir = workspace::target()?.join("vm");
    let fetched = match kernels::fetch(&dir, &known) {
        Ok(fetched) => fetched,
        Err(error) => return Ok(Outcome::Skipped(format!("{error:#}"))),
    };
    let binary = dist::build_static("x86_64-unknown-linux-musl", "guest")?;
    let initramfs = initramfs::build(&dir, &fetched.busybox, &binary)?;
    let mut columns = Vec::new();
    for kernel in &fetched.kernels {
        let since = Instant::now();
        let mut boot = qemu::boot(&dir, kernel, &initramfs)?;
        for _ in 0..AGAIN {
            let Some(how) = boot.broken_by_emulator() else { break };
            say::note(format_args!("{}: {how}: a fault of the emulator's; again", kernel.release));
            boot = qemu::boot(&dir, kernel, &initramfs)?;
        }
        let column = Column::read(kernel, &boot);
        say::note(format_args!("{}: {}, {}", kernel.release, column.verdict_in_words(), say::elapsed(since)));
        columns.push(column);
    }
    say::out(report::table(&columns));
    Ok(Outcome::Booted(columns.into_iter().map(|column| (column.kernel, column.verdict)).collect()))
}

//! A program that fights for a lock, with the C library of this machine: kernels that are booted have none.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{
    process::{capture, command},
    workspace,
};

/// Directory of the program and its library inside of the machine.
pub const DIRECTORY: &str = "glibc";
const SOURCE: &str = "userspace/tests/kernel/programs/contend.c";
const LIBRARY: &str = "libc.so.6";
const LOADER: &str = "ld-linux-x86-64.so.2";

/// The files that it takes, by where they belong.
pub fn files(dir: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let program = dir.join("contend");
    let mut compiler = command("cc");
    compiler.args(["-O2", "-pthread", "-o"]).args([&program, &workspace::root().join(SOURCE)]);
    compiler.arg(format!("-Wl,--dynamic-linker=/{DIRECTORY}/{LOADER},-rpath=/{DIRECTORY}"));
    capture(&mut compiler)?;
    let files = [("contend", program), (LIBRARY, of_compiler(LIBRARY)?), (LOADER, of_compiler(LOADER)?)];
    let read = |(name, path): (&str, PathBuf)| {
        let content = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok((format!("{DIRECTORY}/{name}"), content))
    };
    files.map(read).into_iter().collect()
}

/// Path of a file of the C library, as the compiler knows it.
fn of_compiler(name: &str) -> Result<PathBuf> {
    let path = PathBuf::from(capture(command("cc").arg(format!("-print-file-name={name}")))?.trim());
    let found = path.is_absolute().then_some(path);
    found.with_context(|| format!("cannot find {name}: the C compiler knows no such file; install glibc"))
}

//! Programs that tests are about, made of the sources beside them.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// One of those sources.
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernel/programs").join(name)
}

/// A program in C, in a directory; `None` where this compiler cannot make it.
pub fn compiled(directory: &Path, compiler: &str, name: &str, flags: &[&str]) -> Option<PathBuf> {
    let source = source(name);
    let program = directory.join(source.file_stem()?);
    let mut command = Command::new(compiler);
    command.arg("-O2").args(flags).arg("-o").args([&program, &source]).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success()).then_some(program)
}

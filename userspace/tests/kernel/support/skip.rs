//! Tests that cannot run say why.

use std::{
    env,
    fs::OpenOptions,
    io::{Write as _, stdout},
    path::Path,
};

/// Declares that a test is skipped: on standard output, past the harness's capture, and in the file that `PULSE_SKIPS`
/// names. Where `PULSE_REQUIRE=all` allows no skips, the test fails.
pub fn skip(test: &str, reason: &str) {
    assert!(env::var("PULSE_REQUIRE").as_deref() != Ok("all"), "cannot be skipped here: {reason}");
    let mut out = stdout().lock();
    writeln!(out, "SKIP {test}: {reason}").unwrap();
    if let Some(file) = env::var_os("PULSE_SKIPS") {
        let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
        writeln!(file, "SKIP {test}: {reason}").unwrap();
    }
}

/// Whether a program is in the path.
pub fn installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]).any(|dir| dir.join(program).is_file())
}

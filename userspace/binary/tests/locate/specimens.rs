//! Libraries that `cargo xtask libraries` has fetched.

use std::{env, fs, path::PathBuf};

use binary::{
    files::Directories,
    locate::{debug_file::Nowhere, plan::plan, site::FilePlan},
};

/// A release and the file that holds `pthread_mutex_lock`.
pub const GLIBCS: [(&str, &str); 4] = [
    ("bullseye", "libpthread-2.31.so"),
    ("bookworm", "libc.so.6"),
    ("trixie", "libc.so.6"),
    ("sid", "libc.so.6"),
];

/// The directory that `cargo` builds into.
pub fn target() -> PathBuf {
    env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned()
}

pub fn shelf(release: &str) -> PathBuf {
    target().join("libraries").join(release)
}

/// A specimen's bytes, or the reason why they are missing.
pub fn read(release: &str, file: &str) -> Result<Vec<u8>, String> {
    fs::read(shelf(release).join(file)).map_err(|_| {
        let why = fs::read_to_string(target().join("libraries/why-missing"));
        let why = why.unwrap_or_else(|_| "run `cargo xtask libraries`".into());
        format!("there is no {file} of {release} here: {why}")
    })
}

/// The debug files of a release.
pub fn debug(release: &str) -> Directories {
    Directories { debug: vec![shelf(release).join("debug")], ..Directories::default() }
}

/// By the code alone.
pub fn by_code(bytes: &[u8]) -> FilePlan {
    plan(bytes, &Nowhere)
}

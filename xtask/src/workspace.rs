//! Paths of the workspace.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// The BPF crate: it builds for its own target only.
pub const EBPF: &str = "pulse-trace-ebpf";

/// Directories of the workspace.
pub const MEMBERS: [&str; 6] = ["common", "ebpf", "testing", "userspace", "workloads", "xtask"];

/// Path of the repository.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// Directory of cargo's output: this very program lies in `TARGET/debug`.
pub fn target() -> Result<PathBuf> {
    let here = env::current_exe().context("cannot find the target directory")?;
    let target = here.ancestors().nth(2).context("cannot find the target directory: it has no parent")?;
    Ok(target.to_path_buf())
}

/// The toolchain that `rust-toolchain.toml` pins.
pub fn toolchain() -> Result<String> {
    let file = root().join("rust-toolchain.toml");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    channel(&text).with_context(|| format!("cannot find the toolchain: {} names no channel", file.display()))
}

fn channel(text: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let value = line.strip_prefix("channel")?.trim_start().strip_prefix('=')?;
        Some(value.trim().trim_matches('"').to_owned())
    })
}

/// All files below a directory whose name ends so, in a stable order; none where there is no such directory.
pub fn files(dir: &Path, suffix: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(dir) = open.pop() {
        if !dir.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&dir).with_context(|| format!("cannot list {}", dir.display()))? {
            let path = entry?.path();
            if path.is_dir() && !path.is_symlink() {
                open.push(path);
            } else if path.to_string_lossy().ends_with(suffix) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// A path as people write it: from the root of the repository.
pub fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_toolchain_is_found() {
        assert_eq!(channel("# x\n[toolchain]\nchannel = \"1.95.0\"\n").as_deref(), Some("1.95.0"));
        assert_eq!(channel("[toolchain]\n"), None);
        assert!(toolchain().unwrap().starts_with("1."));
    }

    #[test]
    fn this_file_is_found() {
        let files = files(&root().join("xtask"), "workspace.rs").unwrap();
        assert_eq!(files.iter().map(|file| relative(file)).collect::<Vec<_>>(), ["xtask/src/workspace.rs"]);
    }
}

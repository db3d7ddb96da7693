//! The initramfs that the machine boots into: a shell, the tool, and a script that lets the tool try itself.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{contend, cpio::Archive};

/// Says which kernel it is, lets the tool try every probe, says how that ended, and switches the machine off.
const INIT: &str = "#!/busybox sh
/busybox mkdir -p /proc /sys /tmp /run
/busybox mount -t proc proc /proc
/busybox mount -t sysfs sysfs /sys
/busybox mount -t devtmpfs devtmpfs /dev
/busybox mount -t tmpfs tmpfs /tmp
/busybox mount -t tracefs tracefs /sys/kernel/tracing
/busybox mount -t bpf bpf /sys/fs/bpf
/busybox ifconfig lo up
export PATH=/:/bin HOME=/tmp
/busybox mkdir -p /bin
/busybox --install -s /bin
echo \"VM KERNEL $(/busybox uname -r)\"
/pulse-trace __selftest /glibc/contend
echo \"VM STATUS $?\"
/busybox dmesg -r | /busybox grep '^<[0-4]>' | /busybox sed 's/^/KMSG /'
/busybox poweroff -f
";

/// Builds the archive.
pub fn build(dir: &Path, busybox: &Path, tool: &Path) -> Result<PathBuf> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let mut archive = Archive::default();
    archive.directory("dev");
    archive.device("dev/console", 5, 1);
    archive.device("dev/null", 1, 3);
    archive.program("busybox", &read(busybox)?);
    archive.program("pulse-trace", &read(tool)?);
    archive.program("init", INIT.as_bytes());
    archive.directory(contend::DIRECTORY);
    for (path, content) in contend::files(dir)? {
        archive.program(&path, &content);
    }
    let path = dir.join("initramfs.cpio");
    fs::write(&path, archive.finish()).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

//! The name under which `ps`, `--comm` and every tracer know a process.

use std::ffi::CString;

/// Names the calling thread, which for the first thread is the process: its role, cut to 15 bytes by the kernel.
pub fn name_this_process(name: &str) {
    // Without a name of its own it keeps the program's.
    let _ = CString::new(name).map(|name| rustix::thread::set_name(&name));
}

//! For the proof that a file can do no harm by being read: does what a file might that has taken over its reader. Not
//! in a release.

#[cfg(debug_assertions)]
mod on {
    use std::{env, fs, hint::black_box, net::TcpStream, process::Command};

    /// A file of this name is about to be read. `PULSE_SANDBOX_FAULT` has a deed and the name of the file.
    pub fn reading(name: &str) {
        let Ok(fault) = env::var("PULSE_SANDBOX_FAULT") else { return };
        match fault.split_once(' ') {
            Some((deed, of)) if of == name => act(deed),
            _ => {}
        }
    }

    fn act(deed: &str) {
        match deed {
            "crash" => std::process::abort(),
            "hang" => loop {
                black_box(());
            },
            "memory" => {
                let mut all = Vec::new();
                loop {
                    all.push(black_box(vec![1u8; 16 << 20]));
                }
            }
            "escape" if escapes() => std::process::exit(77),
            _ => {}
        }
    }

    /// Tries the ways out; whether one is open.
    fn escapes() -> bool {
        let own = std::process::id();
        fs::read("/etc/passwd").is_ok()
            || fs::read_dir("/").is_ok()
            || fs::write("/tmp/pulse-trace-escape", "").is_ok()
            || fs::read(format!("/proc/{own}/mem")).is_ok()
            || TcpStream::connect("127.0.0.1:1").err().and_then(|it| it.raw_os_error()) != Some(libc::EPERM)
            || Command::new("/bin/true").status().is_ok()
            || rustix::process::test_kill_process(rustix::process::Pid::INIT).is_ok()
    }
}

#[cfg(not(debug_assertions))]
mod off {
    /// A file of this name is about to be read.
    pub fn reading(_name: &str) {}
}

#[cfg(not(debug_assertions))]
pub use off::reading;
#[cfg(debug_assertions)]
pub use on::reading;

//! The kernel side's log, written by `aya-log` lines in the programs; for debugging them.

use std::io::Write as _;

use aya::Ebpf;
use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};

/// Reads the log.
pub struct KernelLog(EbpfLogger<StandardError>);

struct StandardError;

impl Log for StandardError {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        // A failed write to standard error is no reason to stop.
        let _ = writeln!(std::io::stderr().lock(), "kernel: {}", record.args());
    }

    fn flush(&self) {}
}

impl KernelLog {
    /// The log of an object; `None` where it has none.
    pub fn open(ebpf: &mut Ebpf) -> Option<Self> {
        EbpfLogger::init_with_logger(ebpf, StandardError).ok().map(Self)
    }

    /// Writes what has been logged since the last call.
    pub fn flush(&mut self) {
        self.0.flush();
    }
}

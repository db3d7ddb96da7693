//! `pulse-trace`: parse, run, exit.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<std::ffi::OsString> = std::env::args_os().collect();
    ExitCode::from(pulse_trace::cli::main(&arguments))
}

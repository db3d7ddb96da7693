//! `cargo xtask VERB`: everything that is done with this repository apart from using the tool.

mod bench;
mod build;
mod check;
mod cli;
mod demo;
mod dist;
mod fuzz;
mod new_probe;
mod packages;
mod process;
mod real;
mod say;
mod setup;
mod test;
mod vm;
mod workspace;

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match cli::run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::note(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

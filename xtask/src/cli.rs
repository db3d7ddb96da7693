//! The verbs as a table: help and dispatch read the same rows.

use std::fmt::Write as _;

use anyhow::{Result, bail};

use crate::{bench, build, check, demo, dist, fuzz, new_probe, say, setup, test, vm};

struct Verb {
    name: &'static str,
    arguments: &'static str,
    does: &'static str,
    run: fn(&[String]) -> Result<()>,
}

const VERBS: &[Verb] = &[
    Verb {
        name: "setup",
        arguments: "",
        does: "bring what the build lacks: rust-src, bpf-linker",
        run: setup::run,
    },
    Verb {
        name: "build",
        arguments: "[--release]",
        does: "build the tool and the bundled workloads",
        run: build::run,
    },
    Verb {
        name: "check",
        arguments: "",
        does: "format, crates, file lengths, stems, prototype notes, generated files",
        run: check::run,
    },
    Verb {
        name: "new-probe",
        arguments: "NAME",
        does: "write the files of a probe that counts events by kind, and its line in each list",
        run: new_probe::run,
    },
    Verb {
        name: "test",
        arguments: "[--quick] [--vm] [--real]",
        does: "format, clippy, check, all tests; --quick: check and unit tests; --vm: on other kernels; --real: on real programs",
        run: test::run,
    },
    Verb {
        name: "real",
        arguments: "[NAME...]",
        does: "trace servers and runtimes under load, beside bpftrace: every count has to be equal",
        run: test::real_only,
    },
    Verb {
        name: "soak",
        arguments: "[TIMES [FILTER]]",
        does: "kernel tests ten times, beside a busy loop on each CPU and builds",
        run: test::soak::run,
    },
    Verb {
        name: "fuzz",
        arguments: "[--seconds N] [TARGET...]",
        does: "feed every parser of foreign bytes with mutated real files, two minutes each",
        run: fuzz::run,
    },
    Verb {
        name: "demo",
        arguments: "",
        does: "set five ways of inter-process communication side by side",
        run: demo::run,
    },
    Verb {
        name: "vm",
        arguments: "[VERSION...]",
        does: "load and try every probe on other kernels, under QEMU",
        run: vm::run,
    },
    Verb {
        name: "libraries",
        arguments: "",
        does: "fetch the C libraries of other releases that tests read",
        run: test::libraries::run,
    },
    Verb { name: "bench", arguments: "NAME [ARGS]", does: "measure; without a name, list", run: bench::run },
    Verb { name: "dist", arguments: "", does: "one static binary in a checksummed archive", run: dist::run },
];

/// Runs the verb that the arguments name.
pub fn run(arguments: &[String]) -> Result<()> {
    let Some((name, rest)) = arguments.split_first() else {
        say::out(help());
        return Ok(());
    };
    if matches!(name.as_str(), "help" | "-h" | "--help") {
        say::out(help());
        return Ok(());
    }
    match VERBS.iter().find(|verb| verb.name == name) {
        Some(_) if rest.iter().any(|argument| argument == "--help" || argument == "-h") => {
            say::out(help());
            Ok(())
        }
        Some(verb) => (verb.run)(rest),
        None => bail!("cannot run `{name}`: there is no such verb; see `cargo xtask help`"),
    }
}

fn help() -> String {
    let mut text = String::from("cargo xtask VERB\n");
    for verb in VERBS {
        let usage = format!("{} {}", verb.name, verb.arguments);
        let _ = write!(text, "\n  {usage:<22} {}", verb.does);
    }
    text.push_str("\n\nPULSE_REQUIRE=all makes a skipped test a failed one.");
    text
}

/// Fails on arguments for a verb that takes none.
pub fn none(verb: &str, arguments: &[String]) -> Result<()> {
    match arguments.first() {
        None => Ok(()),
        Some(argument) => bail!("cannot {verb} `{argument}`: the verb takes no arguments; leave it out"),
    }
}

/// True when the one known flag is given; fails on any other argument.
pub fn flag(verb: &str, arguments: &[String], known: &str) -> Result<bool> {
    flags(verb, arguments, [known]).map(|[given]| given)
}

/// For each known flag, whether it is given; fails on any other argument.
pub fn flags<const N: usize>(verb: &str, arguments: &[String], known: [&str; N]) -> Result<[bool; N]> {
    if let Some(argument) = arguments.iter().find(|argument| !known.contains(&argument.as_str())) {
        bail!("cannot {verb} `{argument}`: known is only `{}`; leave it out", known.join("`, `"));
    }
    Ok(known.map(|flag| arguments.iter().any(|argument| argument == flag)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_is_in_the_help_and_named_once() {
        for (index, verb) in VERBS.iter().enumerate() {
            assert!(help().contains(verb.does));
            assert!(VERBS[..index].iter().all(|other| other.name != verb.name));
        }
    }

    #[test]
    fn unknown_verbs_and_arguments_are_refused() {
        assert!(run(&["nonsense".into()]).unwrap_err().to_string().contains("no such verb"));
        assert!(none("demo", &["x".into()]).is_err());
        assert!(flag("test", &["--vm".into()], "--vm").unwrap());
        assert!(!flag("test", &[], "--vm").unwrap());
        assert!(flag("test", &["--wm".into()], "--vm").is_err());
        assert_eq!(flags("test", &["--b".into()], ["--a", "--b"]).unwrap(), [false, true]);
    }
}

//! Programs that can be run: the suites of bundled programs, and any commands.

mod casq;
mod eventbuf;
mod ipc;
mod shmemq;
mod sync;

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{BenchError, truth::Outcome};

/// A suite of bundled programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// Ways of inter-process communication.
    Ipc,
    /// Locks between two processes, by size of message.
    Shmemq,
    /// One queue, many producers, with and without a log.
    Casq,
    /// Packed atomic state against mutexes.
    Eventbuf,
    /// Operations that concurrent programs are made of.
    Sync,
}

/// A variant that can be run.
#[derive(Clone, Debug)]
pub struct Job {
    /// Name of the variant, for people.
    pub label: String,
    /// Program and arguments.
    pub command: Vec<OsString>,
    /// Suite that knows how to read its truth; `None` for commands of which nothing is known.
    pub suite: Option<Suite>,
    /// True if it counts all the same when it ends with another status than 0.
    pub may_fail: bool,
    /// Processes of each name are also measured apart.
    pub by_name: bool,
}

/// Parts of a suite.
pub(super) struct Parts {
    /// Name of its program.
    program: &'static str,
    /// Unit of work that costs are given per.
    per: &'static str,
    /// Variants that are run unless the user names some.
    usual: &'static [&'static str],
    /// All that can be chosen from, in words.
    known: &'static str,
    /// Arguments of a variant; a sentence where there is none of that name.
    arguments: fn(&str) -> Result<Vec<String>, String>,
    /// Reads the outcome from its truth.
    outcome: fn(&Value) -> Outcome,
}

impl Suite {
    /// Every suite by its name.
    pub const ALL: [(&'static str, Self); 5] = [
        ("ipc", Self::Ipc),
        ("shmemq", Self::Shmemq),
        ("casq", Self::Casq),
        ("eventbuf", Self::Eventbuf),
        ("sync", Self::Sync),
    ];

    fn parts(self) -> &'static Parts {
        match self {
            Self::Ipc => &ipc::PARTS,
            Self::Shmemq => &shmemq::PARTS,
            Self::Casq => &casq::PARTS,
            Self::Eventbuf => &eventbuf::PARTS,
            Self::Sync => &sync::PARTS,
        }
    }

    /// Unit of work that costs are given per.
    #[must_use]
    pub fn per(self) -> &'static str {
        self.parts().per
    }

    /// Outcome of a program of this suite.
    pub(super) fn outcome(self, truth: &Value) -> Outcome {
        (self.parts().outcome)(truth)
    }

    /// The variants of these names, or the usual ones. Options go to every program.
    ///
    /// # Errors
    /// When there is no such variant, or the program is missing.
    pub fn jobs(self, names: &[String], options: &[OsString]) -> Result<Vec<Job>, BenchError> {
        let parts = self.parts();
        let names: Vec<String> = match names {
            [] => parts.usual.iter().map(|name| (*name).to_owned()).collect(),
            some => some.to_vec(),
        };
        let program = find(parts.program).ok_or(BenchError::NoProgram(parts.program))?;
        let mut jobs: Vec<Job> = Vec::new();
        for name in names {
            let refused = |cause: String| BenchError::Variant {
                name: name.clone(),
                cause,
                known: parts.known.to_owned(),
            };
            let arguments = (parts.arguments)(&name).map_err(refused)?;
            let mut command = vec![program.clone().into_os_string()];
            command.extend(without(arguments, options).into_iter().map(OsString::from));
            command.extend(options.iter().cloned());
            jobs.push(Job {
                label: unique(&jobs, name),
                command,
                suite: Some(self),
                may_fail: false,
                by_name: false,
            });
        }
        Ok(jobs)
    }
}

/// Jobs out of command lines, which a shell reads.
#[must_use]
pub fn commands(lines: &[OsString], may_fail: bool) -> Vec<Job> {
    let mut jobs: Vec<Job> = Vec::new();
    for line in lines {
        let command = ["/bin/sh".into(), "-c".into(), line.clone()].into();
        let label = unique(&jobs, line.to_string_lossy().into_owned());
        jobs.push(Job { label, command, suite: None, may_fail, by_name: false });
    }
    jobs
}

/// The same variant under two names is a fair question, and the names must differ.
fn unique(jobs: &[Job], label: String) -> String {
    let same =
        jobs.iter().filter(|job| job.label == label || job.label.starts_with(&format!("{label} #"))).count();
    if same == 0 { label } else { format!("{label} #{}", same + 1) }
}

/// A bundled program: beside this one, or where a shell would find it.
fn find(name: &str) -> Option<PathBuf> {
    let beside = env::current_exe().ok().and_then(|tool| Some(tool.parent()?.join(name)));
    let path = env::var_os("PATH").unwrap_or_default();
    let elsewhere = env::split_paths(&path).map(|directory| directory.join(name));
    beside.into_iter().chain(elsewhere).find(|path| Path::is_file(path))
}

/// Options that another one takes the place of.
const INSTEAD: [(&str, &str); 4] =
    [("--flood", "--jitter"), ("--flood", "--rate"), ("--batch", "--stages"), ("--every-mutex", "--mutex")];

/// Arguments without those that the given options bring anew.
fn without(arguments: Vec<String>, options: &[OsString]) -> Vec<String> {
    let given: Vec<String> = options
        .iter()
        .filter_map(|word| Some(word.to_str()?.split('=').next()?.to_owned()))
        .filter(|word| word.starts_with("--"))
        .collect();
    let replaced = |word: &String| {
        given.contains(word)
            || INSTEAD.iter().any(|(by, what)| word == what && given.iter().any(|it| it == by))
    };
    let (mut kept, mut dropping) = (Vec::new(), false);
    for word in arguments {
        // A value belongs to the option before it.
        if word.starts_with("--") {
            dropping = replaced(&word);
        }
        if !dropping {
            kept.push(word);
        }
    }
    kept
}

/// Words of an argument list.
fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_variant_can_be_run_and_no_other_name_can() {
        for (_, suite) in Suite::ALL {
            let parts = suite.parts();
            for name in parts.usual {
                assert!((parts.arguments)(name).is_ok(), "{name}");
            }
            assert!((parts.arguments)("no such thing").is_err());
        }
    }

    #[test]
    fn options_of_the_user_take_the_place_of_ours() {
        let ours = || words("run --json --rate 500 --messages 150 --stages");
        let kept =
            |options: &[&str]| without(ours(), &options.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(kept(&["--flood"]), words("run --json --messages 150 --stages"));
        assert_eq!(kept(&["--messages=7", "--batch", "3"]), words("run --json --rate 500"));
        assert_eq!(kept(&[]), ours());
    }

    #[test]
    fn twins_get_names_of_their_own() {
        let jobs = commands(&["true".into(), "true".into(), "false".into(), "true".into()], false);
        let labels: Vec<&str> = jobs.iter().map(|job| job.label.as_str()).collect();
        assert_eq!(labels, ["true", "true #2", "false", "true #3"]);
        assert_eq!(jobs[0].command, ["/bin/sh", "-c", "true"]);
    }
}

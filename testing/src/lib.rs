//! The one way to skip a test: declared, counted by `cargo xtask test`, and failed under `PULSE_REQUIRE=all`.

use std::{
    env,
    fmt::Display,
    io::{Write as _, stdout},
    path::Path,
    thread,
};

/// A requirement of a test: a condition, or a value that may be missing.
pub trait Requirement {
    /// The value that the test goes on with.
    type Met;

    /// The value, or the cause of its absence where the requirement knows one.
    fn met(self) -> Result<Self::Met, Option<String>>;
}

impl Requirement for bool {
    type Met = ();

    fn met(self) -> Result<(), Option<String>> {
        if self { Ok(()) } else { Err(None) }
    }
}

impl<T> Requirement for Option<T> {
    type Met = T;

    fn met(self) -> Result<T, Option<String>> {
        self.ok_or(None)
    }
}

impl<T, E: Display> Requirement for Result<T, E> {
    type Met = T;

    fn met(self) -> Result<T, Option<String>> {
        self.map_err(|error| Some(error.to_string()))
    }
}

/// Leaves the test with a declared reason where a requirement is not met, and gives its value where it is.
///
/// A reason names what the machine lacks. What the tool under test reports is no reason: that is asserted.
#[macro_export]
macro_rules! need {
    ($requirement:expr) => {
        $crate::need!($requirement, "{}", stringify!($requirement))
    };
    ($requirement:expr, $($reason:tt)+) => {
        match $crate::Requirement::met($requirement) {
            Ok(met) => met,
            Err(cause) => return $crate::skip(&cause.unwrap_or_else(|| format!($($reason)+))),
        }
    };
}

/// Declares the running test skipped: on standard output, past the harness's capture.
///
/// # Panics
/// Under `PULSE_REQUIRE=all`, which allows no skips.
pub fn skip(reason: &str) {
    assert!(env::var("PULSE_REQUIRE").as_deref() != Ok("all"), "cannot be skipped here: {reason}");
    let reason = reason.replace('\n', " ");
    let thread = thread::current();
    let line = format!("SKIP {}: {reason}", thread.name().unwrap_or("unknown"));
    assert!(writeln!(stdout().lock(), "{line}").is_ok(), "cannot declare: {line}");
}

/// Looks for a program in the path.
pub fn installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]).any(|dir| dir.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn values_and_causes_come_out_of_a_requirement() {
        assert_eq!(true.met(), Ok(()));
        assert_eq!(false.met(), Err(None));
        assert_eq!(Some(1).met(), Ok(1));
        assert_eq!(Err::<u8, _>("no root").met(), Err(Some("no root".into())));
    }

    /// The harness's view of this very program running the test below.
    fn inner(require: &str) -> (bool, String) {
        let mut inner = Command::new(env::current_exe().unwrap());
        inner.args(["--exact", "tests::a_skip"]).env("PULSE_REQUIRE", require).env("PULSE_INNER", "1");
        let output = inner.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    #[test]
    fn a_skip() {
        // On its own it has nothing to skip; the test below starts it with the variable.
        let outer = env::var_os("PULSE_INNER").is_none();
        let met: u8 = need!(outer.then_some(1), "there is no {}", "tool");
        assert_eq!(met, 1);
    }

    #[test]
    fn a_skip_is_declared_and_fails_where_everything_is_required() {
        let (passed, output) = inner("");
        assert!(passed && output.contains("SKIP tests::a_skip: there is no tool"), "{output}");
        let (passed, output) = inner("all");
        assert!(!passed && output.contains("cannot be skipped here: there is no tool"), "{output}");
    }
}

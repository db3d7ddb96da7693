//! Stacks of real programs, taken from outside: registers from `/proc/PID/task/TID/syscall`, bytes from `/proc/PID/mem`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod chain;
mod damaged;
mod debug_file;
mod languages;
mod library;
mod limits;
#[path = "../kernel/support/skip.rs"]
mod skip;
mod waiting;

/// Leaves the test with a declared reason where something that it needs is not to be had.
macro_rules! need {
    ($found:expr, $($reason:tt)+) => {
        match $found {
            Some(found) => found,
            None => {
                let test = std::thread::current().name().unwrap_or("unknown").to_owned();
                return crate::skip::skip(&test, &format!($($reason)+));
            }
        }
    };
}
pub(crate) use need;

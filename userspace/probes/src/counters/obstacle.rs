//! Reasons for a missing counter: the machine lacks it, the user may not, or this is no moment for it.

use std::{fs, io};

use kernel::perf::{Begin, Event, Heirs, PerfCounter};
use model::counters::Tally;

/// Reason for which a counter could not be opened.
pub enum Obstacle {
    /// The system call said so.
    Kernel(io::Error),
    /// The thread has ended.
    Ended,
    /// The limit of open files is reached.
    Descriptors,
    /// Threads came and went faster than they could be listed.
    Restless,
    /// No thread was left to count.
    Gone,
    /// Children cannot be told from threads.
    ChildrenToo,
}

impl Obstacle {
    /// From what the system call says of a thread.
    pub fn of(error: io::Error, event: Event, tid: u32, heirs: Heirs) -> Self {
        match error.raw_os_error() {
            Some(libc::ESRCH) => Self::Ended,
            Some(libc::EMFILE | libc::ENFILE) => Self::Descriptors,
            // Before Linux 5.13 it cannot be chosen that only threads inherit; is it that, or is there no such counter?
            Some(libc::EINVAL) if heirs == Heirs::Threads => {
                match PerfCounter::open(event, tid, Heirs::None, Begin::Enabled) {
                    Ok(_) => Self::ChildrenToo,
                    Err(error) => Self::Kernel(error),
                }
            }
            _ => Self::Kernel(error),
        }
    }

    /// Entry of the session for the counter.
    pub fn tally(&self) -> Tally {
        match self {
            Self::Kernel(error) if !is_refusal(error) => Tally::Unsupported(self.words()),
            _ => Tally::Refused(self.words()),
        }
    }

    /// The same for people, with the remedy.
    pub fn words(&self) -> String {
        match self {
            Self::Kernel(error) if is_refusal(error) => refusal(error),
            Self::Kernel(error) if error.raw_os_error() == Some(libc::ENOSYS) => {
                "this kernel is built without performance counters".to_owned()
            }
            Self::Kernel(_) => {
                "the processor has no such counter, or its hypervisor does not pass it on".to_owned()
            }
            Self::Descriptors => {
                "the limit of open files is reached; raise it with `ulimit -n`, or trace fewer threads".to_owned()
            }
            Self::Restless => {
                "its threads come and go faster than they can be listed; start it with `pulse-trace run`".to_owned()
            }
            Self::Gone | Self::Ended => "it ended before its counters were open".to_owned(),
            Self::ChildrenToo => {
                "before Linux 5.13 forked children cannot be left out; trace with --children (`run`: without --no-children), and they are counted too"
                    .to_owned()
            }
        }
    }
}

/// True if an error is about this user or this moment, and not about the machine.
fn is_refusal(error: &io::Error) -> bool {
    let machine = [libc::ENOENT, libc::EOPNOTSUPP, libc::ENODEV, libc::ENXIO, libc::EINVAL, libc::ENOSYS];
    error.raw_os_error().is_none_or(|number| !machine.contains(&number))
}

fn refusal(error: &io::Error) -> String {
    if !matches!(error.raw_os_error(), Some(libc::EACCES | libc::EPERM)) {
        return format!("the kernel says: {error}");
    }
    let level = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap_or_default();
    format!(
        "perf_event_paranoid is {} and this user lacks CAP_PERFMON; run with sudo, or grant it with setcap",
        level.trim()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_lacks_is_told_from_what_the_user_may_not() {
        let tally = |number| Obstacle::Kernel(io::Error::from_raw_os_error(number)).tally();
        for number in [libc::ENOENT, libc::EOPNOTSUPP, libc::ENODEV, libc::EINVAL, libc::ENOSYS] {
            assert!(matches!(tally(number), Tally::Unsupported(_)), "{number}");
        }
        assert!(matches!(tally(libc::EACCES), Tally::Refused(why) if why.contains("CAP_PERFMON")));
        assert!(matches!(tally(libc::EBUSY), Tally::Refused(why) if why.contains("busy")));
        assert!(matches!(Obstacle::Descriptors.tally(), Tally::Refused(why) if why.contains("ulimit -n")));
    }
}

//! Processes that could be traced, with their CPU time.

use super::{TargetError, procfs};

/// A process of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Process id, as `/proc` shows it.
    pub pid: u32,
    /// Name of the process; unchecked bytes, chosen by the process.
    pub comm: String,
    /// Number of threads.
    pub threads: u32,
    /// CPU time that it has used, clock ticks.
    pub ticks: u64,
}

/// Every process except kernel threads, dead processes, and the tool itself.
///
/// # Errors
/// When the kernel's process table cannot be read.
pub fn candidates() -> Result<Vec<Candidate>, TargetError> {
    let me = std::process::id();
    let all = procfs::processes()?.into_iter().filter(|pid| *pid != me);
    Ok(all.filter_map(candidate).collect())
}

fn candidate(pid: u32) -> Option<Candidate> {
    let line = procfs::text(&format!("/proc/{pid}/stat")).ok()?;
    let stat = procfs::stat(pid)?;
    if stat.is_kernel_thread() || stat.is_dead() {
        return None;
    }
    parse(pid, &line)
}

/// Parses a line of `/proc/PID/stat`. The name stands in parentheses and may contain parentheses itself.
fn parse(pid: u32, line: &str) -> Option<Candidate> {
    let (begin, end) = (line.find('(')?, line.rfind(')')?);
    let fields: Vec<&str> = line[end + 1..].split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Candidate {
        pid,
        comm: line[begin + 1..end].to_owned(),
        threads: u32::try_from(number(17)?).ok()?,
        ticks: number(11)? + number(12)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_with_any_name_is_parsed() {
        let line = "7 (a) S (b) R 1 7 7 0 -1 4194560 10 0 0 0 30 12 0 0 20 0 5 0 4242 1000 50";
        let found = parse(7, line).unwrap();
        assert_eq!((found.comm.as_str(), found.ticks, found.threads), ("a) S (b", 42, 5));
        assert_eq!(parse(7, "7 (cut) S 1"), None);
    }

    #[test]
    fn the_parent_of_this_test_is_a_candidate_and_the_test_is_not() {
        let all = candidates().unwrap();
        assert!(all.iter().all(|one| one.pid != std::process::id()));
        assert!(all.iter().any(|one| one.pid == std::os::unix::process::parent_id()));
    }
}

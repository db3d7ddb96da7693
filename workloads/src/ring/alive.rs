//! Check that the process that registered a producer still lives.

use std::fs;

/// Start time of a process in clock ticks since boot; none when it is gone or only waits to be reaped.
#[must_use]
pub fn start_time(pid: u64) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may itself hold blanks and parentheses: go on from the last one.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if matches!(fields.next()?, "Z" | "X" | "x") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_living_have_a_start_time_and_the_dead_have_none() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = u64::from(child.id());
        assert!(start_time(pid).is_some_and(|start| start > 0));
        child.kill().unwrap();
        // Dead but not reaped: a zombie is not alive.
        while start_time(pid).is_some() {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert_eq!(start_time(pid), None);
    }
}

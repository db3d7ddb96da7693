//! CPU time of other processes.

/// CPU time of all threads of a process, ended ones included, in ns; `None` once the process is gone.
#[must_use]
pub fn process_cpu_ns(pid: u32) -> Option<u64> {
    let (mut clock, mut time) = (0, libc::timespec { tv_sec: 0, tv_nsec: 0 });
    // SAFETY: writes a number into a variable of ours, or fails.
    if unsafe { libc::clock_getcpuclockid(pid.cast_signed(), &raw mut clock) } != 0 {
        return None;
    }
    // SAFETY: writes a time into a variable of ours, or fails.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return None;
    }
    Some(time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_while_something_is_done() {
        let own = std::process::id();
        let begin = process_cpu_ns(own).unwrap();
        while process_cpu_ns(own).unwrap() < begin + 1_000_000 {}
        assert_eq!(process_cpu_ns(1 << 22), None);
    }
}

//! Share of the CPU time this process wanted that went to others: on a busy machine every time is too long, and it must
//! not be the operation that is blamed.

use std::time::Instant;

use pulse_trace_workloads::sys::usage::Usage;

/// The state at the beginning of a stretch of work.
pub struct Stretch {
    began: Instant,
    usage: Usage,
    waited_ns: u64,
}

/// Resources that an interval of work used.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    pub usage: Usage,
    /// CPU time by elapsed time.
    pub cpus_used: f64,
    /// Share of the CPU time it could have had, and was ready to use, that it did not get.
    pub starved: f64,
}

impl Stretch {
    /// Begins an interval now.
    pub fn begin() -> Self {
        Self { began: Instant::now(), usage: Usage::now(), waited_ns: run_queue_wait() }
    }

    /// When it began.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Ends it; `cpus` is how many it may use at once.
    pub fn end(self, cpus: usize) -> Spent {
        let elapsed = self.began.elapsed().as_secs_f64() * 1e9;
        let usage = Usage::now().since(self.usage);
        let waited = run_queue_wait().saturating_sub(self.waited_ns) as f64;
        let used = (usage.user_ns + usage.system_ns) as f64;
        Spent { usage, cpus_used: used / elapsed, starved: starved(used, waited, elapsed * cpus as f64) }
    }
}

/// Share of the wanted CPU time that went to others. It cannot tell a CPU that strangers had from one that was idle
/// while threads of the process, which had just been woken, queued behind each other on another one.
///
/// Threads that wait in a run queue while as many others of the process run as there are CPUs wait for each other:
/// only what is missing to all CPUs, or to all that were ready, went to strangers.
fn starved(used: f64, waited: f64, most: f64) -> f64 {
    let wanted = (used + waited).min(most);
    if wanted <= 0.0 { 0.0 } else { (1.0 - used / wanted).max(0.0) }
}

/// Time the threads of this process that live now have spent in run queues; 0 where the kernel keeps no such account.
fn run_queue_wait() -> u64 {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return 0 };
    let wait = |text: String| text.split_whitespace().nth(1)?.parse::<u64>().ok();
    threads
        .flatten()
        .filter_map(|thread| wait(std::fs::read_to_string(thread.path().join("schedstat")).ok()?))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_strangers_took_counts() {
        let share = |used, waited, cpus: f64| starved(used, waited, 100.0 * cpus);
        assert_eq!(share(100.0, 0.0, 2.0), 0.0, "alone and undisturbed");
        assert_eq!(share(25.0, 75.0, 2.0), 0.75, "alone, and others about");
        assert_eq!(
            share(200.0, 600.0, 2.0),
            0.0,
            "eight threads that fill both CPUs wait for each other only"
        );
        assert_eq!(share(100.0, 700.0, 2.0), 0.5, "eight threads that get half of them");
        assert_eq!(share(100.0, 100.0, 1.0), 0.0, "a pair on the one CPU that it may use");
        assert_eq!(share(0.0, 0.0, 2.0), 0.0, "no thread wanted anything");
    }

    #[test]
    fn a_stretch_of_work_is_accounted_for() {
        let stretch = Stretch::begin();
        while stretch.began().elapsed().as_millis() < 20 {
            std::hint::spin_loop();
        }
        let spent = stretch.end(1);
        assert!(spent.cpus_used > 0.0 && (0.0..=1.0).contains(&spent.starved), "{spent:?}");
    }
}

//! `--pin`: a list of CPUs, given to the workers in turn.

use std::fs;
use std::str::FromStr;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::{Refusal, cannot};

/// CPUs in the order given, such as `0,2-3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuList(Vec<usize>);

impl CpuList {
    /// The CPUs that the calling thread may run on.
    ///
    /// # Errors
    ///
    /// The kernel does not tell.
    pub fn allowed() -> Result<Self, Refusal> {
        let set = sched_getaffinity(None)
            .map_err(|error| cannot("read the allowed CPUs", error, "name them with `--pin`"))?;
        Ok(Self((0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect()))
    }

    /// The first CPU, and the first of another core; of the same core where there is no other. None of a single CPU.
    #[must_use]
    pub fn two_cores(&self) -> Option<Self> {
        let first = *self.0.first()?;
        let path = format!("/sys/devices/system/cpu/cpu{first}/topology/thread_siblings_list");
        let core = fs::read_to_string(path).ok().and_then(|list| list.trim().parse::<Self>().ok());
        let on_core = |cpu: &usize| core.as_ref().is_some_and(|core| core.0.contains(cpu));
        let others = || self.0.iter().filter(|cpu| **cpu != first);
        let second = others().find(|cpu| !on_core(cpu)).or_else(|| others().next())?;
        Some(Self(vec![first, *second]))
    }

    /// A list of the first one only.
    #[must_use]
    pub fn first(&self) -> Self {
        Self(self.0[..self.0.len().min(1)].to_vec())
    }

    /// Number of CPUs listed; never zero.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a list of no CPUs cannot be made")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The CPU of the `nth` worker; more workers than CPUs go round.
    #[must_use]
    pub fn of_worker(&self, nth: usize) -> usize {
        self.0[nth % self.0.len()]
    }

    /// Pins the calling thread to the CPU of the `nth` worker.
    ///
    /// # Errors
    ///
    /// The CPU does not exist, is offline, or is not allowed to this process.
    pub fn pin(&self, nth: usize) -> Result<(), Refusal> {
        let cpu = self.of_worker(nth);
        let mut set = CpuSet::new();
        set.set(cpu);
        sched_setaffinity(None, &set).map_err(|error| {
            cannot(
                format_args!("pin to CPU {cpu}"),
                error,
                "name CPUs that `nproc` and `taskset -p $$` allow",
            )
        })
    }
}

impl FromStr for CpuList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first = cpu(first)?;
            let last = cpu(last)?;
            if last < first {
                return Err(format!("`{part}` runs backwards"));
            }
            cpus.extend(first..=last);
        }
        Ok(Self(cpus))
    }
}

impl std::fmt::Display for CpuList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (nth, cpu) in self.0.iter().enumerate() {
            let comma = if nth == 0 { "" } else { "," };
            write!(f, "{comma}{cpu}")?;
        }
        Ok(())
    }
}

fn cpu(text: &str) -> Result<usize, String> {
    match text.trim().parse() {
        Ok(cpu) if cpu < CpuSet::MAX_CPU => Ok(cpu),
        _ => Err(format!("`{text}` is no CPU number below {}", CpuSet::MAX_CPU)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges() {
        assert_eq!("0,2-4".parse(), Ok(CpuList(vec![0, 2, 3, 4])));
        assert_eq!("1,0".parse::<CpuList>().unwrap().to_string(), "1,0");
        for bad in ["", "a", "3-1", "0,", "99999"] {
            assert!(bad.parse::<CpuList>().is_err(), "{bad}");
        }
    }

    #[test]
    fn two_cores_are_two_cpus_of_the_list() {
        assert_eq!(CpuList(vec![3]).two_cores(), None);
        let CpuList(two) = CpuList(vec![0, 1, 0]).two_cores().unwrap();
        assert_eq!(two, [0, 1]);
    }

    #[test]
    fn a_missing_cpu_is_refused_with_a_remedy() {
        let refusal = "1023".parse::<CpuList>().unwrap().pin(0).unwrap_err();
        assert!(refusal.to_string().starts_with("cannot pin to CPU 1023: "), "{refusal}");
    }
}

//! Notes on processes in whose code nothing can be probed.

use binary::locate::plan::TIER_0;

use super::{Probing, host};

/// The library that a Java virtual machine is.
const JAVA: &str = "libjvm.so";

/// Sentence about a process that maps such a file: probes do not see locks of its own.
pub fn own_locks(path: &str, pid: u32) -> Option<String> {
    let is_java = path.trim_end_matches(" (deleted)").rsplit('/').next() == Some(JAVA);
    is_java.then(|| {
        format!(
            "mutex: process {pid} is a Java virtual machine: probes see the mutexes of that machine and of native code, but \
             neither Java's monitors nor the locks of java.util.concurrent; the probe futex sees where those wait, each \
             at an event of the thread that waits"
        )
    })
}

impl Probing {
    /// Says so, once, if a process maps nothing that can be probed and had the time to, or will have none any more.
    pub(super) fn judge(&mut self, pid: u32, is_over: bool) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let has_had_time = is_over || host::monotonic_ns() >= process.young_until_ns;
        let is_known = || process.mapped.iter().any(|id| matches!(self.files.get(id), Some(Some(_))));
        if process.is_judged || process.program.is_empty() || !has_had_time || is_known() {
            return;
        }
        let reasons: Vec<&str> =
            process.mapped.iter().filter_map(|id| Some(self.hopeless.get(id)?.as_str())).collect();
        // It ended before its libraries had to be there: with none seen, it may have had any.
        if !process.is_settled && reasons.is_empty() {
            return;
        }
        process.is_judged = true;
        if reasons.contains(&"") {
            return;
        }
        let why = match reasons[..] {
            [] => "it maps no lock library that is known".to_owned(),
            _ => reasons.join("; "),
        };
        let program = &process.program;
        let note = format!("mutex: cannot find contended paths in {program}: {why}; {TIER_0}");
        self.say(note);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_java_machine_is_told_by_its_library() {
        let said = own_locks("/usr/lib/jvm/java-17/lib/server/libjvm.so", 5).unwrap();
        assert!(said.starts_with("mutex: process 5 is a Java virtual machine"), "{said}");
        assert_eq!(own_locks("/opt/libjvm.so.d/mine", 5), None);
    }
}

//! Kernel lockdown: it keeps even root from some things.

use std::io;

use kernel::lockdown;

use super::{Finding, Verdict};

pub fn examine() -> Finding {
    of(lockdown())
}

fn of(said: io::Result<Option<String>>) -> Finding {
    match said {
        Ok(Some(text)) if text.contains("[confidentiality]") => Finding::bad(
            "lockdown",
            Verdict::Fault,
            "confidentiality",
            "BPF programs may not read kernel memory (bpf_probe_read_kernel), nothing can be traced",
            "boot with lockdown=integrity or without",
        ),
        Ok(Some(text)) if text.contains("[integrity]") => Finding::ok(
            "lockdown",
            "integrity",
            "all that pulse-trace uses works; what it takes from other tracers, kernel_lockdown(7) tells",
        ),
        Ok(Some(text)) if text.contains("[none]") => Finding::ok("lockdown", "none", "nothing is restricted"),
        Ok(Some(text)) => unknown(&format!("the kernel says {:?}", text.trim())),
        Ok(None) => Finding::ok("lockdown", "not in this kernel", "nothing is restricted"),
        Err(error) => unknown(&format!("what the kernel itself says cannot be read: {error}")),
    }
}

fn unknown(why: &str) -> Finding {
    Finding::bad(
        "lockdown",
        Verdict::Note,
        format!("not known: {why}"),
        "under confidentiality BPF programs may not read kernel memory, and nothing could be traced; under integrity \
         everything here works",
        "see `dmesg | grep -i lockdown`, or run this as root",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(said: io::Result<Option<&str>>) -> (Verdict, String) {
        let finding = of(said.map(|text| text.map(str::to_owned)));
        (finding.verdict, finding.finding)
    }

    #[test]
    fn what_is_not_known_is_not_called_unrestricted() {
        assert_eq!(
            verdict(Ok(Some("none [integrity] confidentiality\n"))),
            (Verdict::Ok, "integrity".into())
        );
        assert_eq!(verdict(Ok(Some("[none] integrity confidentiality"))), (Verdict::Ok, "none".into()));
        assert_eq!(verdict(Ok(Some("none integrity [confidentiality]"))).0, Verdict::Fault);
        assert_eq!(verdict(Ok(None)), (Verdict::Ok, "not in this kernel".into()));
        for unknown in
            [Ok(Some("")), Ok(Some("none [paranoia]")), Err(io::ErrorKind::PermissionDenied.into())]
        {
            let finding = of(unknown.map(|text: Option<&str>| text.map(str::to_owned)));
            assert_eq!(finding.verdict, Verdict::Note);
            assert!(
                finding.finding.starts_with("not known: ") && !finding.consequence.contains("nothing is")
            );
        }
    }
}

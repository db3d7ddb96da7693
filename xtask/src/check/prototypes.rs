//! The note above each hook agrees with the running kernel, as far as the note goes.
//!
//! A program reads a tracepoint's arguments by position. Kernels append arguments now and then, which harms no program:
//! a note has to be a beginning of the kernel's list. Names are for the reader; only types are compared.

use std::{fs, io::ErrorKind};

use anyhow::{Context as _, Result};

use super::{
    btf::Btf,
    hooks::{Hook, hooks},
};
use crate::{say, test, workspace};

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Every note that is missing or wrong.
pub fn violations() -> Result<Vec<String>> {
    let kernel = of_running_kernel()?;
    let mut wrong = Vec::new();
    if kernel.is_none() {
        let uncompared = format!("prototype notes are not compared: {VMLINUX} cannot be read here");
        if test::everything_is_required()? { wrong.push(uncompared) } else { say::note(uncompared) }
    }
    for file in workspace::files(&workspace::root().join("ebpf/src/probes"), ".rs")? {
        for hook in hooks(&fs::read_to_string(&file)?) {
            if let Some(why) = complaint(&hook, kernel.as_ref()) {
                wrong.push(format!(
                    "{}:{}: {}: {why}",
                    workspace::relative(&file),
                    hook.line,
                    hook.tracepoint
                ));
            }
        }
    }
    Ok(wrong)
}

fn of_running_kernel() -> Result<Option<Btf>> {
    match fs::read(VMLINUX) {
        Ok(bytes) => Ok(Some(Btf::parse(&bytes).with_context(|| format!("cannot read {VMLINUX}"))?)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {VMLINUX}")),
    }
}

fn complaint(hook: &Hook, kernel: Option<&Btf>) -> Option<String> {
    let Some(note) = &hook.note else {
        return Some(
            "there is no note of its prototype, such as `void (struct pt_regs *regs, long id)`".into(),
        );
    };
    let kernel = kernel?;
    let Some(parameters) = kernel.tracepoint(&hook.tracepoint) else {
        return Some("the running kernel has no such tracepoint".into());
    };
    let noted = note_types(note);
    let real: Vec<String> = parameters.iter().map(|text| canonical(text)).collect();
    let agrees = real.get(..noted.len()).is_some_and(|beginning| beginning == noted);
    (!agrees)
        .then(|| format!("the note says `{note}`, the running kernel `void ({})`", parameters.join(", ")))
}

/// Parameter types of a note.
fn note_types(note: &str) -> Vec<String> {
    let inside = note.split_once('(').map_or("", |(_, rest)| rest).trim_end_matches(')');
    let parameters = inside.split(',').map(str::trim).filter(|text| !text.is_empty() && *text != "void");
    parameters.map(|text| canonical(without_name(text))).collect()
}

/// Cuts the parameter's name off: the last word, where what remains is still a type.
fn without_name(parameter: &str) -> &str {
    let at = parameter.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |at| at + 1);
    let (before, name) = parameter.split_at(at);
    let before = before.trim_end();
    let incomplete = ["", "struct", "union", "enum", "const", "volatile"].contains(&before);
    let is_type = matches!(name, "int" | "long" | "char" | "short" | "unsigned" | "signed" | "");
    if incomplete || is_type { parameter } else { before }
}

/// One spelling of a type: `unsigned long` and `long unsigned int` are the same.
fn canonical(text: &str) -> String {
    let spaced = text.replace('*', " * ");
    let (pointers, mut words): (Vec<&str>, Vec<&str>) =
        spaced.split_whitespace().partition(|word| *word == "*");
    if words.iter().any(|word| ["long", "short", "unsigned"].contains(word)) {
        words.retain(|word| *word != "int");
    }
    let words = words.iter_mut().map(|word| if *word == "_Bool" { "bool" } else { word });
    let mut words: Vec<&str> = words.collect();
    words.sort_unstable();
    format!("{}{}", words.join(" "), pointers.concat())
}

#[cfg(test)]
mod tests {
    use pulse_trace_testing::need;

    use super::*;

    #[test]
    fn types_are_compared_in_one_spelling() {
        assert_eq!(note_types("void (struct pt_regs *regs, long id)"), ["pt_regs struct*", "long"]);
        assert_eq!(
            note_types("void (unsigned long flags, bool)"),
            [canonical("long unsigned int"), "bool".into()]
        );
        assert_eq!(note_types("void (const char *name)"), [canonical("const char *")]);
        assert_eq!(
            note_types("void (struct s *, unsigned)"),
            [canonical("struct s*"), canonical("unsigned int")]
        );
        assert_eq!(note_types("void (pid_t pid, struct a **p)"), ["pid_t", "a struct**"]);
        assert!(note_types("void (void)").is_empty());
    }

    #[test]
    fn a_hook_without_a_note_is_found_without_a_kernel() {
        let hook = Hook { tracepoint: "sys_enter".into(), note: None, line: 1 };
        assert!(complaint(&hook, None).is_some());
        assert!(complaint(&Hook { note: Some("void (int a)".into()), ..hook }, None).is_none());
    }

    #[test]
    fn the_running_kernel_is_believed() {
        let kernel = need!(of_running_kernel().unwrap(), "{VMLINUX} cannot be read");
        let hook = |tracepoint: &str, note: &str| Hook {
            tracepoint: tracepoint.into(),
            note: Some(note.into()),
            line: 1,
        };
        let of = |tracepoint, note| complaint(&hook(tracepoint, note), Some(&kernel));
        assert_eq!(of("sys_enter", "void (struct pt_regs *regs, long id)"), None);
        assert_eq!(of("sys_enter", "void (struct pt_regs *regs)"), None);
        assert!(
            of("sys_enter", "void (struct task_struct *p, long id)").unwrap().contains("struct pt_regs *")
        );
        assert!(of("sys_enter", "void (struct pt_regs *r, long id, int more)").is_some());
        assert!(of("no_such_tracepoint", "void (int a)").unwrap().contains("no such tracepoint"));
    }
}

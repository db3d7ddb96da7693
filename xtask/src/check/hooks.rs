//! The tracepoints that the BPF programs hang on, with the note above each that says what it relies on.

/// A program on a tracepoint.
#[derive(Debug, PartialEq, Eq)]
pub struct Hook {
    /// Name of the tracepoint.
    pub tracepoint: String,
    /// The C prototype in its documentation.
    pub note: Option<String>,
    /// Line of the attribute, from 1.
    pub line: usize,
}

const ATTRIBUTES: [(&str, &str); 2] =
    [("#[raw_tracepoint(", "tracepoint"), ("#[btf_tracepoint(", "function")];

/// All hooks of a source file that receive a tracepoint's own arguments.
pub fn hooks(text: &str) -> Vec<Hook> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let tracepoint =
            ATTRIBUTES.iter().find_map(|(attribute, key)| value(line.strip_prefix(attribute)?, key));
        if let Some(tracepoint) = tracepoint {
            found.push(Hook { tracepoint, note: note_above(&lines[..index]), line: index + 1 });
        }
    }
    found
}

/// `value` in `key = "value"`.
fn value(line: &str, key: &str) -> Option<String> {
    let (_, after) = line.split_once(key)?;
    let value = after.trim_start().strip_prefix('=')?.trim_start().strip_prefix('"')?;
    Some(value.split('"').next()?.to_owned())
}

/// The prototype in the block of documentation that ends here. It may be broken over lines.
fn note_above(lines: &[&str]) -> Option<String> {
    let attached = lines.iter().rev().take_while(|line| line.starts_with("///") || line.starts_with("#["));
    let mut documentation: Vec<&str> = attached.filter_map(|line| line.strip_prefix("///")).collect();
    documentation.reverse();
    let text = documentation.join(" ");
    let spans = text.split('`').skip(1).step_by(2);
    spans.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" ")).find(|span| {
        span.ends_with(')') && span.split_once('(').is_some_and(|(returns, _)| returns.trim_end() == "void")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_belong_to_the_hook_below_them() {
        let text = "/// `void (int a)`\nfn x() {}\n\n/// Counts `x`.\n/// `void (struct s *p,\n/// long id)` and more.\n\
                    #[raw_tracepoint(tracepoint = \"sys_enter\")]\npub fn a() {}\n\
                    #[btf_tracepoint(function = \"sched_switch\")]\n";
        let found = hooks(text);
        assert_eq!(found[0].tracepoint, "sys_enter");
        assert_eq!(found[0].note.as_deref(), Some("void (struct s *p, long id)"));
        assert_eq!(found[1], Hook { tracepoint: "sched_switch".into(), note: None, line: 9 });
    }
}
